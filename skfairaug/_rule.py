"""FairRule: the best decision under a bound on the bias, over any fitted classifier."""

from numbers import Real

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted

from skfairaug._engine._claims import store_claims, warn_unless_reached
from skfairaug._engine._columns import ColumnReader, is_raw
from skfairaug._engine._estimator import Rows
from skfairaug._engine._fair_rule import FairRule as FittedRule
from skfairaug._engine._selection import Goal
from skfairaug._inputs._checks import (
    as_labels,
    check_group_estimator,
    check_group_rows,
    check_held_out,
    check_same_length,
    named_arrays,
)
from skfairaug._inputs._contexts import evaluating, isolated_random_state
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._groups import encode_groups
from skfairaug._inputs._labels import encode_favourable, in_class_order
from skfairaug._inputs._models import is_fitted_net, predict_log_proba, unwrap
from skfairaug._inputs._rows import is_dataset, is_named, on_device
from skfairaug.metrics._constraints import get_constraint
from skfairaug.rivals._meta import PostProcessor, check_scorer, class_log_proba

REMEDIES = "give it a larger tolerance or a smaller caution."


class FairRule(PostProcessor):
    r"""The best decision under a bound on the bias that does not see the group.

    Post-processes any fitted classifier with `predict_proba`: trees, a Pipeline, a logistic
    regression, a network. What it says of a row and how likely the row is of each group make
    one score, and a cut-off on it is the most accurate decision whose bias is bounded
    [1]_ [2]_. No sensitive feature is needed to predict.

    Parameters
    ----------
    estimator : classifier or torch.nn.Module, default=None
        Fitted scikit-learn or skorch classifier, or a trained module. One that is not
        fitted is trained first; None is a logistic regression.
    constraint : str, default="statistical_parity"
        Bias measure: "statistical_parity" ("demographic_parity"), "equal_opportunity",
        "average_odds", "equalized_odds" or "bias_amplification".
    tolerance : float, default=0.05
        Bound on the gap between groups, in (0, 1].
    caution : float, default=1.0
        Standard errors of the bias that the choice allows for, see
        :func:`~skfairaug.metrics.expected_phi`; 0 trusts the estimate.
    confidence : float, default=None
        Probability, in (0, 1), with which the bias on new rows shall be inside the tolerance:
        the most accurate rule that is that sure is taken, as Seldonian algorithms do [3]_.
        None weighs it against accuracy (expected Phi).
    group_estimator : classifier, default=None
        Guesses the group of a row from its columns; not fitted, has `predict_proba`. None is a
        logistic regression, as strong as the log-loss of rows left out prefers.
    missing_groups : {"error", "infer"}, default="error"
        What a missing value in `sensitive_features` is. "infer": the row's group is not known;
        its label calibrates the classifier all the same.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it. The
        others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Which rows are left out when, and the randomness of both classifiers.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    group_estimator_ : classifier
        Fitted to all rows whose group is known; where the constraint looks at labels, on the
        columns with the label behind them.
    multipliers_ : ndarray of shape (n_problems, n_statistics, n_groups)
        Price of each group's statistic, see :func:`~skfairaug.steps.fit_multipliers`.
    threshold_ : float
        Cut-off on the score of the rule as a probability.
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    balanced_accuracy_, bias_ : float
        Estimates for new rows: the choice is made again without each fifth of the rows, and
        judged on it. The bias of two groups is signed, first minus second.
    bias_standard_error_ : float
        Of that bias.
    probability_inside_ : float
        That the bias on new rows is below the tolerance, all groups together.
    objective_ : float
        Expected Phi of the choice on the rows that made it.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Warns
    -----
    FairnessNotReachedWarning
        If no decision keeps the bound (with a `confidence`: that surely) on the rows that
        choose, or only a constant one, or what was chosen is likelier outside than inside.

    See Also
    --------
    FairAugmentFineTuner : Teaches a network this rule.
    skfairaug.rivals.OxonFair : Offsets for guessed groups, found by a grid search.

    Notes
    -----
    With q(y, a | x) the probability that a row of label y and group a looks like x,

    .. math:: s(x) = \sum_{y,a} \Big(w_y - \sum_{a'} \lambda_{a'} \kappa_{y,a}
              \big(1[a = a'] - \tfrac1G\big)\Big) q(y, a | x)

    is compared with a cut-off: the first term is what a favourable decision adds to balanced
    accuracy, the others what it adds to each group's statistic, at prices
    :math:`\lambda` that solve one convex problem. q is the product of the classifier's
    calibrated probability and of the group's given the columns, both fitted without the row
    they are used for. Where a column of X says the group, the rule is a threshold per group.
    Of several classes the one with the largest score is decided for.

    References
    ----------
    .. [1] A. K. Menon, R. C. Williamson, "The Cost of Fairness in Binary Classification",
       FAT* 2018.
    .. [2] R. Xian, H. Zhao, "A Unified Post-Processing Framework for Group Fairness in
       Classification", arXiv:2405.04025, 2024.
    .. [3] P. S. Thomas et al., "Preventing undesirable behavior of intelligent machines",
       Science 366, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug import FairRule
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 3000)
    >>> X = rng.normal(size=(3000, 3))
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> biased = LogisticRegression().fit(X[:1000], y[:1000])
    >>> fair = FairRule(biased, tolerance=0.1, random_state=0)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> abs(fair.bias_) < 0.1, fair.probability_inside_ > 0.9
    (True, True)
    """

    _parameter_constraints: dict = {
        **PostProcessor._parameter_constraints,
        "caution": [Interval(Real, 0, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither"), None],
        "group_estimator": "no_validation",
        "missing_groups": [StrOptions({"error", "infer"})],
    }

    def __init__(
        self,
        estimator=None,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        confidence=None,
        group_estimator=None,
        missing_groups="error",
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.confidence = confidence
        self.group_estimator = group_estimator
        self.missing_groups = missing_groups
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = True
        return tags

    # -- fit ------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sensitive_features=None, held_out=None):
        """Fit on rows that the classifier was not trained on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, as the classifier takes them; a DataFrame may hold text and missing values
            where it does. Over a net also a mapping of names to arrays, or a torch Dataset.
        y : array-like of shape (n_samples,)
            Labels; of two, `pos_label` is the favourable one.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns); several
            columns make intersectional groups. It has to be given.
        held_out : array-like of bool of shape (n_samples,), default=None
            False marks rows that the classifier was trained on: they help to tell the groups
            apart and to measure the bias; they neither calibrate nor say how accurate a
            decision is. None: no row was seen before.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        check_group_estimator(self.group_estimator)
        rows = self._validate_rows(X, y, sensitive_features)
        held_out = check_held_out(held_out, len(rows.y))
        self._check_cells(rows.y[held_out], rows.groups, held_out)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with isolated_random_state(self._seed):
            if self.estimator is not None and not is_fitted_net(unwrap(self.estimator)):
                check_scorer(self.estimator)
            self.estimator_, rows, held_out = self._biased(rows, held_out)
            self._fit_rule(rows, held_out)
        return self

    def _fit_rule(self, rows, held_out):
        goal = Goal(
            get_constraint(self.constraint), self.tolerance, self.caution, self.confidence
        )
        self.reader_ = ColumnReader().fit(rows.X) if is_raw(rows.X) else None
        self._rule = FittedRule(
            len(self.classes_),
            len(self.groups_),
            goal,
            group_estimator=self.group_estimator,
            seed=self._seed,
        )
        log_proba, columns = self._read(rows.X)
        self._rule.fit(log_proba, columns, rows.y, rows.groups.codes, labelled=held_out)
        self.multipliers_ = self._rule.multipliers
        self.group_estimator_ = self._rule.posterior.group_factor
        store_claims(self, self._rule.verdict)
        warn_unless_reached(
            self._rule.verdict, goal, self._rule.selection, remedies=REMEDIES, stacklevel=4
        )

    def _biased(self, rows, held_out):
        """The fitted classifier, the rows that debias it, and which of them are held out."""
        estimator, kept = super()._biased(rows, held_out)
        if kept is not rows:
            held_out = np.ones(len(kept.y), dtype=bool)
        return estimator, kept, held_out

    def _validate_rows(self, X, y, sensitive_features):
        self._check_goal()
        X, _ = self._checked(X, y, fitting=True)
        y, self._labels = encode_favourable(y, self.pos_label)
        self.classes_ = np.sort(self._labels)
        groups = self._encode_groups(sensitive_features, len(y))
        self.groups_ = groups.names
        return Rows(X, y, groups, None)

    def _encode_groups(self, sensitive_features, n_samples):
        if self.missing_groups == "error" or sensitive_features is None:
            return super()._encode_groups(sensitive_features, n_samples)
        return encode_groups(sensitive_features, n_samples, missing="infer")

    def _check_cells(self, y, groups, held_out):
        codes = groups.codes[held_out]
        known = codes >= 0
        check_group_rows(codes[known], groups.names)
        get_constraint(self.constraint).check(
            y[known], codes[known], self._labels, groups.names
        )

    def _checked(self, X, y=None, fitting=False):
        """Rows, and in fit labels, on the host; see `fit` for what they may be."""
        if not fitting:
            check_is_fitted(self)
        if is_dataset(X) or is_named(X):
            if not is_fitted_net(self.estimator):
                raise TypeError(
                    f"X is a {type(X).__name__}, which only a fitted net takes: give arrays "
                    "or a DataFrame."
                )
            X = named_arrays(X) if is_named(X) else X
        elif is_raw(X) if fitting else self.reader_ is not None:
            if not isinstance(X, pd.DataFrame):
                raise TypeError(
                    "FairRule was fitted on a DataFrame with text or missing values, and reads "
                    f"its columns by name; got {type(X).__name__}."
                )
            _check_feature_names(self, X, reset=fitting)
            _check_n_features(self, X, reset=fitting)
        elif fitting:
            return self._checked_arrays(X, y)
        else:
            return super()._checked(X)
        if not fitting:
            return X
        y = as_labels(y)
        check_same_length(X=next(iter(X.values())) if is_named(X) else X, y=y)
        return X, y

    # -- predict --------------------------------------------------------------

    def _read(self, X):
        """Class log-probabilities of the classifier, and what the group is read from."""
        net = unwrap(self.estimator_)
        if is_fitted_net(net) and getattr(X, "ndim", 0) != 2:
            rows = on_device(net, X)
            encoder = Encoder(net, find_head(net, rows))
            with evaluating(net.module_):
                columns = encoder.all_rows(rows)
            log_proba = predict_log_proba(net, rows)[:, self._order]
            return tuple(one.double().cpu().numpy() for one in (log_proba, columns))
        log_proba = class_log_proba(self.estimator_, X)[:, self._order]
        if self.reader_ is not None:
            return log_proba, self.reader_.transform(X)
        return log_proba, np.asarray(X, dtype=np.float64).reshape(len(X), -1)

    def _scores(self, X):
        X = self._checked(X)  # before `_rule` is read, which fit makes
        return self._rule.scores(*self._read(X))

    def decision_function(self, X):
        """Score of the rule, positive where `predict` gives the second of `classes_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows. No sensitive feature is needed.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            On the scale of the classifier's log-odds; of several classes a score each.
        """
        return in_class_order(self._scores(X), self._labels)

    def predict_proba(self, X):
        """Class probabilities by the rule's score, 0.5 being the cut-off.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows. No sensitive feature is needed.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Rows sum to one; `predict` is their argmax.
        """
        scores = self.decision_function(X)
        if scores.ndim == 2:
            return softmax(scores, axis=1)
        positive = expit(scores)
        return np.column_stack([1.0 - positive, positive])

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
        scores = self._scores(X)
        codes = scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)
        return self._labels[codes]
