"""Move the cut-off of a trained classifier, and nothing else: the floor of any comparison."""

from numbers import Real

import numpy as np
from scipy.special import expit
from sklearn.utils._param_validation import Interval

from skfairaug._engine._estimator import LARGEST
from skfairaug._inputs._labels import in_class_order
from skfairaug.metrics._threshold import choose_threshold, threshold_curve
from skfairaug.rivals._meta import PostProcessor, check_scorer, favourable_score, log_odds

#: Expected Phi given up for a smaller bias. The top of the curve is flat, about as wide as
#: the standard error of a balanced accuracy on ten thousand rows; its middle is safest.
SLACK = 0.005


class ThresholdOnly(PostProcessor):
    """Choose the cut-off on the score of a classifier by expected Phi.

    The classifier stays as it is. What this reaches is what any method has to beat; on
    four of the five settings of [1]_ it nearly equals what is published.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba` or
        `decision_function`. One that is not fitted is trained first, on rows that do
        not choose the cut-off; None is a logistic regression.
    constraint : str, default="statistical_parity"
        Bias measure, see `skfairaug.metrics.CONSTRAINTS`. None sets no bound: the
        cut-off of the largest balanced accuracy.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    caution : float, default=1.0
        Standard errors of the bias to allow for, see
        :func:`~skfairaug.metrics.expected_phi`.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that choose the
        cut-off. The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Which rows those are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    threshold_ : float
        Cut-off on the log-odds of its probability, or on its decision function.
    balanced_accuracy_ : float
        Balanced accuracy on the rows that chose the cut-off.
    bias_ : float
        Signed bias there; with `constraint` None, statistical parity.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    See Also
    --------
    skfairaug.rivals.ThresholdOptimizer : A cut-off for each group, which has to be
        known to predict.
    sklearn.model_selection.TunedThresholdClassifierCV : Without groups.

    References
    ----------
    .. [1] Zhang, Bao, Pei, Huang, "Toward Unified Data and Algorithm Fairness via
       Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug.rivals import ThresholdOnly
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> biased = LogisticRegression().fit(X[:300], y[:300])
    >>> fair = ThresholdOnly(biased, tolerance=0.1)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.1
    True
    """

    _parameter_constraints: dict = {
        **PostProcessor._parameter_constraints,
        "caution": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        estimator=None,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _check_goal(self):
        if self.constraint is not None:
            super()._check_goal()

    def _fit(self, rows):
        if self.estimator is not None:
            check_scorer(self.estimator)
        self.estimator_, rows = self._biased(rows)
        score = log_odds(*favourable_score(self.estimator_, rows.X, self._order[1]))
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

    def _favourable(self, X):
        return self._margin(X) > 0

    def _margin(self, X):
        return log_odds(*favourable_score(self.estimator_, X, self._order[1])) - self.threshold_

    def decision_function(self, X):
        """Score of the favourable class less the cut-off.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. No sensitive feature is needed.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Positive where `predict` gives the second of `classes_`.
        """
        return in_class_order(self._margin(self._checked(X)), self._labels)

    def predict_proba(self, X):
        """Class probabilities, shifted so that 0.5 is the cut-off.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. No sensitive feature is needed.

        Returns
        -------
        proba : ndarray of shape (n_samples, 2)
            Rows sum to one.
        """
        positive = expit(self.decision_function(X))  # of the second of classes_
        return np.column_stack([1 - positive, positive])
