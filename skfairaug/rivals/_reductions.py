"""fairlearn's reductions: a constraint becomes weights of the rows, again and again."""

import warnings
from contextlib import contextmanager
from hashlib import blake2b
from numbers import Integral, Real

import numpy as np
import pandas as pd
from fairlearn import reductions

from skfairaug._engine._classifier_holder import BoundsBias
from skfairaug._engine._columns import is_raw
from skfairaug._engine._parameters import parameters
from skfairaug._inputs._intervals import Interval
from skfairaug.metrics._cells import cell_counts, prediction_rates
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._phi import expected_phi
from skfairaug.rivals._in_processing import BlindInProcessor
from skfairaug.rivals._margin import KeepsMargin

#: Constraint -> fairlearn's moment. It has no average odds: equalized odds bound them.
MOMENTS = {
    "statistical_parity": reductions.DemographicParity,
    "equal_opportunity": reductions.TruePositiveRateParity,
    "average_odds": reductions.EqualizedOdds,
    "equalized_odds": reductions.EqualizedOdds,
}


@parameters
class Reduction(BoundsBias, BlindInProcessor):
    """What both reductions share: the moment.

    Parameters
    ----------
    estimator : classifier, default=None
        Not fitted; takes `sample_weight` in `fit` and has `predict_proba`. None is a
        logistic regression.
    constraint : str, default="statistical_parity"
        Bias measure. "average_odds" is bounded by way of equalized odds, which fairlearn
        has.

    References
    ----------
    .. [1] Agarwal, Beygelzimer, Dudik, Langford, Wallach, "A Reductions Approach to Fair
       Classification", ICML 2018.
    """

    _constraints = MOMENTS

    def _moment(self, rows, gap):
        """Moment with the bound on each group's distance from all, and costs by class."""
        constraint = get_constraint(self.constraint)
        bound = gap * _share_of_gap(constraint, rows.y, rows.groups)
        favourable = rows.y.mean()
        costs = {"fp": 0.5 / (1 - favourable), "fn": 0.5 / favourable}

        class Moment(MOMENTS[constraint.name]):
            def default_objective(self):
                return reductions.ErrorRate(costs=costs)

        return Moment(difference_bound=bound)


@parameters
class ExponentiatedGradient(KeepsMargin, Reduction):
    r"""ExponentiatedGradient of fairlearn, for balanced accuracy.

    A game between the classifier, which lowers its errors, and a player that raises the
    weights of rows whose group is treated worse [1]_. The outcome is a mixture of
    classifiers.

    Parameters
    ----------
    max_iter : int, default=50
        Rounds of the game at most.
    randomized : bool, default=True
        Whether `predict` draws one classifier of the mixture for every row, as [1]_
        does, which the bound holds for. False cuts the mean of their probabilities at
        one half: no bound, but :class:`~skfairaug.rivals.ThresholdOnly` around it sets
        one.
    random_state : int, RandomState instance or None, default=None
        Of the draws. They depend on the row's values alone: the same person gets the
        same label whoever else is asked about.

    Attributes
    ----------
    predictors_ : list of classifier
        The mixture.
    weights_ : ndarray of shape (n_predictors,)
        Their probabilities, which sum to one.
    n_iter_ : int
        Rounds of the game.

    Notes
    -----
    fairlearn bounds the distance of each group's rate from that of all rows, within a
    label where the constraint reads the label. With two groups, the smaller of which has
    the share q of these rows, a gap of at most the tolerance is a distance of at most
    (1 - q) times it; odds, with one bound for both labels, take the larger q. With more
    groups half of the tolerance suffices. The objective is the error with the costs
    :math:`1 / (2 P(Y = y))` of a wrong label y, one less the balanced accuracy.

    Examples
    --------
    >>> from skfairaug.rivals import ExponentiatedGradient
    >>> fair = ExponentiatedGradient(max_iter=5).fit(X, y, sensitive_features=group)
    >>> fair.predict_proba(X).shape
    (300, 2)
    """

    max_iter: int = 50
    randomized: bool = True

    _parameter_constraints = {
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "randomized": ["boolean"],
    }

    def _fit(self, rows):
        moment = self._moment(rows, self._aim())
        game = reductions.ExponentiatedGradient(
            self._weighable(),
            constraints=moment,
            objective=moment.default_objective(),
            max_iter=self.max_iter,
        )
        with fairlearn_on_todays_pandas():
            game.fit(rows.X, rows.y, sensitive_features=rows.groups.codes)
        self.n_iter_ = game.last_iter_ + 1
        weights = game.weights_.sort_index().to_numpy()
        played = weights > 0
        self.weights_ = weights[played] / weights[played].sum()
        self.predictors_ = [
            one for one, used in zip(game.predictors_, played, strict=True) if used
        ]

    def _score(self, X):
        return self.weights_ @ np.array([favourable_proba(one, X) for one in self.predictors_])

    def _favourable(self, X):
        if not self.randomized:
            return super()._favourable(X)
        share = self.weights_ @ np.array([one.predict(X) == 1 for one in self.predictors_])
        return uniform_by_row(X, self._seed) < share


@parameters
class GridSearch(Reduction):
    """GridSearch of fairlearn, which picks the point of the grid by expected Phi.

    Tries multipliers of the constraint on a grid, one classifier for each [1]_.

    Parameters
    ----------
    caution : float, default=1.0
        Standard errors of the bias to allow for in the choice, see
        :func:`~skfairaug.metrics.expected_phi`.
    grid_size : int, default=30
        Points of the grid.
    grid_limit : float, default=None
        Largest multiplier. The right one depends on the data; None is 2, and 0.5 for odds,
        whose two multipliers add up.

    Attributes
    ----------
    predictor_ : classifier
        The one chosen.

    Examples
    --------
    >>> from skfairaug.rivals import GridSearch
    >>> fair = GridSearch(grid_size=5).fit(X, y, sensitive_features=group)
    >>> fair.predict_proba(X).shape
    (300, 2)
    """

    caution: float = 1.0
    grid_size: int = 30
    grid_limit: float | None = None

    _parameter_constraints = {
        "caution": [Interval(Real, 0, None, closed="left")],
        "grid_size": [Interval(Integral, 2, None, closed="left")],
        "grid_limit": [Interval(Real, 0, None, closed="neither"), None],
    }

    def _fit(self, rows):
        limit = self.grid_limit
        if limit is None:
            limit = 0.5 if get_constraint(self.constraint).name.endswith("odds") else 2.0
        grid = reductions.GridSearch(
            self._weighable(),
            constraints=self._moment(rows, self.tolerance),
            grid_size=self.grid_size,
            grid_limit=limit,
        )
        with fairlearn_on_todays_pandas():
            grid.fit(rows.X, rows.y, sensitive_features=rows.groups.codes)
        scores = [self._expected_phi(one.predict(rows.X), rows) for one in grid.predictors_]
        self.predictor_ = grid.predictors_[int(np.argmax(scores))]

    def _expected_phi(self, y_pred, rows):
        """Least biased first where nothing is inside the tolerance."""
        constraint = get_constraint(self.constraint)
        shape = 2, len(rows.groups.names)
        rates = prediction_rates(y_pred, rows.y, rows.groups.codes, *shape)
        counts = cell_counts(rows.y, rows.groups.codes, *shape)
        gap = float(constraint.gap(rates, counts)[-1])
        if abs(gap) >= self.tolerance:
            return -abs(gap)
        recalls = [np.mean(y_pred[rows.y == label] == label) for label in (0, 1)]
        error = float(constraint.standard_error(rates, counts)[-1])
        goal = {"tolerance": self.tolerance, "caution": self.caution}
        return float(expected_phi(np.mean(recalls), gap, error, **goal))

    def _score(self, X):
        return favourable_proba(self.predictor_, X)


def _share_of_gap(constraint, y, groups):
    """Distance of a group's rate from that of all, at most, if the gap of two groups is 1."""
    if len(groups.names) > 2:
        return 0.5
    parts = [y == label for label in constraint.labels] or [np.full(len(y), True)]
    return 1 - max(np.bincount(groups.codes[part]).min() / part.sum() for part in parts)


@contextmanager
def fairlearn_on_todays_pandas():
    """Leave out the warnings that fairlearn 0.15 sets off in pandas 3: it works."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=pd.errors.Pandas4Warning)
        yield


def uniform_by_row(X, seed):
    """A number in [0, 1) for every row that depends on its values and the seed alone."""
    if is_raw(X):
        hashes = pd.util.hash_pandas_object(X, index=False)
        X = hashes.to_numpy().view(np.uint16).reshape(len(X), 4)
    X = np.asarray(X)
    if X.ndim > 2:  # pandas hashes column by column: an image has too many
        rows = [blake2b(row.tobytes(), digest_size=8).digest() for row in X]
        X = np.frombuffer(b"".join(rows), dtype=np.uint16).reshape(len(X), 4)
    frame = pd.DataFrame(np.asarray(X, dtype=np.float32)).assign(seed=seed)
    return pd.util.hash_pandas_object(frame, index=False).to_numpy() / 2.0**64


def favourable_proba(predictor, X):
    """Probability of label 1; a predictor that saw one label is sure of it."""
    column = np.flatnonzero(predictor.classes_ == 1)
    if not len(column):
        return np.zeros(len(X))
    return np.asarray(predictor.predict_proba(X)[:, column[0]], dtype=np.float64)
