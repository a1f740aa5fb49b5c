"""Phi, the score of a debiased classifier, and its expectation under sampling noise."""

import numpy as np
from scipy.special import ndtr
from sklearn.metrics import balanced_accuracy_score

from skfairaug._inputs._checks import (
    as_numbers,
    check_broadcast,
    check_caution,
    check_tolerance,
)
from skfairaug._inputs._docstrings import described_as
from skfairaug.metrics._hard import bias


@described_as(bias)
def phi_score(
    y_true,
    y_pred,
    *,
    sensitive_features,
    constraint="statistical_parity",
    tolerance=0.05,
    pos_label=None,
):
    r"""Balanced accuracy if the bias is within the tolerance, else zero.

    Parameters
    ----------
    tolerance : float, default=0.05
        Bound epsilon on the size of the bias, a difference of rates in (0, 1].

    Returns
    -------
    phi : float
        Between 0 and 1, the larger the better.

    Raises
    ------
    ValueError
        If `tolerance` is outside (0, 1], or as :func:`bias` does.

    Notes
    -----
    With balanced accuracy :math:`\rho` and bias :math:`\mu`, Eq. 1 of [1]_ is

    .. math:: \Phi = \rho \cdot 1[|\mu| < \epsilon].

    Examples
    --------
    >>> from skfairaug.metrics import phi_score
    >>> y, sex = [0, 1, 0, 1], ["f", "f", "m", "m"]
    >>> phi_score(y, [0, 1, 0, 1], sensitive_features=sex)
    1.0
    >>> phi_score(y, [0, 0, 0, 1], sensitive_features=sex)
    0.0
    """
    check_tolerance(tolerance)
    gap = bias(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        constraint=constraint,
        pos_label=pos_label,
    )
    if abs(gap) >= tolerance:
        return 0.0
    return float(balanced_accuracy_score(y_true, y_pred))


def expected_phi(balanced_accuracy, bias, standard_error, *, tolerance, caution=1.0):
    r"""Expected Phi on new data, where the bias is known up to its standard error.

    Parameters
    ----------
    balanced_accuracy, bias, standard_error : float or array-like, broadcastable
        Estimates for one or many classifiers or thresholds.
    tolerance : float
        Bound epsilon on the size of the bias, in (0, 1].
    caution : float, default=1.0
        How many times the standard error to allow for; 0 trusts the estimate and gives
        Phi itself.

    Returns
    -------
    expected : float or ndarray
        Expected Phi of each, between 0 and 1.

    Raises
    ------
    ValueError
        If an accuracy is outside [0, 1], a bias outside [-1, 1], an error below zero, one
        of them NaN, or their shapes do not fit.

    Notes
    -----
    With balanced accuracy :math:`\rho`, estimated bias :math:`\hat\mu`, standard error
    s and caution c,

    .. math:: \rho \cdot P(|b| < \epsilon), \quad b \sim N(\hat\mu, (c s)^2).

    Examples
    --------
    >>> from skfairaug.metrics import expected_phi
    >>> expected_phi(0.8, [0.0, 0.05, 0.1], 0.02, tolerance=0.05).round(3)
    array([0.79 , 0.4  , 0.005])
    >>> expected_phi(0.8, [0.0, 0.05, 0.1], 0.02, tolerance=0.05, caution=0)
    array([0.8, 0. , 0. ])
    """
    check_tolerance(tolerance)
    check_caution(caution)
    accuracy = as_numbers(balanced_accuracy, "balanced_accuracy", 0, 1)
    size = np.abs(as_numbers(bias, "bias", -1, 1))
    spread = caution * as_numbers(standard_error, "standard_error", 0)
    check_broadcast(balanced_accuracy=accuracy, bias=size, standard_error=spread)
    scale = np.where(spread > 0, spread, 1.0)
    inside = ndtr((tolerance - size) / scale) - ndtr((-tolerance - size) / scale)
    inside = np.where(spread > 0, inside, size < tolerance)
    return accuracy * inside
