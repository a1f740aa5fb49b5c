"""OxonFair behind scikit-learn's interface: offsets of a score, for guessed or given groups."""

from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import Interval

from skfairaug._engine._columns import ColumnReader, is_raw
from skfairaug._inputs._labels import in_class_order
from skfairaug.metrics._constraints import DIFFERENCES, get_constraint
from skfairaug.rivals._meta import (
    MARGIN,
    NeedsGroups,
    PostProcessor,
    check_scorer,
    favourable_score,
    log_odds,
)

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


class _Offsets(PostProcessor):
    """Base of both: fits offsets on the rows that debias."""

    _constraints = DIFFERENCES

    _parameter_constraints: dict = {**PostProcessor._parameter_constraints, **MARGIN}

    def _fit(self, rows):
        load()
        if self.estimator is not None:
            check_scorer(self.estimator)
        self.estimator_, rows = self._biased(rows)
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
        return log_odds(*favourable_score(self.estimator_, X, self._order[1]))


class OxonFair(_Offsets):
    """OxonFair with guessed groups: the score of a row is moved by what its group seems.

    A second classifier guesses the group of each row; rows of the same guess get the same
    cut-off. No sensitive feature is needed to predict [1]_.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba` or
        `decision_function`. One that is not fitted is trained first; None is a logistic
        regression.
    group_estimator : classifier, default=None
        Guesses the group; not fitted, has `predict_proba`. None is a logistic regression.
    certainty : float, default=0.6666666666666666
        Probability of the guessed group, in [0, 1], below which a row counts as of an
        unknown group; those share a cut-off.
    constraint : str, default="statistical_parity"
        Bias measure, see `skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bound on the gap between groups, in (0, 1].
    margin : float, default=0.2
        Share of the tolerance, in [0, 1), kept as a margin. The library goes to the
        bound itself, and new data lies beyond it half the time.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Which rows those are, and the randomness of both classifiers.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    group_estimator_ : classifier
        Fitted on the rows that debias.
    offsets_ : ndarray of shape (n_slots,)
        What is added to the log-odds (or decision function) for each group that was
        guessed, and for the unknown one if there were such rows.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups, at most four with the unknown one.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    See Also
    --------
    skfairaug.rivals.OxonFairWithGroups : Where the group is known.

    Notes
    -----
    OxonFair searches cut-offs for the largest balanced accuracy whose bias on the rows of
    `fit` is at most the tolerance; for average odds it bounds the mean of both absolute
    differences. Where a column of X says the group, the guess is the group itself.

    References
    ----------
    .. [1] Delaney, Fu, Wachter, Mittelstadt, Russell, "OxonFair: A Flexible Toolkit for
       Algorithmic Fairness", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug.rivals import OxonFair
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> biased = LogisticRegression().fit(X[:300], y[:300])
    >>> fair = OxonFair(biased).fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> fair.predict(X[:2]).shape
    (2,)
    """

    _parameter_constraints: dict = {
        **_Offsets._parameter_constraints,
        "group_estimator": "no_validation",
        "certainty": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        estimator=None,
        *,
        group_estimator=None,
        certainty=2 / 3,
        constraint="statistical_parity",
        tolerance=0.05,
        margin=0.2,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.group_estimator = group_estimator
        self.certainty = certainty
        self.constraint = constraint
        self.tolerance = tolerance
        self.margin = margin
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

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
        proba = np.asarray(
            self.group_estimator_.predict_proba(self._columns(X)), dtype=np.float64
        )
        unsure = np.where(proba.max(1) < self.certainty, 2.0, -1.0)
        return allowed[np.column_stack([proba, unsure])[:, allowed].argmax(1)]

    def _favourable(self, X):
        return self._score(X) > 0

    def _score(self, X):
        slots = np.searchsorted(self._guessed, self._guess(X, self._guessed))
        return self._margin(X) + self.offsets_[slots]

    def decision_function(self, X):
        """Log-odds of the favourable class, moved by the offset of the guessed group.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. No sensitive feature is needed.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Positive where `predict` gives the second of `classes_`.
        """
        return in_class_order(self._score(self._checked(X)), self._labels)


class OxonFairWithGroups(NeedsGroups, _Offsets):
    """OxonFair with known groups: a cut-off of the score for each.

    Needs the group of every row to predict [1]_.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted scikit-learn or skorch classifier with `predict_proba` or
        `decision_function`. One that is not fitted is trained first; None is a logistic
        regression.
    constraint : str, default="statistical_parity"
        Bias measure, see `skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bound on the gap between groups, in (0, 1].
    margin : float, default=0.2
        Share of the tolerance, in [0, 1), kept as a margin. The library goes to the
        bound itself, and new data lies beyond it half the time.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Which rows those are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    offsets_ : ndarray of shape (n_groups,)
        What is added to the log-odds (or decision function) of each group.
    classes_ : ndarray of shape (2,)
        Labels; the second is the favourable one.
    groups_ : tuple of str
        Names of the groups, at most four.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    See Also
    --------
    skfairaug.rivals.OxonFair : Where the group is not known.

    Notes
    -----
    OxonFair searches cut-offs for the largest balanced accuracy whose bias on the rows of
    `fit` is at most the tolerance; for average odds it bounds the mean of both absolute
    differences.

    References
    ----------
    .. [1] Delaney, Fu, Wachter, Mittelstadt, Russell, "OxonFair: A Flexible Toolkit for
       Algorithmic Fairness", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug.rivals import OxonFairWithGroups
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 2))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> biased = LogisticRegression().fit(X[:300], y[:300])
    >>> fair = OxonFairWithGroups(biased)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> fair.predict(X[:2], sensitive_features=group[:2]).shape
    (2,)
    """

    def __init__(
        self,
        estimator=None,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        margin=0.2,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.margin = margin
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _fit_slots(self, rows):
        return rows.groups.codes

    def _favourable(self, X, groups):
        return self._margin(X) + self.offsets_[groups] > 0
