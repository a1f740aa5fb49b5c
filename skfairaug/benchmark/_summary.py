"""What a comparison says: means, intervals, and which differences are more than luck."""

import numpy as np
import pandas as pd
from scipy import stats

from skfairaug._inputs._checks import check_number, check_whole, is_label
from skfairaug.metrics._multiple import holm

SCORES = ("phi", "balanced_accuracy", "accuracy")

#: The columns of results that are read.
READ = (
    *("method", "split", "constraint", "tolerance", *SCORES, "bias", "fit_seconds"),
    *("needs_sensitive_features", "n_fit", "n_test", "error"),
)


def summarize(
    results, *, reference=None, score="balanced_accuracy", confidence_level=0.95, random_state=0
):
    r"""Summarise the results of :func:`compare`, a row per method.

    Parameters
    ----------
    results : DataFrame
        What :func:`compare` returned.
    reference : str, default=None
        Method that the others are tested against; None makes no test.
    score : {"balanced_accuracy", "phi", "accuracy"}, default="balanced_accuracy"
        What is tested.
    confidence_level : float, default=0.95
        Level of the bootstrap intervals of the means, in (0, 1).
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    summary : DataFrame
        Indexed by method, in order of first appearance: mean, standard deviation and
        interval (`_low`, `_high`) of `balanced_accuracy` and `phi`; mean `abs_bias`;
        `inside`, the share of splits with \|bias\| below the tolerance; median
        `fit_seconds`; `needs_sensitive_features` to predict; `n_splits` judged and
        `n_errors`. With a reference: `difference`, the mean of `score` less the
        reference's on the same splits, and its `p_value`, corrected by Holm's method.

    Raises
    ------
    ValueError
        If `results` lacks columns or rows, has several constraints or tolerances, or a
        method and split twice, `reference` is not among the methods, `score` is unknown, or
        `confidence_level` is not in (0, 1).

    Notes
    -----
    Splits share rows, so differences d_1 to d_n are not independent. The test is the
    corrected resampled t-test of [1]_,

    .. math:: t = \bar d \,/ \sqrt{(1/n + n_\mathrm{test} / n_\mathrm{fit})\, s_d^2}

    with n - 1 degrees of freedom. The bootstrap intervals draw splits as if they were
    independent; they say how much the mean depends on the splits that were drawn.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine
       Learning 52, 2003.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfairaug.benchmark import summarize
    >>> results = pd.DataFrame({
    ...     "method": ["a"] * 3, "split": [0, 1, 2], "constraint": "statistical_parity",
    ...     "tolerance": 0.05, "balanced_accuracy": [0.7, 0.8, 0.9],
    ...     "bias": [0.01, -0.02, 0.06], "phi": [0.7, 0.8, 0.0], "accuracy": 0.8,
    ...     "fit_seconds": 1.0, "needs_sensitive_features": False,
    ...     "n_fit": 80, "n_test": 20, "error": ""})
    >>> summarize(results)[["balanced_accuracy", "abs_bias", "phi"]].round(3).to_numpy()
    array([[0.8 , 0.03, 0.5 ]])
    """
    _check(results, reference, score)
    check_number(confidence_level, "confidence_level", 0, 1, open_ends=True)
    rng = _generator(random_state)
    # A file read by pandas has NaN where there is no text.
    results = results.assign(error=results["error"].astype(object).fillna(""))
    judged = results[results["error"] == ""]
    rows = {
        method: _describe(
            judged[judged["method"] == method],
            int((part["error"] != "").sum()),
            confidence_level,
            rng,
        )
        for method, part in results.groupby("method", sort=False)
    }
    summary = pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
    if reference is not None:
        table = judged.pivot(index="split", columns="method", values=score)
        share = (judged["n_test"] / judged["n_fit"]).mean()
        tests = {
            method: corrected_resampled_test(table[method] - table[reference], share)
            if {method, reference} <= set(table) and method != reference
            else (np.nan, np.nan)
            for method in summary.index
        }
        summary["difference"] = [tests[method][0] for method in summary.index]
        summary["p_value"] = holm([tests[method][1] for method in summary.index])
    return summary


def corrected_resampled_test(differences, test_share):
    """Mean of paired differences over overlapping splits, and its two-sided p-value.

    Parameters
    ----------
    differences : Series of shape (n_splits,)
        One difference per split; NaN where one of the two failed.
    test_share : float
        Number of test rows over number of rows fitted on.

    Returns
    -------
    mean, p_value : float
        NaN below two differences; a p-value of 1 where all are zero.
    """
    differences = np.asarray(differences, dtype=float)
    differences = differences[~np.isnan(differences)]
    n = len(differences)
    if n < 2:
        return np.nan, np.nan
    mean = differences.mean()
    error = np.sqrt((1 / n + test_share) * differences.var(ddof=1))
    if error == 0:
        return mean, float(mean == 0)
    return mean, float(2 * stats.t.sf(abs(mean) / error, df=n - 1))


def _describe(part, n_errors, confidence_level, rng):
    row = {}
    for name in ("balanced_accuracy", "phi"):
        values = part[name].to_numpy(dtype=float)
        row[name] = values.mean() if len(values) else np.nan
        row[f"{name}_std"] = values.std(ddof=1) if len(values) > 1 else np.nan
        low, high = _interval(values, confidence_level, rng)
        row |= {f"{name}_low": low, f"{name}_high": high}
    inside = part["bias"].abs() < part["tolerance"]
    return row | {
        "abs_bias": part["bias"].abs().mean(),
        "inside": inside.mean(),
        "claimed": part.get("probability_inside", pd.Series(dtype=float)).mean(),
        "fit_seconds": part["fit_seconds"].median(),
        "needs_sensitive_features": bool(part["needs_sensitive_features"].any()),
        "n_splits": len(part),
        "n_errors": n_errors,
    }


def _interval(values, confidence_level, rng):
    if len(values) < 2:
        return np.nan, np.nan
    if np.ptp(values) == 0:
        return values[0], values[0]
    result = stats.bootstrap(
        (values,), np.mean, confidence_level=confidence_level, method="percentile", rng=rng
    )
    return result.confidence_interval


def _generator(random_state):
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31 - 1))
    check_whole(random_state, "random_state", 0)
    return np.random.default_rng(random_state)


def _check(results, reference, score):
    if not isinstance(results, pd.DataFrame) or results.empty:
        raise ValueError(
            f"results must be a DataFrame, as compare returns, with rows; got {_kind(results)}."
        )
    missing = [name for name in READ if name not in results]
    if missing:
        raise ValueError(f"results lack the columns {missing}; they have {list(results)}.")
    if not isinstance(score, str) or score not in SCORES:
        raise ValueError(f"score must be one of {SCORES}; got {score!r}.")
    goals = results[["constraint", "tolerance"]].drop_duplicates()
    if len(goals) != 1:
        raise ValueError(
            f"results hold {len(goals)} goals {goals.to_numpy().tolist()}; summarise one at "
            "a time."
        )
    twice = results[results.duplicated(["method", "split"])]
    if len(twice):
        raise ValueError(
            f"results hold more than one row of method {twice['method'].iloc[0]!r} and split "
            f"{twice['split'].iloc[0]}."
        )
    methods = results["method"].unique().tolist()
    if reference is not None and not (is_label(reference) and reference in methods):
        raise ValueError(f"reference must be one of {methods}; got {reference!r}.")


def _kind(results):
    shape = getattr(results, "shape", None)
    return type(results).__name__ if shape is None else f"shape {tuple(shape)}"
