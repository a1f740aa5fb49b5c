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
from skfairaug._inputs._labels import greatest, output_order
from skfairaug._inputs._models import (
    behind_steps,
    check_net,
    in_net_types,
    is_fitted_net,
    is_net,
    net_log_proba,
    predict_codes,
    unwrap,
)


def predict_labels(estimator, X, sensitive_features, labels=None):
    """Labels that a classifier predicts, given the groups if it asks for them.

    A skorch net, alone or as the last step of a Pipeline, gets the rows in its own form and
    types, and its outputs stand for the sorted labels.

    Parameters
    ----------
    estimator : classifier or torch.nn.Module
        Fitted. Its ``predict``, or that of the last step of a Pipeline, is given the groups
        if it needs them, see :func:`needs_groups`.
    X : array-like of shape (n_samples, n_features)
        Rows.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row.
    labels : ndarray of shape (n_classes,), default=None
        What a network, which numbers its outputs, calls them, of two the favourable one
        last. None asks its own ``predict``.

    Returns
    -------
    y_pred : ndarray of shape (n_samples,)
        Labels.

    Raises
    ------
    TypeError
        If `estimator` is no classifier.
    """
    if isinstance(estimator, type) or not (
        hasattr(estimator, "predict") or is_fitted_net(estimator)
    ):
        raise TypeError(
            f"estimator must be a fitted classifier, with predict; got {estimator!r}."
        )
    X = collected(X)
    if is_fitted_net(estimator):
        check_net(estimator)
        if labels is None:
            return predict_codes(unwrap(estimator), behind_steps(estimator, X))
        log_proba, core = net_log_proba(estimator, X), unwrap(estimator)
        if log_proba.shape[1] == len(labels):
            return labels[log_proba[:, output_order(core, labels)].argmax(1)]
        known = getattr(core, "classes_", np.arange(log_proba.shape[1]))
        return np.asarray(known)[log_proba.argmax(1)]  # of which these rows show a few
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


def label_order(y, pos_label=None):
    """The distinct labels of `y`, `pos_label` or else the greatest one last."""
    _, classes = encode_labels(y, "y")
    last = greatest(y, classes) if pos_label is None else pos_label
    return np.array([*classes[classes != last], *classes[classes == last]], classes.dtype)


def encode_decisions(y_true, y_pred, pos_label=None):
    """Recorded and predicted labels as 1 for the favourable one and 0 for any other.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels and predictions.
    pos_label : label, default=None
        The favourable label. None: the larger of two, or the last of an ordered categorical.

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
        pos_label = greatest(y_true, classes)
    elif not is_label(pos_label) or pos_label not in classes.tolist():
        raise ValueError(f"pos_label={pos_label!r} is none of the labels {classes.tolist()}.")
    favourable = classes.tolist().index(pos_label)
    positive = y_pred == classes[favourable]
    return (codes == favourable).astype(np.int64), positive.astype(np.int64), pos_label
