"""CelebA and other folders of faces, all tiny and made here."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.utils._param_validation import InvalidParameterError
from torch.utils.data import DataLoader

from skfairaug.datasets import fetch_celeba, read_image_folder
from skfairaug.datasets._decode import decode_image

pillow = pytest.importorskip("PIL.Image")

ATTRIBUTES = pd.DataFrame(
    {
        "Male": [1, -1, -1, 1, -1, 1, -1, 1],
        "Smiling": [1, 1, -1, -1, 1, -1, -1, 1],
        "Young": [-1, 1, 1, 1, -1, 1, 1, -1],
    },
    index=[f"{i:06}.jpg" for i in range(1, 9)],
)
PARTITION = [0, 0, 0, 0, 1, 1, 2, 2]
TONES = [1, 4, 6, 2, 5, 3, 4, 1]


def write_image(path, level, size=(12, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow.new("RGB", size, (level, level, level)).save(path)


def write_celeba(home, *, csv=False, lists="", images="img_align_celeba"):
    for i, file in enumerate(ATTRIBUTES.index):
        write_image(home / images / file, 10 * i)
    (home / lists).mkdir(exist_ok=True)
    if csv:
        ATTRIBUTES.rename_axis("image_id").to_csv(home / lists / "list_attr_celeba.csv")
        partition = pd.Series(PARTITION, ATTRIBUTES.index, name="partition")
        partition.rename_axis("image_id").to_csv(home / lists / "list_eval_partition.csv")
        return
    rows = [
        f"{file} " + " ".join(f"{value:2}" for value in values)
        for file, *values in ATTRIBUTES.itertuples()
    ]
    text = "\n".join([str(len(rows)), " ".join(ATTRIBUTES) + " ", *rows])
    (home / lists / "list_attr_celeba.txt").write_text(text + "\n")
    text = "".join(
        f"{file} {part}\n" for file, part in zip(ATTRIBUTES.index, PARTITION, strict=True)
    )
    (home / lists / "list_eval_partition.txt").write_text(text)


@pytest.fixture
def celeba(tmp_path):
    (tmp_path / "celeba").mkdir()
    write_celeba(tmp_path / "celeba")
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "layout"),
    [
        ("celeba", {}),
        (".", {}),
        ("celeba", {"csv": True, "images": "img_align_celeba/img_align_celeba"}),
        (".", {"lists": "Anno", "images": "Img/img_align_celeba"}),
    ],
)
def test_layouts(folder, layout, tmp_path):
    (tmp_path / folder).mkdir(exist_ok=True)
    write_celeba(tmp_path / folder, **layout)
    faces = fetch_celeba(tmp_path)
    assert [len(faces[part].data) for part in ("train", "validation", "test")] == [4, 2, 2]
    assert faces.train.data.shape == (4, 3, 16, 12)
    assert faces.train.data.dtype == np.uint8
    assert faces.train.data.flags.c_contiguous
    assert_array_equal(faces.test.data[:, 0, 0, 0], [60, 70])
    assert faces.train.target.tolist() == [1, 1, 0, 0]
    assert faces.train.target.dtype == np.int64
    assert faces.test.files.tolist() == ["000007.jpg", "000008.jpg"]
    assert faces.target_names == ["not Smiling", "Smiling"]
    groups = faces.train.sensitive_features
    assert groups.tolist() == ["Male", "not Male", "not Male", "Male"]
    assert groups.cat.categories.tolist() == ["not Male", "Male"]
    assert groups.cat.ordered
    assert groups.name == "Male"
    assert faces.sensitive_names == ["Male"]
    assert faces.test.sensitive_features.index.tolist() == [0, 1]


@pytest.mark.parametrize("csv", [False, True])
@pytest.mark.parametrize("name", ["list_attr_celeba", "list_eval_partition"])
@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], None])
def test_damaged_lists(damage, name, csv, tmp_path):
    write_celeba(tmp_path, csv=csv)
    path = tmp_path / f"{name}.{'csv' if csv else 'txt'}"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) if damage is None else damage(path.read_text()))
    with pytest.raises(OSError, match=r"damaged.*Get the lists again from https") as caught:
        fetch_celeba(tmp_path)
    assert str(path) in str(caught.value)


def test_a_page_in_place_of_a_list(tmp_path):
    write_celeba(tmp_path)
    (tmp_path / "list_attr_celeba.txt").write_text("<html>moved</html>")
    with pytest.raises(OSError, match=r"list_attr_celeba.txt is damaged: no number in its"):
        fetch_celeba(tmp_path)


def test_several_attributes(celeba):
    faces = fetch_celeba(celeba, sensitive=["Young", "Male"], partition="validation")
    groups = faces.validation.sensitive_features
    assert groups["Young"].tolist() == ["not Young", "Young"]
    assert groups["Male"].tolist() == ["not Male", "Male"]
    assert faces.sensitive_names == ["Young", "Male"]
    assert "train" not in faces


def test_skin_tones(celeba):
    faces = fetch_celeba(celeba, target="Young", sensitive=TONES)
    groups = faces.train.sensitive_features
    assert groups.tolist() == ["light", "dark", "dark", "light"]
    assert groups.cat.categories.tolist() == ["dark", "light"]
    assert groups.name == "skin_tone"
    assert faces.train.target.tolist() == [0, 1, 1, 1]
    faces = fetch_celeba(celeba, sensitive=np.array(TONES), dark_from=6)
    assert faces.train.sensitive_features.tolist() == ["light", "light", "dark", "light"]
    faces = fetch_celeba(celeba, sensitive=np.array(TONES), dark_from=None)
    assert faces.test.sensitive_features.tolist() == [4, 1]
    assert faces.test.sensitive_features.cat.categories.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("dtype", ["float64", "Int64"])
def test_skin_tones_by_file(dtype, celeba):
    tones = pd.Series(TONES, index=ATTRIBUTES.index, name="fitzpatrick", dtype=dtype)
    faces = fetch_celeba(celeba, sensitive=tones[::-1].drop("000002.jpg"))
    assert faces.train.files.tolist() == ["000001.jpg", "000003.jpg", "000004.jpg"]
    assert faces.train.sensitive_features.tolist() == ["light", "dark", "light"]
    assert faces.train.data[:, 0, 0, 0].tolist() == [0, 20, 30]
    assert faces.sensitive_names == ["fitzpatrick"]


def test_groups_that_are_not_scores(celeba):
    tones = pd.Categorical(["b", "a"] * 4, categories=["b", "a"])
    faces = fetch_celeba(celeba, sensitive=pd.Series(tones, name="tone"))
    assert faces.test.sensitive_features.tolist() == ["b", "a"]
    assert faces.test.sensitive_features.cat.categories.tolist() == ["b", "a"]
    faces = fetch_celeba(celeba, sensitive=np.array([True, False] * 4))
    assert faces.test.sensitive_features.tolist() == [True, False]


def test_few_images_of_celeba(celeba):
    (celeba / "celeba" / "img_align_celeba" / "000004.jpg").unlink()
    faces = fetch_celeba(celeba, n_per_partition=1)
    assert [len(faces[part].target) for part in ("train", "validation", "test")] == [1, 1, 1]
    with pytest.raises(OSError, match=r"1 of 4 images not found, first .*000004\.jpg"):
        fetch_celeba(celeba)


def test_no_celeba(tmp_path):
    with pytest.raises(
        OSError, match=r"list_attr_celeba\.txt or list_attr_celeba\.csv;"
    ) as caught:
        fetch_celeba(tmp_path)
    for text in ("celeba", "https://mmlab.ie.cuhk.edu.hk", "Google Drive", "SKFAIRAUG_DATA"):
        assert text in str(caught.value)
    write_celeba(tmp_path)
    (tmp_path / "list_eval_partition.txt").unlink()
    with pytest.raises(OSError, match=r"list_eval_partition.txt or list_eval_partition.csv\."):
        fetch_celeba(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "Happy"}, r"different attributes, of \['Male', .*got target='Happy'"),
        ({"sensitive": ["Male", "Rich"]}, r"sensitive=\['Male', 'Rich'\]"),
        ({"target": "Male"}, r"got target='Male', sensitive=\['Male'\]"),
        ({"sensitive": []}, "must be different attributes"),
        ({"sensitive": TONES[1:]}, "sensitive has 7 entries; expected one for each of the 8"),
        ({"sensitive": [1, 2] * 4}, r"dark_from=4 puts all scores, 1 to 2, in one group"),
        ({"sensitive": [1, 4] + [np.nan] * 6}, "partition 'validation' has no images whose"),
        ({"partition": ["train", "valid"]}, r"partition must be one or several different name"),
        ({"size": 0}, "'size' parameter"),
    ],
)
def test_bad_parameters_of_celeba(options, message, celeba):
    with pytest.raises(ValueError, match=message):
        fetch_celeba(celeba, **options)


def test_a_data_set_that_reads_when_asked(celeba):
    arrays = fetch_celeba(celeba, size=8)
    faces = fetch_celeba(celeba, size=8, as_dataset=True)
    data = faces.train.data
    assert len(data) == 4
    image, label = data[1]
    assert image.dtype == torch.uint8
    assert isinstance(label, int)
    batches = list(DataLoader(pickle.loads(pickle.dumps(data)), batch_size=3))
    assert_array_equal(torch.cat([X for X, _ in batches]), arrays.train.data)
    assert_array_equal(torch.cat([y for _, y in batches]), arrays.train.target)
    assert_array_equal(faces.train.target, arrays.train.target)


# ------------------------------------------------------------------ decoding


def test_the_square_in_the_middle(tmp_path):
    image = np.zeros((6, 10, 3), dtype=np.uint8)
    image[:, 2:8] = 200  # the square in the middle
    pillow.fromarray(image).save(tmp_path / "wide.png")
    assert_array_equal(decode_image(tmp_path / "wide.png", 3), np.full((3, 3, 3), 200))
    pillow.fromarray(image.transpose(1, 0, 2)).save(tmp_path / "high.png")
    assert_array_equal(decode_image(tmp_path / "high.png", 6), np.full((3, 6, 6), 200))
    assert_array_equal(decode_image(tmp_path / "wide.png"), image.transpose(2, 0, 1))


def test_channels_come_first(tmp_path):
    pillow.new("RGB", (2, 1), (1, 2, 3)).save(tmp_path / "image.png")
    assert decode_image(tmp_path / "image.png")[:, 0, 1].tolist() == [1, 2, 3]
    pillow.new("L", (2, 1), 7).save(tmp_path / "gray.png")
    assert decode_image(tmp_path / "gray.png")[:, 0, 1].tolist() == [7, 7, 7]


# ------------------------------------------------------------------ other folders


@pytest.fixture
def fairface(tmp_path):
    table = pd.DataFrame(
        {
            "file": ["val/1.jpg", "val/2.jpg", "val/3.jpg"],
            "age": ["3-9", "50-59", "more than 70"],
            "gender": ["Male", "Female", "Male"],
            "race": ["East Asian", "White", "Black"],
        }
    )
    for i, file in enumerate(table["file"]):
        write_image(tmp_path / file, 10 * i, size=(8 + i, 8))
    table.to_csv(tmp_path / "fairface_label_val.csv", index=False)
    return tmp_path, table


def test_fairface(fairface):
    folder, table = fairface
    faces = read_image_folder(
        folder, folder / "fairface_label_val.csv", target="gender", sensitive="race", size=4
    )
    assert faces.data.shape == (3, 3, 4, 4)
    assert faces.data[:, 0, 0, 0].tolist() == [0, 10, 20]
    assert faces.target.tolist() == [1, 0, 1]
    assert faces.target_names == ["Female", "Male"]
    assert faces.sensitive_features.tolist() == table["race"].tolist()
    assert faces.sensitive_features.cat.ordered
    assert faces.files.tolist() == table["file"].tolist()
    data = read_image_folder(
        folder, table, target=[5, 3, 5], sensitive=["race", "gender"], as_dataset=True
    )
    assert data.target_names == [3, 5]
    assert data.sensitive_features["gender"].tolist() == ["Male", "Female", "Male"]
    assert data.data[2][0].shape == (3, 8, 10)
    assert data.data[2][1] == 1


def test_groups_keep_their_order(fairface):
    folder, table = fairface
    races = pd.Categorical(table["race"], categories=["White", "Black", "East Asian"])
    faces = read_image_folder(folder, table, target="gender", sensitive=races, size=4)
    assert faces.sensitive_features.cat.categories.tolist() == ["White", "Black", "East Asian"]
    # A part of a table keeps the table's index.
    part = table[1:]
    faces = read_image_folder(folder, part, target="gender", sensitive=part["race"], size=4)
    assert faces.sensitive_features.tolist() == ["White", "Black"]


def test_utkface(tmp_path):
    names = (
        "25_1_0_20170116174525125.jpg.chip.jpg",
        "7_0_3_20170109142408075.JPG",
        "61_3_2.jpg",
    )
    for i, name in enumerate(("25_1_0_20170116174525125.jpg", *names[1:])):
        write_image(tmp_path / name, 10 * (i + 1))
    write_image(tmp_path / "30_0_4_20170109142408075.chip.jpg", 90)
    write_image(tmp_path / "39_1_20170116174525125.jpg", 0)  # has no race, as in the release
    seen = []
    faces = read_image_folder(
        tmp_path,
        target=lambda table: seen.append(table) or table["age"] >= 18,
        sensitive=lambda table: table["race"] == "White",
    )
    assert seen[0]["age"].tolist() == [25, 30, 7]
    assert seen[0]["gender"].tolist() == ["Female", "Male", "Male"]
    assert seen[0]["race"].tolist() == ["White", "Other", "Indian"]
    assert faces.target.tolist() == [1, 1, 0]
    assert faces.sensitive_features.tolist() == [True, False, False]
    assert faces.sensitive_features.cat.categories.tolist() == [False, True]
    assert faces.data[:, 0, 0, 0].tolist() == [10, 90, 20]


def test_bad_folders(fairface, monkeypatch):
    folder, table = fairface

    def read(table=table, **options):
        options = {"target": "gender", "sensitive": "race"} | options
        return read_image_folder(folder, table, **options)

    with pytest.raises(
        ValueError, match=r"must have one shape: .*1\.jpg .*\(3, 8, 8\), .*2\.jp"
    ):
        read()
    with pytest.raises(
        ValueError, match=r"target='sex' is no column of the table; it has \['f"
    ):
        read(target="sex")
    with pytest.raises(ValueError, match=r"path='path' is no column"):
        read(path="path")
    with pytest.raises(ValueError, match="sensitive has 2 entries, the table has 3 rows"):
        read(sensitive=[0, 1])
    with pytest.raises(ValueError, match="target has 1 missing values; leave those rows out"):
        read(target=[0, 1, np.nan])
    with pytest.raises(ValueError, match="the table has no rows, or no file name says"):
        read(table=None)
    with pytest.raises(OSError, match=r"2 of 3 images not found, first .*a\.jpg"):
        read(table.assign(file=["a.jpg", "b.jpg", "val/1.jpg"]))
    with pytest.raises(InvalidParameterError, match="'size' parameter"):
        read(size=2.5)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match="needs Pillow, which is not installed"):
        read()
