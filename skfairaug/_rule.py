"""FairRule: the best decision under a bound on the bias, over any fitted classifier."""

from numbers import Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted

from skfairaug._engine._claims import store_claims, warn_unless_reached
from skfairaug._engine._classifier_holder import BoundsBias
from skfairaug._engine._columns import ColumnReader, is_raw
from skfairaug._engine._decisions import DecidesByScore
from skfairaug._engine._estimator import Rows
from skfairaug._engine._export import Deployable
from skfairaug._engine._export_rule import export_rule
from skfairaug._engine._fair_rule import FairRule as FittedRule
from skfairaug._engine._fitting import fits
from skfairaug._engine._parameters import parameters
from skfairaug._engine._post_processor import PostProcessor
from skfairaug._engine._scores import class_log_proba
from skfairaug._engine._selection import Goal
from skfairaug._engine._signature import FEW, read_signature
from skfairaug._inputs._adopt import steps_before
from skfairaug._inputs._checks import (
    as_labels,
    check_group_estimator,
    check_group_rows,
    check_held_out,
    check_same_length,
)
from skfairaug._inputs._contexts import evaluating, isolated_random_state
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._few_rows import warn_of_few_rows
from skfairaug._inputs._given import take
from skfairaug._inputs._groups import check_same_order, encode_groups
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._labels import encode_favourable
from skfairaug._inputs._models import (
    behind_steps,
    in_net_types,
    is_fitted_net,
    is_net,
    predict_log_proba,
    unwrap,
)
from skfairaug._inputs._rows import on_device
from skfairaug.metrics._constraints import get_constraint

REMEDIES = "give it a larger tolerance or a smaller caution."


@parameters
class FairRule(Deployable, DecidesByScore, BoundsBias, PostProcessor):
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
    random_state : int, RandomState instance or None, default=None
        Which rows are left out when, and the randomness of both classifiers.

    Attributes
    ----------
    group_estimator_ : classifier
        Fitted to all rows whose group is known; where the constraint looks at labels, on the
        columns with the label behind them.
    multipliers_ : ndarray of shape (n_problems, n_statistics, n_groups)
        Price of each group's statistic, see :func:`~skfairaug.steps.fit_multipliers`.
    threshold_ : float
        Cut-off on the score of the rule as a probability.
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the favourable one.
    balanced_accuracy_, bias_ : float
        Estimates for new rows: the choice is made again without each fifth of the rows, and
        judged on it. The bias of two groups is signed, first minus second.
    bias_standard_error_ : float
        Of that bias.
    probability_inside_ : float
        That the bias on new rows is below the tolerance, all groups together.
    objective_ : float
        Expected Phi of the choice on the rows that made it.

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
    >>> from skfairaug import FairRule
    >>> fair = FairRule(biased, tolerance=0.1, random_state=0)
    >>> fair = fair.fit(X[1000:], y[1000:], sensitive_features=group[1000:])
    >>> abs(fair.bias_) < 0.1, fair.probability_inside_ > 0.9
    (True, True)
    """

    caution: float = 1.0
    confidence: float | None = None
    group_estimator: object = None
    missing_groups: str = "error"

    _any_rows = True

    _parameter_constraints = {
        "caution": [Interval(Real, 0, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither"), None],
        "group_estimator": "no_validation",
        "missing_groups": [StrOptions({"error", "infer"})],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = True
        return tags

    # -- fit ------------------------------------------------------------------

    @fits
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
        self._signature = self._read_signature(rows.X)
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
        check_same_order(X=X, y=y, sensitive_features=sensitive_features)
        X, _ = self._checked(X, y, fitting=True)
        y, self._labels = encode_favourable(y, self.pos_label)
        self.classes_ = np.sort(self._labels)
        groups = self._encode_groups(sensitive_features, len(y))
        self.groups_ = groups.names
        known = groups.codes >= 0
        measured = get_constraint(self.constraint).labels
        warn_of_few_rows(y[known], groups.codes[known], self._labels, self.groups_, measured)
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
        if fitting:
            own = is_net(self.estimator) and steps_before(self.estimator) is None
            raw = is_raw(X) and not own
        else:
            raw = self.reader_ is not None
        if not raw:
            return self._checked_arrays(X, y) if fitting else super()._checked(X)
        if not hasattr(X, "columns"):
            raise TypeError(
                "FairRule was fitted on a DataFrame with text or missing values, and reads "
                f"its columns by name; got {type(X).__name__}."
            )
        _check_feature_names(self, X, reset=fitting)
        _check_n_features(self, X, reset=fitting)
        if not fitting:
            return X
        y = as_labels(y)
        check_same_length(X=X, y=y)
        return X, y

    # -- predict --------------------------------------------------------------

    def _read(self, X):
        """Class log-probabilities of the classifier, and what the group is read from."""
        net = unwrap(self.estimator_)
        if not is_fitted_net(net):
            log_proba = class_log_proba(self.estimator_, X)[:, self._order]
        else:
            rows = on_device(net, in_net_types(net, behind_steps(self.estimator_, X)))
            log_proba = predict_log_proba(net, rows).double().cpu().numpy()[:, self._order]
            columns = rows.columns
            if columns is None:
                encoder = Encoder(net, find_head(net, rows))
                with evaluating(net.module_):
                    columns = encoder.all_rows(rows)
            return log_proba, columns.double().cpu().numpy()
        if self.reader_ is not None:
            return log_proba, self.reader_.transform(X)
        return log_proba, np.asarray(X, dtype=np.float64).reshape(len(X), -1)

    def _scores(self, X):
        X = self._checked(X)  # before `_rule` is read, which fit makes
        return self._rule.scores(*self._read(X))

    # -- out ------------------------------------------------------------------

    def _served_net(self):
        return unwrap(self.estimator_)

    def _receive(self, net):
        self.estimator_, self.group_estimator_ = net, self._rule.posterior.group_factor

    def _decision(self):
        return self._rule.numbers()

    def _read_signature(self, X):
        """What the net takes and gives, a table or not; None where there is no net."""
        net = self._served_net()
        if not is_fitted_net(net):
            return None
        X = behind_steps(self.estimator_, X)
        self._by_columns = getattr(X, "ndim", 0) == 2
        if self._by_columns:
            X = in_net_types(net, take(X, slice(FEW)))
        return read_signature(net, on_device(net, X))

    def _export(self):
        net = self._served_net()
        if self._signature is None:
            raise TypeError(
                "only a rule over a net becomes a torch module; this one is over "
                f"{type(net).__name__}. Pickle it, or keep it with skops."
            )
        if self._order != sorted(self._order):
            raise ValueError(
                "the favourable label is the net's first output, and the rule leaves with its "
                "second one as the favourable one: give a module whose outputs are swapped."
            )
        return [export_rule(net, self._signature, self._rule, self._by_columns)]

    def _output_order(self):
        return self._order
