"""How many validation rows a bound on the bias asks for."""

import numpy as np

from skfairaug._inputs._checks import as_numbers, check_number, check_tolerance
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._inside import probability_inside

#: The largest number of rows that is considered.
MOST = 10**12


def rows_needed(
    shares, rates, *, constraint="statistical_parity", tolerance=0.05, probability=0.95
):
    r"""Rows of a validation set on which a bound can be shown to hold.

    Parameters
    ----------
    shares : array-like of shape (n_groups,) or (n_groups, 2)
        Share of the rows in each group; for measures that look at labels, in each group with
        label 0 and with label 1, as for "average_odds".
    rates : array-like of the same shape
        Rate of favourable decisions expected in each.
    constraint : str or Constraint, default="statistical_parity"
        Bias measure, see `CONSTRAINTS`.
    tolerance : float, default=0.05
        Bound on the size of the bias, in (0, 1].
    probability : float, default=0.95
        How surely the bias is to be inside, in (0, 1).

    Returns
    -------
    n_rows : int
        The fewest rows for which :func:`probability_inside` reaches `probability`.

    Raises
    ------
    ValueError
        If the expected rates themselves break the bound, or an argument is out of range.

    Notes
    -----
    The standard error of a rate p on n rows is :math:`\sqrt{p (1 - p) / n}`, so for two groups
    with shares :math:`\pi_a` and equal rates

    .. math:: n = \Big(\frac{z}{\epsilon}\Big)^2 \sum_a \frac{p_a (1 - p_a)}{\pi_a},

    with z the normal quantile, 1.96 for a probability of 0.95: the smallest group decides.

    Examples
    --------
    A bank whose customers under 25 are 2.8% of all, a quarter of them to be called:

    >>> from skfairaug.metrics import rows_needed
    >>> rows_needed([0.028, 0.972], [0.25, 0.25], tolerance=0.05)
    10632
    """
    constraint = get_constraint(constraint)
    check_tolerance(tolerance)
    check_number(probability, "probability", 0, 1, open_ends=True)
    shares, rates = as_numbers(shares, "shares", 0, 1), as_numbers(rates, "rates", 0, 1)
    if shares.shape != rates.shape or shares.ndim not in (1, 2) or len(shares) < 2:
        raise ValueError(
            "shares and rates must have one entry for each of two groups or more, or for each "
            f"group and label; got shapes {shares.shape} and {rates.shape}."
        )
    if shares.ndim == 1:
        if constraint.labels:
            raise ValueError(
                f"{constraint.name} looks at labels: shares and rates must have shape "
                "(n_groups, 2), of the rows with label 0 and with label 1."
            )
        shares, rates = (np.stack([one, one], -1) for one in (shares / 2, rates))
    if shares.shape[-1] != 2 or (shares <= 0).any() or shares.sum() > 1 + 1e-9:
        raise ValueError(f"shares must be above 0 and sum to 1 at most; got {shares.tolist()}.")

    def surely(n_rows):
        measured = constraint.statistics_and_errors(rates, n_rows * shares)
        return probability_inside(*measured, tolerance=tolerance) >= probability

    if not surely(MOST):
        gap = float(constraint.gap(rates, MOST * shares))
        raise ValueError(
            f"no number of rows up to {MOST:g} is enough: rates {rates.tolist()} have a bias "
            f"of {gap:+.3f}, and the tolerance is {tolerance:g}."
        )
    low, high = 1, MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if surely(middle) else (middle + 1, high)
    return low
