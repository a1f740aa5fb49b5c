"""The file of a comparison: whatever happens to it, at most the last row is lost."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skfairaug.benchmark import compare, summarize
from skfairaug.benchmark._results import COLUMNS, MEASURES, Results, read_rows

HEADER = ",".join(COLUMNS)


def row(run, error="", warnings="", **values):
    """A row as `run_job` makes it."""
    numbers = dict.fromkeys((*MEASURES, "bias"), -0.1234567890123)
    scores = {"balanced_accuracy": 0.7111, "accuracy": 0.71, "phi": 0.0}
    return (
        dict.fromkeys(COLUMNS)
        | {"run": run, "method": f"méthode {run}", "split": 12, "constraint": "x"}
        | {"tolerance": 0.05, "n_fit": 192, "n_test": 48, "fit_seconds": 12.5}
        | {"needs_sensitive_features": False, "error": error, "warnings": warnings}
        | ({} if error else scores | numbers)
        | values
    )


ROWS = [
    row("a"),
    row("b", error="ValueError: no"),
    row("c", warnings='UserWarning: "0, 1", and\nmore\r\nlines'),
    row("d", fit_seconds=1 / 3),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new" / "runs.csv"
    results = Results(path)
    for one in ROWS:
        results.add(one)
    return path


def test_rows_come_back_as_they_were(path):
    rows = read_rows(path)
    assert list(rows) == ["a", "b", "c", "d"]
    assert rows["a"] == ROWS[0]
    assert rows["d"]["fit_seconds"] == 1 / 3
    assert rows["c"]["warnings"] == 'UserWarning: "0, 1", and more lines'  # one row, one line
    frame = pd.read_csv(path)
    assert frame["method"].tolist() == [f"méthode {run}" for run in "abcd"]
    assert len(path.read_text("utf-8").splitlines()) == 5


def test_cut_at_every_byte_of_the_last_two_rows(path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # a thousand of them take seconds
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(ends[2], len(whole)):
        path.write_bytes(whole[:cut])
        rows = read_rows(path)
        # What is left of a row is no row, were all but its last byte there.
        assert list(rows) == ["a", "b", "c", "d"][: sum(end <= cut for end in ends) - 1]
        assert all(rows[run] == Results(path).rows[run] for run in rows)
        results = Results(path)
        for one in ROWS:
            if one["run"] not in results.succeeded():
                results.add(one)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ["", "run", HEADER, HEADER[:-1]])
def test_a_file_without_a_whole_first_line_is_begun(content, path):
    path.write_text(content)
    results = Results(path)
    assert results.rows == {}
    results.add(ROWS[0])
    assert pd.read_csv(path)["run"].tolist() == ["a"]


@pytest.mark.parametrize(
    "damage",
    [
        HEADER,  # a second one
        "e,half,3,x",  # a row was appended to the half of another
        'e,"opened and never closed',
        "e" + "," * (len(COLUMNS) - 1),  # no scores and no error
        "\ufffd\x00",
    ],
)
def test_damage_stays_in_its_line(damage, path):
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], damage, *lines[2:]]) + "\n", "utf-8")
    results = Results(path)
    assert list(results.rows) == ["a", "b", "c", "d"]
    results.add(row("e"))
    assert pd.read_csv(path)["run"].tolist() == ["a", "b", "c", "d", "e"]


def test_line_ends_of_another_system(path):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_rows(path)["a"] == ROWS[0]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "<html>", HEADER + ",more\n"])
def test_another_file_is_left_alone(content, path):
    path.write_text(content)
    with pytest.raises(ValueError, match=r"runs.csv is not a file of results: its columns are"):
        Results(path)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("path", "message"),
    [(3, "must name a CSV file, or be None; got 3"), (".", "is a folder"), ("", "got ''")],
)
def test_what_is_no_path(path, message):
    with pytest.raises(ValueError, match=message):
        Results(path)


def test_one_row_for_a_run(path):
    mine, theirs = Results(path), Results(path)
    mine.add(row("b", fit_seconds=1.0))  # a failure is done again
    theirs.add(row("b", fit_seconds=2.0))  # and the first success stays
    assert theirs.rows["b"]["fit_seconds"] == 1.0
    theirs.add(row("a", error="ValueError: no more"))
    assert pd.read_csv(path)["run"].tolist() == ["a", "c", "d", "b"]
    assert theirs.succeeded() == set("abcd")


def test_the_file_can_be_summarised(rows, tmp_path):
    path = tmp_path / "runs.csv"
    data = {"X": rows.X, "y": rows.y, "sensitive_features": rows.group, "progress": False}
    for cv in (1, 3):
        results = compare({"lr": LogisticRegression()}, cv=cv, path=path, **data)
        path.write_text(path.read_text() + HEADER + "\n")  # what an older program wrote
    compare({"lr": LogisticRegression(C=2)}, cv=1, path=path, **data)
    kept = pd.read_csv(path)
    assert len(kept) == 4
    kept = kept[kept["run"].isin(results["run"])]
    pd.testing.assert_frame_equal(summarize(kept), summarize(results), check_dtype=False)


#: A process that starts others, which are killed; it has imported everything before.
SCRIPT = """
import os, signal, sys, time
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from skfairaug.benchmark import compare

class Slow(ClassifierMixin, BaseEstimator):
    def __init__(self, name=0):
        self.name = name

    def fit(self, X, y):
        time.sleep(0.004)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return (np.asarray(X)[:, self.name] > 0).astype(int)

def run(path):
    rng = np.random.RandomState(0)
    X, group = rng.normal(size=(80, 4)), rng.randint(0, 2, 80)
    models = {f"{i}": Slow(i) for i in range(3)}
    y = (X[:, 0] > 0).astype(int)
    return compare(models, X, y, sensitive_features=group, cv=4, path=path, progress=False)

def fork(path, out=None):
    pid = os.fork()
    if pid:
        return pid
    try:
        frame = run(path)
        if out:
            frame.to_pickle(out)
    finally:
        os._exit(0)

folder, = sys.argv[1:]
run(None)  # loads what is loaded late
start = time.perf_counter()
run(None).to_pickle(f"{folder}/undisturbed")
alone = time.perf_counter() - start
killed = 0
for i in range(5):
    pid = fork(f"{folder}/killed.csv")
    time.sleep(alone * (0.05 + 0.06 * i))
    os.kill(pid, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
run(f"{folder}/killed.csv").to_pickle(f"{folder}/killed")
for pid in [fork(f"{folder}/shared.csv", f"{folder}/{name}") for name in ("one", "two")]:
    os.waitpid(pid, 0)
print(killed)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_kills_and_company_change_nothing(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(told) > 0  # the last ones may have found everything done

    def settled(name):
        frame = pd.read_pickle(tmp_path / name)
        return frame.drop(columns=[column for column in frame if "seconds" in column])

    alone = settled("undisturbed")
    assert len(alone) == 12
    assert alone["error"].eq("").all()
    for name in ("killed", "one", "two"):
        pd.testing.assert_frame_equal(settled(name), alone)
    for name in ("killed.csv", "shared.csv"):
        assert sorted(pd.read_csv(tmp_path / name)["run"]) == sorted(alone["run"])
    one, two = (pd.read_pickle(tmp_path / name) for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)  # seconds too: each row was written once
    assert np.isfinite(one["fit_seconds"]).all()
