"""One threshold per group: the fairest use of a score by those who may see the group."""

import numpy as np

from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._threshold import _cut_offs, _rates_at, threshold_curve

LEVELS = np.linspace(0.0, 1.0, 401)


def group_thresholds(y_true, score, groups, constraint, n_groups=None, *, gap=0.0):
    r"""Cut-off of each group that equalises the constraint's statistic between groups.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,), int
        Labels 0 and 1.
    score : ndarray of shape (n_samples,)
        The larger, the more likely positive.
    groups : ndarray of shape (n_samples,), int
        Group of each row.
    constraint : str or Constraint
        The measure of bias, see `CONSTRAINTS`.
    n_groups : int, default=None
        Number of groups; None takes it from the largest in `groups`.
    gap : float, default=0.0
        Gap allowed between any two groups, as a statistic on these rows.

    Returns
    -------
    thresholds : ndarray of shape (n_groups,)
        The prediction is positive where ``score > thresholds[group]``.

    Notes
    -----
    The statistic of a group (selection rate, true positive rate, mean of the two
    rates) falls as its cut-off rises. So for every common level r there is one
    cut-off per group, and the best r is found by a search along one line, whatever the
    number of groups. With a `gap` of g, a group whose statistic at the best common
    cut-off lies within :math:`r \pm g/2` keeps it. The objective is balanced accuracy.
    Equalized odds has two statistics, which thresholds alone cannot equalise; their mean
    is used.

    References
    ----------
    .. [1] M. Hardt, E. Price, N. Srebro, "Equality of Opportunity in Supervised
       Learning", NeurIPS 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.metrics import group_thresholds
    >>> y, groups = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    >>> score = np.array([0.1, 0.3, 0.6, 0.8])
    >>> group_thresholds(y, score, groups, "statistical_parity")
    array([0.2, 0.7])
    """
    constraint = get_constraint(constraint)
    y_true, groups = np.asarray(y_true), np.asarray(groups)
    score = np.asarray(score, dtype=np.float64)
    n_groups = int(groups.max()) + 1 if n_groups is None else n_groups
    common = threshold_curve(y_true, score, groups, constraint, n_groups)
    start = common.thresholds[common.balanced_accuracy.argmax()]

    cuts, hits = [], 0.0
    for group in range(n_groups):
        rows = groups == group
        thresholds = _cut_offs(np.sort(score[rows]), 1000)
        alone = np.zeros(rows.sum(), dtype=np.int64)
        rates, counts = _rates_at(thresholds, y_true[rows], score[rows], alone, 1)
        values = constraint.statistics(rates, counts)[:, 0].mean(-1)
        natural = values[np.searchsorted(thresholds, start)]
        chosen = _nearest(values, np.clip(natural, LEVELS - gap / 2, LEVELS + gap / 2))
        cuts.append(thresholds[chosen])
        hits = hits + rates[chosen, 0] * counts[0]
    positives = np.sum(y_true == 1)
    accuracy = hits[:, 1] / positives - hits[:, 0] / (len(y_true) - positives)
    return np.stack(cuts)[:, accuracy.argmax()]


def _nearest(falling, targets):
    """Index of the value nearest to each target, in values that fall."""
    above = len(falling) - np.searchsorted(falling[::-1], targets, side="left") - 1
    above = above.clip(0)
    below = (above + 1).clip(max=len(falling) - 1)
    closer = np.abs(falling[below] - targets) < np.abs(falling[above] - targets)
    return np.where(closer, below, above)
