"""What a classifier says on rows: scores and labels, told apart from what it cannot say."""

import inspect
from contextlib import nullcontext

import numpy as np
from sklearn import config_context
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from skfairaug._inputs._checks import as_labels, check_same_length, encode_labels, is_label
from skfairaug._inputs._given import collected
from skfairaug._inputs._models import in_net_types, is_net, predict_codes, unwrap


def predict_labels(estimator, X, sensitive_features, y=None):
    """Labels that a classifier predicts, given the groups if it asks for them.

    A skorch net, alone or as the last step of a Pipeline, gets the rows in its own form and
    types, and its outputs stand for the sorted labels.

    Parameters
    ----------
    estimator : classifier
        Fitted. Its ``predict``, or that of the last step of a Pipeline, is given the groups
        if it needs them, see :func:`needs_groups`.
    X : array-like of shape (n_samples, n_features)
        Rows.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row.
    y : array-like of shape (n_samples,), default=None
        Recorded labels. A skorch net says the numbers of classes, which these name; None
        takes what it says.

    Returns
    -------
    y_pred : ndarray of shape (n_samples,)
        Labels.

    Raises
    ------
    TypeError
        If `estimator` is no classifier.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise TypeError(
            f"estimator must be a fitted classifier, with predict; got {estimator!r}."
        )
    X = collected(X)
    net = innermost(estimator)
    if is_net(net):
        codes = predict_codes(net, _given_to_net(estimator, X))
        classes = None if y is None else encode_labels(y)[1]
        return codes if y is None else _named(codes, getattr(net, "classes_", None), classes)
    needed = {"sensitive_features": sensitive_features} if needs_groups(estimator) else {}
    with handing_on(estimator, "predict"):
        return estimator.predict(X, **needed)


def innermost(model):
    """What predicts in the end: behind the steps of a Pipeline, inside what is frozen."""
    while isinstance(model, Pipeline | FrozenEstimator):
        model = model.steps[-1][1] if isinstance(model, Pipeline) else model.estimator
    return model


def needs_groups(model):
    """Whether ``predict`` must be told the groups.

    Parameters
    ----------
    model : classifier
        Of a Pipeline the last step counts. It says so by its attribute
        `needs_sensitive_features`, or its ``predict`` has the argument
        `sensitive_features` without a default, as those of fairlearn.

    Returns
    -------
    needed : bool
        Whether it must.
    """
    model = innermost(model)
    told = getattr(model, "needs_sensitive_features", None)
    if told is not None:
        return bool(told)
    argument = inspect.signature(model.predict).parameters.get("sensitive_features")
    return argument is not None and argument.default is argument.empty


def routes_groups(model, method):
    """Whether metadata routing takes the groups to what a method calls."""
    return bool(get_routing_for_object(model).consumes(method, {"sensitive_features"}))


def handing_on(model, method):
    """Context where a Pipeline hands groups to its last step, also if nobody routed them."""
    if isinstance(model, Pipeline) and not routes_groups(model, method):
        return config_context(enable_metadata_routing=False)
    return nullcontext()


def _given_to_net(estimator, X):
    """Rows as the steps before a net hand them on to it."""
    while isinstance(estimator, Pipeline | FrozenEstimator):
        if isinstance(estimator, Pipeline):
            X, estimator = estimator[:-1].transform(X), estimator.steps[-1][1]
        else:
            estimator = estimator.estimator
    return X


def predict_score(estimator, X):
    """Score of the larger of two classes: its probability, else the decision function.

    Parameters
    ----------
    estimator : classifier
        Fitted, of two classes.
    X : array-like of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        The larger, the more likely.

    Raises
    ------
    ValueError
        If it has neither method, or more classes.
    """
    name = type(estimator).__name__
    X = collected(X)
    if is_net(estimator):
        X = in_net_types(unwrap(estimator), X)
    if hasattr(estimator, "predict_proba"):
        score = np.asarray(estimator.predict_proba(X))
        if score.ndim == 2 and score.shape[1] == 2:
            return score[:, 1]
    elif hasattr(estimator, "decision_function"):
        score = np.asarray(estimator.decision_function(X))
        if score.ndim == 1:
            return score
    else:
        raise ValueError(
            f"{name} has neither predict_proba nor decision_function: without a score there "
            "are no cut-offs."
        )
    raise ValueError(f"{name} gave scores of shape {score.shape}; two classes are expected.")


def _named(codes, known, classes):
    """Labels of the classes that a net predicts by number, if they are not these numbers."""
    codes = np.asarray(codes)
    known = np.arange(len(classes)) if known is None else np.asarray(known)
    numbers = codes.ndim == 1 and codes.dtype.kind in "iu" and codes.max(initial=0) < len(known)
    if (
        set(classes.tolist()) <= set(known.tolist())
        or len(known) != len(classes)
        or not numbers
    ):
        return codes  # where they are no labels, whoever compares them says so
    return classes[codes]


def encode_decisions(y_true, y_pred, pos_label=None):
    """Recorded and predicted labels as 1 for the favourable one and 0 for any other.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels and predictions.
    pos_label : label, default=None
        The favourable label. None: the larger of two.

    Returns
    -------
    y_true, y_pred : ndarray of shape (n_samples,), int64
        Codes.
    favourable : label
        What 1 stands for.

    Raises
    ------
    ValueError
        If a prediction is no label of `y_true`, lengths differ, `pos_label` is no
        label, or it is None and there are more than two.
    """
    codes, classes = encode_labels(y_true, "y_true")
    y_pred = as_labels(y_pred, "y_pred")
    check_same_length(y_true=codes, y_pred=y_pred)
    unknown = sorted(set(y_pred.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise ValueError(
            f"The predictions hold {unknown[:5]}, but the labels are {classes.tolist()}; both "
            "must be of one kind."
        )
    if pos_label is None:
        if len(classes) > 2:
            raise ValueError(
                f"The labels are {classes.tolist()}: with more than two, pass pos_label to "
                "say which one is favourable."
            )
        pos_label = classes[-1]
    elif not is_label(pos_label) or pos_label not in classes.tolist():
        raise ValueError(f"pos_label={pos_label!r} is none of the labels {classes.tolist()}.")
    favourable = classes.tolist().index(pos_label)
    positive = y_pred == classes[favourable]
    return (codes == favourable).astype(np.int64), positive.astype(np.int64), pos_label
