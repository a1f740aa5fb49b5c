"""Comparisons on the same splits, the protocol of the paper's tables, and the demo."""

from skfairaug.benchmark._compare import compare
from skfairaug.benchmark._protocol import (
    Run,
    Split,
    debias,
    load_splits,
    prepare,
    run_seed,
    run_seeds,
    split_rows,
    summary,
)
from skfairaug.benchmark._summary import summarize

__all__ = [
    "Run",
    "Split",
    "compare",
    "debias",
    "load_splits",
    "prepare",
    "run_seed",
    "run_seeds",
    "split_rows",
    "summarize",
    "summary",
]
