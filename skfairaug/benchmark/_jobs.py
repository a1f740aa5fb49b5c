"""The jobs of a comparison: the biased classifier of a split, and one mitigator on it."""

import time
import warnings
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import has_fit_parameter
from skorch import NeuralNet

from skfairaug._inputs._adopt import core_of
from skfairaug._inputs._copies import PortableNet
from skfairaug._inputs._given import is_array, take
from skfairaug._inputs._labels import output_order
from skfairaug._inputs._models import is_fitted_net, is_net, predict_codes, train_net, unwrap
from skfairaug.benchmark._alone import alone
from skfairaug.benchmark._results import COLUMNS, MEASURES
from skfairaug.metrics._hard import bias
from skfairaug.metrics._predictions import handing_on, needs_groups, routes_groups


class Part(NamedTuple):
    """Rows of one part of a split."""

    X: Any
    y: np.ndarray
    groups: pd.Series
    classes: np.ndarray  # what the caller calls the codes in y, the favourable one last
    held_out: np.ndarray | None = None  # of debiasing rows: whether the classifier saw none
    named: bool = False  # whether y holds those names instead


class PreparationError(Exception):
    """What the methods of a split share is not there, for the reason that is told."""


class Prepared(NamedTuple):
    """What the methods of a split share: rows, transformer, and the biased classifier."""

    split: int
    rows: tuple  # indices of the training, validation and test part
    preprocessor: Any
    estimator: Any
    seconds: float
    preprocessor_error: str  # what they failed with, if they did
    estimator_error: str


def fits_on_validation(mitigator):
    """Whether a mitigator debiases a fitted classifier, rather than train itself."""
    return getattr(last_step(mitigator), "fits_on", "train") == "validation"


def last_step(model):
    """What predicts: of a Pipeline its last step, otherwise the model itself."""
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def prepare(split, rows, data, estimator, preprocessor):
    """Fit the transformer and the biased classifier of a split."""
    seconds, errors = 0.0, ["", ""]
    with alone(split):
        try:
            preprocessor, part = _preprocess(split, rows[0], data, preprocessor)
        except Exception as error:  # noqa: BLE001  is told in every row of the split
            errors = [_told(error)] * 2
        else:
            start = time.perf_counter()
            try:
                estimator = _trained(estimator, part, split)
            except Exception as error:  # noqa: BLE001  is told where it is needed
                errors[1] = _told(error)
            seconds = time.perf_counter() - start
    if is_fitted_net(estimator):
        estimator = PortableNet(estimator)
    return Prepared(split, rows, preprocessor, estimator, seconds, *errors)


def run_job(run, name, mitigator, prepared, data, goal, held_out=False, fitted=False):
    """Fit one mitigator on one split and judge it: a row of the results.

    `fitted` says whether the caller fitted the biased classifier, on labels of his own.
    """
    n_train, n_validation, n_test = map(len, prepared.rows)
    row = dict.fromkeys(COLUMNS) | {
        "run": run,
        "method": name,
        "split": prepared.split,
        **goal,
        "n_fit": n_train + n_validation,
        "n_test": n_test,
        "estimator_seconds": prepared.seconds,
        "needs_sensitive_features": needs_groups(mitigator),
        "warnings": "",
        "error": "",
    }
    with (
        alone(prepared.split),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        try:
            own = getattr(last_step(mitigator), "estimator", None)
            named = fitted if own is None else is_fitted(own)
            train, validation, test = _parts(prepared, data)
            if held_out and has_fit_parameter(last_step(mitigator), "held_out"):
                validation = _with_training_rows(data, prepared)
            model, spent = _configured(mitigator, prepared, train, goal)
            part = validation if fits_on_validation(model) else train
            if named and part is validation:
                part = _as_the_caller_has_it(last_step(model), part)
            row |= _fit_and_judge(model, part, test, goal)
            row["fit_seconds"] += spent
        except Exception as error:  # noqa: BLE001  is told in the row; the others go on
            row["error"] = _told(error)
    told = dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught)
    row["warnings"] = "; ".join(told)
    return row


def _preprocess(split, train, data, preprocessor):
    """The transformer, fitted, and the training part as it makes it."""
    if preprocessor is not None:
        preprocessor = _seeded(clone(preprocessor), split)
        preprocessor.fit(_safe_indexing(data.X, train), data.y[train])
    return preprocessor, _take(data, train, preprocessor)


def _trained(estimator, part, split):
    """The biased classifier, fitted by whoever has to."""
    if is_fitted_net(estimator):
        return estimator  # a module can be called, and is no function of the rows
    if isinstance(estimator, BaseEstimator):
        unfitted = not is_fitted(estimator)
        return _fit(_seeded(clone(estimator), split), part) if unfitted else estimator
    return estimator(part.X, part.y, split) if callable(estimator) else estimator


def _parts(prepared, data):
    """Training, validation and test rows, transformed."""
    if prepared.preprocessor_error:
        raise PreparationError(f"the preprocessor failed: {prepared.preprocessor_error}")
    return [_take(data, rows, prepared.preprocessor) for rows in prepared.rows]


def _told(error):
    return f"{type(error).__name__}: {error}"


def _fit_and_judge(model, part, test, goal):
    start = time.perf_counter()
    model = _fit(model, part)
    fitted = time.perf_counter()
    needed = {}
    if needs_groups(model):
        needed["sensitive_features"] = test.groups
    if is_net(model):
        y_pred = predict_codes(unwrap(model), test.X)
    else:
        with handing_on(model, "predict"):
            y_pred = model.predict(test.X, **needed)
    predicted = time.perf_counter()
    if isinstance(model, FrozenEstimator) and is_fitted_net(model):
        # skorch's nets number their outputs.
        y_pred = np.argsort(output_order(core_of(model), test.classes))[y_pred]
    elif isinstance(model, FrozenEstimator) or part.named:
        y_pred = _as_codes(y_pred, test.classes)
    gaps = {goal["constraint"]: _gap(test, y_pred, goal["constraint"])}
    for name in MEASURES:
        with suppress(ValueError):  # nobody asked for it
            gaps[name] = _gap(test, y_pred, name)
    accuracy = balanced_accuracy_score(test.y, y_pred)
    gap = gaps[goal["constraint"]]
    return {
        "balanced_accuracy": accuracy,
        "accuracy": accuracy_score(test.y, y_pred),
        **{name: gaps.get(name, np.nan) for name in MEASURES},
        "bias": gap,
        "phi": accuracy if abs(gap) < goal["tolerance"] else 0.0,
        "probability_inside": getattr(last_step(model), "probability_inside_", np.nan),
        "fit_seconds": fitted - start,
        "predict_seconds": predicted - fitted,
    }


def _gap(test, y_pred, constraint):
    return bias(test.y, y_pred, sensitive_features=test.groups, constraint=constraint)


def _as_codes(y_pred, classes):
    """Codes of labels that a classifier learnt from the caller, not from here."""
    unknown = np.setdiff1d(y_pred, classes)
    if len(unknown):
        raise ValueError(f"it predicts {unknown.tolist()}, but y holds {classes.tolist()}.")
    classes = classes.tolist()
    return np.array([classes.index(label) for label in np.asarray(y_pred).tolist()])


def _as_the_caller_has_it(debiaser, part):
    """The part with the caller's labels, as the classifier that he fitted knows those.

    Everything that is trained here is trained on codes instead, whatever the labels are.
    """
    if isinstance(debiaser, FrozenEstimator) or not hasattr(debiaser, "pos_label"):
        return part  # it is not fitted here, or would not know which is favourable
    if len(part.classes) == 2:
        debiaser.pos_label = part.classes[1]
    return part._replace(y=part.classes[part.y], named=True)


def _configured(mitigator, prepared, train, goal):
    """A clone with the split's seed, the goal, and the classifier it is to debias.

    Also the seconds that training a classifier of its own took.
    """
    model = _seeded(clone(mitigator), prepared.split, goal)
    if not fits_on_validation(model) or isinstance(model, FrozenEstimator):
        return model, 0.0
    start = time.perf_counter()
    debiaser = last_step(model)
    own = debiaser.estimator
    if own is None:
        if prepared.estimator_error:
            raise PreparationError(f"the biased classifier failed: {prepared.estimator_error}")
        biased = prepared.estimator
        debiaser.estimator = biased.restore() if isinstance(biased, PortableNet) else biased
    elif not is_fitted(own):
        debiaser.estimator = _fit(_seeded(clone(own), prepared.split, goal), train)
    if not is_fitted_net(debiaser.estimator):
        debiaser.estimator = FrozenEstimator(debiaser.estimator)
    return model, time.perf_counter() - start


def _seeded(model, seed, goal=None):
    """Set the random states that are None, and parameters named in `goal`, nested too."""
    changes = {}
    for name, value in model.get_params(deep=True).items():
        last = name.rsplit("__", 1)[-1]
        if last == "random_state" and value is None:
            changes[name] = seed
        elif goal and last in goal and value is not None:
            changes[name] = goal[last]
    model.set_params(**changes)  # of a FrozenEstimator it returns nothing
    return model


def _fit(model, part):
    """The model, fitted; a net is a clone, as it wants labels in its criterion's own type."""
    if isinstance(model, NeuralNet):
        return train_net(model, part.X, part.y)
    params = {}
    if _takes_groups(model):
        params["sensitive_features"] = part.groups
    elif _takes_groups(last_step(model)):
        params[f"{model.steps[-1][0]}__sensitive_features"] = part.groups
    if part.held_out is not None:
        step = "" if model is last_step(model) else f"{model.steps[-1][0]}__"
        params[f"{step}held_out"] = part.held_out
    with handing_on(model, "fit"):
        model.fit(part.X, part.y, **params)
    return model


def _takes_groups(model):
    if has_fit_parameter(model, "sensitive_features"):
        return True
    return routes_groups(model, "fit")


def is_fitted(model):
    """Whether a classifier that we got was fitted by the caller."""
    if isinstance(model, NeuralNet) or is_fitted_net(model):
        return is_fitted_net(model)
    if isinstance(model, FrozenEstimator):
        return True
    return get_tags(model).requires_fit and hasattr(model, "classes_")


def _take(data, rows, preprocessor):
    """Rows of a part, transformed; floating arrays in the precision that nets want."""
    X = data.X
    X = _safe_indexing(X, rows) if is_array(X) else take(X, rows)
    if preprocessor is not None:
        X = preprocessor.transform(X)
    if isinstance(X, np.ndarray) and X.dtype == np.float64:
        X = X.astype(np.float32)
    groups = data.groups.iloc[rows].reset_index(drop=True)
    return Part(X, data.y[rows], groups, data.classes)


def _with_training_rows(data, prepared):
    """Validation rows, and the training rows marked as seen by the biased classifier."""
    train, validation, _ = prepared.rows
    part = _take(data, np.concatenate([validation, train]), prepared.preprocessor)
    return part._replace(held_out=np.arange(len(part.y)) < len(validation))
