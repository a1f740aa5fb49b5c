"""How classifiers answer: labels, class probabilities, scores; documented once for all."""

import numpy as np
from scipy.special import expit, softmax

from skfairaug._inputs._docstrings import described_as


class PredictsLabels:
    """Mixin of the classifiers that label rows whose groups nobody tells.

    A subclass implements ``_labels(X)``.
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
        return self._labels(X)


class PredictsProbabilities:
    """Mixin of the classifiers that give probabilities of rows whose groups nobody tells.

    A subclass implements ``_proba(X)``.
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
        return self._proba(X)


class DecidesByScore(PredictsProbabilities, PredictsLabels):
    """Mixin of the classifiers whose labels and probabilities follow from a score.

    A subclass implements ``_scores(X)``: of two classes one score a row, whose sign
    decides; of several a score for each class, the largest of which decides.
    """

    @described_as(PredictsLabels.predict)
    def decision_function(self, X):
        """Score of the favourable class, less the cut-off.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of two classes on the scale of log-odds, or of the classifier's own decision
            function: positive where `predict` gives the favourable class. Of several
            classes a score for each, on the scale of log-probabilities.
        """
        return self._scores(X)

    def _proba(self, X):
        return self._proba_of(self.decision_function(X))

    def _labels(self, X):
        return self._labels_of(self.decision_function(X))

    def _proba_of(self, scores):
        if scores.ndim == 2:
            return softmax(scores, axis=1)
        positive = expit(scores)
        return np.column_stack([1.0 - positive, positive])

    def _labels_of(self, scores):
        codes = scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)
        return self.classes_[codes]
