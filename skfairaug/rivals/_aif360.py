"""AIF360's pre- and post-processing behind scikit-learn's interface."""

import logging
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, StrOptions

from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._hard import bias
from skfairaug.metrics._threshold import threshold_curve
from skfairaug.rivals._meta import (
    MARGIN,
    MetaRival,
    NeedsGroups,
    PostProcessor,
    balanced_weights,
    check_scorer,
    check_two_groups,
    check_weighted,
    favourable_score,
)

#: The two groups in AIF360's terms.
GROUPS = [{"group": 0.0}], [{"group": 1.0}]

#: Constraint -> the measure that RejectOptionClassification knows by this name.
REJECT_OPTION = {
    "statistical_parity": "Statistical parity difference",
    "equal_opportunity": "Equal opportunity difference",
    "average_odds": "Average odds difference",
}


def load(name):
    """Import a module of aif360, an optional dependency."""
    try:
        with _without_offers():
            return __import__(f"aif360.{name}", fromlist=["aif360"])
    except ImportError as error:
        raise ImportError(
            'this rival needs aif360: pip install "skfairaug[rivals]".'
        ) from error


@contextmanager
def _without_offers():
    """Drop what aif360 logs on import about its optional parts; all else is logged.

    It logs by `logging.warning`, which would also give a root logger without handlers
    one that stays: hence the handler for the time of the block.
    """
    root, nothing = logging.getLogger(), logging.NullHandler()

    def keep(record):
        return "pip install 'aif360[" not in record.getMessage()

    root.addFilter(keep)
    root.addHandler(nothing)
    try:
        yield
    finally:
        root.removeHandler(nothing)
        root.removeFilter(keep)


def dataset(y, groups, score=None):
    """AIF360's BinaryLabelDataset of labels, group codes and scores."""
    made = load("datasets").BinaryLabelDataset(
        df=pd.DataFrame({"group": groups, "label": y}, dtype=np.float64),
        label_names=["label"],
        protected_attribute_names=["group"],
        favorable_label=1.0,
        unfavorable_label=0.0,
    )
    if score is not None:
        made.scores = np.asarray(score, dtype=np.float64)[:, None]
    return made


class Reweighing(MetaRival):
    r"""AIF360's Reweighing: rows weigh as if label and group were independent.

    Parameters
    ----------
    estimator : classifier, default=None
        Not fitted; takes `sample_weight` in `fit`. None is a logistic regression.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Unused: nothing is drawn.

    Attributes
    ----------
    estimator_ : classifier
        Fitted with the weights.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups, two.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Notes
    -----
    The weight of a row with label y of group a is [1]_
    :math:`P(Y = y) P(A = a) / P(Y = y, A = a)`, here over :math:`2 P(Y = y)`, so that
    both labels weigh the same. There is neither a constraint nor a tolerance: what bias
    is left is left, and :class:`~skfairaug.rivals.ThresholdOnly` around it bounds it.

    References
    ----------
    .. [1] Kamiran, Calders, "Data Preprocessing Techniques for Classification without
       Discrimination", Knowledge and Information Systems 33, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.rivals import Reweighing
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 300)
    >>> X = rng.normal(size=(300, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> fair = Reweighing().fit(X, y, sensitive_features=group)
    >>> fair.predict(X[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "pos_label": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, pos_label=None, random_state=None):
        self.estimator = estimator
        self.pos_label = pos_label
        self.random_state = random_state

    def _check_goal(self):
        pass  # there is none

    def _fit(self, rows):
        check_two_groups(rows.groups, "Reweighing")
        classifier = self._new_classifier()
        check_weighted(classifier)
        reweighing = load("algorithms.preprocessing").Reweighing(*GROUPS)
        weighted = reweighing.fit_transform(dataset(rows.y, rows.groups.codes))
        weights = weighted.instance_weights * balanced_weights(rows.y)
        self.estimator_ = classifier.fit(rows.X, rows.y, sample_weight=weights)

    def _favourable(self, X):
        return self.estimator_.predict(X) == 1

    def predict_proba(self, X):
        """Class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. No sensitive feature is needed.

        Returns
        -------
        proba : ndarray of shape (n_samples, 2)
            Rows sum to one.
        """
        X = self._checked(X)
        return self.estimator_.predict_proba(X)


class _LabelPostProcessor(NeedsGroups, PostProcessor):
    """Base of AIF360's post-processors over a classifier's probabilities."""

    def _start(self, rows):
        """Rows that debias, their scores, and the most accurate cut-off."""
        check_two_groups(rows.groups, type(self).__name__)
        if self.estimator is not None:
            check_scorer(self.estimator)
        self.estimator_, rows = self._biased(rows)
        score = self._score(rows.X)
        curve = threshold_curve(
            rows.y, score, rows.groups.codes, "statistical_parity", len(self.groups_)
        )
        cut = curve.thresholds[curve.balanced_accuracy.argmax()]
        self.threshold_ = float(np.clip(cut, 0.0, 1.0))
        return rows, score

    def _score(self, X):
        score, is_probability = favourable_score(self.estimator_, X, self._order[1])
        if not is_probability:
            raise TypeError(
                f"{type(self).__name__} needs probabilities; "
                f"{type(self.estimator_).__name__} has no predict_proba."
            )
        return score

    def _favourable(self, X, groups):
        score = self._score(X)
        predicted = dataset((score > self.threshold_).astype(int), groups, score)
        return self._process(predicted).labels.ravel() == 1

    def _process(self, predicted):
        return self.processor_.predict(predicted)


class RejectOptionClassification(_LabelPostProcessor):
    """AIF360's RejectOptionClassification: near the cut-off, the group decides.

    In a margin around the cut-off the disadvantaged group gets the favourable label and
    the other one does not [1]_. Cut-off and margin are searched for on a grid, for the
    largest balanced accuracy inside the tolerance.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba`. One that is not
        fitted is trained first; None is a logistic regression.
    constraint : str, default="statistical_parity"
        Bias measure: "statistical_parity", "equal_opportunity" or "average_odds".
    tolerance : float, default=0.05
        Bound on the gap between groups, in (0, 1].
    margin : float, default=0.2
        Share of the tolerance, in [0, 1), kept as a margin. The library goes to the
        bound itself, and new data lies beyond it half the time.
    n_thresholds : int, default=100
        Cut-offs tried.
    n_margins : int, default=50
        Margins tried for each.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that the search
        uses. The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Which rows those are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    processor_ : aif360.algorithms.postprocessing.RejectOptionClassification
        Fitted on its scores.
    threshold_ : float
        Its most accurate cut-off, from which the disadvantaged group was found.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups, two.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Notes
    -----
    AIF360 takes the user's word for which group is the unprivileged one and gains
    nothing if that group has the higher rate. Here it is the group with the lower value
    of the measure at the most accurate cut-off.

    References
    ----------
    .. [1] Kamiran, Karim, Zhang, "Decision Theory for Discrimination-Aware
       Classification", ICDM 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.rivals import RejectOptionClassification
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 300)
    >>> X = rng.normal(size=(300, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> fair = RejectOptionClassification(n_thresholds=5, n_margins=3, random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    _constraints = REJECT_OPTION

    _parameter_constraints: dict = {
        **PostProcessor._parameter_constraints,
        **MARGIN,
        "n_thresholds": [Interval(Integral, 1, None, closed="left")],
        "n_margins": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator=None,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        margin=0.2,
        n_thresholds=100,
        n_margins=50,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.margin = margin
        self.n_thresholds = n_thresholds
        self.n_margins = n_margins
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _fit(self, rows):
        rows, score = self._start(rows)
        groups = rows.groups.codes
        name = get_constraint(self.constraint).name
        predicted = (score > self.threshold_).astype(int)
        gap = bias(rows.y, predicted, sensitive_features=groups, constraint=name)
        lower, higher = GROUPS if gap <= 0 else GROUPS[::-1]
        self.processor_ = load("algorithms.postprocessing").RejectOptionClassification(
            lower,
            higher,
            num_class_thresh=self.n_thresholds,
            num_ROC_margin=self.n_margins,
            metric_name=REJECT_OPTION[name],
            metric_ub=self._aim(),
            metric_lb=-self._aim(),
        )
        self.processor_.fit(dataset(rows.y, groups), dataset(predicted, groups, score))


class EqOddsPostprocessing(_LabelPostProcessor):
    """AIF360's EqOddsPostprocessing: labels are changed at random until odds are equal.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba`. One that is not
        fitted is trained first; None is a logistic regression.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Of the draws: the same rows get the same labels from one fitted estimator.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    processor_ : aif360.algorithms.postprocessing.EqOddsPostprocessing
        Fitted on its labels.
    threshold_ : float
        Cut-off of those labels, the most accurate one.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups, two.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Notes
    -----
    A linear programme finds for each group and predicted label the probability to keep
    it [1]_. It equalises the odds whatever the constraint that is wanted.

    References
    ----------
    .. [1] Hardt, Price, Srebro, "Equality of Opportunity in Supervised Learning", NeurIPS
       2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.rivals import EqOddsPostprocessing
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 300)
    >>> X = rng.normal(size=(300, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> fair = EqOddsPostprocessing(random_state=0).fit(X, y, sensitive_features=group)
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "debias_fraction": PostProcessor._parameter_constraints["debias_fraction"],
        "pos_label": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator=None, *, debias_fraction=0.25, pos_label=None, random_state=None
    ):
        self.estimator = estimator
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _check_goal(self):
        pass  # it is always the same

    def _fit(self, rows):
        rows, score = self._start(rows)
        groups = rows.groups.codes
        processors = load("algorithms.postprocessing")
        self.processor_ = processors.EqOddsPostprocessing(*GROUPS, seed=self._seed)
        predicted = dataset((score > self.threshold_).astype(int), groups)
        self.processor_.fit(dataset(rows.y, groups), predicted)

    def _favourable(self, X, groups):
        rng_state = np.random.get_state()  # AIF360 seeds the global one
        try:
            return super()._favourable(X, groups)
        finally:
            np.random.set_state(rng_state)


class CalibratedEqOddsPostprocessing(EqOddsPostprocessing):
    """AIF360's CalibratedEqOddsPostprocessing: scores are replaced at random by the base rate.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba`. One that is not
        fitted is trained first; None is a logistic regression.
    cost_constraint : {"fnr", "fpr", "weighted"}, default="weighted"
        Error rate that becomes equal.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Of the draws: the same rows get the same labels from one fitted estimator.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    processor_ : aif360.algorithms.postprocessing.CalibratedEqOddsPostprocessing
        Fitted on its scores.
    threshold_ : float
        Most accurate cut-off of the scores, also used after they were changed.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups, two.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Notes
    -----
    It keeps the scores calibrated in each group and equalises one error rate [1]_, which
    is none of the constraints of this library: do not expect it to bound them.

    References
    ----------
    .. [1] Pleiss, Raghavan, Wu, Kleinberg, Weinberger, "On Fairness and Calibration",
       NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.rivals import CalibratedEqOddsPostprocessing
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 300)
    >>> X = rng.normal(size=(300, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> fair = CalibratedEqOddsPostprocessing(random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        **EqOddsPostprocessing._parameter_constraints,
        "cost_constraint": [StrOptions({"fnr", "fpr", "weighted"})],
    }

    def __init__(
        self,
        estimator=None,
        *,
        cost_constraint="weighted",
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        super().__init__(
            estimator,
            debias_fraction=debias_fraction,
            pos_label=pos_label,
            random_state=random_state,
        )
        self.cost_constraint = cost_constraint

    def _fit(self, rows):
        rows, score = self._start(rows)
        groups = rows.groups.codes
        processors = load("algorithms.postprocessing")
        self.processor_ = processors.CalibratedEqOddsPostprocessing(
            *GROUPS, cost_constraint=self.cost_constraint, seed=self._seed
        )
        predicted = dataset((score > self.threshold_).astype(int), groups, score)
        self.processor_.fit(dataset(rows.y, groups), predicted)

    def _process(self, predicted):
        return self.processor_.predict(predicted, threshold=self.threshold_)
