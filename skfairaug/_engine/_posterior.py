"""How likely a row lies in each (label, group) cell, estimated in two factors, cross-fitted."""

import warnings

import numpy as np
from scipy.linalg import LinAlgWarning
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairaug._engine._folds import deal
from skfairaug.steps.rule import cell_posterior

#: Strengths of the group classifier's regularisation: start, factor and range of the search.
START, FACTOR, RANGE = 0.1, 10.0, (1e-3, 1e4)

#: What a strength has to improve the log-loss by, relatively, for the search to go on.
IMPROVEMENT = 1e-3

#: Least probability that a log-loss is taken of.
FLOOR = 1e-12


class CellPosterior:
    r"""Estimate of :math:`q(y, a | x) = p(y | x)\, p(a | x, y)`.

    The first factor is the biased model's own probability, calibrated; the second a
    classifier of the group on the columns, and on the label where the constraint looks at
    labels.

    Parameters
    ----------
    n_classes, n_groups : int
        How many there are.
    by_label : bool
        Whether the groups depend on the label given x.
    group_estimator : classifier or None
        Unfitted; None is a logistic regression on standardised columns, as strong as the
        log-loss of rows left out prefers.
    n_folds : int
        Parts of the rows that are left out in turn.
    seed : int
        Which rows those are, and the randomness of the group classifier.
    """

    def __init__(self, n_classes, n_groups, *, by_label, group_estimator, n_folds, seed):
        self.n_classes = n_classes
        self.n_groups = n_groups
        self.by_label = by_label
        self.group_estimator = seeded(group_estimator, seed)
        self.n_folds = n_folds
        self.seed = seed

    def fit(self, log_proba, columns, y, groups, *, labelled=None):
        """Fit both factors on all rows, and once more without each fold.

        Parameters
        ----------
        log_proba : ndarray of shape (n_samples, n_classes)
            Class log-probabilities of the biased model.
        columns : ndarray of shape (n_samples, n_columns)
            What the group is read from.
        y, groups : ndarray of shape (n_samples,), int
            Class and group of each row; a group of -1 is not known.
        labelled : ndarray of bool of shape (n_samples,), default=None
            Rows that the biased model was not trained on, which calibrate it. None: all.

        Returns
        -------
        q : ndarray of shape (n_samples, n_classes, n_groups)
            Cell posterior of every row, from models that did not see that row.
        """
        rows = np.arange(len(y))
        labelled = np.ones(len(y), dtype=bool) if labelled is None else labelled
        cells = (y * (self.n_groups + 1) + groups) * 2 + labelled
        self.fold = deal(cells, self.n_folds, self.seed)
        left_out = [self.fold == i for i in range(self.n_folds)]

        def group_factor(estimator, rows):
            rows = rows[groups[rows] >= 0]
            return estimator.fit(self._with_label(columns[rows], y[rows]), groups[rows])

        def cross_fit(estimator):
            proba = np.empty((len(y), self.n_classes, self.n_groups))
            for out in left_out:
                model = group_factor(clone(estimator), rows[~out])
                proba[out] = self._group_proba(model, columns[out])
            return proba

        known = groups >= 0

        def loss(proba):
            likelihood = proba[rows[known], y[known], groups[known]]
            return -np.log(np.maximum(likelihood, FLOOR)).mean()

        if self.group_estimator is None:
            estimator, group_proba = search(cross_fit, loss)
        else:
            estimator = self.group_estimator
            group_proba = cross_fit(estimator)
        self.log_loss = loss(group_proba)

        def class_factor(rows):
            rows = rows[labelled[rows]]
            return Calibration().fit(log_proba[rows], group_proba[rows], y[rows])

        class_proba = np.empty((len(y), self.n_classes))
        for out in left_out:
            calibration = class_factor(rows[~out])
            class_proba[out] = calibration.predict_proba(log_proba[out], group_proba[out])
        self.class_factor = class_factor(rows)
        self.group_factor = group_factor(clone(estimator), rows)
        return cell_posterior(class_proba, group_proba)

    def predict(self, log_proba, columns):
        """Cell posterior (n_samples, n_classes, n_groups) of new rows."""
        group_proba = self._group_proba(self.group_factor, columns)
        class_proba = self.class_factor.predict_proba(log_proba, group_proba)
        return cell_posterior(class_proba, group_proba)

    def _with_label(self, columns, y):
        """Columns, with the label beside them where the groups depend on it."""
        if not self.by_label:
            return columns
        labels = np.eye(self.n_classes, dtype=columns.dtype)[y][:, 1:]
        return np.concatenate([columns, labels], axis=1)

    def _group_proba(self, model, columns):
        """Probabilities (n_samples, n_classes, n_groups), zero for a group not seen."""
        proba = np.zeros((len(columns), self.n_classes, self.n_groups))
        if not self.by_label:
            proba[..., model.classes_] = model.predict_proba(columns)[:, None]
            return proba
        for label in range(self.n_classes):
            given = self._with_label(columns, np.full(len(columns), label))
            proba[:, label, model.classes_] = model.predict_proba(given)
        return proba


class Calibration:
    r"""Class probabilities of a biased model, as rows it was not trained on have them.

    Of two classes a logistic regression on the log-odds z and on :math:`\tanh(z / 2)`, which
    bends the tails; of more, on the log-probabilities. How likely the row is of each group,
    and that times z, are inputs too: a model that learned unfair labels says the same of rows
    of two groups and means another thing.
    """

    def fit(self, log_proba, group_proba, y):
        """Fit on (n, n_classes) log-probabilities and the groups' probabilities."""
        self.scale_ = max(float(_log_odds(log_proba).std()), np.finfo(np.float32).tiny)
        # Few columns, nearly collinear where a net is sure: Newton's steps converge there.
        self.model_ = LogisticRegression(C=100.0, solver="newton-cholesky")
        with warnings.catch_warnings():
            # Of a step that no Newton matrix gives it, it takes L-BFGS's, and says so.
            warnings.simplefilter("ignore", LinAlgWarning)
            self.model_.fit(self._inputs(log_proba, group_proba), y)
        return self

    def predict_proba(self, log_proba, group_proba):
        """Probabilities (n_samples, n_classes)."""
        return self.model_.predict_proba(self._inputs(log_proba, group_proba))

    def _inputs(self, log_proba, group_proba):
        odds, guess = _log_odds(log_proba), group_proba.mean(1)[:, 1:]
        bent = [np.tanh(odds / 2)] if odds.shape[1] == 1 else []
        odds = odds / self.scale_
        swayed = (odds[:, :, None] * guess[:, None]).reshape(len(odds), -1)
        return np.hstack([odds, *bent, guess, swayed])


def _log_odds(log_proba):
    """Of two classes a column of log-odds; of more, the log-probabilities."""
    if log_proba.shape[1] > 2:
        return log_softmax(log_proba, axis=1)
    return log_proba[:, 1:] - log_proba[:, :1]


def seeded(estimator, seed):
    """A clone of an estimator whose random states that are None are set, nested ones too."""
    if estimator is None:
        return None
    estimator = clone(estimator)
    unset = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if name.rsplit("__", 1)[-1] == "random_state" and value is None
    }
    return estimator.set_params(**unset)


def search(cross_fit, loss):
    """The best strength of a logistic regression, by a walk from one to the next.

    Parameters
    ----------
    cross_fit : callable
        ``cross_fit(estimator)`` gives the probabilities of rows left out.
    loss : callable
        ``loss(proba)`` is to be small.

    Returns
    -------
    estimator : classifier
        The best, unfitted.
    proba : ndarray
        Its probabilities.
    """

    def attempt(strength):
        estimator = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=1000)
        )
        proba = cross_fit(estimator)
        return loss(proba), estimator, proba

    best = attempt(START)
    for factor in (FACTOR, 1 / FACTOR):
        strength, moved = START * factor, False
        while RANGE[0] <= strength <= RANGE[1]:
            tried = attempt(strength)
            if tried[0] > best[0] * (1 - IMPROVEMENT):
                break
            best, moved, strength = tried, True, strength * factor
        if moved:
            break
    return best[1], best[2]
