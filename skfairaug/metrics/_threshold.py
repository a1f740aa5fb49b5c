"""All thresholds on a score at once, and the choice among them."""

from typing import NamedTuple

import numpy as np

from skfairaug._inputs._checks import (
    as_codes,
    as_numbers,
    check_caution,
    check_labels_present,
    check_number,
    check_same_length,
    check_scores,
    check_tolerance,
    check_whole,
)
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._inside import probability_inside

#: Cut-offs whose joint probability is integrated at once.
CHUNK = 64


class ThresholdCurve(NamedTuple):
    """What each cut-off on a score gives, cut-offs rising.

    Attributes
    ----------
    thresholds : ndarray of shape (n_thresholds,)
        The prediction is positive where ``score > threshold``, compared in float64.
        The first one is -inf, all positive; the last one inf, all negative.
    balanced_accuracy, bias, standard_error : ndarray of shape (n_thresholds,)
        Mean of the two recalls, signed bias and its standard error.
    statistics, errors : ndarray of shape (n_thresholds, n_groups, n_statistics), default=None
        Statistic of every group with its standard error. None: of two groups, the bias says
        all.
    """

    thresholds: np.ndarray
    balanced_accuracy: np.ndarray
    bias: np.ndarray
    standard_error: np.ndarray
    statistics: np.ndarray | None = None
    errors: np.ndarray | None = None

    def probability_inside(self, tolerance, caution=1.0, at=None):
        """Probability that the bias on new rows is below a tolerance, at each cut-off.

        Parameters
        ----------
        tolerance : float
            Bound on the size of the bias.
        caution : float, default=1.0
            How many times the standard error to allow for.
        at : ndarray of int, default=None
            Positions of the cut-offs; None takes all.

        Returns
        -------
        probability : ndarray
            See :func:`probability_inside`.
        """
        at = slice(None) if at is None else at
        if self.statistics is None:
            statistics = np.stack([self.bias[at], 0 * self.bias[at]], -1)[..., None]
            errors = np.stack([self.standard_error[at], 0 * self.bias[at]], -1)[..., None]
        else:
            statistics, errors = self.statistics[at], self.errors[at]
        return probability_inside(statistics, errors, tolerance=tolerance, caution=caution)


def threshold_curve(y_true, score, groups, constraint, n_groups=None, *, max_thresholds=1000):
    """Balanced accuracy and bias at every cut-off on a score.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,), int
        Labels 0 and 1.
    score : ndarray of shape (n_samples,)
        The larger, the more likely positive; any monotone scale, infinities included.
    groups : ndarray of shape (n_samples,), int
        Group of each row.
    constraint : str or Constraint
        The measure of bias, see `CONSTRAINTS`.
    n_groups : int, default=None
        Number of groups; None takes it from the largest in `groups`.
    max_thresholds : int, default=1000
        Above this number of cut-offs, so many are kept, at equal steps of the scores'
        ranks; at least 2.

    Returns
    -------
    curve : ThresholdCurve
        Cut-offs halfway between neighbouring distinct scores, below all and above all.

    Raises
    ------
    ValueError
        If a score is NaN, labels are not 0 and 1, groups are no codes, lengths differ, a
        label does not occur, or a cell that the measure needs has no rows.

    Notes
    -----
    One sort and, per cell, a binary search for each cut-off: O(n log n) time and linear
    memory.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.metrics import threshold_curve
    >>> y, groups = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    >>> score = np.array([0.2, 0.4, 0.6, 0.8])
    >>> curve = threshold_curve(y, score, groups, "statistical_parity")
    >>> curve.thresholds
    array([-inf,  0.3,  0.5,  0.7,  inf])
    >>> curve.bias
    array([ 0. , -0.5, -1. , -0.5,  0. ])
    """
    constraint = get_constraint(constraint)
    check_whole(max_thresholds, "max_thresholds", 2)
    if n_groups is not None:
        check_whole(n_groups, "n_groups", 1)
    y_true, groups = as_codes(y_true, "y_true", 2), as_codes(groups, "groups", n_groups)
    score = _finite(score)
    check_same_length(y_true=y_true, score=score, groups=groups)
    n_groups = int(groups.max()) + 1 if n_groups is None else n_groups
    check_labels_present(y_true, (0, 1))
    constraint.check(y_true, groups, (0, 1), range(n_groups))

    thresholds = _cut_offs(np.sort(score), max_thresholds)
    rates, counts = _rates_at(thresholds, y_true, score, groups, n_groups)
    totals = counts.sum(0)
    true_positive, false_positive = (
        (rates[..., y] * counts[:, y]).sum(-1) / totals[y] for y in (1, 0)
    )
    return ThresholdCurve(
        thresholds,
        (true_positive + 1 - false_positive) / 2,
        constraint.gap(rates, counts),
        constraint.standard_error(rates, counts),
        *constraint.statistics_and_errors(rates, counts),
    )


def choose_threshold(curve, *, tolerance, caution=1.0, slack=0.0, confidence=None):
    """Index of the best cut-off of a curve.

    Parameters
    ----------
    curve : ThresholdCurve
        What there is to choose from.
    tolerance : float
        Bound on the size of the bias, in (0, 1].
    caution : float, default=1.0
        How many times the standard error to allow for, see :func:`expected_phi`.
    slack : float, default=0.0
        Expected Phi to give up for a smaller bias.
    confidence : float, default=None
        Probability in (0, 1) with which the bias on new rows shall be inside the tolerance.
        None weighs it against accuracy, which is expected Phi.

    Returns
    -------
    index : int
        Position in `curve`.

    Raises
    ------
    TypeError
        If `curve` is none.
    ValueError
        If a number is out of its range, or the curve is empty or holds a NaN.

    Notes
    -----
    Among the cut-offs whose estimated bias is smaller than the tolerance, the one with
    the largest expected Phi; ties go to the larger balanced accuracy, then to the
    smaller bias, then to the lower cut-off. With a `slack`, the least biased of those
    whose expected Phi comes that close to the largest. If none is inside the
    tolerance, the one with the smallest bias; ties go to the larger balanced accuracy.

    With a `confidence` it is the most accurate of the cut-offs that are inside with that
    probability (`ThresholdCurve.probability_inside`), as Seldonian algorithms have it [1]_;
    if none is, the one with the largest probability.

    A curve from :func:`threshold_curve` holds the two constant predictions, unbiased
    with a balanced accuracy of one half, so whoever calls this checks whether the choice
    is worth more than that.

    References
    ----------
    .. [1] P. S. Thomas et al., "Preventing undesirable behavior of intelligent machines",
       Science 366, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.metrics import choose_threshold, threshold_curve
    >>> y, groups = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    >>> curve = threshold_curve(y, [0.2, 0.9, 0.3, 0.8], groups, "statistical_parity")
    >>> float(curve.thresholds[choose_threshold(curve, tolerance=0.05)])
    0.55
    """
    check_tolerance(tolerance)
    check_caution(caution)
    check_number(slack, "slack", 0, 1)
    if confidence is not None:
        check_number(confidence, "confidence", 0, 1, open_ends=True)
    _check_curve(curve)
    size, accuracy = np.abs(curve.bias), curve.balanced_accuracy
    if confidence is not None:
        probability = curve.probability_inside(tolerance, caution)
        sure = probability >= confidence
        if sure.any():
            return _best(np.where(sure, accuracy, -1.0), -size)
        return _best(probability, accuracy)
    inside = size < tolerance
    if not inside.any():
        return _best(-size, accuracy)
    expected = np.full(len(size), -1.0)
    for at, values in _expected_phi(curve, np.flatnonzero(inside), tolerance, caution, slack):
        expected[at] = values
    close = expected >= expected.max() - slack
    bias = np.where(close, -size, -np.inf) if slack else 0.0 * size
    return _best(bias, expected, accuracy, -size)


def _check_curve(curve):
    if not isinstance(curve, ThresholdCurve):
        raise TypeError(
            f"curve must be a ThresholdCurve, as threshold_curve returns; got {curve!r}."
        )
    for name in ("balanced_accuracy", "bias", "standard_error"):
        if as_numbers(getattr(curve, name), f"curve.{name}").size == 0:
            raise ValueError(f"curve.{name} is empty; there is nothing to choose from.")


def _best(*keys):
    """Position of the largest first key; ties go by the keys that follow."""
    return int(np.lexsort([-key for key in keys[::-1]])[0])


def _expected_phi(curve, at, tolerance, caution, slack):
    """Expected Phi of cut-offs, those left out that cannot be the best.

    All groups together are at most as surely inside as the two extreme ones, whose
    probability is one formula: the joint one is integrated where that bound allows.
    """
    pair = curve._replace(statistics=None, errors=None)
    bound = curve.balanced_accuracy[at] * pair.probability_inside(tolerance, caution, at)
    if curve.statistics is None or curve.statistics.shape[1:] == (2, 1):
        yield at, bound
        return
    at, bound = at[np.argsort(-bound, kind="stable")], np.sort(bound)[::-1]
    best = -1.0
    for first in range(0, len(at), CHUNK):
        if bound[first] < best - slack:
            return
        part = at[first : first + CHUNK]
        joint = curve.probability_inside(tolerance, caution, part)
        values = curve.balanced_accuracy[part] * joint
        best = max(best, values.max())
        yield part, values


def _finite(score):
    score = as_numbers(score, "score", missing=True)
    if score.ndim != 1:
        raise ValueError(f"score must be 1-D, one per row; got shape {score.shape}.")
    check_scores(score)
    largest = np.finfo(np.float64).max / 4  # so that halfway between two is finite
    return np.clip(score, -largest, largest)


def _cut_offs(ordered, max_thresholds):
    """Cut-offs between sorted scores, at most `max_thresholds`."""
    values = ordered[np.append(True, ordered[1:] > ordered[:-1])]
    if len(values) + 1 > max_thresholds:
        ranks = np.linspace(0, len(ordered) - 1, max_thresholds).astype(np.int64)[1:-1]
        lower = np.unique(np.searchsorted(values, ordered[ranks]))
        lower = lower[lower < len(values) - 1]
    else:
        lower = np.arange(len(values) - 1)
    below, above = values[lower], values[lower + 1]
    middle = below + (above - below) / 2
    middle = np.where(middle < above, middle, below)  # neighbouring floating numbers
    return np.concatenate([[-np.inf], middle, [np.inf]])


def _rates_at(thresholds, y_true, score, groups, n_groups):
    """Cell rates (n_thresholds, n_groups, 2) and counts (n_groups, 2)."""
    rates = np.zeros((len(thresholds), n_groups, 2))
    counts = np.zeros((n_groups, 2), dtype=np.int64)
    for group, label in np.ndindex(n_groups, 2):
        cell = np.sort(score[(groups == group) & (y_true == label)])
        counts[group, label] = len(cell)
        above = len(cell) - np.searchsorted(cell, thresholds, side="right")
        rates[:, group, label] = above / max(len(cell), 1)
    return rates, counts
