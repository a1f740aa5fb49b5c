"""How sure the numbers are: bootstrap and permutations, drawn as counts, never as rows."""

import numpy as np

from skfairaug.auditing._measures import cell_rates, group_gap
from skfairaug.metrics._constraints import Amplification


def smooth_counts(counts):
    r"""Counts whose rates are neither 0 nor 1, of as many rows.

    Parameters
    ----------
    counts : ndarray of shape (..., 2), int
        Rows in each cell by decision.

    Returns
    -------
    smoothed : ndarray of shape (..., 2)
        Of the same sums over the last axis.

    Notes
    -----
    A rate of k in n becomes :math:`(k + 1) / (n + 2)`, as in
    :meth:`~skfairaug.metrics.Constraint.standard_error`: thirty hits of thirty are no
    proof of a rate of 1, of which every resample would hit as well.
    """
    sizes = counts.sum(-1, keepdims=True)
    return sizes * (counts + 1) / (sizes + 2)


def bootstrap_counts(counts, n_resamples, rng):
    r"""Draw bootstrap samples of the rows behind a table of counts.

    Parameters
    ----------
    counts : ndarray of any shape
        Rows in each cell, as they are or from :func:`smooth_counts`.
    n_resamples : int
        Number of samples.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    draws : ndarray of shape (n_resamples, *counts.shape), int64
        Counts of each sample.

    Notes
    -----
    To draw n of n rows with replacement is to draw the cell counts from
    :math:`\mathrm{Multinomial}(n, c / n)`: the law is the same, and no row is touched.
    """
    total = counts.sum()
    draws = rng.multinomial(round(total), counts.ravel() / total, size=n_resamples)
    return draws.reshape(n_resamples, *counts.shape)


def interval(values, confidence_level):
    """Percentile interval over the first axis, resamples that are NaN left out.

    Parameters
    ----------
    values : ndarray of shape (n_resamples, ...)
        Resampled statistics.
    confidence_level : float
        Level, in (0, 1).

    Returns
    -------
    low, high : ndarray of shape (...)
        Ends; NaN where no resample has a number.
    """
    flat = values.reshape(len(values), -1)
    ends = np.full((2, flat.shape[1]), np.nan)
    known = ~np.isnan(flat).all(0)
    levels = (1 - confidence_level) / 2, (1 + confidence_level) / 2
    ends[:, known] = np.nanquantile(flat[:, known], levels, axis=0)
    return ends.reshape(2, *values.shape[1:])


def gap_interval(counts, draws, constraint, confidence_level):
    r"""Interval of a gap between groups.

    Parameters
    ----------
    counts : ndarray of shape (n_groups, 2, 2), int
        Observed counts.
    draws : ndarray of shape (n_resamples, n_groups, 2, 2)
        Resampled ones.
    constraint : Constraint
        The notion of fairness.
    confidence_level : float
        Level, in (0, 1).

    Returns
    -------
    low, high : float
        Ends; NaN where no resample has a number.

    Notes
    -----
    The signed difference of one rate of two groups has a percentile interval. A gap that
    is the largest of several differences d is too large on average, that of a resample
    again, so its percentiles lie too high. With the quantile c of
    :math:`\max_{ij} |d^*_{ij} - d_{ij}|` over the resamples all differences lie within c
    of the observed ones at once, and so does the largest, which is then in
    :math:`[\max(0, g - c), g + c]`.
    """
    if len(counts) == 2 and constraint.signed and len(constraint.weights) == 1:
        return interval(group_gap(draws, constraint), confidence_level)
    gap = np.abs(group_gap(counts, constraint))
    if isinstance(constraint, Amplification):  # no difference of groups' statistics
        errors = np.abs(group_gap(draws, constraint) - gap)
    else:
        drawn, observed = (
            constraint.statistics(*cell_rates(a, constraint)) for a in (draws, counts)
        )
        errors = np.ptp(drawn - observed, axis=-2).max(-1)
    reach = quantile(errors, confidence_level)
    return np.maximum(0, gap - reach), gap + reach


def change_interval(change, changes, confidence_level):
    """Interval of the change of a gap's size.

    Parameters
    ----------
    change : float
        Observed.
    changes : ndarray of shape (n_resamples,)
        Resampled.
    confidence_level : float
        Level, in (0, 1).

    Returns
    -------
    low, high : float
        As far from `change` on both sides as the resamples are from it: sizes are too
        large on average, those of resamples again, so percentiles lie on one side.
    """
    reach = quantile(np.abs(changes - change), confidence_level)
    return change - reach, change + reach


def quantile(values, level):
    """Quantile of resampled numbers, those that are NaN left out; NaN of none."""
    known = values[~np.isnan(values)]
    return np.quantile(known, level) if len(known) else np.nan


def permutation_p_value(counts, constraint, n_resamples, rng):
    r"""Test whether the decisions depend on the group, as a constraint sees it.

    Parameters
    ----------
    counts : ndarray of shape (n_groups, 2, 2), int
        Observed counts of groups that the constraint can read.
    constraint : Constraint
        The notion of fairness.
    n_resamples : int
        Number of permutations.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    p_value : float
        Chance of a gap of this size or more if the decisions were dealt out
        regardless of the group.

    Notes
    -----
    A constraint that reads no label permutes the groups over all rows; the others
    within the rows of each label they read, so that different base rates are no
    evidence. A permutation changes only how many favourable decisions each group gets,
    which is multivariate hypergeometric and drawn as such. With b of m permutations at
    least as large,

    .. math:: p = (b + 1) / (m + 1).
    """
    sizes = counts.sum(-1)
    rates = np.zeros((n_resamples, *sizes.shape))
    if constraint.labels:
        for label in constraint.labels:
            dealt = _deal(sizes[:, label], counts[:, label, 1].sum(), n_resamples, rng)
            rates[..., label] = dealt
    else:
        dealt = _deal(sizes.sum(-1), counts[..., 1].sum(), n_resamples, rng)
        rates[:] = dealt[..., None]
    gaps = np.abs(constraint.gap(rates, np.broadcast_to(sizes, rates.shape)))
    observed = abs(group_gap(counts, constraint))
    at_least = np.count_nonzero(gaps >= observed - 1e-12)
    return (at_least + 1) / (n_resamples + 1)


def _deal(sizes, favourable, n_resamples, rng):
    """Share of favourable decisions in each group, dealt at random."""
    hits = rng.multivariate_hypergeometric(sizes, favourable, n_resamples, method="marginals")
    return hits / sizes
