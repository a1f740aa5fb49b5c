"""What any fitted classifier says of a row: a score, class log-probabilities, log-odds."""

import numpy as np
import pandas as pd
from scipy.special import log_softmax, logit

from skfairaug._inputs._models import is_fitted_net, net_log_proba


def favourable_score(estimator, X, output=1):
    """Score of the favourable class, in float64, and whether it is a probability.

    Parameters
    ----------
    estimator : classifier
        Fitted, with `predict_proba` or `decision_function`.
    X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
        Rows, their columns in the order of the classifier's.
    output : int, default=1
        Which of the classifier's two outputs is that of the favourable class.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        The larger, the likelier is the favourable class.
    is_probability : bool
        Whether it lies in [0, 1].
    """
    if is_fitted_net(estimator):
        return np.exp(net_log_proba(estimator, X)[:, output]), True
    X = _as_fitted(estimator, X)
    if hasattr(estimator, "predict_proba"):
        return _proba(estimator, X)[:, output], True
    score = _decision(estimator, X)
    return score if output else -score, False


def class_log_proba(estimator, X):
    """Class log-probabilities of a fitted classifier, in float64.

    Parameters
    ----------
    estimator : classifier
        Fitted, with `predict_proba` or `decision_function`.
    X : ndarray or DataFrame of shape (n_samples, n_features) or (n_samples, ...)
        Rows, their columns in the order of the classifier's.

    Returns
    -------
    log_proba : ndarray of shape (n_samples, n_classes)
        Finite; of a decision function, as if it were log-odds or logits.
    """
    if is_fitted_net(estimator):
        return net_log_proba(estimator, X)
    X = _as_fitted(estimator, X)
    if hasattr(estimator, "predict_proba"):
        return np.log(np.clip(_proba(estimator, X), np.finfo(np.float64).eps, None))
    scores = _decision(estimator, X)
    if scores.ndim == 1:
        scores = np.stack([-scores / 2, scores / 2], axis=1)
    return log_softmax(scores, axis=1)


def log_odds(score, is_probability):
    """A score in (-inf, inf), in which a difference of zero is the cut-off."""
    if not is_probability:
        return score
    tiny = np.finfo(np.float64).eps
    return logit(np.clip(score, tiny, 1 - tiny))


def check_scorer(estimator):
    """Raise unless a classifier gives scores."""
    if not any(hasattr(estimator, name) for name in ("predict_proba", "decision_function")):
        raise TypeError(
            "estimator must be a classifier with predict_proba or decision_function; got "
            f"{type(estimator).__name__}."
        )


def _as_fitted(estimator, X):
    """Rows as a frame where the classifier was fitted on one, and asks for one."""
    if not hasattr(X, "columns") and hasattr(estimator, "feature_names_in_"):
        return pd.DataFrame(X, columns=estimator.feature_names_in_)
    return X


def _proba(estimator, X):
    return np.asarray(estimator.predict_proba(X), dtype=np.float64)


def _decision(estimator, X):
    return np.asarray(estimator.decision_function(X), dtype=np.float64)
