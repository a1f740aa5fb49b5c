"""Base of the estimators around any classifier: checked rows, and a classifier that is kept."""

from dataclasses import field

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skfairaug._engine._columns import is_raw
from skfairaug._engine._estimator import Rows
from skfairaug._engine._fitting import fits
from skfairaug._engine._parameters import parameters
from skfairaug._inputs._adopt import steps_before
from skfairaug._inputs._checks import (
    check_cells,
    check_tolerance,
)
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug._inputs._copies import portable_state, restored_state
from skfairaug._inputs._few_rows import warn_of_few_rows
from skfairaug._inputs._given import FLOATS, check_rows, holds_integers
from skfairaug._inputs._groups import check_same_order, encode_groups
from skfairaug._inputs._labels import encode_favourable
from skfairaug._inputs._models import (
    check_net,
    is_fitted_net,
    is_net,
    net_types,
    plain,
    prototype,
)
from skfairaug.metrics._constraints import get_constraint


@parameters
class ClassifierHolder(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Base of the estimators around any classifier.

    A subclass implements ``_fit(rows)`` and how it answers, see
    `skfairaug._engine._decisions`.

    Parameters
    ----------
    estimator : classifier, default=None
        The classifier; None is a logistic regression.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Unused: nothing is drawn.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels, sorted.
    groups_ : tuple of str
        Names of the groups.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.
    """

    estimator: object = field(default=None, kw_only=False)
    pos_label: object = None
    random_state: object = None

    #: Which rows it is made for, see `skfairaug.benchmark.compare`.
    fits_on = "train"
    #: Whether `predict` takes the group.
    needs_sensitive_features = False
    #: Whether it leaves its rows to the net that it is around, which may take no tables.
    _any_rows = False

    _parameter_constraints = {
        "estimator": "no_validation",
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

    @fits
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
        check_same_order(X=X, y=y, sensitive_features=sensitive_features)
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

    def _check_goal(self):
        """Raise unless what is asked for is known and possible; here nothing is."""

    def _check_cells(self, y, groups):
        """Raise where a (label, group) cell that is needed has no rows."""
        check_cells(y, groups.codes, self._labels, groups.names)

    def _encode_groups(self, sensitive_features, n_samples):
        if sensitive_features is None:
            raise ValueError(
                f"{type(self).__name__} needs the group of every row: "
                "fit(X, y, sensitive_features=...)."
            )
        return encode_groups(sensitive_features, n_samples)

    def _checked_arrays(self, X, y):
        """Rows and labels of `fit`, checked."""
        return self._check_rows(X, y, reset=True)

    def _checked(self, X):
        """Rows to predict, checked."""
        check_is_fitted(self)
        return self._check_rows(X, reset=False)

    def _check_rows(self, X, *y, reset):
        estimator = getattr(self, "estimator_", self.estimator)
        if not is_net(estimator) or steps_before(estimator) is not None:
            if is_raw(X):  # text and missing values, for the classifier alone to read
                return validate_data(self, X, *y, skip_check_array=True, reset=reset)
            return check_rows(self, X, *y, types=types_kept, reset=reset)
        net = prototype(check_net(estimator))

        def types(X):
            return net_types(net, X)

        module = plain(net.module_) if self._any_rows else None
        return check_rows(self, X, *y, types=types, module=module, reset=reset)

    def _new_classifier(self):
        """A clone of the unfitted `estimator`; None stands for a logistic regression."""
        if self.estimator is None:
            return LogisticRegression(max_iter=1000)
        return clone(self.estimator)


def types_kept(X):
    """NumPy types that rows keep where no net reads them: floats, and integers in images."""
    return [np.asarray(X[:0]).dtype] if holds_integers(X) and X.ndim > 2 else FLOATS


@parameters
class BoundsBias:
    """Mixin of the estimators around any classifier that bound a measure of bias.

    Parameters
    ----------
    constraint : str, default="statistical_parity"
        Bias measure, see `skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bound on the gap between groups, in (0, 1].
    """

    constraint: str = "statistical_parity"
    tolerance: float = 0.05

    _parameter_constraints = {
        "constraint": "no_validation",
        "tolerance": "no_validation",
    }

    #: Constraints that its library has; None: all.
    _constraints = None

    def _check_goal(self):
        name = get_constraint(self.constraint).name
        if self._constraints is not None and name not in self._constraints:
            raise ValueError(
                f"{type(self).__name__} has no constraint {self.constraint!r}; it has "
                f"{list(self._constraints)}."
            )
        check_tolerance(self.tolerance)

    def _check_cells(self, y, groups):
        constraint, codes = get_constraint(self.constraint), groups.codes
        constraint.check(y, codes, self._labels, groups.names)
        warn_of_few_rows(y, codes, self._labels, groups.names, constraint.labels)
