"""OxonFair behind scikit-learn's interface: offsets of a score, for guessed or given groups."""

from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skfairaug._engine._columns import ColumnReader, is_raw
from skfairaug._engine._decisions import DecidesByScore
from skfairaug._engine._parameters import parameters
from skfairaug._engine._post_processor import PostProcessor
from skfairaug._engine._scores import log_odds
from skfairaug._inputs._intervals import Interval
from skfairaug.metrics._constraints import DIFFERENCES, get_constraint
from skfairaug.rivals._known_groups import NeedsGroups
from skfairaug.rivals._margin import KeepsMargin

#: OxonFair tries every combination of 30 cut-offs for each of so many groups.
MAX_SLOTS = 4


def load():
    """Import oxonfair, an optional dependency."""
    try:
        import oxonfair
    except ImportError as error:
        raise ImportError(
            'this rival needs oxonfair: pip install "skfairaug[rivals]".'
        ) from error
    return oxonfair


def measures():
    """Constraint -> OxonFair's measure, the largest difference of any two groups."""
    known = load().group_metrics
    positives, negatives = known.true_pos_rate.max_diff, known.true_neg_rate.max_diff
    return {
        "statistical_parity": known.pos_pred_rate.max_diff,
        "equal_opportunity": positives,
        # The mean of both differences, which is never below average odds.
        "average_odds": type(known.equalized_odds)(positives, negatives, "Average odds"),
        "equalized_odds": known.equalized_odds_max,
    }


def fit_offsets(y, margin, groups, slots, constraint, tolerance):
    """What OxonFair adds to the margin of each slot.

    Parameters
    ----------
    y, groups, slots : ndarray of shape (n_samples,), int
        Label, group and slot of each row: bias is measured between groups, and all rows
        of a slot get the same offset. Every slot has rows.
    margin : ndarray of shape (n_samples,)
        Positive where the favourable label is the likelier one.
    constraint : str
        Name of a constraint.
    tolerance : float
        Bound on it.

    Returns
    -------
    offsets : ndarray of shape (n_slots,)
        The prediction is favourable where ``margin + offsets[slot] > 0``.
    """
    oxonfair = load()
    # It takes functions of the data, here of columns that hold what they return.
    data = np.column_stack([-margin / 2, margin / 2, np.eye(slots.max() + 1)[slots]])
    predictor = oxonfair.FairPredictor(
        lambda data: data[:, :2].copy(),
        oxonfair.DataDict(y, data, groups),
        inferred_groups=lambda data: data[:, 2:],
        threshold=0,
    )
    predictor.fit(oxonfair.group_metrics.balanced_accuracy, measures()[constraint], tolerance)
    return np.asarray(predictor.offset, dtype=np.float64)


@parameters
class _Offsets(KeepsMargin, PostProcessor):
    """Base of both: fits offsets on the rows that debias.

    References
    ----------
    .. [1] Delaney, Fu, Wachter, Mittelstadt, Russell, "OxonFair: A Flexible Toolkit for
       Algorithmic Fairness", NeurIPS 2024.
    """

    _constraints = DIFFERENCES

    def _fit(self, rows):
        load()  # before a classifier is trained in vain
        super()._fit(rows)

    def _debias(self, rows):
        slots = self._fit_slots(rows)
        n_slots = int(slots.max()) + 1
        if n_slots > MAX_SLOTS:
            raise ValueError(
                f"{type(self).__name__} tries all combinations of cut-offs of at most "
                f"{MAX_SLOTS} groups; got {n_slots}: {list(self.groups_)}. Merge groups."
            )
        self.offsets_ = fit_offsets(
            rows.y,
            self._margin(rows.X),
            rows.groups.codes,
            slots,
            get_constraint(self.constraint).name,
            self._aim(),
        )

    def _margin(self, X):
        return log_odds(*self._favourable_score(X))


@parameters
class OxonFair(DecidesByScore, _Offsets):
    """OxonFair with guessed groups: the score of a row is moved by what its group seems.

    A second classifier guesses the group of each row; rows of the same guess get the same
    cut-off. No sensitive feature is needed to predict [1]_.

    Parameters
    ----------
    group_estimator : classifier, default=None
        Guesses the group; not fitted, has `predict_proba`. None is a logistic regression.
    certainty : float, default=0.6666666666666666
        Probability of the guessed group, in [0, 1], below which a row counts as of an
        unknown group; those share a cut-off.
    random_state : int, RandomState instance or None, default=None
        Which rows those are, and the randomness of both classifiers.

    Attributes
    ----------
    group_estimator_ : classifier
        Fitted on the rows that debias.
    offsets_ : ndarray of shape (n_slots,)
        What is added to the log-odds (or decision function) for each group that was
        guessed, and for the unknown one if there were such rows.
    groups_ : tuple of str
        Names of the groups, at most four with the unknown one.

    See Also
    --------
    skfairaug.rivals.OxonFairWithGroups : Where the group is known.

    Notes
    -----
    OxonFair searches cut-offs for the largest balanced accuracy whose bias on the rows of
    `fit` is at most the tolerance; for average odds it bounds the mean of both absolute
    differences. Where a column of X says the group, the guess is the group itself.

    Examples
    --------
    >>> from skfairaug.rivals import OxonFair
    >>> fair = OxonFair(biased)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> fair.predict(X[:2]).shape
    (2,)
    """

    group_estimator: object = None
    certainty: float = 2 / 3

    _parameter_constraints = {
        "group_estimator": "no_validation",
        "certainty": [Interval(Real, 0, 1, closed="both")],
    }

    def _fit_slots(self, rows):
        given = self.group_estimator
        guess = LogisticRegression(max_iter=1000) if given is None else clone(given)
        self.reader_ = ColumnReader().fit(rows.X) if is_raw(rows.X) else None
        self.group_estimator_ = guess.fit(self._columns(rows.X), rows.groups.codes)
        guessed = self._guess(rows.X, np.arange(len(self.groups_) + 1))
        self._guessed, slots = np.unique(guessed, return_inverse=True)
        return slots

    def _columns(self, X):
        """What the group is guessed from: numbers."""
        return X if self.reader_ is None else self.reader_.transform(X)

    def _guess(self, X, allowed):
        """Code of the guessed group, or one more for the unknown one, out of `allowed`."""
        proba = self.group_estimator_.predict_proba(self._columns(X)).astype(np.float64)
        unsure = np.where(proba.max(1) < self.certainty, 2.0, -1.0)
        return allowed[np.column_stack([proba, unsure])[:, allowed].argmax(1)]

    def _scores(self, X):
        X = self._checked(X)
        slots = np.searchsorted(self._guessed, self._guess(X, self._guessed))
        return self._margin(X) + self.offsets_[slots]


@parameters
class OxonFairWithGroups(NeedsGroups, _Offsets):
    """OxonFair with known groups: a cut-off of the score for each.

    Needs the group of every row to predict [1]_.

    Attributes
    ----------
    offsets_ : ndarray of shape (n_groups,)
        What is added to the log-odds (or decision function) of each group.
    groups_ : tuple of str
        Names of the groups, at most four.

    See Also
    --------
    skfairaug.rivals.OxonFair : Where the group is not known.

    Notes
    -----
    OxonFair searches cut-offs for the largest balanced accuracy whose bias on the rows of
    `fit` is at most the tolerance; for average odds it bounds the mean of both absolute
    differences.

    Examples
    --------
    >>> from skfairaug.rivals import OxonFairWithGroups
    >>> fair = OxonFairWithGroups(biased)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    def _fit_slots(self, rows):
        return rows.groups.codes

    def _favourable(self, X, groups):
        return self._margin(X) + self.offsets_[groups] > 0
