"""Folds: parts of the rows that are left out in turn."""

import numpy as np


def deal(cells, n_folds, seed):
    """Number of the fold of each row, every cell dealt out evenly.

    Parameters
    ----------
    cells : ndarray of shape (n_samples,), int
        Cell of each row.
    n_folds : int
        How many folds.
    seed : int
        Which row goes where.

    Returns
    -------
    fold : ndarray of shape (n_samples,), int
        0 to `n_folds` - 1. Folds are of equal size, and so are their parts of a cell, up to
        one row.
    """
    order = np.random.RandomState(seed).permutation(len(cells))
    order = order[np.argsort(cells[order], kind="stable")]
    fold = np.empty(len(cells), dtype=np.int64)
    fold[order] = np.arange(len(cells)) % n_folds
    return fold
