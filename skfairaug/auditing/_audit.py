"""audit: rates per group with intervals, gaps with tests, warnings, before and after."""

import datetime
from importlib.metadata import version
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions, validate_params

from skfairaug._engine._fingerprint import model_fingerprint
from skfairaug._inputs._checks import as_labels, check_same_length, check_tolerance
from skfairaug._inputs._few_rows import FEW_ROWS
from skfairaug._inputs._groups import check_same_order
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._models import is_fitted_net
from skfairaug.auditing._report import AuditReport
from skfairaug.auditing._sample import make_sample
from skfairaug.auditing._tables import (
    CORRECTIONS,
    decision_change_table,
    gap_change_table,
    gap_table,
    group_table,
    overall_table,
)
from skfairaug.auditing._warnings import find_warnings
from skfairaug.metrics._constraints import DIFFERENCES, get_constraint
from skfairaug.metrics._predictions import (
    encode_decisions,
    innermost,
    label_order,
    predict_labels,
)

NUMBERS = {
    "n_resamples": [Interval(Integral, 100, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "correction": [StrOptions(set(CORRECTIONS))],
    "min_group_size": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


@validate_params(NUMBERS, prefer_skip_nested_validation=True)
def audit(
    estimator,
    X,
    y,
    *,
    sensitive_features,
    constraint="statistical_parity",
    tolerance=0.05,
    pos_label=None,
    before=None,
    n_resamples=1000,
    confidence_level=0.95,
    correction="holm",
    min_group_size=FEW_ROWS,
    random_state=None,
):
    r"""Judge a classifier group by group, and say how sure each number is.

    Parameters
    ----------
    estimator : classifier or torch.nn.Module
        Fitted. Its ``predict`` gets the groups if it needs them: if its attribute
        `needs_sensitive_features` is true or it has no default for the argument
        `sensitive_features`, as of fairlearn's ThresholdOptimizer, alone or as the last step
        of a Pipeline. What a network numbers is called as in `y`: its last output is the
        favourable label, unless labels are numbers or the network knows its classes.
    X : array-like of shape (n_samples, n_features)
        Rows that nothing was fitted to or chosen on. For a network also a frame, of which it
        gets the numbers, a mapping of names to arrays, or a torch Dataset.
    y : array-like of shape (n_samples,)
        Recorded labels. The outputs of a network stand for them in sorted order.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row. Several columns are looked at one by one and crossed.
    constraint : str or Constraint, default="statistical_parity"
        Notion of fairness that was asked for, see `skfairaug.metrics.CONSTRAINTS`. The
        others are reported as well.
    tolerance : float, default=0.05
        Bound on the size of the gap, in (0, 1].
    pos_label : label, default=None
        The favourable decision, all others being unfavourable. None: the larger of two.
    before : classifier, torch.nn.Module or array-like of shape (n_samples,), default=None
        What it replaces, or the decisions of that: judged alike, and compared.
    n_resamples : int, default=1000
        Bootstrap samples, and permutations of each test; 100 or more.
    confidence_level : float, default=0.95
        Level of the intervals, in (0, 1).
    correction : {"holm", "fdr_bh", "none"}, default="holm"
        Correction of the p-values of all gaps: Holm's bound on any false alarm,
        Benjamini and Hochberg's on their share [1]_, or none.
    min_group_size : int, default=30
        Groups, and labels within groups, with fewer rows are warned about, as `fit` does
        below 30.
    random_state : int, RandomState instance or None, default=None
        Seed of bootstrap and permutations.

    Returns
    -------
    report : AuditReport
        Tables, warnings, and the page made of them.

    Raises
    ------
    ValueError
        If an argument is not as described, predictions are no labels of `y`, or the
        groups are as :func:`~skfairaug.metrics.bias` refuses them.
    TypeError
        If `estimator` is no classifier.

    See Also
    --------
    skfairaug.auditing.audit_predictions : The same for decisions that are already made.

    Notes
    -----
    Intervals come from bootstrap samples of the rows, drawn as multinomial cell counts
    with the rates k in n of the (group, label) cells smoothed to
    :math:`(k + 1) / (n + 2)`, as no number of hits proves a rate of 1. Those of rates,
    and of the signed gaps of two groups, are percentiles. A gap that is the largest of
    several differences, between more than two groups or for equalized odds, gets an
    interval that holds for all these differences at once,
    :math:`[\max(0, g - c), g + c]` with the quantile c of
    :math:`\max_{ij} |d^*_{ij} - d_{ij}|`: it covers the true gap about as often as the
    level says, or more often. The change from "before" to "after" is resampled with both
    models on the same rows.

    The p-value of a gap comes from permuting the groups: over all rows for statistical
    parity, within each label for the measures that read the label.

    The verdict on a gap is "within" if its whole interval lies inside the tolerance,
    "outside" if its whole interval lies outside and the corrected p-value is below one
    minus the level, and "undecided" otherwise: more rows would tell. A group whose rate
    cannot be measured is left out of that gap, with a warning; a gap with fewer than two
    groups left is "not measured".

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, "Controlling the False Discovery Rate", Journal of
       the Royal Statistical Society B 57, 1995.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug import audit
    >>> from skfairaug.datasets import make_loans
    >>> X, y, sex = make_loans(
    ...     2000, label_bias=0.5, encode="onehot", return_X_y=True, random_state=0)
    >>> model = LogisticRegression(max_iter=2000).fit(X[:1000], y[:1000])
    >>> report = audit(
    ...     model, X[1000:], y[1000:], sensitive_features=sex[1000:], random_state=0)
    >>> report.by_group["count"].to_dict()
    {('sex', 'female'): 293, ('sex', 'male'): 707}
    >>> report.gaps.loc[("sex", "statistical_parity"), "verdict"]
    'outside'
    """
    check_tolerance(tolerance)
    get_constraint(constraint)
    check_same_order(X=X, y=y, sensitive_features=sensitive_features)
    labels = label_order(y, pos_label)
    if hasattr(before, "predict") or is_fitted_net(before):
        before = predict_labels(before, X, sensitive_features, labels)
    report = audit_predictions(
        y,
        predict_labels(estimator, X, sensitive_features, labels),
        sensitive_features=sensitive_features,
        constraint=constraint,
        tolerance=tolerance,
        pos_label=pos_label,
        before=before,
        n_resamples=n_resamples,
        confidence_level=confidence_level,
        correction=correction,
        min_group_size=min_group_size,
        random_state=random_state,
    )
    report.settings["model"] = type(innermost(estimator)).__name__
    report.settings["fingerprint"] = model_fingerprint(estimator)
    return report


@validate_params(NUMBERS, prefer_skip_nested_validation=True)
def audit_predictions(
    y_true,
    y_pred,
    *,
    sensitive_features,
    constraint="statistical_parity",
    tolerance=0.05,
    pos_label=None,
    before=None,
    n_resamples=1000,
    confidence_level=0.95,
    correction="holm",
    min_group_size=FEW_ROWS,
    random_state=None,
):
    """Judge decisions that are already made, group by group.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Recorded labels.
    y_pred : array-like of shape (n_samples,)
        Decisions, labels of the same kind.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row. Several columns are looked at one by one and crossed.
    constraint : str or Constraint, default="statistical_parity"
        Notion of fairness that was asked for.
    tolerance : float, default=0.05
        Bound on the size of the gap, in (0, 1].
    pos_label : label, default=None
        The favourable decision. None: the larger of two.
    before : array-like of shape (n_samples,), default=None
        Decisions that these replace.
    n_resamples : int, default=1000
        Bootstrap samples, and permutations of each test; 100 or more.
    confidence_level : float, default=0.95
        Level of the intervals, in (0, 1).
    correction : {"holm", "fdr_bh", "none"}, default="holm"
        Correction of the p-values of all gaps.
    min_group_size : int, default=30
        Groups, and labels within groups, with fewer rows are warned about, as `fit` does
        below 30.
    random_state : int, RandomState instance or None, default=None
        Seed of bootstrap and permutations.

    Returns
    -------
    report : AuditReport
        Tables, warnings, and the page made of them.

    Raises
    ------
    ValueError
        As :func:`~skfairaug.audit` does.

    See Also
    --------
    skfairaug.audit : Asks a classifier for its decisions, and says more on the method.

    Examples
    --------
    >>> from skfairaug.auditing import audit_predictions
    >>> report = audit_predictions(
    ...     [0, 1] * 500, [0, 1, 1, 1] * 250, sensitive_features=["f", "f", "m", "m"] * 250,
    ...     constraint="equal_opportunity", random_state=0)
    >>> report.gaps["gap"].round(2).to_dict()[("group", "average_odds")]
    -0.5
    >>> report.verdict
    'within'
    """
    check_tolerance(tolerance)
    notions = _notions(get_constraint(constraint))
    y, after, favourable = encode_decisions(y_true, y_pred, pos_label)
    if before is not None:
        before = as_labels(before, "before")
        check_same_length(y_true=y, before=before)
        _, before, _ = encode_decisions(y_true, before, favourable)
    rng = _generator(random_state)
    sample = make_sample(y, before, after, sensitive_features, n_resamples, rng)
    settings = {
        "constraint": notions[0].name,
        "tolerance": float(tolerance),
        "favourable": str(favourable),
        "n_samples": len(y),
        "features": list(sample.groupings),
        "n_resamples": n_resamples,
        "confidence_level": confidence_level,
        "correction": correction,
        "min_group_size": min_group_size,
        "random_state": random_state if isinstance(random_state, Integral) else None,
        "model": None,
        "fingerprint": None,
        "date": datetime.date.today().isoformat(),
        "version": version("skfairaug"),
    }
    report = _judge(sample, "after", notions, settings, rng)
    if before is not None:
        report.before = _judge(sample, "before", notions, dict(settings), rng)
        report.changes = decision_change_table(sample)
        report.gaps = report.gaps.join(gap_change_table(sample, notions, confidence_level))
    return report


def _judge(sample, when, notions, settings, rng):
    """The report on one model."""
    counts = {feature: sample.of(feature, when)[0] for feature in sample.groupings}
    names = {feature: groups.names for feature, groups in sample.groupings.items()}
    return AuditReport(
        by_group=group_table(sample, when, settings, rng),
        overall=overall_table(sample, when, settings, rng),
        gaps=gap_table(sample, when, notions, settings, rng),
        warnings=find_warnings(counts, names, notions, settings),
        settings=settings,
        counts=counts,
    )


def _notions(asked):
    """The constraint asked for, then the others."""
    return [asked] + [c for name, c in DIFFERENCES.items() if name != asked.name]


def _generator(random_state):
    """A generator seeded as scikit-learn's random_state; None reads no global state."""
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
