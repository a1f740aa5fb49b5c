"""``python -m benchmarks.paper run``: one setting of a public table, seed by seed."""

import argparse
import json

import pandas as pd
import pytest

from benchmarks.paper import __main__ as cli
from benchmarks.paper import protocol
from skfairaug.datasets import make_loans

ARGUMENTS = ["run", "--data", "compas", "--sensitive", "sex"]
ARGUMENTS += ["--constraint", "statistical_parity", "--data-home", "here"]


@pytest.fixture
def loans(monkeypatch):
    """Loans in the place of COMPAS, and a network that is trained in a second."""

    def fetch(data_home, *, sensitive, encode):
        assert (data_home, sensitive) == ("here", "sex")
        return make_loans(900, random_state=0, encode=encode)

    monkeypatch.setitem(protocol.FETCHERS, "compas", fetch)
    quick = {"batch_size": 64, "patience": 1, "floor": 0.0}
    monkeypatch.setitem(protocol.TRAINING, "compas", quick)


@pytest.fixture
def asked(monkeypatch):
    """What `compare` is asked for, without running it."""
    asked = []

    def compare(mitigators, X, y, **params):
        asked.append({"methods": mitigators, "X": X, **params})
        rows = [
            {"method": name, "split": seed}
            | {goal: params[goal] for goal in ("constraint", "tolerance")}
            | {"balanced_accuracy": 0.8, "accuracy": 0.9, "bias": 0.01 * seed, "error": ""}
            | {"phi": 0.8 if 0.01 * seed < params["tolerance"] else 0.0, "fit_seconds": 1.5}
            | {"predict_seconds": 0.1, "needs_sensitive_features": False}
            | {"n_fit": 720, "n_test": 180}
            for name in mitigators
            for seed in params["cv"]
        ]
        return pd.DataFrame(rows)

    monkeypatch.setattr(protocol, "compare", compare)
    return asked


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [0, 1, 2]), ("31,32", [31, 32]), ("7,", [7]), ("1", [0])]
)
def test_seeds_are_a_count_or_a_list(text, seeds):
    assert cli.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "", "a,b", "-1,2", "1.5"])
def test_bad_seeds(text):
    with pytest.raises(argparse.ArgumentTypeError, match="a count such as 10 or a list"):
        cli.parse_seeds(text)


def test_a_table_and_files(loans, asked, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    files = {"--csv": tmp_path / "runs.csv", "--json": tmp_path / "runs.json"}
    more = [str(part) for pair in files.items() for part in pair]
    assert cli.main([*ARGUMENTS, "--seeds", "2,9", "--n-jobs", "2", *more]) == 0
    assert asked[0]["constraint"] == "statistical_parity"
    assert asked[0]["n_jobs"] == 2
    assert asked[0]["held_out"] is False
    tuner = asked[0]["methods"]["FairAugmentFineTuner"]
    assert tuner.caution == type(tuner)(None).caution  # the estimator's own default
    runs = json.loads(files["--json"].read_text())
    assert [run["split"] for run in runs] == [2, 9, 2, 9]
    assert {"method", "balanced_accuracy", "bias", "fit_seconds"} <= runs[0].keys()
    assert pd.read_csv(files["--csv"])["bias"].tolist() == [0.02, 0.09] * 2
    printed = capsys.readouterr().out
    assert "inside the bound: 50% of 2 seeds" in printed
    assert "0.400" in printed  # mean Phi


def test_options_reach_the_comparison(loans, asked):
    plain = [*ARGUMENTS, "--seeds", "1"]
    for more in (
        [],
        ["--drop-sensitive"],
        ["--validation-rows", "50"],
        ["--training-rows", "train"],
        ["--training-rows", "choose"],
        ["--caution", "0.5"],
    ):
        assert cli.main(plain + more) == 0
    kept, dropped, cut, train, choose, careless = asked
    assert dropped["X"].shape[1] < kept["X"].shape[1]
    assert [len(part) for part in kept["cv"][0]] == [540, 180, 180]
    assert [len(part) for part in cut["cv"][0]] == [540, 50, 180]
    assert [one["held_out"] for one in (kept, train, choose)] == [False, True, False]
    assert [len(part) for part in choose["cv"][0]] == [540, 720, 180]
    assert careless["methods"]["FairAugmentFineTuner"].caution == 0.5


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
def test_a_real_run(loans, tmp_path):
    path = tmp_path / "runs.csv"
    assert cli.main([*ARGUMENTS, "--seeds", "1", "--csv", str(path)]) == 0
    runs = pd.read_csv(path)
    assert runs["error"].isna().all()
    assert runs["method"].tolist() == ["biased network", "FairAugmentFineTuner"]
    inside = runs["bias"].abs() < 0.05
    assert (runs["phi"] == runs["balanced_accuracy"].where(inside, 0)).all()


def test_unknown_data_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--data", "iris", *ARGUMENTS[3:]])
    assert "invalid choice: 'iris'" in capsys.readouterr().err
