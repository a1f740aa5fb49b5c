"""How sure the numbers are: bootstrap and permutations, drawn as counts, never as rows."""

import numpy as np

from skfairaug.auditing._measures import group_gap


def bootstrap_counts(counts, n_resamples, rng):
    r"""Draw bootstrap samples of the rows behind a table of counts.

    Parameters
    ----------
    counts : ndarray of any shape, int
        Rows in each cell.
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
    draws = rng.multinomial(total, counts.ravel() / total, size=n_resamples)
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
