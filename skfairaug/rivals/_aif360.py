"""AIF360's pre- and post-processing behind scikit-learn's interface."""

import logging
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions

from skfairaug._engine._parameters import parameters
from skfairaug._engine._post_processor import PostProcessor
from skfairaug._inputs._intervals import Interval
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._hard import bias
from skfairaug.metrics._threshold import threshold_curve
from skfairaug.rivals._in_processing import BlindInProcessor, balanced_weights
from skfairaug.rivals._known_groups import NeedsGroups, check_two_groups
from skfairaug.rivals._margin import KeepsMargin

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


@parameters
class Reweighing(BlindInProcessor):
    r"""AIF360's Reweighing: rows weigh as if label and group were independent.

    Attributes
    ----------
    estimator_ : classifier
        Fitted with the weights.
    groups_ : tuple of str
        Names of the groups, two.

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
    >>> from skfairaug.rivals import Reweighing
    >>> fair = Reweighing().fit(X, y, sensitive_features=group)
    >>> fair.predict(X[:2]).shape
    (2,)
    """

    def _fit(self, rows):
        check_two_groups(rows.groups, "Reweighing")
        classifier = self._weighable()
        reweighing = load("algorithms.preprocessing").Reweighing(*GROUPS)
        weighted = reweighing.fit_transform(dataset(rows.y, rows.groups.codes))
        weights = weighted.instance_weights * balanced_weights(rows.y)
        self.estimator_ = classifier.fit(rows.X, rows.y, sample_weight=weights)

    def _favourable(self, X):
        return self.estimator_.predict(X) == 1

    def _proba(self, X):
        X = self._checked(X)  # before `estimator_` is read, which fit makes
        return self.estimator_.predict_proba(X)


@parameters
class _LabelPostProcessor(NeedsGroups, PostProcessor):
    """Base of AIF360's post-processors over a classifier's probabilities.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba`. One that is not
        fitted is trained first; None is a logistic regression.

    Attributes
    ----------
    groups_ : tuple of str
        Names of the groups, two.
    """

    def _fit(self, rows):
        check_two_groups(rows.groups, type(self).__name__)
        super()._fit(rows)

    def _start(self, rows):
        """Scores of the rows that debias; finds their most accurate cut-off."""
        score = self._score(rows.X)
        curve = threshold_curve(
            rows.y, score, rows.groups.codes, "statistical_parity", len(self.groups_)
        )
        cut = curve.thresholds[curve.balanced_accuracy.argmax()]
        self.threshold_ = float(np.clip(cut, 0.0, 1.0))
        return score

    def _score(self, X):
        score, is_probability = self._favourable_score(X)
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


@parameters
class RejectOptionClassification(KeepsMargin, _LabelPostProcessor):
    """AIF360's RejectOptionClassification: near the cut-off, the group decides.

    In a margin around the cut-off the disadvantaged group gets the favourable label and
    the other one does not [1]_. Cut-off and margin are searched for on a grid, for the
    largest balanced accuracy inside the tolerance.

    Parameters
    ----------
    constraint : str, default="statistical_parity"
        Bias measure: "statistical_parity", "equal_opportunity" or "average_odds".
    n_thresholds : int, default=100
        Cut-offs tried.
    n_margins : int, default=50
        Margins tried for each.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that the search
        uses. The others train it.

    Attributes
    ----------
    processor_ : aif360.algorithms.postprocessing.RejectOptionClassification
        Fitted on its scores.
    threshold_ : float
        Its most accurate cut-off, from which the disadvantaged group was found.

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
    >>> from skfairaug.rivals import RejectOptionClassification
    >>> fair = RejectOptionClassification(biased, tolerance=0.3, n_thresholds=9)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    _constraints = REJECT_OPTION

    n_thresholds: int = 100
    n_margins: int = 50

    _parameter_constraints = {
        "n_thresholds": [Interval(Integral, 1, None, closed="left")],
        "n_margins": [Interval(Integral, 1, None, closed="left")],
    }

    def _debias(self, rows):
        score = self._start(rows)
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


@parameters
class EqOddsPostprocessing(_LabelPostProcessor):
    """AIF360's EqOddsPostprocessing: labels are changed at random until odds are equal.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Of the draws: the same rows get the same labels from one fitted estimator.

    Attributes
    ----------
    processor_ : aif360.algorithms.postprocessing.EqOddsPostprocessing
        Fitted on its labels.
    threshold_ : float
        Cut-off of those labels, the most accurate one.

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
    >>> from skfairaug.rivals import EqOddsPostprocessing
    >>> fair = EqOddsPostprocessing(biased, random_state=0)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    def _debias(self, rows):
        score = self._start(rows)
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


@parameters
class CalibratedEqOddsPostprocessing(EqOddsPostprocessing):
    """AIF360's CalibratedEqOddsPostprocessing: scores are replaced at random by the base rate.

    Parameters
    ----------
    cost_constraint : {"fnr", "fpr", "weighted"}, default="weighted"
        Error rate that becomes equal.

    Attributes
    ----------
    processor_ : aif360.algorithms.postprocessing.CalibratedEqOddsPostprocessing
        Fitted on its scores.
    threshold_ : float
        Most accurate cut-off of the scores, also used after they were changed.

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
    >>> from skfairaug.rivals import CalibratedEqOddsPostprocessing
    >>> fair = CalibratedEqOddsPostprocessing(biased, cost_constraint="fnr", random_state=0)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    cost_constraint: str = "weighted"

    _parameter_constraints = {
        "cost_constraint": [StrOptions({"fnr", "fpr", "weighted"})],
    }

    def _debias(self, rows):
        score = self._start(rows)
        groups = rows.groups.codes
        processors = load("algorithms.postprocessing")
        self.processor_ = processors.CalibratedEqOddsPostprocessing(
            *GROUPS, cost_constraint=self.cost_constraint, seed=self._seed
        )
        predicted = dataset((score > self.threshold_).astype(int), groups, score)
        self.processor_.fit(dataset(rows.y, groups), predicted)

    def _process(self, predicted):
        return self.processor_.predict(predicted, threshold=self.threshold_)
