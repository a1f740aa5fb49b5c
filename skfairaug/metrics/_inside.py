"""How surely all groups lie within a tolerance of each other, on rows not seen yet."""

import numpy as np
from scipy.special import ndtr

from skfairaug._inputs._checks import (
    as_numbers,
    check_broadcast,
    check_caution,
    check_tolerance,
)

#: Nodes of the quadrature over the smallest group's statistic, in its standard errors.
NODES = np.linspace(-5.0, 5.0, 101)
DENSITY = np.exp(-(NODES**2) / 2)
DENSITY /= DENSITY.sum()


def probability_inside(statistics, errors, *, tolerance, caution=1.0):
    r"""Probability that the largest gap of any two groups is below the tolerance.

    Parameters
    ----------
    statistics, errors : array-like of shape (..., n_groups, n_statistics)
        Estimate and standard error of every group's statistic, such as its selection
        rate; groups and statistics are independent. With several statistics all gaps have
        to be below.
    tolerance : float
        Bound on the gap, in (0, 1].
    caution : float, default=1.0
        What errors are multiplied by; 0 trusts the estimates.

    Returns
    -------
    probability : ndarray of shape (...)
        Between 0 and 1.

    Raises
    ------
    ValueError
        If a statistic is NaN, an error NaN or below zero, shapes do not fit or there are
        fewer than two groups.

    Notes
    -----
    With independent :math:`b_a \sim N(\hat b_a, (c s_a)^2)` of groups a,

    .. math::
        P(\max_a b_a - \min_a b_a < \epsilon) = \sum_a \int \varphi_a(v)
        \prod_{a' \ne a} \left[\Phi_{a'}(v + \epsilon) - \Phi_{a'}(v)\right] dv,

    a being the group with the smallest statistic. For two groups it is
    :math:`P(|b_0 - b_1| < \epsilon)` of one normal variable. The error of the two extreme
    groups alone would be too sure: with many groups another pair may be outside.

    Examples
    --------
    >>> from skfairaug.metrics import probability_inside
    >>> rates, errors = [[0.30], [0.32], [0.31], [0.31]], [[0.01]] * 4
    >>> float(probability_inside(rates[:2], errors[:2], tolerance=0.05).round(3))
    0.983
    >>> float(probability_inside(rates, errors, tolerance=0.05).round(3))
    0.976
    """
    check_tolerance(tolerance)
    check_caution(caution)
    values = as_numbers(statistics, "statistics")
    spread = caution * as_numbers(errors, "errors", 0)
    check_broadcast(statistics=values, errors=spread)
    values, spread = np.broadcast_arrays(values, spread)
    if values.ndim < 2 or values.shape[-2] < 2 or values.shape[-1] < 1:
        raise ValueError(
            "statistics must have shape (..., n_groups, n_statistics), of two groups or more; "
            f"got {values.shape}."
        )
    if values.shape[-2] == 2:
        gap = values[..., 0, :] - values[..., 1, :]
        inside = _within(gap, np.hypot(spread[..., 0, :], spread[..., 1, :]), tolerance)
    else:
        inside = _range_within(values, spread, tolerance)
    return inside.prod(-1)


def _within(gap, spread, tolerance):
    """P(\\|b\\| < tolerance) of normal variables, which may have no spread."""
    scale = np.where(spread > 0, spread, 1.0)
    inside = ndtr((tolerance - gap) / scale) - ndtr((-tolerance - gap) / scale)
    return np.where(spread > 0, inside, np.abs(gap) < tolerance)


def _range_within(values, spread, tolerance):
    """P(range of the groups < tolerance), by quadrature; shape (..., n_statistics)."""
    scale = np.maximum(spread, 1e-9)
    total = 0.0
    for smallest in range(values.shape[-2]):
        nodes = values[..., [smallest], :, None] + scale[..., [smallest], :, None] * NODES
        others = np.delete(np.arange(values.shape[-2]), smallest)
        mean, sigma = values[..., others, :, None], scale[..., others, :, None]
        between = ndtr((nodes + tolerance - mean) / sigma) - ndtr((nodes - mean) / sigma)
        total = total + (between.prod(-3) * DENSITY).sum(-1)
    return np.clip(total, 0.0, 1.0)
