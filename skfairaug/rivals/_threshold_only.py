"""Move the cut-off of a trained classifier, and nothing else: the floor of any comparison."""

from numbers import Real

import numpy as np

from skfairaug._engine._classifier_holder import BoundsBias
from skfairaug._engine._decisions import DecidesByScore
from skfairaug._engine._estimator import LARGEST
from skfairaug._engine._parameters import parameters
from skfairaug._engine._post_processor import PostProcessor
from skfairaug._engine._scores import log_odds
from skfairaug._inputs._intervals import Interval
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._threshold import choose_threshold, threshold_curve

#: Expected Phi given up for a smaller bias. The top of the curve is flat, about as wide as
#: the standard error of a balanced accuracy on ten thousand rows; its middle is safest.
SLACK = 0.005


@parameters
class ThresholdOnly(DecidesByScore, BoundsBias, PostProcessor):
    """Choose the cut-off on the score of a classifier by expected Phi.

    The classifier stays as it is. What this reaches is what any method has to beat; on
    four of the five settings of [1]_ it nearly equals what is published.

    Parameters
    ----------
    constraint : str, default="statistical_parity"
        Bias measure, see `skfairaug.metrics.CONSTRAINTS`. None sets no bound: the
        cut-off of the largest balanced accuracy.
    caution : float, default=1.0
        Standard errors of the bias to allow for, see
        :func:`~skfairaug.metrics.expected_phi`.

    Attributes
    ----------
    threshold_ : float
        Cut-off on the log-odds of its probability, or on its decision function.
    balanced_accuracy_ : float
        Balanced accuracy on the rows that chose the cut-off.
    bias_ : float
        Signed bias there; with `constraint` None, statistical parity.

    See Also
    --------
    skfairaug.rivals.ThresholdOptimizer : A cut-off for each group, which has to be
        known to predict.
    sklearn.model_selection.TunedThresholdClassifierCV : Without groups.

    References
    ----------
    .. [1] Y. Zhang et al., "Toward Unified Data and Algorithm Fairness via Adversarial Data
       Augmentation and Adaptive Model Fine-tuning", ICDM 2022.

    Examples
    --------
    >>> from skfairaug.rivals import ThresholdOnly
    >>> fair = ThresholdOnly(biased, tolerance=0.1)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> abs(fair.bias_) < 0.1
    True
    """

    constraint: str | None = "statistical_parity"
    caution: float = 1.0

    _any_rows = True

    _parameter_constraints = {
        "caution": [Interval(Real, 0, None, closed="left")],
    }

    def _check_goal(self):
        if self.constraint is not None:
            super()._check_goal()

    def _check_cells(self, y, groups):
        constraint = get_constraint(self.constraint or "statistical_parity")
        constraint.check(y, groups.codes, self._labels, groups.names)

    def _debias(self, rows):
        score = log_odds(*self._favourable_score(rows.X))
        curve = threshold_curve(
            rows.y,
            score,
            rows.groups.codes,
            self.constraint or "statistical_parity",
            len(rows.groups.names),
        )
        if self.constraint is None:
            i = int(curve.balanced_accuracy.argmax())
        else:
            i = choose_threshold(
                curve,
                tolerance=self.tolerance,
                caution=self.caution,
                slack=SLACK if self.caution else 0.0,
            )
        self.threshold_ = float(np.clip(curve.thresholds[i], -LARGEST, LARGEST))
        self.balanced_accuracy_ = float(curve.balanced_accuracy[i])
        self.bias_ = float(curve.bias[i])

    def _scores(self, X):
        X = self._checked(X)  # before `estimator_` is read, which fit makes
        return log_odds(*self._favourable_score(X)) - self.threshold_
