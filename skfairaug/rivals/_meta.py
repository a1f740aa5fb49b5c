"""What the rivals around any classifier share: checked rows, and a classifier that is kept."""

from numbers import Real

import numpy as np
import pandas as pd
from scipy.special import log_softmax, logit
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    _fit_context,
    clone,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data
from skorch import NeuralNet

from skfairaug._engine._columns import is_raw
from skfairaug._engine._estimator import Rows, _holds_integers, split_cells
from skfairaug._inputs._adopt import as_net, with_core
from skfairaug._inputs._checks import (
    check_cells,
    check_tolerance,
    check_training_rows,
)
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug._inputs._copies import portable_state, restored_state
from skfairaug._inputs._groups import Groups, encode_groups
from skfairaug._inputs._labels import encode_favourable, output_order, warn_below_chance
from skfairaug._inputs._models import (
    as_net_input,
    behind_steps,
    check_net,
    is_fitted_net,
    net_log_proba,
    train_net,
    unwrap,
)
from skfairaug._inputs._rows import take
from skfairaug.metrics._constraints import get_constraint

#: What rows are cast to unless they are one of them: float64 holds integers up to 2^53.
FLOATS = [np.float64, np.float32]

#: Of the rivals with a margin.
MARGIN = {"margin": [Interval(Real, 0, 1, closed="left")]}


class MetaRival(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Base of the rivals around any classifier.

    A subclass implements ``_fit(rows)`` and ``_favourable(X, groups)``: which rows get
    the favourable label.
    """

    #: Which rows it is made for, see `skfairaug.benchmark.compare`.
    fits_on = "train"
    #: Whether `predict` takes the group.
    needs_sensitive_features = False
    #: Constraints that its library has; None: all.
    _constraints = None

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "constraint": "no_validation",
        "tolerance": "no_validation",
        "pos_label": "no_validation",
        "random_state": ["random_state"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True  # what the classifier takes, images too
        tags.target_tags.required = True
        tags.classifier_tags.multi_class = False
        return tags

    def __sklearn_clone__(self):
        # The default clone of a fitted net is an unfitted one, see NetHolder.
        twin = super().__sklearn_clone__()
        if is_fitted_net(self.estimator):
            twin.estimator = self.estimator
        return twin

    def __getstate__(self):
        return portable_state(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(restored_state(state))

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sensitive_features=None):
        """Fit on rows with their groups.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows: training rows where `fits_on` is "train", rows that the classifier has
            not seen where it is "validation". Images of type uint8 stay so.
        y : array-like of shape (n_samples,)
            Two classes; `pos_label` is the favourable one.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns); several
            columns make intersectional groups. It has to be given.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        rows = self._validate_rows(X, y, sensitive_features)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self._seed = int(seed)
        with isolated_random_state(self._seed):
            self._fit(rows)
        return self

    def _validate_rows(self, X, y, sensitive_features):
        self._check_goal()
        X, _ = self._checked_arrays(X, y)
        y, self._labels = encode_favourable(y, self.pos_label)
        self.classes_ = np.sort(self._labels)
        if len(self.classes_) != 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"multiclass: y has {len(self.classes_)} classes."
            )
        groups = self._encode_groups(sensitive_features, len(y))
        self._check_cells(y, groups)
        self.groups_ = groups.names
        return Rows(X, y, groups, None)

    def _checked_arrays(self, X, y):
        return validate_data(self, X, y, dtype=self._types(X), allow_nd=True)

    def _check_cells(self, y, groups):
        """Raise where a cell that the constraint measures has no rows; without one, any."""
        if not hasattr(self, "constraint"):
            check_cells(y, groups.codes, self._labels, groups.names)
            return
        constraint = get_constraint(self.constraint or "statistical_parity")
        constraint.check(y, groups.codes, self._labels, groups.names)

    def _check_goal(self):
        """Raise unless constraint and tolerance are known and possible."""
        name = get_constraint(self.constraint).name
        if self._constraints is not None and name not in self._constraints:
            raise ValueError(
                f"{type(self).__name__} has no constraint {self.constraint!r}; it has "
                f"{list(self._constraints)}."
            )
        check_tolerance(self.tolerance)

    def _encode_groups(self, sensitive_features, n_samples):
        if sensitive_features is None:
            raise ValueError(
                f"{type(self).__name__} needs the group of every row: "
                "fit(X, y, sensitive_features=...)."
            )
        return encode_groups(sensitive_features, n_samples)

    def _checked(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=self._types(X), allow_nd=True, reset=False)

    def _types(self, X):
        """NumPy types that rows keep: integers in images, and where a net is to read them."""
        net = isinstance(unwrap(self.estimator), NeuralNet)
        if _holds_integers(X) and (X.ndim > 2 or net):
            return [np.asarray(X[:0]).dtype]
        return FLOATS

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows. No sensitive feature is needed.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.
        """
        favourable = self._favourable(self._checked(X))
        return self._labels[favourable.astype(int)]

    def _aim(self):
        """The gap to ask a library for that goes to the bound itself."""
        return (1 - self.margin) * self.tolerance

    def _new_classifier(self):
        """A clone of the unfitted `estimator`; None stands for a logistic regression."""
        if self.estimator is None:
            return LogisticRegression(max_iter=1000)
        return clone(self.estimator)


class PostProcessor(MetaRival):
    """Base of the rivals that debias a fitted classifier by its scores."""

    fits_on = "validation"

    _parameter_constraints: dict = {
        **MetaRival._parameter_constraints,
        "debias_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def _biased(self, rows, held_out=slice(None)):
        """The fitted classifier, and the rows that debias it.

        One that is not fitted is trained first, on rows that do not debias; one that is
        shall not contradict the labels of the rows `held_out`.
        """
        self._order = list(range(len(self._labels)))
        if self.estimator is not None and _is_fitted(self.estimator):
            self._check_names()
            return self._adopted(rows, held_out), rows
        kept, spent = split_cells(rows.cells, self.debias_fraction, self._seed)
        check_training_rows(rows.cells, kept, spent)
        X, y = take(rows.X, spent), rows.y[spent]
        if isinstance(self.estimator, NeuralNet):
            estimator = train_net(self.estimator, as_net_input(self.estimator, X), y)
        else:
            estimator = self._new_classifier().fit(X, y)
        groups = Groups(rows.groups.codes[kept], rows.groups.names)
        return estimator, Rows(take(rows.X, kept), rows.y[kept], groups, None)

    def _adopted(self, rows, held_out):
        """The fitted classifier, a module of it in a net, and the order of its outputs."""
        estimator, net = self.estimator, is_fitted_net(self.estimator)
        core = unwrap(estimator)
        if net:
            check_net(estimator)
            estimator = with_core(estimator, as_net(core, behind_steps(estimator, rows.X)))
        self._order = output_order(core if net else estimator, self._labels)
        if len(self._labels) == 2:
            score, is_probability = favourable_score(estimator, rows.X, self._order[1])
            predicted = score > 0.5 if is_probability else score > 0
            warn_below_chance(
                rows.y[held_out],
                predicted.astype(int)[held_out],
                self._labels,
                core if net else estimator,
                stacklevel=7,  # here, _biased, _fit, fit, _fit_context, the caller
            )
        return estimator

    def _checked_arrays(self, X, y):
        # A frame of text and missing values is for the classifier alone to read.
        if is_raw(X):
            return validate_data(self, X, y, skip_check_array=True)
        return super()._checked_arrays(X, y)

    def _checked(self, X):
        if is_raw(X):
            check_is_fitted(self)
            return validate_data(self, X, skip_check_array=True, reset=False)
        return super()._checked(X)

    def _check_names(self):
        """Raise if the classifier was fitted on other columns, or in another order."""
        given, known = (
            getattr(one, "feature_names_in_", None) for one in (self, self.estimator)
        )
        if given is not None and known is not None and not np.array_equal(given, known):
            raise ValueError(
                f"the columns of X are {list(given)}, but the estimator was fitted on "
                f"{list(known)}: give the same in the same order."
            )


class NeedsGroups:
    """Mixin of the rivals whose `predict` takes the group of every row."""

    needs_sensitive_features = True

    def predict(self, X, *, sensitive_features=None):
        """Predict labels of rows whose groups are known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        sensitive_features : array-like, default=None
            Group of every row, as in `fit`. It has to be given.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If it is not given, or holds a group that `fit` has not seen.
        """
        X = self._checked(X)
        codes = self._known_groups(sensitive_features, len(X))
        return self._labels[self._favourable(X, codes).astype(int)]

    def _known_groups(self, sensitive_features, n_samples):
        """Codes of groups, numbered as in fit."""
        if sensitive_features is None:
            raise ValueError(
                f"{type(self).__name__} needs the group of every row to predict: "
                "predict(X, sensitive_features=...)."
            )
        groups = encode_groups(sensitive_features, n_samples, min_groups=1)
        unknown = [name for name in groups.names if name not in self.groups_]
        if unknown:
            raise ValueError(
                f"sensitive_features holds groups {unknown} that fit has not seen; it saw "
                f"{list(self.groups_)}."
            )
        codes = np.array([self.groups_.index(name) for name in groups.names])
        return codes[groups.codes]


def favourable_score(estimator, X, output=1):
    """Score of the favourable class, in float64, and whether it is a probability.

    Parameters
    ----------
    estimator : classifier
        Fitted, with `predict_proba` or `decision_function`.
    X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
        Rows, their columns in the order of the classifier's.
    output : int, default=1
        Which of its two outputs is that of the favourable class.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        The larger, the likelier is the favourable class.
    is_probability : bool
        Whether it lies in [0, 1].
    """
    if is_fitted_net(estimator):
        # Takes rows of any precision and leaves the net in the mode that it was in.
        return np.exp(net_log_proba(estimator, X)[:, output]), True
    if isinstance(X, np.ndarray) and hasattr(estimator, "feature_names_in_"):
        X = pd.DataFrame(X, columns=estimator.feature_names_in_)
    if hasattr(estimator, "predict_proba"):
        proba = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        return proba[:, output], True
    score = np.asarray(estimator.decision_function(X), dtype=np.float64)
    return score if output else -score, False


def class_log_proba(estimator, X):
    """Class log-probabilities of a fitted classifier, in float64.

    Parameters
    ----------
    estimator : classifier
        Fitted, with `predict_proba` or `decision_function`.
    X : ndarray or DataFrame of shape (n_samples, n_features) or (n_samples, ...)
        Rows, their columns in the order of the classifier's.

    Returns
    -------
    log_proba : ndarray of shape (n_samples, n_classes)
        Finite; of a decision function, as if it were log-odds or logits.
    """
    if is_fitted_net(estimator):
        return net_log_proba(estimator, X)
    if isinstance(X, np.ndarray) and hasattr(estimator, "feature_names_in_"):
        X = pd.DataFrame(X, columns=estimator.feature_names_in_)
    if hasattr(estimator, "predict_proba"):
        proba = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        return np.log(np.clip(proba, np.finfo(np.float64).eps, None))
    scores = np.asarray(estimator.decision_function(X), dtype=np.float64)
    if scores.ndim == 1:
        scores = np.stack([-scores / 2, scores / 2], axis=1)
    return log_softmax(scores, axis=1)


def check_scorer(estimator):
    """Raise unless a classifier gives scores."""
    if is_fitted_net(estimator):
        return
    if not any(hasattr(estimator, name) for name in ("predict_proba", "decision_function")):
        raise TypeError(
            "estimator must be a classifier with predict_proba or decision_function; got "
            f"{type(estimator).__name__}."
        )


def check_two_groups(groups, method):
    """Raise unless there are two groups, all that a method defines."""
    if len(groups.names) != 2:
        raise ValueError(
            f"{method} is defined for two groups; sensitive_features holds "
            f"{len(groups.names)}: {list(groups.names)}."
        )


def log_odds(score, is_probability):
    """A score in (-inf, inf), in which a difference of zero is the cut-off."""
    if not is_probability:
        return score
    tiny = np.finfo(np.float64).eps
    return logit(np.clip(score, tiny, 1 - tiny))


def balanced_weights(y):
    """Weight of every row, with mean one, so that both classes weigh the same."""
    return len(y) / (2 * np.bincount(y, minlength=2))[y]


def check_weighted(estimator):
    """Raise unless a classifier takes sample weights."""
    if not has_fit_parameter(estimator, "sample_weight"):
        raise TypeError(
            f"estimator must take sample_weight in fit; {type(estimator).__name__} does not."
        )


def _is_fitted(estimator):
    if is_fitted_net(estimator):
        return True
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True
