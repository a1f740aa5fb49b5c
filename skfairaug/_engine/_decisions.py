"""How classifiers answer: labels, class probabilities, scores; documented once for all."""

import numpy as np
from scipy.special import expit, softmax

from skfairaug._inputs._docstrings import described_as
from skfairaug._inputs._labels import in_class_order


class PredictsLabels:
    """Mixin of the classifiers that label rows whose groups nobody tells.

    A subclass implements ``_predict(X)``.
    """

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows. No sensitive feature is needed.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.
        """
        return self._predict(X)


class PredictsProbabilities:
    """Mixin of the classifiers that give probabilities of rows whose groups nobody tells.

    A subclass implements ``_proba(X)``, a column for each of `_labels`, of which the
    favourable one is the last.
    """

    @described_as(PredictsLabels.predict)
    def predict_proba(self, X):
        """Class probabilities.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Rows sum to one. Where the classifier chose a cut-off they are shifted, so that
            0.5 is the cut-off and `predict` is their argmax.
        """
        return in_class_order(self._proba(X), self._labels)


class DecidesByScore(PredictsProbabilities, PredictsLabels):
    """Mixin of the classifiers whose labels and probabilities follow from a score.

    A subclass implements ``_scores(X)``: of two classes one score a row, whose sign
    decides; of several a score for each class, the largest of which decides.
    """

    @described_as(PredictsLabels.predict)
    def decision_function(self, X):
        """Score of the second class, less the cut-off.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of two classes on the scale of log-odds, or of the classifier's own decision
            function: positive where `predict` gives the second of `classes_`, which is
            the favourable one unless `pos_label` is the first. Of several classes a score
            for each, on the scale of log-probabilities.
        """
        return in_class_order(self._scores(X), self._labels)

    def _proba(self, X):
        return self._proba_of(self._scores(X))

    def _predict(self, X):
        return self._labels_of(self._scores(X))

    def _proba_of(self, scores):
        if scores.ndim == 2:
            return softmax(scores, axis=1)
        positive = expit(scores)
        return np.column_stack([1.0 - positive, positive])

    def _labels_of(self, scores):
        codes = scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)
        return self._labels[codes]
