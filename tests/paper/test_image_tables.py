"""The paper's tables of images: rows, scales, and a run on digits."""

import numpy as np
import pytest

from benchmarks.paper import image_tables
from benchmarks.paper.__main__ import main
from benchmarks.paper.image_rows import Scale, cifar_methods, image_net, proposed
from benchmarks.paper.image_tables import (
    Images,
    image_slug,
    run_image_setting,
    scale_of,
    source_of,
)
from benchmarks.paper.published import (
    CELEBA_SMILING,
    CIFAR_50,
    CIFAR_90,
    CIFAR_95,
    DIGITS_95,
    IMAGE_TABLES,
    PUBLISHED,
    TABLES,
)
from skfairaug.datasets import make_skewed_digits

SMALL = Scale(0.0001)
ROWS = ["Baseline", "FairAugmentFineTuner"]


@pytest.fixture
def digits(monkeypatch):
    """Digits in the place of CIFAR-10."""
    asked = []

    def fetch(data_home, *, skew, n_per_class, n_validation, n_test_per_class, random_state):
        asked.append((data_home, skew, random_state))
        return make_skewed_digits(skew=skew, random_state=random_state)

    monkeypatch.setattr(image_tables, "fetch_cifar10s", fetch)
    return asked


def test_every_published_row_can_be_run():
    settings = {one for table in (IMAGE_TABLES | TABLES).values() for one in table}
    assert settings == PUBLISHED.keys()
    net = image_net(100, SMALL)
    assert PUBLISHED[CIFAR_95].keys() <= cifar_methods(SMALL, net, 100).keys()
    for setting in (CIFAR_50, CIFAR_90):
        source = source_of(setting, SMALL, None, None)
        assert PUBLISHED[setting].keys() <= set(source.names) <= source.methods(net, 9).keys()
    methods = source_of(CELEBA_SMILING, SMALL, None, "tones").methods(net, 100)
    assert PUBLISHED[CELEBA_SMILING].keys() <= methods.keys()


def test_full_scale_is_the_published_size():
    full = Scale()
    assert full.describe() is None
    assert full.width == 64
    assert full.training == {"max_epochs": 30, "batch_size": 512}
    reduced = Scale(0.05)
    assert reduced.describe().startswith("REDUCED to 0.05 of the training images")
    assert reduced.width < 16
    assert reduced.batch_size % 20 == 0
    assert image_slug(CIFAR_95, 0.05, full) == "cifar10s-95-0.05"
    assert image_slug(CIFAR_95, 0.05, reduced) == "cifar10s-95-0.05-scale0.05"
    assert "50 batches" in scale_of(DIGITS_95, 0.05, 50).describe()
    longer = scale_of(CIFAR_95, 0.05, 30)
    assert "batches" not in longer.describe()
    assert longer.tuning == reduced.tuning | {"steps_per_epoch": 30}
    assert longer.training == reduced.training
    assert proposed("proposed", longer).reactivator.steps_per_epoch == 30
    assert image_slug(CIFAR_95, 0.05, longer) == "cifar10s-95-0.05-scale0.05-steps30"


def test_parts_keep_their_places():
    bunch = make_skewed_digits()
    images = Images(bunch)
    for rows, name in zip(images.rows, ("train", "validation", "test"), strict=True):
        np.testing.assert_array_equal(images.X[rows], bunch[name].data)
        np.testing.assert_array_equal(images.y[rows], bunch[name].target)
        assert (images.groups.iloc[rows].to_numpy() == bunch[name].sensitive_features).all()
    assert images.groups.cat.ordered


def test_a_run_and_its_resumption(digits, tmp_path):
    arguments = {
        "scale": SMALL.fraction,
        "data_home": "somewhere",
        "rows": ROWS,
        "folder": tmp_path,
        "cache_dir": tmp_path / "nets",
    }
    results = run_image_setting(CIFAR_95, [1, 2], **arguments)
    assert digits == [("somewhere", 0.95, 1), ("somewhere", 0.95, 2)]
    assert results["error"].eq("").all()
    assert results["method"].tolist() == [name for name in ROWS for _ in range(2)]
    assert results["split"].tolist() == [1, 2] * 2
    assert results["bias"].between(0, 0.5).all()
    assert results["n_test"].eq(1000).all()
    elsewhere = {"cache_dir": tmp_path / "other nets"}
    again = run_image_setting(CIFAR_95, [1, 2], **(arguments | elsewhere))
    assert again["fit_seconds"].tolist() == results["fit_seconds"].tolist()


def test_unknown_rows_and_missing_skin_tones(digits, tmp_path):
    folders = {"folder": tmp_path, "cache_dir": tmp_path}
    with pytest.raises(ValueError, match=r"no such rows: \['Magic'\]; there are \['Baseline'"):
        run_image_setting(CIFAR_95, [0], scale=0.002, rows=["Magic"], **folders)
    with pytest.raises(ValueError, match="CelebA comes without skin tones"):
        run_image_setting(CELEBA_SMILING, [0], **folders)


def test_command_says_that_a_run_is_reduced(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["--scale", "0.0001", "--seeds", "1", "--methods", "Baseline;PlainFineTuning"]
    assert main(["tables", "--table", "1", *arguments, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "REDUCED to 0.0001 of the training images" in out
    assert "PlainFineTuning" in out
    text = (tmp_path / "cifar10s-95-0.05-scale0.0001.md").read_text()
    assert "REDUCED" in text
    assert "against the paper" not in text
    assert (tmp_path / "cifar10s-50-0.05-scale0.0001.png").exists()


@pytest.mark.parametrize(("table", "n_seeds"), [("1", 3), ("digits", 10)])
def test_seeds_by_default(table, n_seeds, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "benchmarks.paper.__main__.run_image_setting",
        lambda setting, seeds, **arguments: asked.append(seeds),
    )
    assert main(["tables", "--table", table, "--out", str(tmp_path)]) == 0
    assert asked[0] == list(range(n_seeds))


@pytest.mark.parametrize("scale", ["0", "1.5", "half"])
def test_bad_scales(scale, capsys):
    with pytest.raises(SystemExit):
        main(["tables", "--table", "1", "--scale", scale])
    assert "expected a number in (0, 1]" in capsys.readouterr().err


@pytest.mark.parametrize("steps", ["0", "-3", "many"])
def test_bad_steps(steps, capsys):
    with pytest.raises(SystemExit):
        main(["tables", "--table", "1", f"--steps={steps}"])
    assert "expected a whole number above 0" in capsys.readouterr().err
