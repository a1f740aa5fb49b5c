"""Fairness measures as scikit-learn scorers."""

from sklearn import get_config
from sklearn.metrics import make_scorer

from skfairaug._inputs._checks import check_switch, check_tolerance
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._phi import phi_score

#: What to do where the groups do not arrive.
SWITCH_ON = (
    "Call sklearn.set_config(enable_metadata_routing=True) before the scorer is made, and "
    "leave it on."
)


def make_fairness_scorer(metric, *, greater_is_better=False, absolute=True, **kwargs):
    """Make a scorer from a fairness metric.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_pred, *, sensitive_features, **kwargs) -> float``.
    greater_is_better : bool, default=False
        Whether a larger value is better. If not, the scorer's sign is flipped.
    absolute : bool, default=True
        Whether to take the size of the metric, for signed differences.
    **kwargs : additional arguments
        Passed to `metric` at every call.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sensitive_features=...)``, which requests
        `sensitive_features`.

    Raises
    ------
    RuntimeError
        If metadata routing is off. Without it scikit-learn passes scorers no groups,
        turns the failures into scores of NaN, and a search takes its first candidate.
    TypeError
        If `metric` cannot be called, or a switch is not a bool.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn import config_context
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_validate
    >>> from skfairaug.metrics import make_fairness_scorer, statistical_parity_difference
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> sex = rng.choice(["f", "m"], size=200)
    >>> y = (X[:, 0] + (sex == "m") > 0).astype(int)
    >>> with config_context(enable_metadata_routing=True):
    ...     scorer = make_fairness_scorer(statistical_parity_difference)
    ...     result = cross_validate(
    ...         LogisticRegression(), X, y, scoring={"accuracy": "accuracy", "spd": scorer},
    ...         params={"sensitive_features": sex})
    >>> bool((result["test_spd"] <= 0).all())
    True
    """
    if not callable(metric):
        raise TypeError(
            "metric must be callable, as skfairaug.metrics.bias is, with y_true, y_pred and "
            f"sensitive_features; got {metric!r}."
        )
    check_switch(greater_is_better, "greater_is_better")
    check_switch(absolute, "absolute")
    kwargs |= {"metric": metric, "absolute": absolute}
    return _scorer(greater_is_better=greater_is_better, **kwargs)


def phi_scorer(constraint="statistical_parity", tolerance=0.05, pos_label=None):
    """Make a scorer of Phi: balanced accuracy if the bias is within the tolerance.

    Parameters
    ----------
    constraint : str or Constraint, default="statistical_parity"
        The measure of bias, see `CONSTRAINTS`.
    tolerance : float, default=0.05
        Bound on the size of the bias, in (0, 1].
    pos_label : label, default=None
        The favourable label, see :func:`bias`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sensitive_features=...)``, the larger the better;
        metadata routing as in :func:`make_fairness_scorer`.

    Raises
    ------
    ValueError
        If the constraint is unknown or `tolerance` is outside (0, 1].
    RuntimeError
        If metadata routing is off.

    Examples
    --------
    >>> from sklearn import config_context
    >>> from skfairaug.metrics import phi_scorer
    >>> with config_context(enable_metadata_routing=True):
    ...     scorer = phi_scorer("average_odds", tolerance=0.1)
    """
    get_constraint(constraint)
    check_tolerance(tolerance)
    asked = {"constraint": constraint, "tolerance": tolerance, "pos_label": pos_label}
    return _scorer(metric=phi_score, **asked)


def _value(y_true, y_pred, *, metric, sensitive_features=None, absolute=False, **kwargs):
    """A metric or its size; an error with advice where the groups were not passed on."""
    if sensitive_features is None:
        raise ValueError(
            "the scorer was given no sensitive_features. Pass them to what scores, such as "
            f"cross_validate(..., params={{'sensitive_features': ...}}). {SWITCH_ON}"
        )
    value = metric(y_true, y_pred, sensitive_features=sensitive_features, **kwargs)
    return abs(value) if absolute else value


def _scorer(**kwargs):
    if not get_config()["enable_metadata_routing"]:
        raise RuntimeError(
            "scikit-learn passes a scorer no sensitive_features while metadata routing is "
            f"off. {SWITCH_ON}"
        )
    return make_scorer(_value, **kwargs).set_score_request(sensitive_features=True)
