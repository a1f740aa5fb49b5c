"""The protocol of the paper's tables, and the demo."""

from skfairaug.benchmark._protocol import Run, Split, load_splits, run_seed, run_seeds, summary

__all__ = ["Run", "Split", "load_splits", "run_seed", "run_seeds", "summary"]
