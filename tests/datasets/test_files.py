"""Where files are looked for, and how they are downloaded; no test asks the network."""

import hashlib
import io
import re
import sys
import zipfile
from dataclasses import replace

import pandas as pd
import pytest

from skfairaug.datasets import (
    _adult,
    _bank,
    _compas,
    _files,
    _german,
    fetch_adult,
    fetch_bank,
    fetch_compas,
    fetch_german,
)

PACKAGES = {"adult": _adult, "bank": _bank, "compas": _compas, "german": _german}
FETCHERS = {
    "adult": fetch_adult,
    "bank": fetch_bank,
    "compas": fetch_compas,
    "german": fetch_german,
}

ADULT = "{}, Private, 1, HS-grad, 9, Divorced, Sales, Unmarried, {}, {}, 0, 0, 40, {}, {}\n"
TRAIN = (
    ADULT.format(39, "White", "Male", "United-States", ">50K")
    + ADULT.format(50, "White", "Male", "?", ">50K")
    + ADULT.format(61, "Black", "Male", "Cuba", "<=50K")
    + "\n"
)
TEST = "|1x3 Cross validator\n" + ADULT.format(25, "White", "Female", "Cuba", ">50K.") + "\n"

BANK_COLUMNS = "age;job;marital;education;y"
BANK = (
    BANK_COLUMNS + '\n24;"services";"single";"unknown";"no"\n25;"student";"single";"x";"yes"\n'
)

#: The 53 columns that ProPublica publishes.
COMPAS_HEADER = (
    "id,name,first,last,compas_screening_date,sex,dob,age,age_cat,race,juv_fel_count,"
    "decile_score,juv_misd_count,juv_other_count,priors_count,days_b_screening_arrest,"
    "c_jail_in,c_jail_out,c_case_number,c_offense_date,c_arrest_date,c_days_from_compas,"
    "c_charge_degree,c_charge_desc,is_recid,r_case_number,r_charge_degree,"
    "r_days_from_arrest,r_offense_date,r_charge_desc,r_jail_in,r_jail_out,violent_recid,"
    "is_violent_recid,vr_case_number,vr_charge_degree,vr_offense_date,vr_charge_desc,"
    "type_of_assessment,decile_score,score_text,screening_date,v_type_of_assessment,"
    "v_decile_score,v_score_text,v_screening_date,in_custody,out_custody,priors_count,"
    "start,end,event,two_year_recid"
)

#: What an invented defendant's personal columns hold; none of it may be seen again.
PERSONAL = {
    "id": "770077",
    "name": "ann example",
    "first": "ann",
    "last": "example",
    "dob": "1971-02-03",
    "c_case_number": "13000001CF10A",
    "r_case_number": "13000002CF10A",
    "vr_case_number": "13000003CF10A",
    "c_jail_in": "2013-08-13 06:03:42",
    "in_custody": "2014-07-07",
}


def compas_row(**values):
    usual = {
        "sex": "Male",
        "age": 42,
        "age_cat": "25 - 45",
        "race": "Other",
        "juv_fel_count": 0,
        "juv_misd_count": 0,
        "juv_other_count": 1,
        "priors_count": 2,
        "days_b_screening_arrest": -1,
        "c_charge_degree": "F",
        "c_charge_desc": '"Theft, grand"',
        "is_recid": 0,
        "two_year_recid": 0,
    }
    values = PERSONAL | usual | values
    return ",".join(str(values.get(column, "")) for column in COMPAS_HEADER.split(","))


COMPAS = "\n".join(
    [
        COMPAS_HEADER,
        compas_row(),
        compas_row(sex="Female", race="Caucasian", two_year_recid=1, is_recid=1),
        compas_row(days_b_screening_arrest=31),
        compas_row(days_b_screening_arrest=""),
        compas_row(is_recid=-1),
        compas_row(c_charge_degree="O"),
        compas_row(c_charge_desc=""),
    ]
)


def zipped(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bank-additional/bank-additional-full.csv", text)
        archive.writestr("bank-additional/.DS_Store", "")
    return buffer.getvalue()


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def tiny(monkeypatch):
    """Checksums of the files above, in place of the published ones'."""
    expected = {
        "adult.data": md5(TRAIN),
        "adult.test": md5(TEST),
        "compas-scores-two-years.csv": md5(COMPAS),
        "bank-additional-full.csv": md5(BANK),
    }
    for package in (_adult, _bank, _compas):
        files = tuple(
            replace(file, md5=("0" * 32, expected[file.name]), n_rows=7)
            for file in package.FILES
        )
        monkeypatch.setattr(package, "FILES", files)


@pytest.fixture
def publisher(monkeypatch, tiny):
    """Stand-in for the network: file name -> content, with checksums that fit."""
    content = {
        "adult.data": TRAIN.encode(),
        "adult.test": TEST.encode(),
        "compas-scores-two-years.csv": COMPAS.encode(),
        "bank-additional.zip": zipped(BANK),
    }
    asked = []

    def download(url, path):
        asked.append(url)
        path.write_bytes(content[url.rsplit("/", 1)[1]])

    monkeypatch.setattr(_files, "download", download)
    return {"content": content, "asked": asked}


@pytest.fixture
def no_network(monkeypatch):
    def download(url, path):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(_files, "download", download)


def write_adult(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adult.data").write_text(TRAIN)
    (folder / "adult.test").write_text(TEST)


@pytest.mark.parametrize("direct", [False, True])
def test_files_in_place(direct, tmp_path, no_network, tiny):
    write_adult(tmp_path if direct else tmp_path / "adult")
    X, y, race = fetch_adult(tmp_path, sensitive="race", return_X_y=True)
    assert X["age"].tolist() == [25, 39, 61]  # adult.test first; the row with "?" is out
    assert y.tolist() == [1, 1, 0]
    assert race.tolist() == ["White", "White", "Non-white"]
    assert X["race"].tolist() == ["White", "White", "Black"]
    assert "fnlwgt" not in X
    encoded = fetch_adult(str(tmp_path), encode="onehot").data
    assert encoded["race"].tolist() == [1, 1, 0]
    assert encoded["sex"].tolist() == [0, 1, 1]
    assert encoded["native-country=Cuba"].tolist() == [1, 0, 1]


def test_data_home_from_the_environment(tmp_path, monkeypatch, tiny):
    monkeypatch.setenv("SKFAIRAUG_DATA", str(tmp_path))
    write_adult(tmp_path / "adult")
    assert len(fetch_adult(download_if_missing=False).data) == 3


def test_data_home_default(tmp_path, monkeypatch):
    monkeypatch.delenv("SKFAIRAUG_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert _files.get_data_home() == tmp_path / "skfairaug_data"
    assert _files.get_data_home("~/elsewhere") == tmp_path / "elsewhere"


def test_download_once(tmp_path, publisher):
    first = fetch_adult(tmp_path / "new")
    assert publisher["asked"] == [file.url for file in _adult.FILES]
    assert sorted(path.name for path in (tmp_path / "new" / "adult").iterdir()) == [
        "adult.data",
        "adult.test",
    ]
    second = fetch_adult(tmp_path / "new")
    assert len(publisher["asked"]) == 2
    pd.testing.assert_frame_equal(first.data, second.data)


def test_download_of_the_missing_file_only(tmp_path, publisher):
    write_adult(tmp_path)
    (tmp_path / "adult.test").unlink()
    fetch_adult(tmp_path)
    assert publisher["asked"] == [_adult.FILES[1].url]
    assert (tmp_path / "adult.test").is_file()


def test_download_of_an_archive(tmp_path, publisher):
    bunch = fetch_bank(tmp_path)
    assert [path.name for path in (tmp_path / "bank").iterdir()] == ["bank-additional-full.csv"]
    assert bunch.data["age"].tolist() == [25]  # "unknown" is a missing value
    assert bunch.sensitive_features.tolist() == ["25 or over"]
    assert bunch.target.tolist() == [1]


@pytest.mark.parametrize("name", ["adult.data", "adult.test"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text[: text.rindex("K") - 1],  # the last label
        lambda text: text.replace("Cuba", "Kuba"),
        lambda text: "<html>This page has moved.</html>",
        lambda text: "",
    ],
)
def test_damaged_files(damage, name, tmp_path, publisher):
    write_adult(tmp_path)
    path = tmp_path / name
    path.write_text(damage(path.read_text()))
    with pytest.raises(OSError, match="is damaged or not the published file") as caught:
        fetch_adult(tmp_path)
    assert str(caught.value).startswith(str(path))
    url = next(file.url for file in _adult.FILES if file.name == name)
    assert f"{path.stat().st_size} bytes" in str(caught.value)
    assert f"Get it again from {url}, and put it there" in str(caught.value)
    assert publisher["asked"] == []  # nothing of the caller's is overwritten


def test_line_ends_do_not_count(tmp_path, tiny, no_network):
    write_adult(tmp_path)
    expected = fetch_adult(tmp_path)
    for name in ("adult.data", "adult.test"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(fetch_adult(tmp_path).data, expected.data)


def test_a_damaged_copy_with_fewer_columns(tmp_path, publisher):
    fetch_compas(tmp_path)
    path = tmp_path / "compas" / "compas-scores-two-years.csv"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    for content in (
        "".join(lines[:-1]),
        whole[:-2],  # the last label
        "".join(lines[1:]),
        lines[0],
        "",
        whole.replace(",", ";"),
    ):
        path.write_text(content)
        with pytest.raises(OSError, match=r"compas-scores-two-years.csv is damaged or not"):
            fetch_compas(tmp_path)
    path.write_text(whole)
    assert len(fetch_compas(tmp_path).data) == 2


@pytest.mark.parametrize("content", [b"not an archive", None])
def test_bad_archive(content, tmp_path, publisher):
    if content is None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("other.csv", "")
        content = buffer.getvalue()
    publisher["content"]["bank-additional.zip"] = content
    with pytest.raises(OSError, match=r"is not a zip archive with bank-additional/bank-addi"):
        fetch_bank(tmp_path)
    assert list((tmp_path / "bank").iterdir()) == []


def test_wrong_checksum(tmp_path, publisher):
    publisher["content"]["adult.test"] = b"<html>moved</html>"
    with pytest.raises(OSError, match=r"gave a adult.test with md5 \w{32}, expected 0{32} or"):
        fetch_adult(tmp_path)
    assert [path.name for path in (tmp_path / "adult").iterdir()] == ["adult.data"]


@pytest.mark.parametrize("name", sorted(FETCHERS))
def test_no_data_and_no_network(name, tmp_path, no_network):
    with pytest.raises(OSError, match="the download failed: no route to host") as caught:
        FETCHERS[name](tmp_path)
    for file in PACKAGES[name].FILES:
        assert str(tmp_path / name / file.name) in str(caught.value)
        assert file.url in str(caught.value)
        assert (file.member or "") in str(caught.value)
    assert "SKFAIRAUG_DATA" in str(caught.value)


def test_no_data_and_no_download(tmp_path, publisher):
    with pytest.raises(OSError, match=r"adult.data, adult.test not found, and download_if_mis"):
        fetch_adult(tmp_path, download_if_missing=False)
    assert publisher["asked"] == []
    assert list(tmp_path.iterdir()) == []


def test_data_home_that_cannot_be_written(tmp_path, publisher):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="not found, and the download failed"):
        fetch_adult(tmp_path / "file")


def test_without_pooch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(OSError, match="needs pooch, which is not installed; run `pip install"):
        fetch_german(tmp_path)


def test_pooch_downloads(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def get(downloader, url, output_file, _):
        with open(output_file, "w") as file:
            file.write(url)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", get)
    _files.download("https://example.org/x", tmp_path / "x")
    assert (tmp_path / "x").read_text() == "https://example.org/x"


def test_checksums_are_the_published_ones(data_home):
    for name, package in PACKAGES.items():
        for file in package.FILES:
            path = data_home / name / file.name
            if not path.is_file():
                pytest.skip(f"no {name}/{file.name} in the data home")
            md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            assert md5 in file.md5 or file.columns, "a COMPAS file we wrote has fewer columns"


def seen(bunch):
    """Everything a caller sees of a Bunch, as one text."""
    parts = [bunch.data, bunch.target, bunch.sensitive_features]
    categories = [
        list(c.cat.categories) for _, c in bunch.data.items() if c.dtype == "category"
    ]
    return " ".join(part.to_csv() for part in parts) + repr(categories) + repr(dict(bunch))


@pytest.mark.parametrize("encode", [None, "onehot"])
def test_compas_keeps_persons_to_itself(encode, tmp_path, tiny):
    (tmp_path / "compas-scores-two-years.csv").write_text(COMPAS)
    bunch = fetch_compas(tmp_path, encode=encode, sensitive=["sex", "race"])
    assert len(bunch.data) == 2
    assert bunch.target.tolist() == [1, 0]
    assert bunch.sensitive_features["sex"].tolist() == ["Male", "Female"]
    assert bunch.data["priors_count"].tolist() == [2, 2]
    allowed = {*_compas.FEATURES}
    assert {column.split("=")[0] for column in bunch.data} == allowed
    for secret in PERSONAL.values():
        assert not re.search(rf"\b{re.escape(secret)}\b", seen(bunch))


def test_compas_stores_no_persons_after_a_download(tmp_path, publisher):
    downloaded = fetch_compas(tmp_path)
    stored = (tmp_path / "compas" / "compas-scores-two-years.csv").read_text()
    assert stored.splitlines()[0].split(",") == list(_compas.FILES[0].columns)
    assert not any(secret in stored for secret in PERSONAL.values())
    (tmp_path / "compas-scores-two-years.csv").write_text(COMPAS)
    pd.testing.assert_frame_equal(downloaded.data, fetch_compas(tmp_path).data)
    assert downloaded.data["c_charge_desc"].tolist() == ["Theft, grand"] * 2
