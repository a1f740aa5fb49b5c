"""The rows of a comparison: their columns, and the file that they are appended to."""

from pathlib import Path

import pandas as pd

from skfairaug.metrics._constraints import DIFFERENCES

#: The measures of a row, each a column with the signed bias.
MEASURES = tuple(DIFFERENCES)

#: Columns that hold text, the empty one included.
TEXTS = ("run", "method", "constraint", "warnings", "error")

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


def results_frame(rows):
    """A DataFrame of rows; numbers that a failure left out are NaN."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [name for name in COLUMNS if frame[name].isna().any()]
    return frame.astype(dict.fromkeys(numbers, float))


def read_results(path):
    """Results of earlier calls, those that failed left out."""
    if path is None or not Path(path).exists():
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.read_csv(
        path,
        dtype=dict.fromkeys(TEXTS, str),
        keep_default_na=False,
        na_values={name: [""] for name in COLUMNS if name not in TEXTS},
    )
    if tuple(frame.columns) != COLUMNS:
        raise ValueError(f"{path} is not a file of results: its columns are {list(frame)}.")
    return frame[frame["error"] == ""].drop_duplicates("run", keep="last")


def append_result(path, row):
    """Append a row to the file, if there is to be one."""
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        header = not Path(path).exists()
        results_frame([row]).to_csv(path, mode="a", header=header, index=False)
