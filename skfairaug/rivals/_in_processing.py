"""What the rivals share that train a classifier on weighted rows."""

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from skfairaug._engine._classifier_holder import ClassifierHolder
from skfairaug._engine._decisions import PredictsLabels, PredictsProbabilities
from skfairaug._engine._parameters import parameters


@parameters
class InProcessor(ClassifierHolder):
    """Base of the rivals that train a classifier on weighted rows.

    Parameters
    ----------
    estimator : classifier, default=None
        Not fitted; takes `sample_weight` in `fit`. None is a logistic regression.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 300)
    >>> X = rng.normal(size=(300, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    """

    def _weighable(self):
        """A new classifier, which takes sample weights."""
        classifier = self._new_classifier()
        if not has_fit_parameter(classifier, "sample_weight"):
            raise TypeError(
                "estimator must take sample_weight in fit; "
                f"{type(classifier).__name__} does not."
            )
        return classifier


@parameters
class BlindInProcessor(PredictsProbabilities, PredictsLabels, InProcessor):
    """Base of those whose classifier needs no group to predict.

    A subclass implements ``_score(X)``, the probability of the favourable class.
    """

    def _proba(self, X):
        X = self._checked(X)
        positive = self._score(X)
        return np.column_stack([1 - positive, positive])

    def _predict(self, X):
        X = self._checked(X)  # before `_labels` is read, which fit makes
        return self._labels[self._favourable(X).astype(int)]

    def _favourable(self, X):
        return self._score(X) > 0.5


def balanced_weights(y):
    """Weight of every row, with mean one, so that both classes weigh the same."""
    return len(y) / (2 * np.bincount(y, minlength=2))[y]
