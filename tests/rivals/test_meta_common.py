"""scikit-learn's estimator checks on the rivals around any classifier."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfairaug import FairRule, rivals


class ByTurns:
    """Puts the rows of a label in one group and the other by turns.

    The checks pass no groups: without this all they would show is that they are asked for.
    """

    def _encode_groups(self, sensitive_features, n_samples):
        if sensitive_features is None:
            sensitive_features = self._turns
        return super()._encode_groups(sensitive_features, n_samples)

    def fit(self, X, y, *, sensitive_features=None):
        if y is not None:
            label = pd.Series(np.asarray(y).ravel())
            self._turns = (label.groupby(label).cumcount() % 2).to_numpy()
        try:
            return super().fit(X, y, sensitive_features=sensitive_features)
        finally:
            vars(self).pop("_turns", None)


class ByFirstColumn(ByTurns):
    """The same for those that need the group to predict: it is told by a column there."""

    def predict(self, X, *, sensitive_features=None):
        if sensitive_features is None and hasattr(self, "n_features_in_"):
            first = self._checked(X)[:, 0]
            sensitive_features = np.where(first > 0, *self.groups_[::-1])
        return super().predict(X, sensitive_features=sensitive_features)


def made(name, **params):
    """An instance of a test-only subclass of a rival or FairRule, quick to fit."""
    rival = FairRule if name == "FairRule" else getattr(rivals, name)
    mixin = ByFirstColumn if rival.needs_sensitive_features else ByTurns
    kind = type(name, (mixin, rival), {"__module__": __name__})
    globals()[name] = kind  # so that it can be pickled
    return kind(LogisticRegression(), **params)


BOTH_PARTS = (
    "a (label, group) cell of its ten rows has a single row; a classifier that is not fitted "
    "needs two, one to be trained on and one to be debiased with"
)
ESTIMATORS = [
    made("FairRule", tolerance=1.0, debias_fraction=0.5),
    made("ThresholdOnly", tolerance=1.0),
    made("ThresholdOptimizer", grid_size=50),
    made("ExponentiatedGradient", max_iter=1),
    made("GridSearch", grid_size=3),
    made("CorrelationRemover"),
    made("Reweighing"),
    made("RejectOptionClassification", n_thresholds=3, n_margins=2),
    made("EqOddsPostprocessing"),
    made("CalibratedEqOddsPostprocessing"),
]


def expected_failures(estimator):
    return {"check_fit2d_1feature": BOTH_PARTS} if estimator.fits_on == "validation" else {}


# Labels of some checks are noise, of which FairRule says so.
@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_sklearn_checks(estimator, check):
    check(estimator)
