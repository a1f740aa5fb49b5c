"""CIFAR-10S from files of both formats, skewed digits, and gray copies."""

import hashlib
import io
import pickle
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.utils._param_validation import InvalidParameterError

from skfairaug.datasets import _cifar10, _files, fetch_cifar10s, make_skewed_digits, to_gray
from skfairaug.datasets._cifar10 import ARCHIVE, BATCHES, FOLDER, PARQUET
from skfairaug.datasets._skew import plan_skew
from skfairaug.modules import SmallConvNet, make_image_net

N_TRAIN, N_TEST = 20, 4  # images of each class in the tiny files


# ------------------------------------------------------------------ gray copies


def test_gray_by_hand():
    X = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 2, 3], [9, 9, 9]], dtype=np.uint8)
    gray = to_gray(X[:, :, None, None])
    assert gray.dtype == np.uint8
    # .299 * 255 = 76.2, .587 * 255 = 149.7, .114 * 255 = 29.1, .299 + 1.174 + .342 = 1.8
    assert_array_equal(gray[:, 0].ravel(), [76, 150, 29, 2, 9])
    assert_array_equal(gray, np.repeat(gray[:, :1], 3, axis=1))
    assert_array_equal(to_gray(X[0, :, None, None]), gray[0])


def test_gray_equals_pillow():
    pillow = pytest.importorskip("PIL.Image")
    X = np.random.RandomState(0).randint(0, 256, (100, 100, 3)).astype(np.uint8)
    expected = np.asarray(pillow.fromarray(X).convert("L"))
    assert_array_equal(to_gray(X.transpose(2, 0, 1)[None])[0, 1], expected)


def test_gray_is_the_same_for_tensors_and_floats():
    X = np.random.RandomState(0).randint(0, 256, (3, 3, 4, 5)).astype(np.uint8)
    tensor = to_gray(torch.from_numpy(X))
    assert tensor.dtype == torch.uint8
    assert_array_equal(tensor, to_gray(X))
    floats = to_gray(X.astype(np.float32) / 255)
    assert floats.dtype == np.float32
    assert np.abs(floats * 255 - to_gray(X)).max() <= 0.5001
    np.testing.assert_allclose(to_gray(torch.from_numpy(X) / 255), floats, rtol=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_gray_of_gray_is_itself(kind):
    X = kind(np.random.RandomState(0).rand(2, 1, 4, 4).repeat(3, axis=1).astype("float32"))
    assert_array_equal(to_gray(X), X)


def test_gray_lets_gradients_pass():
    X = torch.rand(2, 3, 2, 2, requires_grad=True)
    to_gray(X)[:, 0].sum().backward()
    np.testing.assert_allclose(X.grad[0, :, 1, 1], [0.299, 0.587, 0.114], rtol=1e-5)


def test_gray_wants_images():
    with pytest.raises(ValueError, match=r"shape \(n_samples, 3, height, width\), three chann"):
        to_gray(np.zeros((2, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(
        ValueError, match="uint8, 0 to 255, or floating point, 0 to 1; got int6"
    ):
        to_gray(np.zeros((2, 3, 8, 8), dtype=np.int64))
    with pytest.raises(ValueError, match=r"or floating point, 0 to 1; got torch\.int64"):
        to_gray(torch.zeros(2, 3, 8, 8, dtype=torch.int64))


# ------------------------------------------------------------------ the construction


def count(part):
    """(class, group) -> images."""
    return pd.crosstab(part.target, part.sensitive_features).to_numpy()


def is_gray(X):
    return (X[:, :1] == X).all(axis=(1, 2, 3))


def test_plan_by_hand():
    y = np.repeat([0, 1], 50)
    train, held = plan_skew(
        y, skew=0.95, n_validation=10, validation="balanced", random_state=0
    )
    assert np.bincount(2 * y[train.rows] + train.colour).tolist() == [38, 2, 2, 38]
    assert np.bincount(2 * y[held.rows] + held.colour).tolist() == [5, 5, 5, 5]
    assert sorted([*train.rows, *held.rows]) == list(range(100))


def test_plan_of_an_odd_number():
    train, held = plan_skew(
        np.repeat([0, 1], 10), skew=1, n_validation=3, validation="balanced", random_state=0
    )
    assert np.bincount(2 * (held.rows >= 10) + held.colour).tolist() == [2, 1, 1, 2]
    assert_array_equal(train.colour, train.rows >= 10)


def test_biased_validation_images_are_a_bootstrap():
    y = np.repeat([0, 1], 100)
    options = {"skew": 0.9, "n_validation": 40, "random_state": 0}
    _, balanced = plan_skew(y, validation="balanced", **options)
    train, held = plan_skew(y, validation="biased", **options)
    assert np.bincount(2 * y[held.rows] + held.colour).tolist() == [20, 20, 20, 20]
    assert set(held.rows) < set(balanced.rows)
    assert not set(held.rows) & set(train.rows)
    for label in (0, 1):  # 36 images of the class' colour and 4 of the other
        of_class = y[held.rows] == label
        assert len(set(held.rows[of_class & (held.colour != label)])) <= 4
        colours = pd.Series(held.colour[of_class]).groupby(held.rows[of_class])
        assert (colours.nunique() == 1).all()  # an image drawn twice has one colour


def test_choices_do_not_disturb_one_another():
    y = np.repeat(np.arange(4), 60)

    def plan(**changed):
        options = {"skew": 0.9, "n_validation": 20, "validation": "balanced"} | changed
        return plan_skew(y, random_state=3, **options)

    train, held = plan()
    for changed in ({"skew": 0.6}, {"n_per_class": 7}):
        again, same = plan(**changed)
        assert_array_equal(same.rows, held.rows)
        assert_array_equal(same.colour, held.colour)
        assert set(again.rows) <= set(train.rows)
    again, _ = plan(validation="biased")
    assert_array_equal(again.rows, train.rows)
    assert_array_equal(again.colour, train.colour)


def test_digits():
    digits = make_skewed_digits(skew=0.9)
    train, held, test = digits.train, digits.validation, digits.test
    for part in (train, held, test):
        assert part.data.dtype == np.uint8
        assert part.data.flags.c_contiguous
        assert part.target.dtype == np.int64
        groups = part.sensitive_features
        assert groups.name == digits.sensitive_name == "colour"
        assert groups.cat.ordered
        assert groups.cat.categories.tolist() == ["gray", "colour"]
        assert_array_equal(is_gray(part.data), groups == "gray")
    share = count(train) / count(train).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(share[::2, 0], 0.9, atol=0.006)
    np.testing.assert_allclose(share[1::2, 1], 0.9, atol=0.006)
    assert (count(held) == 15).all()
    assert (count(test) == 50).all()
    assert_array_equal(test.data[500:], to_gray(test.data[:500]))
    assert_array_equal(test.target[500:], test.target[:500])
    rows = [*train.indices, *held.indices, *test.indices[:500]]
    assert sorted(rows) == list(range(1797))
    assert digits.target_names == [str(i) for i in range(10)]
    assert "skew" in digits.DESCR


def test_digits_follow_their_seed_and_no_other():
    np.random.seed(0)
    expected = np.random.RandomState(0).rand()
    one, two = (make_skewed_digits(noise=0.1, random_state=seed) for seed in (0, 1))
    again = make_skewed_digits(noise=0.1, random_state=np.int64(0))
    make_skewed_digits(random_state=None)
    assert np.random.rand() == expected
    assert_array_equal(one.train.data, again.train.data)
    assert not np.array_equal(one.test.data, two.test.data)
    rng = np.random.RandomState(0)
    first, second = (make_skewed_digits(random_state=rng) for _ in range(2))
    assert not np.array_equal(first.test.indices, second.test.indices)


def test_noise_and_tint_of_digits():
    clean, noisy = make_skewed_digits(), make_skewed_digits(noise=0.3)
    assert_array_equal(clean.train.indices, noisy.train.indices)
    gray = clean.test.data[500:].astype(float) - noisy.test.data[500:]
    assert gray.std() > 0.05 * 255
    control = make_skewed_digits(tint=False)
    assert is_gray(control.train.data).all()
    assert_array_equal(control.test.data[:500], clean.test.data[500:])


def test_a_network_learns_the_skew_of_digits():
    digits = make_skewed_digits(noise=0.3)
    net = make_image_net(997, SmallConvNet, max_epochs=8, batch_size=64, lr=0.1)
    net.fit(digits.train.data, digits.train.target)
    predicted = net.predict(digits.test.data)
    counts = pd.crosstab(predicted, digits.test.sensitive_features).to_numpy()
    assert (counts.max(axis=1) / counts.sum(axis=1) - 0.5).mean() > 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skew": 0.4}, r"'skew' parameter .* in the range \[0\.5, 1\.0\]"),
        ({"n_validation": 1}, r"'n_validation' parameter .* in the range \[2, inf\)"),
        ({"validation": "skewed"}, "'validation' parameter .* must be a str among"),
        ({"noise": -0.1}, "'noise' parameter"),
        ({"random_state": "0"}, "'random_state' parameter"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        make_skewed_digits(**options)


def test_too_few_images():
    with pytest.raises(ValueError, match=r"n_validation=124 leaves no training images: the sm"):
        make_skewed_digits(n_validation=124)
    with pytest.raises(
        ValueError, match=r"none of the rare colour among n_validation=30\. Rai"
    ):
        make_skewed_digits(skew=0.99, validation="biased")


# ------------------------------------------------------------------ files of CIFAR-10


@pytest.fixture(scope="module")
def pixels():
    """Part -> images and classes of a tiny CIFAR-10."""
    rng = np.random.RandomState(0)
    return {
        part: (
            rng.randint(0, 256, (10 * n, 3, 32, 32)).astype(np.uint8),
            rng.permutation(np.repeat(np.arange(10), n)),
        )
        for part, n in (("train", N_TRAIN), ("test", N_TEST))
    }


@pytest.fixture(autouse=True)
def tiny(monkeypatch, request):
    """Numbers of images of the tiny CIFAR-10, unless the published one is read."""
    if "data_home" not in request.fixturenames:
        monkeypatch.setattr(_cifar10, "N_IMAGES", {"train": 10 * N_TRAIN, "test": 10 * N_TEST})


def write_parquet(folder, pixels, size=(32, 32)):
    pyarrow, pillow = pytest.importorskip("pyarrow"), pytest.importorskip("PIL.Image")
    from pyarrow import parquet

    folder.mkdir(exist_ok=True)
    for part, (X, y) in pixels.items():
        images = []
        for i, image in enumerate(X):
            file = io.BytesIO()
            pillow.fromarray(image.transpose(1, 2, 0)).resize(size).save(file, "PNG")
            images.append({"bytes": file.getvalue(), "path": f"{i}.png"})
        parquet.write_table(pyarrow.table({"img": images, "label": y}), folder / PARQUET[part])


class OldPickler(pickle._Pickler):
    """Writes as Python 2 did: the release states a type's `align` as a number."""

    def reducer_override(self, obj):
        if isinstance(obj, np.dtype):
            return np.dtype, (obj.str[1:], 0, 1), (3, "|", None, None, None, -1, -1, 0)
        return NotImplemented


def batch_files(pixels):
    """Name -> content of the original release's files."""
    found = {}
    for part, (X, y) in pixels.items():
        names = BATCHES[part]
        for rows, name in zip(
            np.array_split(np.arange(len(y)), len(names)), names, strict=True
        ):
            batch = {b"data": X[rows].reshape(len(rows), -1), b"labels": y[rows].tolist()}
            file = io.BytesIO()
            OldPickler(file, protocol=2).dump(batch)
            found[name] = file.getvalue()
    return found


def write_batches(folder, pixels):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in batch_files(pixels).items():
        (folder / name).write_bytes(content)


def write_archive(folder, pixels):
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / ARCHIVE.name, "w:gz") as archive:
        for name, content in batch_files(pixels).items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


LAYOUTS = {
    "parquet": lambda home, pixels: write_parquet(home / "cifar10", pixels),
    "parquet, direct": write_parquet,
    "batches": lambda home, pixels: write_batches(home / "cifar10" / FOLDER, pixels),
    "batches, direct": lambda home, pixels: write_batches(home / FOLDER, pixels),
    "batches, inside": write_batches,
    "archive": lambda home, pixels: write_archive(home / "cifar10", pixels),
    "archive, direct": write_archive,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_layouts_give_the_same(layout, tmp_path, pixels, monkeypatch):
    LAYOUTS[layout](tmp_path, pixels)
    for archive in tmp_path.rglob(ARCHIVE.name):
        found = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
        monkeypatch.setattr(_cifar10, "ARCHIVE", replace(ARCHIVE, md5=(found,)))
    cifar = fetch_cifar10s(tmp_path, skew=0.9, n_validation=10, download_if_missing=False)
    X, y = pixels["train"]
    for part in (cifar.train, cifar.validation):
        gray = (part.sensitive_features == "gray").to_numpy()
        assert_array_equal(part.target, y[part.indices])
        assert_array_equal(part.data[~gray], X[part.indices[~gray]])
        assert_array_equal(part.data[gray], to_gray(X[part.indices[gray]]))
        assert part.data.flags.c_contiguous
        assert part.target.dtype == np.int64
    assert count(cifar.train).tolist() == [[9, 1], [1, 9]] * 5
    assert (count(cifar.validation) == 5).all()
    assert sorted([*cifar.train.indices, *cifar.validation.indices]) == list(range(len(y)))
    X, y = pixels["test"]
    assert_array_equal(cifar.test.data, np.concatenate([X, to_gray(X)]))
    assert_array_equal(cifar.test.target, np.concatenate([y, y]))
    assert cifar.test.sensitive_features.tolist() == ["colour"] * len(y) + ["gray"] * len(y)
    assert cifar.target_names[0] == "airplane"
    assert cifar.target_names[9] == "truck"
    assert cifar.sensitive_name == "colour"


def test_fewer_images(tmp_path, pixels):
    write_batches(tmp_path, pixels)
    cifar = fetch_cifar10s(
        tmp_path,
        n_validation=8,
        validation="biased",
        skew=0.75,
        n_per_class=4,
        n_test_per_class=2,
    )
    assert count(cifar.train).tolist() == [[3, 1], [1, 3]] * 5
    assert (count(cifar.validation) == 4).all()
    assert (count(cifar.test) == 2).all()
    y = pixels["test"][1]
    first = sorted(row for label in range(10) for row in np.flatnonzero(y == label)[:2])
    assert cifar.test.indices.tolist() == first * 2


def test_no_files_and_no_network(tmp_path, monkeypatch):
    def download(url, path):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(_files, "download", download)
    with pytest.raises(OSError, match="the download failed: no route to host") as caught:
        fetch_cifar10s(tmp_path)
    for text in (
        str(tmp_path / "cifar10" / ARCHIVE.name),
        ARCHIVE.url,
        *PARQUET.values(),
        FOLDER,
    ):
        assert text in str(caught.value)
    with pytest.raises(OSError, match="not found, and download_if_missing is False"):
        fetch_cifar10s(tmp_path, download_if_missing=False)


def test_a_batch_that_would_run_code(tmp_path, pixels):
    write_batches(tmp_path, pixels)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({b"data": print}))
    with pytest.raises(
        pickle.UnpicklingError, match=r"builtins\.print has no place in a batch"
    ):
        fetch_cifar10s(tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>moved</html>", None])
def test_damaged_batches(content, tmp_path, pixels):
    write_batches(tmp_path, pixels)
    path = tmp_path / "data_batch_3"
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(
        pickle.UnpicklingError, match="data_batch_3 is damaged or not"
    ) as caught:
        fetch_cifar10s(tmp_path)
    assert f"Get it again from {ARCHIVE.url}" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>moved</html>", None])
def test_damaged_parquet(content, tmp_path, pixels):
    write_parquet(tmp_path, pixels)
    path = tmp_path / PARQUET["test"]
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(OSError, match=f"{PARQUET['test']} is damaged or not the published"):
        fetch_cifar10s(tmp_path)


def test_a_damaged_archive(tmp_path, pixels):
    write_archive(tmp_path, pixels)
    with pytest.raises(OSError, match=f"{ARCHIVE.name} is damaged or not the published file"):
        fetch_cifar10s(tmp_path)


@pytest.mark.parametrize("write", [write_batches, write_parquet])
def test_fewer_images_than_were_published(write, tmp_path, pixels):
    X, y = pixels["train"]
    write(tmp_path, pixels | {"train": (X[:-1], y[:-1])})
    expected = f"train part has {len(y) - 1} images, expected {len(y)}. Get it again from"
    with pytest.raises(OSError, match=expected):
        fetch_cifar10s(tmp_path)


def test_wrong_parquet(tmp_path, pixels):
    pyarrow = pytest.importorskip("pyarrow")
    write_parquet(tmp_path, pixels, size=(16, 16))
    with pytest.raises(
        ValueError, match=r"images of shape \(3, 16, 16\), expected \(3, 32, 32"
    ):
        fetch_cifar10s(tmp_path, n_validation=4)
    pyarrow.parquet.write_table(pyarrow.table({"fine_label": [1]}), tmp_path / PARQUET["train"])
    with pytest.raises(ValueError, match=r"\['fine_label'\], expected img and label"):
        fetch_cifar10s(tmp_path)


@pytest.mark.parametrize("module", ["pyarrow.parquet", "PIL.Image"])
def test_without_the_extra(module, tmp_path, pixels, monkeypatch):
    write_parquet(tmp_path, pixels)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'run `pip install "skfairaug\[images\]"`'):
        fetch_cifar10s(tmp_path, n_validation=4)


def test_published_files(data_home):
    if not (data_home / "cifar10").is_dir():
        pytest.skip("no folder cifar10 in the data home")
    cifar = fetch_cifar10s(
        data_home,
        n_validation=10,
        n_per_class=20,
        n_test_per_class=5,
        download_if_missing=False,
    )
    assert cifar.train.data.shape == (200, 3, 32, 32)
    assert count(cifar.train).tolist() == [[19, 1], [1, 19]] * 5
    assert (count(cifar.validation) == 5).all()
    assert cifar.test.data.shape == (100, 3, 32, 32)
    # The published mean of all training pixels is .473.
    assert abs(cifar.train.data.mean() / 255 - 0.473) < 0.03
