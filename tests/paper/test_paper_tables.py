"""The paper's tables: its numbers, the rows, what is written."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.paper import protocol
from benchmarks.paper.__main__ import main
from benchmarks.paper.pages import table, verdict, write
from benchmarks.paper.published import COMPAS_EOD, PUBLISHED, TABLES, Published
from benchmarks.paper.rows import methods, strong_methods, train_strong_network, tree_methods
from benchmarks.paper.tables import run_setting, slug
from skfairaug.datasets import make_loans

ROWS = ["Baseline", "EqOdds", "FairAugmentFineTuner", "ThresholdOnly"]


@pytest.fixture(scope="module")
def loans():
    """Loans in the place of COMPAS, and a network that is trained in a second."""

    def fetch(data_home, *, sensitive, encode):
        assert (data_home, sensitive) == ("somewhere", "sex")
        return make_loans(900, random_state=0, encode=encode)

    quick = {"batch_size": 64, "patience": 2, "floor": 0.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(protocol.FETCHERS, "compas", fetch)
        patch.setitem(protocol.TRAINING, "compas", quick)
        yield


@pytest.fixture(scope="module")
def results(loans, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("tables")
    return run_setting(
        COMPAS_EOD,
        [0, 1],
        tolerance=0.1,
        data_home="somewhere",
        rows=ROWS,
        folder=tmp_path,
        cache_dir=tmp_path / "nets",
    )


def test_every_published_row_can_be_run():
    known = methods(5)
    for setting in (one for part in TABLES.values() for one in part):
        assert PUBLISHED[setting].keys() <= known.keys()
    names = [*known, *strong_methods(), *tree_methods(LogisticRegression)]
    assert len(names) == len(set(names))


def test_results_and_table(results):
    assert results["error"].tolist() == [""] * 8
    assert results["constraint"].eq("equal_opportunity").all()
    rows = table(COMPAS_EOD, results)
    assert rows.index.tolist() == ROWS
    means = results.groupby("method")["balanced_accuracy"].mean()
    np.testing.assert_allclose(rows["BA"], means[ROWS])
    assert rows.loc["EqOdds", "paper BA"] == 0.51
    assert rows.loc["EqOdds", "needs A"] == "yes"
    assert np.isnan(rows.loc["ThresholdOnly", "paper BA"])
    assert np.isnan(rows.loc["FairAugmentFineTuner", "p of Phi"])


def test_what_is_written(results, tmp_path):
    rows = write(COMPAS_EOD, results, tmp_path)
    stem = tmp_path / slug(COMPAS_EOD, 0.1)
    read = pd.read_csv(f"{stem}.csv", index_col="method")
    np.testing.assert_allclose(read["BA"], rows["BA"], atol=5e-4)
    text = (tmp_path / f"{stem.name}.md").read_text()
    assert text.startswith("# compas, sex: equal opportunity within 0.1")
    assert "| EqOdds" in text
    assert (tmp_path / f"{stem.name}.png").stat().st_size > 10_000


def test_unknown_rows(loans, tmp_path):
    arguments = {"data_home": "somewhere", "folder": tmp_path, "cache_dir": tmp_path}
    with pytest.raises(ValueError, match=r"no such rows: \['Luck'\]; there are \['Baseline'"):
        run_setting(COMPAS_EOD, [0], rows=["Luck"], **arguments)


@pytest.mark.parametrize(
    ("published", "accuracy", "size", "expected"),
    [
        (Published(None, None), 0.6, 0.0, ""),
        (Published(0.6, 0.04), 0.61, 0.04, "reproduced"),
        (Published(0.6, 0.04), 0.57, 0.04, "not reproduced: lower"),
        (Published(0.6, 0.04), 0.7, 0.04, "higher"),
        (Published(0.6, 0.04), np.nan, np.nan, "not reproduced: it failed"),
        (Published(None, 0.2), 0.7, 0.1, "out of bound there, out of bound here"),
        (Published(None, 0.2), 0.7, 0.01, "out of bound there, inside here"),
    ],
)
def test_verdict(published, accuracy, size, expected):
    assert verdict(published, accuracy, size, 0.05) == expected


def test_strong_network_depends_on_the_seed_alone():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 3)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    one, again = (train_strong_network(X, y, 0) for _ in range(2))
    other = train_strong_network(X, y, 1)
    np.testing.assert_array_equal(one.predict_proba(X), again.predict_proba(X))
    assert (one.predict_proba(X) != other.predict_proba(X)).any()


def test_the_command(loans, tmp_path, capsys):
    arguments = ["tables", "--table", "5", "--seeds", "1", "--data-home", "somewhere"]
    arguments += ["--methods", "Baseline; ThresholdOnly", "--out", str(tmp_path)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "Baseline" in shown
    assert "ThresholdOnly" in shown
    assert (tmp_path / "compas-sex-equal-opportunity-0.05.csv").exists()


def test_the_command_without_the_columns_that_say_the_group(
    loans, results, tmp_path, monkeypatch
):
    asked = []

    def run(mitigators, X, *args, **params):
        asked.append((X.shape[1], params["path"].name))
        return results

    monkeypatch.setattr(protocol, "compare", run)
    arguments = ["tables", "--table", "5", "--seeds", "2", "--data-home", "somewhere"]
    arguments += ["--methods", "ThresholdOnly", "--out", str(tmp_path)]
    for drop in ([], ["--drop-sensitive"]):
        assert main([*arguments, *drop]) == 0
    (with_it, name), (without, dropped) = asked
    assert without < with_it
    stem = slug(COMPAS_EOD, 0.05)
    assert (name, dropped) == (f"{stem}-runs.csv", f"{stem}-dropped-runs.csv")
    text = (tmp_path / f"{stem}-dropped.md").read_text()
    assert "group not in X\n\nThe columns that say the group are not in X." in text
    # Another task than the published one: the numbers are not compared.
    assert "against the paper" not in text
    assert "against the paper" in (tmp_path / f"{stem}.md").read_text()


def test_the_command_with_training_rows(loans, results, tmp_path, monkeypatch):
    asked = []

    def run(*args, **params):
        asked.append((params["held_out"], params["path"].name))
        return results

    monkeypatch.setattr(protocol, "compare", run)
    arguments = ["tables", "--table", "5", "--seeds", "2", "--data-home", "somewhere"]
    arguments += ["--methods", "FairRule", "--out", str(tmp_path), "--training-rows", "train"]
    assert main(arguments) == 0
    stem = f"{slug(COMPAS_EOD, 0.05)}-training-rows-train"
    assert asked == [(True, f"{stem}-runs.csv")]
    assert "Training rows are passed along" in (tmp_path / f"{stem}.md").read_text()


def test_without_lightgbm_there_is_advice(loans, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    arguments = {"data_home": "somewhere", "folder": tmp_path, "cache_dir": tmp_path}
    with pytest.raises(ImportError, match=r'pip install "skfairaug\[benchmark\]"'):
        run_setting(COMPAS_EOD, [0], rows=["Baseline, LightGBM"], **arguments)
