"""fairlearn's CorrelationRemover: a linear model of what no column tells of the group."""

from numbers import Real

import numpy as np
from fairlearn import preprocessing

from skfairaug._engine._parameters import parameters
from skfairaug._inputs._intervals import Interval
from skfairaug.rivals._in_processing import InProcessor, balanced_weights
from skfairaug.rivals._known_groups import NeedsGroups


@parameters
class CorrelationRemover(NeedsGroups, InProcessor):
    """A classifier on columns without linear correlation with the group.

    fairlearn's CorrelationRemover subtracts from every column what the group predicts of
    it; it does so for rows to be predicted too, so their group must be known.

    Parameters
    ----------
    alpha : float, default=1.0
        Share of the correlation that is removed, in [0, 1].

    Attributes
    ----------
    remover_ : fairlearn.preprocessing.CorrelationRemover
        Fitted on the columns and the group.
    estimator_ : classifier
        Fitted on what it gives, classes weighing the same.

    Notes
    -----
    There is neither a constraint nor a tolerance: what bias is left is left.

    Examples
    --------
    >>> from skfairaug.rivals import CorrelationRemover
    >>> fair = CorrelationRemover().fit(X, y, sensitive_features=group)
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    alpha: float = 1.0

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, 1, closed="both")],
    }

    def _fit(self, rows):
        classifier = self._weighable()
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
