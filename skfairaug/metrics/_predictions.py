"""What a classifier says on rows: scores and labels, told apart from what it cannot say."""

import numpy as np
from sklearn.pipeline import Pipeline

from skfairaug._inputs._checks import as_labels, check_same_length, encode_labels
from skfairaug._inputs._given import collected
from skfairaug._inputs._models import in_net_types, is_net, predict_codes, unwrap


def predict_labels(estimator, X, sensitive_features, y=None):
    """Labels that a classifier predicts, given the groups if it asks for them.

    A skorch net, alone or as the last step of a Pipeline, gets the rows in its own form and
    types, and its outputs stand for the sorted labels.

    Parameters
    ----------
    estimator : classifier
        Fitted. If its attribute `needs_sensitive_features` is true, its ``predict``
        takes them.
    X : array-like of shape (n_samples, n_features)
        Rows.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row.
    y : array-like of shape (n_samples,), default=None
        Labels, which say what the outputs of a net stand for. None: their numbers.

    Returns
    -------
    y_pred : ndarray of shape (n_samples,)
        Labels.
    """
    X = collected(X)
    if isinstance(estimator, Pipeline) and is_net(estimator[-1]):
        X, estimator = estimator[:-1].transform(X), estimator[-1]
    if is_net(estimator):
        codes = predict_codes(unwrap(estimator), X)
        return codes if y is None else _labels_of_codes(codes, y)
    if getattr(estimator, "needs_sensitive_features", False):
        return estimator.predict(X, sensitive_features=sensitive_features)
    return estimator.predict(X)


def _labels_of_codes(codes, y):
    """Labels that numbers of outputs stand for: themselves, where `y` holds such numbers."""
    _, classes = encode_labels(y)
    if np.isin(codes, classes).all():
        return codes
    if codes.max() >= len(classes):
        raise ValueError(
            f"the net predicts class number {codes.max()}, counted from 0, but y holds "
            f"{len(classes)} labels, {classes.tolist()}."
        )
    return classes[codes]


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
    elif pos_label not in classes.tolist():
        raise ValueError(f"pos_label={pos_label!r} is none of the labels {classes.tolist()}.")
    favourable = classes.tolist().index(pos_label)
    positive = y_pred == classes[favourable]
    return (codes == favourable).astype(np.int64), positive.astype(np.int64), pos_label
