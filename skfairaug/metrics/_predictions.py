"""What a classifier says on rows: scores and labels, told apart from what it cannot say."""

import numpy as np

from skfairaug._inputs._checks import as_labels, check_same_length, encode_labels
from skfairaug._inputs._labels import greatest, output_order
from skfairaug._inputs._models import check_net, is_fitted_net, net_log_proba, unwrap


def predict_labels(estimator, X, sensitive_features, labels=None):
    """Labels that a classifier predicts, given the groups if it asks for them.

    Parameters
    ----------
    estimator : classifier or torch.nn.Module
        Fitted. If its attribute `needs_sensitive_features` is true, its ``predict``
        takes them.
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
    """
    if labels is not None and is_fitted_net(estimator):
        check_net(estimator)
        order = output_order(unwrap(estimator), labels)
        return labels[net_log_proba(estimator, X)[:, order].argmax(1)]
    if getattr(estimator, "needs_sensitive_features", False):
        return estimator.predict(X, sensitive_features=sensitive_features)
    return estimator.predict(X)


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
    elif pos_label not in classes.tolist():
        raise ValueError(f"pos_label={pos_label!r} is none of the labels {classes.tolist()}.")
    favourable = classes.tolist().index(pos_label)
    positive = y_pred == classes[favourable]
    return (codes == favourable).astype(np.int64), positive.astype(np.int64), pos_label
