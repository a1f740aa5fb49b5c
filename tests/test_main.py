import argparse
import json

import pandas as pd
import pytest

import skfairaug.__main__ as cli
from skfairaug.benchmark._protocol import Run


def one_run(seed, bias):
    return Run(
        seed=seed,
        balanced_accuracy=0.8,
        bias=bias,
        phi=0.8 if abs(bias) < 0.05 else 0.0,
        seconds=1.5,
        validation_balanced_accuracy=0.81,
        validation_bias=0.01,
        probability_inside=0.9,
        biased_balanced_accuracy=0.82,
        biased_bias=-0.3,
        net_seconds=9.0,
    )


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [0, 1, 2]), ("31,32", [31, 32]), ("7,", [7]), ("1", [0])]
)
def test_seeds_are_a_count_or_a_list(text, seeds):
    assert cli.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "", "a,b", "-1,2", "1.5"])
def test_bad_seeds(text):
    with pytest.raises(argparse.ArgumentTypeError, match="a count such as 10 or a list"):
        cli.parse_seeds(text)


def test_run_prints_a_table_and_writes_files(tmp_path, monkeypatch, capsys):
    asked = {}

    def run_seeds(seeds, *, n_jobs, **setting):
        asked.update(setting, n_jobs=n_jobs)
        yield from [one_run(seed, 0.01 * seed) for seed in reversed(seeds)]

    monkeypatch.setattr(cli, "run_seeds", run_seeds)
    monkeypatch.setenv("COLUMNS", "120")
    files = {"--csv": tmp_path / "runs.csv", "--json": tmp_path / "runs.json"}
    status = cli.main(
        [
            "run",
            "--data",
            "adult",
            "--sensitive",
            "sex",
            "--constraint",
            "average_odds",
            "--tolerance",
            "0.05",
            "--seeds",
            "2,9",
            "--data-home",
            "here",
            "--n-jobs",
            "2",
        ]
        + [str(part) for pair in files.items() for part in pair]
    )
    assert status == 0
    assert asked["constraint"] == "average_odds"
    assert (asked["data_home"], asked["n_jobs"]) == ("here", 2)
    assert "caution" not in asked  # the estimator's own default
    runs = json.loads(files["--json"].read_text())
    assert [run["seed"] for run in runs] == [2, 9]
    assert {"balanced_accuracy", "bias", "seed", "seconds"} <= runs[0].keys()
    assert pd.read_csv(files["--csv"]).bias.tolist() == [0.02, 0.09]
    printed = capsys.readouterr().out
    assert "inside the bound: 50% of 2 seeds" in printed
    assert "0.400" in printed  # mean Phi


@pytest.mark.parametrize("drop", [False, True])
def test_columns_that_say_the_group_are_dropped_on_request(drop, monkeypatch, capsys):
    asked = {}

    def run_seeds(seeds, *, n_jobs, **setting):
        asked.update(setting)
        yield from [one_run(seed, 0.01) for seed in seeds]

    monkeypatch.setattr(cli, "run_seeds", run_seeds)
    arguments = ["run", "--data", "adult", "--sensitive", "sex", "--seeds", "1"]
    arguments += ["--constraint", "average_odds"]
    assert cli.main(arguments + ["--drop-sensitive"] * drop) == 0
    assert asked["drop_sensitive"] is drop


def test_unknown_data_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(
            ["run", "--data", "iris", "--sensitive", "sex", "--constraint", "average_odds"]
        )
    assert "invalid choice: 'iris'" in capsys.readouterr().err


def test_demo_shows_both_networks_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    picture = tmp_path / "pareto.png"
    assert cli.main(["demo", "--n-samples", "1500", "--picture", str(picture)]) == 0
    printed = capsys.readouterr().out
    for word in ("before", "after", "female", "male", "selection rate", "TPR", "Phi"):
        assert word in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
