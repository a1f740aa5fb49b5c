"""compare: every way to make a classifier fair, on the same splits, judged alike."""

from contextlib import contextmanager

import pandas as pd
from joblib import Parallel, delayed
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from skfairaug._inputs._checks import (
    check_row_per_label,
    check_switch,
    check_tolerance,
)
from skfairaug._inputs._copies import PortableNet
from skfairaug._inputs._given import collected, is_dataset, is_named, named_arrays
from skfairaug._inputs._groups import check_same_order, encode_groups
from skfairaug._inputs._labels import encode_favourable
from skfairaug._inputs._models import is_fitted_net
from skfairaug.benchmark._fingerprint import fingerprint
from skfairaug.benchmark._jobs import (
    Part,
    fits_on_validation,
    is_fitted,
    last_step,
    prepare,
    run_job,
)
from skfairaug.benchmark._results import Results
from skfairaug.benchmark._sensitive import without_sensitive
from skfairaug.benchmark._splits import make_splits
from skfairaug.metrics._constraints import get_constraint


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
    pos_label=None,
    drop_sensitive=False,
    held_out=False,
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
        Rows. Where all classifiers are around networks also a mapping of names to arrays.
    y : array-like of shape (n_samples,)
        Labels; of two, `pos_label` is the favourable one.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row.
    estimator : classifier, torch module or callable, default=None
        The biased classifier. Not fitted: a clone is trained in every split. Fitted:
        used as it is, a trained module too, and X should be rows it has not seen. A callable
        ``estimator(X, y, seed)`` returns it fitted. None where every mitigator holds
        or is one.
    preprocessor : transformer, default=None
        A clone is fitted on the training part of every split.
    constraint : str, default="statistical_parity"
        Bias measure, see `skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    drop_sensitive : bool, default=False
        Whether the columns that say the group leave X first: those named as
        `sensitive_features` are, their one-hot columns, and those with one value per group.
        Methods that need the group to predict are still given it beside X.
    held_out : bool, default=False
        Whether a mitigator that debiases a fitted classifier and whose `fit` takes `held_out`
        gets the training rows too, marked False: they train it and measure the bias, and
        choose nothing. The other mitigators are fitted as they are without it.
    cv : int, list of int, splitter or dict, default=10
        Number or list of seeds of random splits (60% training, 20% validation, 20%
        test), or a scikit-learn splitter, a quarter of whose training rows validate, or
        splits of your own: seed -> indices of its training, validation and test rows.
    n_jobs : int, default=None
        Jobs of joblib; ``parallel_config(backend="dask")`` takes them to other
        machines.
    path : str or path, default=None
        CSV file that each result is added to as it comes. Results that are in it already
        are not computed again, unless they were errors. A fit that Ctrl-C cut short is not
        written. However the process ends, at most the result that was being written is
        lost, and several processes may share the file, which then holds one row for each
        method and split (``<path>.lock`` lets one write at a time).
    progress : bool, default=True
        Whether to show a progress bar.

    Returns
    -------
    results : DataFrame
        A row per method and split: `balanced_accuracy`, `accuracy`, the signed bias by
        each measure (NaN where a group lacks a label that it reads), `bias` by
        `constraint`, `phi`, `probability_inside` (what the method claims of its own
        bias, NaN where it claims nothing), `fit_seconds` (with the training of a classifier
        of its own; that of the biased one is in `estimator_seconds`), `predict_seconds`,
        `needs_sensitive_features` (to predict), `warnings` and `error`, the text of what
        a method failed with, the preprocessor of a split or the biased classifier if it
        needs one.

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
    X = _checked_rows(X, preprocessor)
    check_same_order(X=X, y=y, sensitive_features=sensitive_features)
    check_switch(drop_sensitive, "drop_sensitive")
    check_switch(progress, "progress")
    measure = get_constraint(constraint).name
    check_tolerance(tolerance)
    codes, classes = encode_favourable(y, pos_label)
    check_row_per_label(next(iter(X.values())) if is_named(X) else X, len(codes))
    groups = encode_groups(sensitive_features, len(codes))
    if drop_sensitive:
        X = without_sensitive(X, sensitive_features)
    names = pd.Categorical.from_codes(groups.codes, groups.names, ordered=True)
    data = Part(X, codes, pd.Series(names), classes)
    _check_mitigators(mitigators, estimator)
    _check_shared(estimator, preprocessor)
    check_switch(held_out, "held_out")
    splits = make_splits(cv, codes, groups.codes)

    goal = {"constraint": measure, "tolerance": float(tolerance)}
    setting = fingerprint(data, estimator, preprocessor, goal)
    if held_out:  # without it the files of earlier runs go on
        setting = fingerprint(setting, "held_out")
    fitted = estimator is not None and (
        is_fitted_net(estimator)
        or (isinstance(estimator, BaseEstimator) and is_fitted(estimator))
    )
    jobs = {
        fingerprint(setting, name, mitigator, split, *rows): (name, mitigator, split)
        for name, mitigator in mitigators.items()
        for split, rows in splits.items()
    }
    results = Results(path)
    done = results.succeeded()
    todo = {run: job for run, job in jobs.items() if run not in done}
    needed = {split: splits[split] for _, _, split in todo.values()}
    if is_fitted_net(estimator):
        estimator = PortableNet(estimator)  # crosses to other processes whatever its class
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    with _progress_bar(progress, len(needed) + len(todo)) as advance:
        prepared = {}
        for one in parallel(
            delayed(prepare)(split, rows, data, estimator, preprocessor)
            for split, rows in needed.items()
        ):
            prepared[one.split] = one
            advance("training the biased classifier")
        for row in parallel(
            delayed(run_job)(
                run, name, mitigator, prepared[split], data, goal, held_out, fitted
            )
            for run, (name, mitigator, split) in todo.items()
        ):
            results.add(row)
            advance(f"{row['method']}, split {row['split']}")
    return results.frame(jobs)


def _checked_rows(X, preprocessor):
    """Rows that can be split: a table, an array, or for nets arrays by name."""
    X = collected(X)
    if is_dataset(X):
        raise TypeError(
            f"X is a {type(X).__name__} of images, whose rows compare cannot split: give an "
            "array."
        )
    if is_named(X):
        if preprocessor is not None:
            raise TypeError("X holds arrays by name, which a preprocessor cannot transform.")
        X = named_arrays(X)
    return X


def _check_mitigators(mitigators, estimator):
    if not isinstance(mitigators, dict) or not mitigators:
        raise ValueError(
            f"mitigators must be a dict of name -> classifier; got {mitigators!r}."
        )
    for name, mitigator in mitigators.items():
        if not isinstance(name, str) or len(name.splitlines()) != 1:
            raise ValueError(f"the names of mitigators must be text in one line; got {name!r}.")
        if isinstance(mitigator, type):
            raise ValueError(
                f"mitigator {name!r} is the class {mitigator.__name__}, an instance is needed."
            )
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
        if own is not None and isinstance(mitigator, Pipeline) and not is_fitted(own):
            raise ValueError(
                f"mitigator {name!r} is a Pipeline that would debias a classifier of its "
                "own, which is not fitted: put the Pipeline inside, as its estimator."
            )


def _check_shared(estimator, preprocessor):
    made = is_fitted_net(estimator) or (
        isinstance(estimator, BaseEstimator) and hasattr(estimator, "predict")
    )
    trains = callable(estimator) and not isinstance(estimator, type)
    if not (estimator is None or made or trains):
        raise ValueError(
            "estimator must be a classifier, a function estimator(X, y, seed) that returns a "
            f"fitted one, or None; got {estimator!r}."
        )
    lacks = not (hasattr(preprocessor, "fit") and hasattr(preprocessor, "transform"))
    if preprocessor is not None and (lacks or isinstance(preprocessor, type)):
        raise ValueError(
            f"preprocessor must be a transformer, with fit and transform; got {preprocessor!r}."
        )


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
