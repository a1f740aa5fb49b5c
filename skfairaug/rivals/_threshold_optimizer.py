"""fairlearn's ThresholdOptimizer: a cut-off for each group."""

from numbers import Integral

import numpy as np
from fairlearn import postprocessing
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import Interval

from skfairaug.metrics._constraints import get_constraint
from skfairaug.rivals._meta import (
    MARGIN,
    NeedsGroups,
    PostProcessor,
    check_scorer,
    favourable_score,
)
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


class ThresholdOptimizer(NeedsGroups, PostProcessor):
    """ThresholdOptimizer of fairlearn: cut-offs of each group, drawn at random if need be.

    Needs the group of every row to predict [1]_.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba` or
        `decision_function`. One that is not fitted is trained first; None is a logistic
        regression.
    constraint : str, default="statistical_parity"
        Bias measure. "average_odds" is bounded by way of equalized odds, which fairlearn
        has.
    tolerance : float, default=0.05
        Bound on the gap between groups, in (0, 1]. fairlearn makes odds equal whatever
        the tolerance.
    margin : float, default=0.2
        Share of the tolerance, in [0, 1), kept as a margin. The library goes to the
        bound itself, and new data lies beyond it half the time.
    relaxed : bool, default=True
        Whether to use the tolerance; False makes the rates equal on the rows of `fit`.
    grid_size : int, default=1000
        Points of the curves that fairlearn interpolates.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that choose the
        cut-offs. The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Of the draws. They depend on the row's values alone: the same person gets the
        same label whoever else is asked about.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    optimizer_ : fairlearn.postprocessing.ThresholdOptimizer
        Fitted on its scores.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

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
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug.rivals import ThresholdOptimizer
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> biased = LogisticRegression().fit(X[:300], y[:300])
    >>> fair = ThresholdOptimizer(biased, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    _constraints = CONSTRAINTS

    _parameter_constraints: dict = {
        **PostProcessor._parameter_constraints,
        **MARGIN,
        "relaxed": ["boolean"],
        "grid_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator=None,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        margin=0.2,
        relaxed=True,
        grid_size=1000,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.margin = margin
        self.relaxed = relaxed
        self.grid_size = grid_size
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _fit(self, rows):
        if self.estimator is not None:
            check_scorer(self.estimator)
        self.estimator_, rows = self._biased(rows)
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
        score, _ = favourable_score(self.estimator_, rows.X, self._order[1])
        codes = rows.groups.codes
        self.optimizer_.fit(score[:, None], rows.y, sensitive_features=codes)

    def _favourable(self, X, groups):
        score, _ = favourable_score(self.estimator_, X, self._order[1])
        # Its own predict draws by position, so that a row's label depends on the others.
        share = self.optimizer_._pmf_predict(score[:, None], sensitive_features=groups)[:, 1]
        return uniform_by_row(X, self._seed) < share
