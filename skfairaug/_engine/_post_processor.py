"""Base of what makes any fitted classifier fair by its scores."""

from numbers import Real

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skfairaug._engine._classifier_holder import ClassifierHolder
from skfairaug._engine._estimator import Rows, split_cells
from skfairaug._engine._parameters import parameters
from skfairaug._engine._scores import check_scorer, favourable_score
from skfairaug._inputs._adopt import as_net, with_core
from skfairaug._inputs._checks import check_training_rows
from skfairaug._inputs._given import take
from skfairaug._inputs._groups import Groups
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._labels import CHANCE_ROWS, output_order, warn_below_chance
from skfairaug._inputs._models import (
    behind_steps,
    check_fits,
    check_net,
    is_fitted_net,
    is_net,
    train_net,
    unwrap,
)


@parameters
class PostProcessor(ClassifierHolder):
    """Base of the estimators that debias a fitted classifier by its scores.

    A subclass implements ``_debias(rows)``, with the fitted classifier in `estimator_`.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba` or
        `decision_function`. One that is not fitted is trained first, on rows that do not
        debias; None is a logistic regression.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.
    random_state : int, RandomState instance or None, default=None
        Which rows those are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 3000)
    >>> X = rng.normal(size=(3000, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> biased = LogisticRegression().fit(X[:1000], y[:1000])
    """

    debias_fraction: float = 0.25

    fits_on = "validation"

    _parameter_constraints = {
        "debias_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def _fit(self, rows):
        self.estimator_, rows = self._biased(rows)
        self._debias(rows)

    def _biased(self, rows, held_out=slice(None)):
        """The fitted classifier, and the rows that debias it.

        One that is not fitted is trained first, on rows that do not debias; one that is
        shall not contradict the labels of the rows `held_out`.
        """
        self._order = list(range(len(self._labels)))
        if self.estimator is not None:
            if not is_net(self.estimator):
                check_scorer(unwrap(self.estimator))
            if _is_fitted(self.estimator):
                self._check_names()
                self._check_classes()
                return self._adopted(rows, held_out), rows
        kept, spent = split_cells(rows.cells, self.debias_fraction, self._seed)
        check_training_rows(rows.cells, kept, spent)
        X, y = take(rows.X, spent), rows.y[spent]
        if is_net(self.estimator):
            estimator = train_net(self.estimator, X, y)
        else:
            estimator = self._new_classifier().fit(X, y)
        groups = Groups(rows.groups.codes[kept], rows.groups.names)
        return estimator, Rows(take(rows.X, kept), rows.y[kept], groups, None)

    def _adopted(self, rows, held_out):
        """The fitted classifier, a module of it in a net, and the order of its outputs."""
        estimator, net = self.estimator, is_fitted_net(self.estimator)
        core, some = unwrap(estimator), np.arange(len(rows.y))[held_out][:CHANCE_ROWS]
        X = take(rows.X, some)
        if net:
            check_net(estimator)
            behind = behind_steps(estimator, X)
            adopted = as_net(core, behind)
            check_fits(adopted, behind, len(self.classes_))
            estimator = with_core(estimator, adopted)
        self._order = output_order(core if net else estimator, self._labels)
        if len(self._labels) == 2:
            score, is_probability = favourable_score(estimator, X, self._order[1])
            predicted = score > 0.5 if is_probability else score > 0
            warn_below_chance(
                rows.y[some],
                predicted.astype(int),
                self._labels,
                core if net else estimator,
                stacklevel=7,  # here, _biased, _fit, fit, what `fits` puts around, the caller
            )
        return estimator

    def _favourable_score(self, X):
        """Score of the favourable class, and whether it is a probability."""
        return favourable_score(self.estimator_, X, self._order[1])

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

    def _check_classes(self):
        """Raise if the classifier knows another number of classes; nets are run instead."""
        if is_fitted_net(self.estimator):
            return
        known = getattr(self.estimator, "classes_", self.classes_)
        if len(known) != len(self.classes_):
            raise ValueError(
                f"y has {len(self.classes_)} classes, {self.classes_.tolist()}, but the "
                f"estimator was fitted on {len(known)}: {list(known)}."
            )


def _is_fitted(estimator):
    if is_fitted_net(estimator):
        return True
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True
