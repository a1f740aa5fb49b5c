"""Training, validation and test rows of each split of a comparison."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import check_cv, train_test_split


def split_rows(n_samples, seed):
    """Indices of 60% training, 20% validation and 20% test rows.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    seed : int
        Seed of the split.

    Returns
    -------
    parts : tuple of ndarray
        Indices of the training, validation and test part.
    """
    train, rest = train_test_split(np.arange(n_samples), test_size=0.4, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, random_state=seed)
    return train, validation, test


def make_splits(cv, y, groups):
    """Number of the split -> indices of its training, validation and test part."""
    if isinstance(cv, dict) and cv:
        return {_checked_seed(seed): _checked_rows(rows, len(y)) for seed, rows in cv.items()}
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        if cv < 1:
            raise ValueError(f"cv must be at least 1; got {cv}.")
        cv = list(range(cv))
    if isinstance(cv, list | tuple | range) and all(isinstance(i, Integral) for i in cv):
        if not len(cv) or len(set(cv)) < len(cv) or min(cv) < 0:
            raise ValueError(f"cv must list distinct seeds, 0 or larger; got {list(cv)}.")
        return {int(seed): split_rows(len(y), int(seed)) for seed in cv}
    splits = {}
    cells = y * (groups.max() + 1) + groups
    for i, (rest, test) in enumerate(check_cv(cv).split(np.zeros(len(y)), y)):
        train, validation = train_test_split(
            rest, test_size=0.25, random_state=i, stratify=cells[rest]
        )
        splits[i] = train, validation, test
    return splits


def _checked_seed(seed):
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"the keys of cv must be seeds, 0 or larger; got {seed!r}.")
    return int(seed)


def _checked_rows(rows, n_samples):
    """Training, validation and test rows of a split that was given."""
    rows = tuple(np.asarray(part) for part in rows)
    if len(rows) != 3 or not all(part.size and part.dtype.kind in "iu" for part in rows):
        raise ValueError(
            "each split in cv must be three arrays of indices: training, validation and "
            "test rows."
        )
    if max(part.max() for part in rows) >= n_samples or min(part.min() for part in rows) < 0:
        raise ValueError(f"an index in cv is not among the {n_samples} rows.")
    test = rows[2]
    if np.isin(test, rows[0]).any() or np.isin(test, rows[1]).any():
        raise ValueError("a split in cv has test rows among its training or validation rows.")
    return rows
