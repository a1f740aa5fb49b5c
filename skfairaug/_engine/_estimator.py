"""BaseIntraProcessor: validate, copy the net, debias it, choose a threshold, predict."""

from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch import NeuralNetBinaryClassifier

from skfairaug._engine._claims import store_claims, warn_interrupted, warn_unless_reached
from skfairaug._engine._debiasing_task import DebiasingTask
from skfairaug._engine._decisions import DecidesByScore
from skfairaug._engine._export import Deployable, export_net
from skfairaug._engine._fitting import fits
from skfairaug._engine._processes import agreed_seed
from skfairaug._engine._selection import Goal
from skfairaug._engine._signature import read_signature
from skfairaug._inputs._adopt import as_net, steps_before, through_steps
from skfairaug._inputs._checks import (
    check_group_rows,
    check_held_out,
    check_labels_present,
    check_tolerance,
    check_training_rows,
)
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug._inputs._copies import copy_net, portable_state, restored_state
from skfairaug._inputs._few_rows import warn_of_few_rows
from skfairaug._inputs._given import check_rows, holds_integers, take
from skfairaug._inputs._groups import (
    Groups,
    check_same_order,
    column_indices,
    encode_groups,
    groups_from_columns,
)
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._labels import (
    CHANCE_ROWS,
    encode_favourable,
    output_order,
    warn_below_chance,
)
from skfairaug._inputs._models import (
    check_net,
    check_output,
    check_own_loss,
    is_fitted_net,
    net_types,
    plain,
    predict_log_proba,
    prototype,
    train_net,
    unwrap,
)
from skfairaug._inputs._parameters import check_idle, check_nested
from skfairaug._inputs._rows import on_device
from skfairaug.metrics._constraints import get_constraint
from skfairaug.steps.importance import group_columns

#: Stands for an infinite cut-off, that of a constant prediction: scores stay finite.
LARGEST = float(np.finfo(np.float32).max)


class Rows(NamedTuple):
    """Validated rows: features as the net takes them, class codes, groups, named columns."""

    X: np.ndarray  # or a mapping to arrays, or a torch Dataset
    y: np.ndarray
    groups: Groups
    columns: list | None

    @property
    def cells(self):
        """(label, group) cell of every row, rows of unknown groups apart."""
        return self.y * (len(self.groups.names) + 1) + self.groups.codes + 1


class NetHolder(BaseEstimator):
    """An estimator around a skorch net: its checks, and how it survives clone and pickle.

    What every step shares: rows are validated, groups are read, and the net is copied
    (or trained first) into a :class:`~skfairaug._engine._debiasing_task.DebiasingTask`.
    """

    #: Whether the net is trained further, by another loss than its own.
    _trains = True

    def _validate_rows(self, X, y, sensitive_features):
        net = check_net(self.estimator)
        if self._trains:
            check_own_loss(net)
        get_constraint(self.constraint)
        self._check_tolerance()
        check_same_order(X=X, y=y, sensitive_features=sensitive_features)
        given = X
        X, _ = self._validate_X_y(X, y)
        # Of the labels as they came: an array would not know the order of a categorical.
        y, self._labels = encode_favourable(y, self.pos_label)
        self.classes_ = np.sort(self._labels)
        names, columns = getattr(self, "feature_names_in_", None), None
        if self.preprocessor_ is None:
            columns = column_indices(self.sensitive_columns, X, names)
        elif sensitive_features is None:
            # Columns are called what the caller calls them, and are others behind the steps.
            given = np.asarray(given, dtype=object)
            own = column_indices(self.sensitive_columns, given, names)
            sensitive_features = groups_from_columns(given, own)
        if sensitive_features is None:
            sensitive_features = groups_from_columns(X, columns)
        missing = getattr(self, "missing_groups", "error")
        groups = encode_groups(sensitive_features, len(y), missing=missing)
        self.groups_ = groups.names
        rows = Rows(X, y, groups, columns)
        known = groups.codes >= 0
        self._check_cells(rows, known)
        measured = get_constraint(self.constraint).labels
        warn_of_few_rows(y[known], groups.codes[known], self._labels, self.groups_, measured)
        return rows

    def _check_cells(self, rows, of):
        """Raise where some rows lack a class, a group, or a cell that is measured."""
        y, codes = rows.y[of], rows.groups.codes[of]
        check_labels_present(y, self._labels)
        check_group_rows(codes, self.groups_)
        constraint = get_constraint(self.constraint)
        constraint.check(y, codes, self._labels, self.groups_)

    def _validate_X_y(self, X, y):
        """Checked rows and labels on the host, see `skfairaug._inputs._given`."""
        self.preprocessor_ = steps_before(self.estimator)
        X = self._through_steps(X, reset=True)
        return self._check_rows(prototype(unwrap(self.estimator)), X, y, reset=True)

    def _through_steps(self, X, reset=False):
        """Rows behind the steps of a Pipeline that came before the net, if any."""
        if self.preprocessor_ is None:
            return X
        validate_data(self, X, skip_check_array=True, reset=reset)
        return through_steps(self.preprocessor_, X)

    def _validate_X(self, X):
        """Checked rows on the host, for the fitted net."""
        return self._check_rows(self.net_, self._through_steps(X), reset=False)

    def _check_rows(self, net, X, *y, reset):
        if reset:
            self._types = None

        def types(X):
            if self._types is None or holds_integers(X):
                found = net_types(net, X)
                self._types = found if self._types is None else self._types
                return found
            return self._types  # of fit: tokens may come as floats later

        own = self.preprocessor_ is None  # behind its steps columns have other names
        module = plain(net.module_)
        return check_rows(self, X, *y, types=types, module=module, named=own, reset=reset)

    def _check_tolerance(self):
        check_tolerance(self.tolerance)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")  # the last thing that fit sets

    def _draw_seed(self):
        random_state = check_random_state(self.random_state)
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        return agreed_seed(unwrap(self.estimator), seed)

    def _whole_task(self, rows, seed):
        """A task whose rows all train and select, for a step on its own."""
        if is_fitted_net(self.estimator):
            net = self._copy_of_net(rows.X)
        else:
            net = train_net(unwrap(self.estimator), rows.X, rows.y)
        everything = np.arange(len(rows.y))
        task = self._make_task(net, rows, everything, everything, seed)
        self._warn_below_chance(task)
        return task

    def _copy_of_net(self, X):
        """A copy of the fitted net, or a net around a copy of the module."""
        net = copy_net(as_net(unwrap(self.estimator), X))
        order = output_order(unwrap(self.estimator), self._labels)
        if order != sorted(order):
            net.output_order_ = order
        return net

    def _warn_below_chance(self, task):
        """Say so where a net that was given contradicts the labels of the rows."""
        if len(self._labels) > 2 or not is_fitted_net(self.estimator):
            return
        rows = task.select[:CHANCE_ROWS]
        predicted = predict_log_proba(task.net, task.X.at(rows)).argmax(1)
        warn_below_chance(
            task.y[rows].cpu().numpy(),
            predicted.cpu().numpy(),
            self._labels,
            unwrap(self.estimator),
            stacklevel=6,  # here, _start, fit, scikit-learn's _fit_context, the caller
        )

    def _goal(self):
        """What is asked of the network."""
        return Goal(get_constraint(self.constraint), self.tolerance)

    def _make_task(self, net, rows, train, select, seed, measure=()):
        X = on_device(net, rows.X)
        check_output(net, X, len(self.classes_))
        if not hasattr(net, "classes_inferred_"):
            # Weights were loaded, not trained here; the net's own scorers want classes.
            net.classes_inferred_ = np.arange(len(self.classes_))
        measure = np.asarray(measure, dtype=np.int64)
        y, groups, train, select, measure = (
            torch.as_tensor(values, device=X.device)
            for values in (rows.y, rows.groups.codes, train, select, measure)
        )
        columns, values = columns_of_groups(X, rows, groups)
        return DebiasingTask(
            net=net,
            X=X,
            y=y,
            groups=groups,
            n_classes=len(self.classes_),
            n_groups=len(rows.groups.names),
            train=train,
            select=select,
            measure=measure,
            goal=self._goal(),
            columns=columns,
            group_values=values,
            generator=torch.Generator(X.device).manual_seed(seed),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True  # what the net takes, images too
        tags.target_tags.required = True
        return tags

    def __sklearn_clone__(self):
        # The default clone of a fitted net is an unfitted one: a meta-estimator
        # would then fine-tune random weights.  A fitted net is shared instead, as
        # FrozenEstimator does; fit copies it before it writes.
        twin = super().__sklearn_clone__()
        if is_fitted_net(self.estimator):
            twin.estimator = self.estimator
        return twin

    def __getstate__(self):
        return portable_state(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(restored_state(state))

    def set_params(self, **params):
        """Set parameters; those of a fitted net are refused, as it would lose its weights.

        Parameters
        ----------
        **params : dict
            Parameters of this estimator or of its nested estimators.

        Returns
        -------
        self : object
            This estimator.
        """
        inner = [name for name in params if name.startswith("estimator__")]
        if inner and is_fitted_net(params.get("estimator", self.estimator)):
            raise ValueError(
                f"{inner} would change a fitted net, which skorch re-initialises then. "
                "Pass an unfitted net to search over its parameters: it is trained "
                "inside fit."
            )
        check_nested(self, params)
        return super().set_params(**params)


class BaseIntraProcessor(
    Deployable, DecidesByScore, ClassifierMixin, MetaEstimatorMixin, NetHolder
):
    """Base of the classifiers that debias a trained network with validation data.

    A subclass implements ``_debias(task)``, which changes ``task.net`` and offers
    what it finds to ``task.best``.
    """

    #: Which rows it is made for, see `skfairaug.benchmark.compare`.
    fits_on = "validation"
    #: Whether `predict` takes the group.
    needs_sensitive_features = False

    #: Parameters that every subclass has.
    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "sensitive_columns": "no_validation",
        "constraint": [str],
        "tolerance": "no_validation",
        "pos_label": "no_validation",
        "caution": [Interval(Real, 0, None, closed="left")],
        "debias_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        binary = isinstance(unwrap(self.estimator), NeuralNetBinaryClassifier)
        tags.classifier_tags.multi_class = not binary
        return tags

    # -- fit ------------------------------------------------------------------

    @fits
    def fit(self, X, y, *, sensitive_features=None, held_out=None):
        """Debias a copy of the net on validation data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Validation rows, as the net takes them. Images stay uint8 and tokens integers
            where the net reads them so. A mapping of names to arrays is given to the
            module as keyword arguments, and so are the columns of a frame that it names. A
            torch Dataset of images is read when its rows are needed, through the net's
            own iterator; one of a table is read once.
        y : array-like of shape (n_samples,)
            Labels; of two, `pos_label` is the favourable one.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns); several
            columns make intersectional groups. None reads them from `sensitive_columns`.
        held_out : array-like of bool of shape (n_samples,), default=None
            False marks rows that the net was trained on: they help to fine-tune and to
            measure the bias, and never say how accurate a network is. None: no row was seen
            before.

        Returns
        -------
        self : object
            Fitted estimator. Ctrl-C ends the training, not the fit: the best network so far
            is kept, and a ConvergenceWarning says so.
        """
        for step in self.get_params(deep=False).values():
            if isinstance(step, NetHolder):
                step._validate_params()
        if is_fitted_net(self.estimator) and hasattr(self, "debias_fraction"):
            check_idle(
                self, ("debias_fraction",), "where the net is fitted: all rows debias it."
            )
        rows = self._validate_rows(X, y, sensitive_features)
        held_out = check_held_out(held_out, len(rows.y))
        self._check_cells(rows, held_out & (rows.groups.codes >= 0))
        seed = self._draw_seed()
        with isolated_random_state(seed):
            task = self._start(rows, held_out, seed)
            task.offer_net()
            self._debias(task)
            task.net.module_.load_state_dict(task.best.state)
        self._store(task)
        return self

    def _start(self, rows, held_out, seed):
        """The task: a copy of the fitted net, or one trained on rows that do not debias."""
        if is_fitted_net(self.estimator):
            net = self._copy_of_net(rows.X)
        else:
            kept, spent = split_cells(rows.cells, self.debias_fraction, seed)
            check_training_rows(rows.cells, kept, spent)
            net = train_net(unwrap(self.estimator), take(rows.X, spent), rows.y[spent])
            codes = Groups(rows.groups.codes[kept], rows.groups.names)
            rows = Rows(take(rows.X, kept), rows.y[kept], codes, rows.columns)
            held_out = held_out[kept]
        chooses = held_out & (rows.groups.codes >= 0)
        select = np.flatnonzero(chooses)
        own, _ = split_cells(rows.cells[select], 1 - self.validation_fraction, seed)
        train = np.sort(np.concatenate([select[own], np.flatnonzero(~chooses)]))
        measure = np.flatnonzero(~held_out & (rows.groups.codes >= 0))
        task = self._make_task(net, rows, train, select, seed, measure)
        self._warn_below_chance(task)
        return task

    def _goal(self):
        return Goal(get_constraint(self.constraint), self.tolerance, caution=self.caution)

    def _debias(self, task):
        raise NotImplementedError

    def _store(self, task):
        verdict = task.best.verdict
        task.net.module_.eval()
        self.history_ = task.net.history
        self._log_odds = np.clip(verdict.log_odds, -LARGEST, LARGEST)
        self._signature = read_signature(task.net, task.X)
        store_claims(self, verdict)
        self.net_ = task.net
        if task.interrupted:
            warn_interrupted(stacklevel=4)
        warn_unless_reached(
            verdict, task.goal, task.selection, remedies=self._remedies, stacklevel=4
        )  # _store, fit, what `fits` puts around it, the caller

    #: What may help where the bound is missed, the end of a warning.
    _remedies = "give it a larger tolerance, a smaller caution or more epochs."

    # -- predict --------------------------------------------------------------

    def _log_proba(self, X):
        check_is_fitted(self)
        X = on_device(self.net_, self._validate_X(X))
        log_proba = predict_log_proba(self.net_, X)
        return log_proba.double().cpu().numpy()

    def _scores(self, X):
        return self._scores_of(self._log_proba(X))

    def _scores_of(self, log_proba):
        if len(self.classes_) > 2:
            return log_proba
        return log_proba[:, 1] - log_proba[:, 0] - self._log_odds

    # -- out ------------------------------------------------------------------

    def _served_net(self):
        return self.net_

    def _receive(self, net):
        self.net_, self.history_ = net, net.history

    def _decision(self):
        return {"log_odds": float(self._log_odds)}

    def _export(self):
        # Of the second output, which is not the favourable class's in every network.
        cut = self._log_odds if self._output_order() in (None, [0, 1]) else -self._log_odds
        return export_net(self.net_, self._signature, cut, len(self.classes_))

    def _output_order(self):
        return getattr(self.net_, "output_order_", None)


def columns_of_groups(X, rows, groups):
    """Columns of X that say the group, and the values they have in each; none of images."""
    if X.tensor is None:
        return group_columns(X, groups)
    if rows.columns is None:
        known = torch.nonzero(groups >= 0).ravel()
        whole = len(known) == len(groups)
        return group_columns(X.tensor if whole else X[known], groups[known])
    columns = torch.as_tensor(rows.columns, device=X.device)
    members = (X[groups == g] for g in range(len(rows.groups.names)))
    return columns, torch.stack([part[:, columns].mean(0) for part in members])


def split_cells(cells, fraction, seed):
    """Split row indices so that each cell gives `fraction` of its rows to the first part.

    Every cell keeps at least one row in the first part.
    """
    random_state = np.random.RandomState(seed)
    order = random_state.permutation(len(cells))
    order = order[np.argsort(cells[order], kind="stable")]
    sizes = np.bincount(cells)
    starts = np.cumsum(sizes) - sizes
    rank = np.arange(len(cells)) - starts[cells[order]]
    quota = np.maximum(1, np.round(fraction * sizes)).astype(int)
    first = rank < quota[cells[order]]
    return np.sort(order[first]), np.sort(order[~first])
