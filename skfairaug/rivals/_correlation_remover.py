"""fairlearn's CorrelationRemover: a linear model of what no column tells of the group."""

from numbers import Real

import numpy as np
from fairlearn import preprocessing
from sklearn.utils._param_validation import Interval

from skfairaug.rivals._meta import MetaRival, NeedsGroups, balanced_weights, check_weighted


class CorrelationRemover(NeedsGroups, MetaRival):
    """A classifier on columns without linear correlation with the group.

    fairlearn's CorrelationRemover subtracts from every column what the group predicts of
    it; it does so for rows to be predicted too, so their group must be known.

    Parameters
    ----------
    estimator : classifier, default=None
        Not fitted; takes `sample_weight` in `fit`. None is a logistic regression.
    alpha : float, default=1.0
        Share of the correlation that is removed, in [0, 1].
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Unused: nothing is drawn.

    Attributes
    ----------
    remover_ : fairlearn.preprocessing.CorrelationRemover
        Fitted on the columns and the group.
    estimator_ : classifier
        Fitted on what it gives, classes weighing the same.
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
    There is neither a constraint nor a tolerance: what bias is left is left.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.rivals import CorrelationRemover
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 300)
    >>> X = rng.normal(size=(300, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> fair = CorrelationRemover().fit(X, y, sensitive_features=group)
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "pos_label": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, alpha=1.0, pos_label=None, random_state=None):
        self.estimator = estimator
        self.alpha = alpha
        self.pos_label = pos_label
        self.random_state = random_state

    def _check_goal(self):
        pass  # there is none

    def _fit(self, rows):
        classifier = self._new_classifier()
        check_weighted(classifier)
        X = self._with_groups(rows.X, rows.groups.codes)
        n_groups = len(self.groups_) - 1
        self.remover_ = preprocessing.CorrelationRemover(
            sensitive_feature_ids=list(range(n_groups)), alpha=self.alpha
        ).fit(X)
        weights = balanced_weights(rows.y)
        X = self.remover_.transform(X)
        self.estimator_ = classifier.fit(X, rows.y, sample_weight=weights)

    def _favourable(self, X, groups):
        X = self.remover_.transform(self._with_groups(X, groups))
        return self.estimator_.predict(X) == 1

    def _with_groups(self, X, groups):
        """The columns, behind one indicator of each group but the first."""
        indicators = groups[:, None] == np.arange(1, len(self.groups_))
        return np.column_stack([indicators.astype(X.dtype), X])
