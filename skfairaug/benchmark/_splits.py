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


#: More would be a seed where a number of splits is expected.
MOST_SPLITS = 10_000


def make_splits(cv, y, groups):
    """Number of the split -> indices of its training, validation and test part."""
    if isinstance(cv, dict):
        if not cv:
            raise ValueError("cv is an empty dict; at least one split is needed.")
        return {_checked_seed(seed): _checked_rows(rows, len(y)) for seed, rows in cv.items()}
    if _is_integer(cv):
        if not 1 <= cv <= MOST_SPLITS:
            raise ValueError(f"cv must be at least 1, at most {MOST_SPLITS}; got {cv}.")
        cv = list(range(cv))
    if isinstance(cv, list | tuple | range) and all(map(_is_integer, cv)):
        if not len(cv) or len(set(cv)) < len(cv) or min(cv) < 0:
            raise ValueError(f"cv must list distinct seeds, 0 or larger; got {list(cv)}.")
        return {_checked_seed(seed): split_rows(len(y), int(seed)) for seed in cv}
    if not hasattr(cv, "split") or isinstance(cv, str | bytes):
        raise ValueError(
            "cv must be a number or list of seeds, a splitter of scikit-learn, or a dict of "
            f"seed -> training, validation and test rows; got {cv!r}."
        )
    cells = y * (groups.max() + 1) + groups
    return {
        i: _checked_rows((*_validated(rest, cells, i), test), len(y))
        for i, (rest, test) in enumerate(check_cv(cv).split(np.zeros(len(y)), y))
    }


def _validated(rest, cells, seed):
    """Training and validation rows of what a splitter trains on, as even as they can be."""
    if np.bincount(cells[rest])[cells[rest]].min() < 2:
        raise ValueError(
            f"split {seed} of cv leaves one row of a (label, group) cell for training and "
            "validation, which need one each: give more rows, merge groups, or pass cv=10 or "
            "splits of your own."
        )
    return train_test_split(rest, test_size=0.25, random_state=seed, stratify=cells[rest])


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _checked_seed(seed):
    if not _is_integer(seed) or not 0 <= seed < 2**32:
        raise ValueError(f"the keys of cv must be seeds, 0 or larger; got {seed!r}.")
    return int(seed)


def _checked_rows(rows, n_samples):
    """Training, validation and test rows of a split that was given."""
    rows = tuple(map(np.asarray, rows)) if np.iterable(rows) else ()
    if len(rows) != 3 or not all(
        part.ndim == 1 and part.size and part.dtype.kind in "iu" for part in rows
    ):
        raise ValueError(
            "each split in cv must be three arrays of indices: training, validation and "
            "test rows."
        )
    if max(part.max() for part in rows) >= n_samples or min(part.min() for part in rows) < 0:
        raise ValueError(f"an index in cv is not among the {n_samples} rows.")
    train, validation, test = rows
    if np.isin(test, train).any() or np.isin(test, validation).any():
        raise ValueError("a split in cv has test rows among its training or validation rows.")
    if np.isin(validation, train).any():
        raise ValueError("a split in cv has validation rows among its training rows.")
    if len(np.unique(test)) < len(test):
        raise ValueError("a split in cv has a test row twice: it would count twice.")
    return rows
