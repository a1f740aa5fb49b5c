"""Candidates by balanced accuracy and bias, and which of them nothing else beats."""

import re
import warnings
from typing import NamedTuple

import numpy as np

from skfairaug._inputs._checks import as_numbers


class Candidates(NamedTuple):
    """What there is to choose from: one entry per candidate, NaN where it failed.

    Attributes
    ----------
    labels : list of str
        Names.
    accuracy, bias : ndarray of shape (n_candidates,)
        Means over the splits of the balanced accuracy and of the size of the bias.
    accuracy_error, bias_error : ndarray of shape (n_candidates,)
        Standard errors of these means; NaN with a single split.
    """

    labels: list
    accuracy: np.ndarray
    bias: np.ndarray
    accuracy_error: np.ndarray
    bias_error: np.ndarray

    @property
    def judged(self):
        """Whether both numbers are there, a bool per candidate."""
        return np.isfinite(self.accuracy) & np.isfinite(self.bias)


def pareto_front(accuracy, size_of_bias):
    """Mark the candidates that none other beats.

    Parameters
    ----------
    accuracy : array-like of shape (n_candidates,)
        The larger the better.
    size_of_bias : array-like of shape (n_candidates,)
        The smaller the better, 0 or more.

    Returns
    -------
    front : ndarray of shape (n_candidates,), bool
        Whether no other candidate is at least as good on both and better on one.
        Equal candidates stand or fall together; NaN on either never stands.

    Raises
    ------
    ValueError
        If the lengths differ or a bias is negative: take the absolute value first.

    Notes
    -----
    One sort by bias, then a running maximum of the accuracy: O(n log n).

    Examples
    --------
    >>> from skfairaug.benchmark import pareto_front
    >>> pareto_front([0.8, 0.7, 0.6, 0.8], [0.1, 0.02, 0.05, 0.2])
    array([ True,  True, False, False])
    """
    accuracy = as_numbers(accuracy, "accuracy", missing=True)
    size = as_numbers(size_of_bias, "size_of_bias", missing=True)
    if accuracy.ndim != 1 or accuracy.shape != size.shape:
        raise ValueError(
            "accuracy and size_of_bias must be 1-D and of one length; got shapes "
            f"{accuracy.shape} and {size.shape}."
        )
    if (size < 0).any():
        raise ValueError(
            f"size_of_bias must not be negative; got {np.nanmin(size):g}. Pass its absolute "
            "value."
        )
    judged = np.flatnonzero(~(np.isnan(accuracy) | np.isnan(size)))
    order = judged[np.lexsort((-accuracy[judged], size[judged]))]
    best = np.maximum.accumulate(accuracy[order])
    is_first = np.append(True, best[1:] > best[:-1])[: len(order)]
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    stands = (accuracy[order] == best) & (size[order] == size[order][first])
    front = np.zeros(len(accuracy), dtype=bool)
    front[order[stands]] = True
    return front


def read_cv_results(cv_results, accuracy, bias):
    """Read the candidates of a search.

    Parameters
    ----------
    cv_results : dict of str to array-like
        ``cv_results_`` of a search over several scorers.
    accuracy, bias : str
        Names of the two scorers.

    Returns
    -------
    candidates : Candidates
        In the order of the results. The bias is the size of its mean: a scorer that
        keeps the sign averages the luck of the splits out, one that does not adds it.

    Raises
    ------
    ValueError
        If a scorer is missing, or the accuracy is not between 0 and 1.
    """
    (high, high_error), (gap, gap_error) = (
        _mean_and_error(_split_scores(cv_results, name)) for name in (accuracy, bias)
    )
    outside = (high < 0) | (high > 1)
    if outside.any():
        raise ValueError(
            f"The scorer '{accuracy}' must be an accuracy between 0 and 1, the larger the "
            f"better; got {high[outside][0]:g}."
        )
    labels = [
        ", ".join(f"{name.rsplit('__', 1)[-1]}={_short(value)}" for name, value in row.items())
        for row in cv_results.get("params", [{}] * len(high))
    ]
    return Candidates(labels, high, np.abs(gap), high_error, gap_error)


def read_frame(frame, accuracy, bias, by):
    """Read candidates from a table with a row per candidate and split.

    Parameters
    ----------
    frame : DataFrame
        Such as :func:`compare` returns; rows whose `error` holds a text do not count, and
        a candidate with fewer rows left than another is one that failed: the splits that
        it passed may be the easy ones.
    accuracy, bias, by : str
        Columns: the accuracy, the signed bias, and what makes a candidate.

    Returns
    -------
    candidates : Candidates
        In order of first appearance. The bias is the mean of its size, as in
        :func:`summarize`.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    missing = [name for name in (accuracy, bias, by) if name not in frame]
    if missing:
        raise ValueError(f"results lack {missing}; the columns are {list(frame)}.")
    if "error" in frame:
        frame = frame[frame["error"].astype(object).fillna("") == ""]
    parts = dict(list(frame.groupby(by, sort=False, observed=True)))
    n_splits = max(map(len, parts.values()), default=0)
    values = [
        [*_mean_and_error(part[[accuracy]].T), *_mean_and_error(part[[bias]].abs().T)]
        for part in parts.values()
    ]
    high, high_error, gap, gap_error = np.array(values).reshape(-1, 4).T
    partly = {name: len(part) for name, part in parts.items() if len(part) < n_splits}
    if partly:
        high[[name in partly for name in parts]] = np.nan
        warnings.warn(
            f"Judged on fewer splits than the {n_splits} of others, and passed over: "
            f"{', '.join(f'{name} ({n})' for name, n in partly.items())}.",
            UserWarning,
            stacklevel=3,
        )
    return Candidates([str(name) for name in parts], high, gap, high_error, gap_error)


def _split_scores(cv_results, name):
    """Scores of one scorer, shape (n_candidates, n_splits)."""
    pattern = re.compile(rf"split\d+_test_{re.escape(name)}")
    columns = [cv_results[key] for key in cv_results if pattern.fullmatch(key)]
    if not columns:
        scorers = [key[len("mean_test_") :] for key in cv_results if key[:10] == "mean_test_"]
        raise ValueError(
            f"The results hold no scorer '{name}'; the scorers are {scorers}. Name the two "
            "with accuracy=... and bias=..., and pass the search scoring={name: scorer, ...}."
        )
    return np.stack([np.asarray(column, dtype=float) for column in columns], axis=1)


def _mean_and_error(scores):
    """Mean over the last axis and its standard error, NaN with one split."""
    scores = np.asarray(scores, dtype=float)
    mean, n = scores.mean(axis=1), scores.shape[1]
    if n < 2:
        return mean, np.full(mean.shape, np.nan)
    return mean, scores.std(axis=1, ddof=1) / np.sqrt(n)


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)
