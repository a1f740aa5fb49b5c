"""The rows of a comparison: their columns, and the file that keeps them."""

import csv
import io
import os
from pathlib import Path

import pandas as pd
from filelock import FileLock

from skfairaug.metrics._constraints import DIFFERENCES

#: The measures of a row, each a column with the signed bias.
MEASURES = tuple(DIFFERENCES)

#: Columns that hold text, the empty one included, and columns that hold other than floats.
TEXTS = ("run", "method", "constraint", "warnings", "error")
COUNTS = ("split", "n_fit", "n_test")
FLAGS = ("needs_sensitive_features",)

#: What is known of a method on a split, in the order of the file.
COLUMNS = (
    "run",
    "method",
    "split",
    "constraint",
    "tolerance",
    "balanced_accuracy",
    "accuracy",
    *MEASURES,
    "bias",
    "phi",
    "probability_inside",
    "fit_seconds",
    "predict_seconds",
    "estimator_seconds",
    "needs_sensitive_features",
    "n_fit",
    "n_test",
    "warnings",
    "error",
)


class Results:
    """The rows of a comparison by run, kept in a file that any number of processes share.

    Parameters
    ----------
    path : str or path or None
        CSV file; None keeps the rows in memory only.

    Notes
    -----
    A row is one line, so that damage stays in its line. The file is never written to in
    place: a new one with one row more takes its place, which happens whole or not at all
    wherever the process is killed. A lock, ``<path>.lock``, lets one process at a time do
    so. A run has one row: the first that succeeded, otherwise that of the last failure.
    """

    def __init__(self, path):
        self.path = None if path is None else _checked_path(path)
        self.rows = {} if path is None else read_rows(self.path)

    def succeeded(self):
        """Runs that need not be done again."""
        return {run for run, row in self.rows.items() if not row["error"]}

    def add(self, row):
        """Keep a row, unless another process was first with the same run."""
        row = {name: _one_line(value) for name, value in row.items()}
        if self.path is None:
            self.rows[row["run"]] = row
            return
        with self._lock():
            self.rows = read_rows(self.path)
            there = self.rows.get(row["run"])
            if there is None or there["error"] not in ("", row["error"]):
                self.rows.pop(row["run"], None)  # a second attempt comes last
                self.rows[row["run"]] = row
                self._write()

    def frame(self, runs):
        """The rows of some runs, in their order."""
        return results_frame([self.rows[run] for run in runs])

    def _lock(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.lock")

    def _write(self):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_fields(row) for row in self.rows.values())
        part = self.path.with_name(f"{self.path.name}.part")
        with open(part, "wb") as file:
            file.write(text.getvalue().encode("utf-8", errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.path)


def results_frame(rows):
    """A DataFrame of rows; numbers that a failure left out are NaN."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [name for name in COLUMNS if name not in TEXTS and frame[name].isna().any()]
    return frame.astype(dict.fromkeys(numbers, float))


def read_rows(path):
    """Rows of a file of results: run -> row.

    A line that is no row is passed over, so that its run is done again: the last one where
    whatever wrote it was killed, or one that a program that knows no lock wrote into.

    Raises
    ------
    ValueError
        If it is another file than one of results.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    whole = content[: content.rfind(b"\n") + 1]
    header, *lines = whole.decode("utf-8-sig", errors="replace").split("\n")
    if not whole and ",".join(COLUMNS).encode().startswith(content):
        return {}  # empty, or the half of a first line
    if header.rstrip("\r") != ",".join(COLUMNS):
        columns = header or content[:200].decode("utf-8", errors="replace")
        raise ValueError(
            f"{path} is not a file of results: its columns are {columns.split(',')}, expected "
            f"{list(COLUMNS)}. Name another file, or move this one away."
        )
    rows = {}
    for row in filter(None, map(_read_line, lines)):
        there = rows.get(row["run"])
        if there is None or there["error"]:
            rows.pop(row["run"], None)
            rows[row["run"]] = row
    return rows


def _read_line(line):
    """A line of the file as a row; None where it is none."""
    try:
        fields = next(csv.reader([line.rstrip("\r")], strict=True), [])
        pairs = zip(COLUMNS, fields, strict=True)
        row = {name: _read_field(name, text) for name, text in pairs}
    except (ValueError, csv.Error):  # half a row, two in one, another header
        return None
    judged = row["balanced_accuracy"] is not None
    return row if judged or row["error"] else None


def _read_field(name, text):
    if name in TEXTS:
        return text
    if name in FLAGS:
        if text not in ("True", "False"):
            raise ValueError(f"{text!r} is not True or False")
        return text == "True"
    if text == "":
        return None
    return int(text) if name in COUNTS else float(text)


def _fields(row):
    """A row as text; numbers in full, as float reads them."""
    return ["" if row[name] is None else _plain(row[name]) for name in COLUMNS]


def _plain(value):
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str) else repr(value)


def _one_line(value):
    return " ".join(value.splitlines()) if isinstance(value, str) else value


def _checked_path(path):
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ValueError(f"path must name a CSV file, or be None; got {path!r}.")
    path = Path(path).expanduser().resolve()
    if path.is_dir():
        raise ValueError(f"path must name a CSV file; {path} is a folder.")
    return path
