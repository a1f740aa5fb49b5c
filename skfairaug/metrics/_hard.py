"""Hard bias: the measures on predicted labels (Eq. 2-6)."""

import inspect
from functools import wraps

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import unique_labels

from skfairaug._inputs._checks import as_labels, check_pos_label, check_same_length
from skfairaug._inputs._docstrings import cites_paper, described_as
from skfairaug._inputs._groups import encode_groups
from skfairaug._inputs._labels import greatest
from skfairaug.metrics._cells import cell_counts, prediction_rates
from skfairaug.metrics._constraints import get_constraint


@cites_paper
def bias(
    y_true, y_pred, *, sensitive_features, constraint="statistical_parity", pos_label=None
):
    """Bias of predictions under a constraint.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels and predictions, of two or more classes.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_features)
        Groups; several columns merge into intersectional ones. In sorted order, or that
        of an ordered categorical, the first is the unprivileged group.
    constraint : str or Constraint, default="statistical_parity"
        The measure, see `CONSTRAINTS`.
    pos_label : label, default=None
        The positive label, all others being negative. None: the larger of two labels,
        or the last of an ordered categorical; with more, each class is set against the rest.

    Returns
    -------
    bias : float
        Two groups: group 0 minus group 1, signed. More groups: the largest minus the
        smallest group value. More than two classes: that of the class whose bias is
        largest in size. "equalized_odds" is never negative.

    Raises
    ------
    ValueError
        If lengths differ, a value is missing, there is one group only, the constraint
        or `pos_label` is unknown, or a cell that the measure needs has no rows; the
        message names the cell.

    Examples
    --------
    >>> from skfairaug.metrics import bias
    >>> y_true, y_pred = [0, 1, 0, 1], [0, 1, 1, 1]
    >>> sex = ["f", "f", "m", "m"]
    >>> bias(y_true, y_pred, sensitive_features=sex)
    -0.5
    >>> bias(y_true, y_pred, sensitive_features=sex, constraint="equal_opportunity")
    0.0
    """
    constraint = get_constraint(constraint)
    y_true, y_pred, names = _encode_pair(y_true, y_pred, pos_label)
    groups = encode_groups(sensitive_features, n_samples=len(y_true))
    rates, counts = _cells(constraint, y_true, y_pred, groups, names)
    if len(names) == 2:
        return float(constraint.gap(rates, counts)[0])
    return float(constraint.over_classes(constraint.class_gaps(rates, counts)))


def _bias_under(constraint):
    """Decorator: a function is `bias` under one constraint, with a docstring of its own."""

    def decorate(function):
        signature = inspect.signature(function)

        @wraps(function)
        def measure(*args, **kwargs):
            given = signature.bind(*args, **kwargs)
            return bias(*given.args, constraint=constraint, **given.kwargs)

        return described_as(bias)(measure)

    return decorate


@_bias_under("statistical_parity")
def statistical_parity_difference(y_true, y_pred, *, sensitive_features, pos_label=None):
    r"""Difference of the groups' selection rates.

    Notes
    -----
    With prediction :math:`\hat Y` and group A (0 unprivileged, 1 privileged), Eq. 4
    of [1]_:

    .. math:: P(\hat Y = 1 | A = 0) - P(\hat Y = 1 | A = 1).

    Examples
    --------
    >>> from skfairaug.metrics import statistical_parity_difference
    >>> statistical_parity_difference(
    ...     [0, 1, 0, 1], [0, 1, 1, 1], sensitive_features=["f", "f", "m", "m"])
    -0.5
    """


@_bias_under("equal_opportunity")
def equal_opportunity_difference(y_true, y_pred, *, sensitive_features, pos_label=None):
    r"""Difference of the groups' true positive rates.

    Notes
    -----
    With the true positive rate of group a,
    :math:`TPR_a = P(\hat Y = 1 | Y = 1, A = a)`, Eq. 5 of [1]_:

    .. math:: TPR_0 - TPR_1.

    Examples
    --------
    >>> from skfairaug.metrics import equal_opportunity_difference
    >>> equal_opportunity_difference(
    ...     [0, 1, 0, 1], [0, 0, 1, 1], sensitive_features=["f", "f", "m", "m"])
    -1.0
    """


@_bias_under("average_odds")
def average_odds_difference(y_true, y_pred, *, sensitive_features, pos_label=None):
    r"""Mean of the differences of false and of true positive rates.

    Returns
    -------
    difference : float
        In [-1, 1], 0 if fair (or if the two differences cancel); more groups or
        classes as in :func:`bias`.

    Notes
    -----
    With :math:`TPR_a = P(\hat Y = 1 | Y = 1, A = a)` and
    :math:`FPR_a = P(\hat Y = 1 | Y = 0, A = a)` (Eq. 2-3 of [1]_, which prints joint
    counts), Eq. 6, whose plus sign is lost in print:

    .. math:: \tfrac12 [(FPR_0 - FPR_1) + (TPR_0 - TPR_1)].

    Examples
    --------
    >>> from skfairaug.metrics import average_odds_difference
    >>> average_odds_difference(
    ...     [0, 1, 0, 1], [0, 1, 1, 1], sensitive_features=["f", "f", "m", "m"])
    -0.5
    """


@_bias_under("equalized_odds")
def equalized_odds_difference(y_true, y_pred, *, sensitive_features, pos_label=None):
    r"""Larger of the gaps of false and of true positive rates.

    Returns
    -------
    difference : float
        In [0, 1], 0 if fair; more groups or classes as in :func:`bias`.

    Notes
    -----
    With the rates of :func:`average_odds_difference`,

    .. math:: \max(|FPR_0 - FPR_1|, |TPR_0 - TPR_1|).

    Examples
    --------
    >>> from skfairaug.metrics import equalized_odds_difference
    >>> equalized_odds_difference(
    ...     [0, 1, 0, 1], [0, 1, 1, 1], sensitive_features=["f", "f", "m", "m"])
    1.0
    """


@_bias_under("bias_amplification")
def bias_amplification(y_true, y_pred, *, sensitive_features):
    r"""How far the predictions of each class lean to one group, on average.

    Parameters
    ----------
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_features)
        Groups, see :func:`bias`. Every (label, group) cell must hold a row.

    Returns
    -------
    amplification : float
        From 0, where the groups are predicted to be of each class equally often, to
        :math:`1 - 1/G` for G groups.

    Notes
    -----
    With :math:`s_{c,g}` the rate at which the rows of group g are predicted to be of class
    c, and C classes,

    .. math::
        \frac1C \sum_c \left( \frac{\max_g s_{c,g}}{\sum_g s_{c,g}} - \frac1G \right).

    For two groups with as many rows, such as an image test set in colour and in gray,
    this is the :math:`\max(G_c, C_c) / (G_c + C_c) - 1/2` of [2]_ in counts, after [1]_.
    In the rates labels count in every group as they do in all groups together,

    .. math:: s_{c,g} = \sum_y P(Y = y)\, P(\hat Y = c | Y = y, A = g),

    so that neither the sizes of the groups nor a skew of the data that judge enter: what
    is measured is the classifier. A class that is never predicted counts
    as zero. It is not signed.

    References
    ----------
    .. [1] J. Zhao et al., "Men Also Like Shopping: Reducing Gender Bias Amplification using
       Corpus-level Constraints", EMNLP 2017.
    .. [2] Z. Wang et al., "Towards Fairness in Visual Recognition: Effective Strategies for
       Bias Mitigation", CVPR 2020.

    Examples
    --------
    >>> from skfairaug.metrics import bias_amplification
    >>> group = ["colour", "colour", "gray", "gray"]
    >>> bias_amplification([0, 1, 0, 1], [0, 1, 0, 1], sensitive_features=group)
    0.0
    >>> bias_amplification([0, 1, 0, 1], [0, 0, 1, 1], sensitive_features=group)
    0.5
    """


@described_as(bias)
def bias_by_class(y_true, y_pred, *, sensitive_features, constraint="statistical_parity"):
    """Bias of each of several classes, against the rest.

    Returns
    -------
    biases : Series of shape (n_classes,)
        By class, signed as in :func:`bias`, which for more than two classes is the one
        largest in size, or their mean for "bias_amplification".

    Raises
    ------
    ValueError
        As in :func:`bias`.

    Examples
    --------
    >>> from skfairaug.metrics import bias_by_class
    >>> y_true, y_pred = ["a", "b", "c"] * 2, ["a", "b", "c", "a", "b", "a"]
    >>> bias_by_class(y_true, y_pred, sensitive_features=list("fffmmm")).round(2).to_dict()
    {'a': -0.33, 'b': 0.0, 'c': 0.33}
    """
    constraint = get_constraint(constraint)
    y_true, y_pred, names = _encode_pair(y_true, y_pred, None)
    groups = encode_groups(sensitive_features, n_samples=len(y_true))
    if len(names) > 2:
        gaps = constraint.class_gaps(*_cells(constraint, y_true, y_pred, groups, names))
    else:
        gaps = []
        for label in (0, 1):
            pair = (y_true == label).astype(np.int64), (y_pred == label).astype(np.int64)
            rates, counts = _cells(constraint, *pair, groups, ["the rest", names[label]])
            gaps.append(constraint.class_gaps(rates, counts)[0])
    return pd.Series(gaps, index=pd.Index(names, name="class"), name=constraint.name)


def _cells(constraint, y_true, y_pred, groups, names):
    """Rates and counts of the cells, all of which that the constraint reads hold rows."""
    constraint.check(y_true, groups.codes, names, groups.names)
    shape = len(names), len(groups.names)
    counts = cell_counts(y_true, groups.codes, *shape)
    mixed = constraint.mix(counts)
    return prediction_rates(y_pred, y_true, groups.codes, *shape, counts=mixed), counts


def _encode_pair(y_true, y_pred, pos_label):
    """Class codes of labels and predictions, and the names of the classes."""
    given = y_true
    y_true, y_pred = as_labels(y_true, "y_true"), as_labels(y_pred, "y_pred")
    check_same_length(y_true=y_true, y_pred=y_pred)
    try:
        classes = unique_labels(y_true, y_pred)
    except ValueError as error:
        raise ValueError(f"y_true and y_pred must hold labels of one kind: {error}") from error
    check_pos_label(pos_label, classes)
    if pos_label is None and len(classes) == 2:
        last = greatest(given, classes)
        pos_label = None if last == classes[-1] else last
    if pos_label is None:
        codes = (np.searchsorted(classes, labels) for labels in (y_true, y_pred))
        return *codes, classes.tolist()
    codes = ((labels == pos_label).astype(np.int64) for labels in (y_true, y_pred))
    return *codes, [f"not {pos_label}", pos_label]
