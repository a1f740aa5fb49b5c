"""compare: every way to make a classifier fair, on the same splits, judged alike."""

import signal
import threading
import time
import warnings
from contextlib import contextmanager, nullcontext, suppress
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import check_cv, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_consistent_length, has_fit_parameter
from skorch import NeuralNet
from threadpoolctl import threadpool_limits

from skfairaug._nets import PortableNet, is_fitted_net, isolated_random_state, train_net
from skfairaug._validation import check_tolerance, encode_groups, encode_labels
from skfairaug.benchmark._fingerprint import fingerprint
from skfairaug.benchmark._protocol import split_rows
from skfairaug.benchmark._results import (
    COLUMNS,
    MEASURES,
    append_result,
    read_results,
    results_frame,
)
from skfairaug.metrics._constraints import get_constraint
from skfairaug.metrics._hard import bias


class Part(NamedTuple):
    """Rows of one part of a split."""

    X: Any
    y: np.ndarray
    groups: pd.Series
    classes: np.ndarray  # what the caller calls the codes in y


class Prepared(NamedTuple):
    """What the methods of a split share: rows, transformer, and the biased classifier."""

    split: int
    rows: tuple  # indices of the training, validation and test part
    preprocessor: Any
    estimator: Any
    seconds: float


def compare(
    mitigators,
    X,
    y,
    *,
    sensitive_features,
    estimator=None,
    preprocessor=None,
    constraint="statistical_parity",
    tolerance=0.05,
    cv=10,
    n_jobs=None,
    path=None,
    progress=True,
):
    """Fit every mitigator on the same splits and judge it on rows that nobody saw.

    Each split has a training, a validation and a test part. The biased classifier is
    trained on the first. A mitigator that debiases a fitted classifier (its class says
    ``fits_on = "validation"``) gets that one and the validation part; any other
    classifier is fitted on the training part by itself. A mitigator of the first sort
    that holds a classifier of its own, such as ``ThresholdOnly(LogisticRegression())``,
    debiases that one, which is then fitted on the training part. A Pipeline is of the sort
    of its last step.

    Parameters
    ----------
    mitigators : dict of str to classifier
        Name -> estimator, never changed. Parameters called `constraint` and
        `tolerance` are set to those given here unless they are None, and each
        `random_state` that is None to the number of the split, nested ones too. A
        ``FrozenEstimator`` is judged as it is; it predicts labels of `y`, or is a net.
    X : array-like or DataFrame of shape (n_samples, n_features) or (n_samples, ...)
        Rows.
    y : array-like of shape (n_samples,)
        Labels; of two, the larger is the favourable one.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row.
    estimator : classifier or callable, default=None
        The biased classifier. Not fitted: a clone is trained in every split. Fitted:
        used as it is, and X should be rows it has not seen. A callable
        ``estimator(X, y, seed)`` returns it fitted. None where every mitigator holds
        or is one.
    preprocessor : transformer, default=None
        A clone is fitted on the training part of every split.
    constraint : str, default="statistical_parity"
        Bias measure, see `skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    cv : int, list of int, splitter or dict, default=10
        Number or list of seeds of random splits (60% training, 20% validation, 20%
        test), or a scikit-learn splitter, a quarter of whose training rows validate, or
        splits of your own: seed -> indices of its training, validation and test rows.
    n_jobs : int, default=None
        Jobs of joblib; ``parallel_config(backend="dask")`` takes them to other
        machines.
    path : str or path, default=None
        CSV file to which each result is appended as it comes. Results that are in it
        already are not computed again, unless they were errors. A fit that Ctrl-C cut
        short is not written.
    progress : bool, default=True
        Whether to show a progress bar.

    Returns
    -------
    results : DataFrame
        A row per method and split: `balanced_accuracy`, `accuracy`, the signed bias by
        each measure (NaN where a group lacks a label that it reads), `bias` by
        `constraint`, `phi`, `fit_seconds` (with the training of a classifier of its own;
        that of the biased one is in `estimator_seconds`), `predict_seconds`,
        `needs_sensitive_features` (to predict), `warnings` and `error`, the text of what
        a method failed with.

    Raises
    ------
    ValueError
        If an argument is not as described, before anything is fitted.

    See Also
    --------
    summarize : Means, intervals and tests of these results.

    Notes
    -----
    Every fit has one thread, so that seconds compare. Random states and warnings belong
    to a process: jobs in threads of one process wait for each other.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug.benchmark import compare
    >>> from skfairaug.datasets import make_loans
    >>> from skfairaug.rivals import ThresholdOnly
    >>> X, y, sex = make_loans(600, return_X_y=True, random_state=0)
    >>> results = compare(
    ...     {"biased": LogisticRegression(), "threshold": ThresholdOnly(LogisticRegression())},
    ...     X.select_dtypes("number"), y, sensitive_features=sex, cv=2, progress=False)
    >>> results[["method", "split"]].to_numpy().tolist()
    [['biased', 0], ['biased', 1], ['threshold', 0], ['threshold', 1]]
    """
    check_consistent_length(X, y, sensitive_features)
    measure = get_constraint(constraint).name
    check_tolerance(tolerance)
    codes, classes = encode_labels(y)
    groups = encode_groups(sensitive_features, len(codes))
    names = pd.Categorical.from_codes(groups.codes, groups.names, ordered=True)
    data = Part(X, codes, pd.Series(names), classes)
    _check_mitigators(mitigators, estimator)
    splits = _make_splits(cv, codes, groups.codes)

    goal = {"constraint": measure, "tolerance": float(tolerance)}
    setting = fingerprint(data, estimator, preprocessor, goal)
    jobs = {
        fingerprint(setting, name, mitigator, split, *rows): (name, mitigator, split)
        for name, mitigator in mitigators.items()
        for split, rows in splits.items()
    }
    results = read_results(path)
    done = set(results.get("run", ())) & jobs.keys()
    todo = {run: job for run, job in jobs.items() if run not in done}
    needed = {split: splits[split] for _, _, split in todo.values()}
    if is_fitted_net(estimator):
        estimator = PortableNet(estimator)  # crosses to other processes whatever its class
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    with _progress_bar(progress, len(needed) + len(todo)) as advance:
        prepared = {}
        for one in parallel(
            delayed(_prepare)(split, rows, data, estimator, preprocessor)
            for split, rows in needed.items()
        ):
            prepared[one.split] = one
            advance("training the biased classifier")
        fresh = []
        for row in parallel(
            delayed(_run)(run, name, mitigator, prepared[split], data, goal)
            for run, (name, mitigator, split) in todo.items()
        ):
            append_result(path, row)
            fresh.append(row)
            advance(f"{row['method']}, split {row['split']}")
    parts = [results[results["run"].isin(done)]] if done else []
    frame = pd.concat([*parts, results_frame(fresh)] if fresh else parts)  # no empty ones
    return frame.set_index("run").loc[list(jobs)].reset_index()


def fits_on_validation(mitigator):
    """Whether a mitigator debiases a fitted classifier, rather than train itself."""
    return getattr(last_step(mitigator), "fits_on", "train") == "validation"


def last_step(model):
    """What predicts: of a Pipeline its last step, otherwise the model itself."""
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


# -- splits and jobs -----------------------------------------------------------------


def _check_mitigators(mitigators, estimator):
    if not isinstance(mitigators, dict) or not mitigators:
        raise ValueError(
            f"mitigators must be a dict of name -> classifier; got {mitigators!r}."
        )
    for name, mitigator in mitigators.items():
        if not hasattr(mitigator, "fit") or not hasattr(mitigator, "predict"):
            raise ValueError(f"mitigator {name!r} has no fit and predict: {mitigator!r}.")
        if not fits_on_validation(mitigator):
            continue
        own = getattr(last_step(mitigator), "estimator", None)
        if own is None and estimator is None:
            raise ValueError(
                f"mitigator {name!r} debiases a fitted classifier: give compare the biased "
                "one (estimator=...), or the mitigator its own."
            )
        if own is not None and isinstance(mitigator, Pipeline) and not _is_fitted(own):
            raise ValueError(
                f"mitigator {name!r} is a Pipeline that would debias a classifier of its "
                "own, which is not fitted: put the Pipeline inside, as its estimator."
            )


def _make_splits(cv, y, groups):
    """Number of the split -> indices of its training, validation and test part."""
    if isinstance(cv, dict) and cv:
        return {_checked_seed(seed): _checked_rows(rows, len(y)) for seed, rows in cv.items()}
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        if cv < 1:
            raise ValueError(f"cv must be at least 1; got {cv}.")
        cv = list(range(cv))
    if isinstance(cv, list | tuple | range) and all(isinstance(i, Integral) for i in cv):
        if not len(cv) or len(set(cv)) < len(cv) or min(cv) < 0:
            raise ValueError(f"cv must list distinct seeds, 0 or larger; got {list(cv)}.")
        return {int(seed): split_rows(len(y), int(seed)) for seed in cv}
    splits = {}
    cells = y * (groups.max() + 1) + groups
    for i, (rest, test) in enumerate(check_cv(cv).split(np.zeros(len(y)), y)):
        train, validation = train_test_split(
            rest, test_size=0.25, random_state=i, stratify=cells[rest]
        )
        splits[i] = train, validation, test
    return splits


def _checked_seed(seed):
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"the keys of cv must be seeds, 0 or larger; got {seed!r}.")
    return int(seed)


def _checked_rows(rows, n_samples):
    """Training, validation and test rows of a split that was given."""
    rows = tuple(np.asarray(part) for part in rows)
    if len(rows) != 3 or not all(part.size and part.dtype.kind in "iu" for part in rows):
        raise ValueError(
            "each split in cv must be three arrays of indices: training, validation and "
            "test rows."
        )
    if max(part.max() for part in rows) >= n_samples or min(part.min() for part in rows) < 0:
        raise ValueError(f"an index in cv is not among the {n_samples} rows.")
    test = rows[2]
    if np.isin(test, rows[0]).any() or np.isin(test, rows[1]).any():
        raise ValueError("a split in cv has test rows among its training or validation rows.")
    return rows


def _prepare(split, rows, data, estimator, preprocessor):
    """Fit the transformer and the biased classifier of a split."""
    with _alone(split):
        train = rows[0]
        if preprocessor is not None:
            preprocessor = _seeded(clone(preprocessor), split)
            preprocessor.fit(_safe_indexing(data.X, train), data.y[train])
        part = _take(data, train, preprocessor)
        start = time.perf_counter()
        if isinstance(estimator, BaseEstimator):
            if not _is_fitted(estimator):
                estimator = _fit(_seeded(clone(estimator), split), part)
        elif callable(estimator):
            estimator = estimator(part.X, part.y, split)
        seconds = time.perf_counter() - start
    if is_fitted_net(estimator):
        estimator = PortableNet(estimator)
    return Prepared(split, rows, preprocessor, estimator, seconds)


def _run(run, name, mitigator, prepared, data, goal):
    """Fit one mitigator on one split and judge it: a row of the results."""
    train, validation, test = (
        _take(data, rows, prepared.preprocessor) for rows in prepared.rows
    )
    row = dict.fromkeys(COLUMNS) | {
        "run": run,
        "method": name,
        "split": prepared.split,
        **goal,
        "n_fit": len(train.y) + len(validation.y),
        "n_test": len(test.y),
        "estimator_seconds": prepared.seconds,
        "needs_sensitive_features": _needs_groups(mitigator),
        "warnings": "",
        "error": "",
    }
    with (
        _alone(prepared.split),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        try:
            model, spent = _configured(mitigator, prepared, train, goal)
            part = validation if fits_on_validation(model) else train
            row |= _fit_and_judge(model, part, test, goal)
            row["fit_seconds"] += spent
        except Exception as error:  # noqa: BLE001  is told in the row; the others go on
            row["error"] = f"{type(error).__name__}: {error}"
    told = dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught)
    row["warnings"] = "; ".join(told)
    return row


def _fit_and_judge(model, part, test, goal):
    start = time.perf_counter()
    model = _fit(model, part)
    fitted = time.perf_counter()
    needed = {}
    if _needs_groups(model):
        needed["sensitive_features"] = test.groups
    with _handing_on(model, "predict"):
        y_pred = model.predict(test.X, **needed)
    predicted = time.perf_counter()
    if isinstance(model, FrozenEstimator) and not isinstance(model.estimator, NeuralNet):
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
    return np.searchsorted(classes, y_pred)


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
        biased = prepared.estimator
        debiaser.estimator = biased.restore() if isinstance(biased, PortableNet) else biased
    elif not _is_fitted(own):
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
    with _handing_on(model, "fit"):
        model.fit(part.X, part.y, **params)
    return model


def _handing_on(model, method):
    """Context where a Pipeline hands groups to its last step, also if nobody routed them."""
    if isinstance(model, Pipeline) and not _routes_groups(model, method):
        return config_context(enable_metadata_routing=False)
    return nullcontext()


def _takes_groups(model):
    if has_fit_parameter(model, "sensitive_features"):
        return True
    return _routes_groups(model, "fit")


def _routes_groups(model, method):
    return bool(get_routing_for_object(model).consumes(method, {"sensitive_features"}))


def _needs_groups(model):
    return bool(getattr(last_step(model), "needs_sensitive_features", False))


def _is_fitted(model):
    """Whether a classifier that we got was fitted by the caller."""
    if isinstance(model, NeuralNet):
        return is_fitted_net(model)
    if isinstance(model, FrozenEstimator):
        return True
    return get_tags(model).requires_fit and hasattr(model, "classes_")


def _take(data, rows, preprocessor):
    """Rows of a part, transformed; floating arrays in the precision that nets want."""
    X = _safe_indexing(data.X, rows)
    if preprocessor is not None:
        X = preprocessor.transform(X)
    if isinstance(X, np.ndarray) and X.dtype == np.float64:
        X = X.astype(np.float32)
    groups = data.groups.iloc[rows].reset_index(drop=True)
    return Part(X, data.y[rows], groups, data.classes)


#: Threads, random states and warnings belong to the process: one job in it at a time.
_lock = threading.RLock()


@contextmanager
def _alone(seed):
    """One thread, random states of our own, and an end at Ctrl-C."""
    with _lock, _one_thread(), isolated_random_state(seed), _raising_interrupts():
        yield


@contextmanager
def _raising_interrupts():
    """Raise KeyboardInterrupt again after the block, where an estimator made do with it.

    Networks keep the best of an interrupted training by design, and nothing about them
    says that it was cut short.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield  # it is not raised here
        return
    interrupts = []

    def note(*signalled):
        try:
            handler(*signalled)
        except KeyboardInterrupt as interrupt:
            interrupts.append(interrupt)
            raise

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        raise KeyboardInterrupt


@contextmanager
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _progress_bar(shown, total):
    """Yield a function that advances the bar and says what was just done."""
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    hidden = not shown or not total  # everything was read from the file
    with Progress(*columns, TextColumn("{task.description}"), disable=hidden) as progress:
        bar = progress.add_task("", total=total)

        def advance(what):
            progress.update(bar, advance=1, description=what)

        yield advance
