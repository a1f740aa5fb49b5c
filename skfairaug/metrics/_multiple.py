"""Correction of p-values where several hypotheses are tested at once."""

import numpy as np

from skfairaug._inputs._checks import as_numbers


def holm(p_values):
    r"""Adjust p-values by Holm's step-down method.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        P-values; NaN marks what was not tested and does not count.

    Returns
    -------
    adjusted : ndarray of shape (n_tests,)
        Adjusted p-values: those below a level reject their hypotheses with at most that
        probability of a false rejection among all.

    Raises
    ------
    ValueError
        If they are not 1-D, or one is outside [0, 1].

    Notes
    -----
    With the m p-values in rising order, the adjusted ones are [1]_

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)}).

    References
    ----------
    .. [1] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure",
       Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> from skfairaug.metrics import holm
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = as_numbers(p_values, "p_values", 0, 1, missing=True)
    if p_values.ndim != 1:
        raise ValueError(f"p_values must be 1-D; got shape {p_values.shape}.")
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1) * p_values[order]
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
