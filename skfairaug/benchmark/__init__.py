"""The protocol of the paper's tables, and the demo."""

from skfairaug.benchmark._protocol import (
    Run,
    Split,
    debias,
    load_splits,
    prepare,
    run_seed,
    run_seeds,
    summary,
)

__all__ = [
    "Run",
    "Split",
    "debias",
    "load_splits",
    "prepare",
    "run_seed",
    "run_seeds",
    "summary",
]
