"""Rates of a group of people from the counts of what was recorded and decided."""

import numpy as np

#: All functions here read counts ``n[..., y, d]``: rows whose recorded label is
#: favourable (y = 1) or not (0), and whose decision is favourable (d = 1) or not. A rate
#: of no rows is NaN, never zero.


def count_decisions(y_true, decision, sample_weight):
    """Sum the weights of rows by recorded label and decision.

    Parameters
    ----------
    y_true, decision : ndarray of shape (n_samples,), int
        0 or 1.
    sample_weight : ndarray of shape (n_samples,)
        How many rows each one stands for.

    Returns
    -------
    counts : ndarray of shape (2, 2)
        ``counts[y, d]``.
    """
    cells = np.asarray(y_true) * 2 + np.asarray(decision)
    return np.bincount(cells, weights=sample_weight, minlength=4).reshape(2, 2)


def base_rate(counts):
    """Share of rows whose recorded label is favourable."""
    return _share(counts[..., 1, :].sum(-1), counts.sum((-2, -1)))


def selection_rate(counts):
    """Share of rows decided favourably."""
    return _share(counts[..., 1].sum(-1), counts.sum((-2, -1)))


def true_positive_rate(counts):
    """Share decided favourably of those recorded as favourable."""
    return _share(counts[..., 1, 1], counts[..., 1, :].sum(-1))


def false_positive_rate(counts):
    """Share decided favourably of those recorded as unfavourable."""
    return _share(counts[..., 0, 1], counts[..., 0, :].sum(-1))


def accuracy(counts):
    """Share of decisions that agree with the record."""
    return _share(counts[..., 0, 0] + counts[..., 1, 1], counts.sum((-2, -1)))


def balanced_accuracy(counts):
    """Mean of the shares decided rightly among the favourable and the unfavourable."""
    return (true_positive_rate(counts) + 1 - false_positive_rate(counts)) / 2


MEASURES = {
    measure.__name__: measure
    for measure in (
        base_rate,
        selection_rate,
        true_positive_rate,
        false_positive_rate,
        accuracy,
        balanced_accuracy,
    )
}


def readable_groups(counts, constraint):
    """Groups with rows in every cell that a constraint reads.

    Parameters
    ----------
    counts : ndarray of shape (n_groups, 2, 2)
        Observed counts.
    constraint : Constraint
        The notion of fairness.

    Returns
    -------
    readable : ndarray of shape (n_groups,), bool
        Where its rates exist.
    """
    return ~_unread(counts.sum(-1), constraint)


def group_gap(counts, constraint):
    """Gap between groups under a constraint, NaN where a cell that it reads is empty.

    Parameters
    ----------
    counts : ndarray of shape (..., n_groups, 2, 2)
        Counts of two or more groups.
    constraint : Constraint
        The notion of fairness.

    Returns
    -------
    gap : ndarray of shape (...)
        As `Constraint.gap` has it.
    """
    rates, sizes = cell_rates(counts, constraint)
    return constraint.gap(rates, sizes)


def cell_rates(counts, constraint):
    """Rates and sizes of the (group, label) cells, as a constraint reads them.

    Parameters
    ----------
    counts : ndarray of shape (..., n_groups, 2, 2)
        Counts.
    constraint : Constraint
        The notion of fairness.

    Returns
    -------
    rates : ndarray of shape (..., n_groups, 2)
        Shares decided favourably; NaN in a group with an empty cell that is read.
    sizes : ndarray of shape (..., n_groups, 2)
        Rows of the cells.
    """
    sizes = counts.sum(-1)
    rates = counts[..., 1] / sizes.clip(1)
    rates[_unread(sizes, constraint)] = np.nan
    return rates, sizes


def _unread(sizes, constraint):
    """Groups with an empty cell among those a constraint reads."""
    if not constraint.labels:
        return sizes.sum(-1) == 0
    return (sizes[..., list(constraint.labels)] == 0).any(-1)


def _share(part, whole):
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
