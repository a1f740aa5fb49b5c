"""fairlearn's ThresholdOptimizer: a cut-off for each group."""

from numbers import Integral

import numpy as np
from fairlearn import postprocessing
from sklearn.base import BaseEstimator, ClassifierMixin

from skfairaug._engine._parameters import parameters
from skfairaug._engine._post_processor import PostProcessor
from skfairaug._inputs._intervals import Interval
from skfairaug.metrics._constraints import get_constraint
from skfairaug.rivals._known_groups import NeedsGroups
from skfairaug.rivals._margin import KeepsMargin
from skfairaug.rivals._reductions import uniform_by_row

#: Constraint -> fairlearn's name. It has no average odds: equalized odds bound them.
CONSTRAINTS = {
    "statistical_parity": "demographic_parity",
    "equal_opportunity": "true_positive_rate_parity",
    "average_odds": "equalized_odds",
    "equalized_odds": "equalized_odds",
}


class ScoreItself(ClassifierMixin, BaseEstimator):
    """A classifier for fairlearn whose one feature is the score."""

    def fit(self, X, y):
        """Nothing to learn."""
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        """The score."""
        return np.asarray(X)[:, 0]


@parameters
class ThresholdOptimizer(NeedsGroups, KeepsMargin, PostProcessor):
    """ThresholdOptimizer of fairlearn: cut-offs of each group, drawn at random if need be.

    Needs the group of every row to predict [1]_.

    Parameters
    ----------
    constraint : str, default="statistical_parity"
        Bias measure. "average_odds" is bounded by way of equalized odds, which fairlearn
        has.
    tolerance : float, default=0.05
        Bound on the gap between groups, in (0, 1]. fairlearn makes odds equal whatever
        the tolerance.
    relaxed : bool, default=True
        Whether to use the tolerance; False makes the rates equal on the rows of `fit`.
    grid_size : int, default=1000
        Points of the curves that fairlearn interpolates.
    random_state : int, RandomState instance or None, default=None
        Of the draws. They depend on the row's values alone: the same person gets the
        same label whoever else is asked about.

    Attributes
    ----------
    optimizer_ : fairlearn.postprocessing.ThresholdOptimizer
        Fitted on its scores.

    Notes
    -----
    fairlearn's objective is the mean over groups of the balanced accuracy in each, which
    is not the balanced accuracy of all.

    References
    ----------
    .. [1] Hardt, Price, Srebro, "Equality of Opportunity in Supervised Learning", NeurIPS
       2016.

    Examples
    --------
    >>> from skfairaug.rivals import ThresholdOptimizer
    >>> fair = ThresholdOptimizer(biased, random_state=0)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    _constraints = CONSTRAINTS

    relaxed: bool = True
    grid_size: int = 1000

    _parameter_constraints = {
        "relaxed": ["boolean"],
        "grid_size": [Interval(Integral, 1, None, closed="left")],
    }

    def _debias(self, rows):
        name = CONSTRAINTS[get_constraint(self.constraint).name]
        relaxed = self.relaxed and name != "equalized_odds"
        self.optimizer_ = postprocessing.ThresholdOptimizer(
            estimator=ScoreItself(),
            constraints=name,
            objective="balanced_accuracy_score",
            grid_size=self.grid_size,
            prefit=True,
            predict_method="predict",
            tol=self._aim() if relaxed else None,
        )
        score, _ = self._favourable_score(rows.X)
        codes = rows.groups.codes
        self.optimizer_.fit(score[:, None], rows.y, sensitive_features=codes)

    def _favourable(self, X, groups):
        score, _ = self._favourable_score(X)
        # Its own predict draws by position, so that a row's label depends on the others.
        share = self.optimizer_._pmf_predict(score[:, None], sensitive_features=groups)[:, 1]
        return uniform_by_row(X, self._seed) < share
