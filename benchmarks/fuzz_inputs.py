"""Give every public callable wrong and odd values, one at a time, and judge what it says.

    python benchmarks/fuzz_inputs.py                 # a few minutes
    python benchmarks/fuzz_inputs.py --only metrics --show 50

Each call has good arguments but one. It ends in one of four ways: *fine* (a value that may be
taken was taken), *clear* (an error that names the argument or says what was expected),
*unclear* (any other error, or more than twenty seconds) or *wrong* (a value that means nothing
was taken without a word). The exit status is 1 if a call was unclear or wrong and is not in
ALLOWED. A fixed seed draws the calls of the estimators, which take longest.
"""

import argparse
import fnmatch
import inspect
import re
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
import sklearn
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import make_constraint
from skorch import NeuralNetClassifier

import skfairaug
from skfairaug import auditing, benchmark, datasets, metrics, rivals
from skfairaug.modules import TabularMLP

N = 120
SECONDS = 20

#: Pattern of "callable position value" -> why it is as it should be.
ALLOWED = {
    "audit.X *": "a classifier of the caller's is asked as it is, and answers in its own words",
    "compare.X *": "as in audit; its words are in the column `error`, and the others go on",
    f"*.n_[rs]* {10**30}": "as many as can be counted are allowed, memory is not looked at",
    "*.random_state True": "scikit-learn's check_random_state takes True for the seed 1",
    "*.random_state False": "scikit-learn's check_random_state takes False for the seed 0",
}


class Thing:
    """An object of no use."""

    def __repr__(self):
        return "<thing>"


def odd_values():
    """Name -> value: what people pass by mistake, for rows of N."""
    rng = np.random.RandomState(1)
    table = rng.normal(size=(N, 4))
    return {
        **{repr(one): one for one in (None, True, False, 0, -1, 1, 2, 0.5, 1.5, 95, 10**30)},
        **{repr(one): one for one in (float("nan"), float("inf"), -0.1, 1e300, 1j)},
        **{repr(one): one for one in ("abc", "", b"x", [], {}, (), set(), {"a": 1}, [1, 2])},
        "thing": Thing(),
        "class": Thing,
        "function": len,
        "generator": (i for i in range(N)),
        "NA": pd.NA,
        "array 0-d": np.array(1.0),
        "array empty": np.empty(0),
        "array short": np.arange(N - 1) % 2,
        "array constant": np.zeros(N, dtype=int),
        "array negative": np.arange(N) % 3 - 1,
        "array three": np.arange(N) % 3,
        "array bool": np.arange(N) % 2 == 0,
        "array text": np.array(["no", "yes"])[np.arange(N) % 2],
        "array scores": rng.rand(N),
        "array nan": np.where(np.arange(N) == 3, np.nan, np.arange(N) % 2),
        "array complex": np.arange(N) * 1j,
        "array dates": pd.date_range("2026-01-01", periods=N).to_numpy(),
        "array things": np.array([Thing()] * N, dtype=object),
        "list None": [None, 1] * (N // 2),
        "list ragged": [[1], [1, 2]] * (N // 2),
        "list mixed": ["a", 1] * (N // 2),
        "table": table,
        "table narrow": table[:, :2],
        "table short": table[:-1],
        "table empty": np.empty((0, 4)),
        "table no columns": np.empty((N, 0)),
        "table nan": np.where(np.arange(N)[:, None] == 3, np.nan, table),
        "table inf": np.where(np.arange(N)[:, None] == 3, np.inf, table),
        "table 1e300": table * 1e300,
        "table text": table.astype(str).astype(object) + "x",
        "table 3-d": table[:, :, None],
        "table sparse": scipy.sparse.csr_matrix(table),
        "frame": pd.DataFrame(table, columns=list("abcd")),
        "frame one name": pd.DataFrame(table, columns=list("aabb")),
        "frame empty": pd.DataFrame(),
        "series": pd.Series(np.arange(N) % 2, name="s"),
        "tensor": torch.arange(N) % 2,
        "tensor floats": torch.rand(N, 2),
    }


#: Kind of a position -> values that it may take; all others are wrong there.
TAKES = {
    "rows": {"table", "frame", "tensor floats", "table sparse", "table 1e300", "frame one name"}
    | {"table narrow"},
    "labels": {"array three", "array bool", "array text", "series", "tensor", "array negative"}
    | {"list mixed"},
    "decisions": {"array three", "array bool", "array text", "series", "tensor"}
    | {"array negative", "list mixed", "array constant"},
    "groups": {"array three", "array bool", "array text", "series", "tensor", "array negative"}
    | {"list mixed", "array dates"},
    "codes": {"array bool", "series", "tensor", "array three", "array constant"},
    "scores": {"array scores", "array bool", "array three", "array constant", "series"}
    | {"array negative", "array short", "tensor"},
    "callable": {"function", "class", "thing"},
    "anything": None,
}


def takes(kind, name, value):
    """Whether a value may be taken at a position; None is for its default."""
    if isinstance(kind, tuple) and kind[0] == "or None":
        return value is None or takes(kind[1], name, value)
    if callable(kind):
        try:
            return bool(kind(value))
        except (TypeError, ValueError):
            return False
    allowed = TAKES[kind]
    return True if allowed is None else name in allowed


def number(low, high, ends="[]"):
    """A kind of position: a number of an interval."""

    def fits(value):
        real = isinstance(value, Real) and not isinstance(value, bool)
        inside = real and low <= value <= high
        return inside and (ends[0] == "[" or value > low) and (ends[1] == "]" or value < high)

    return fits


def numbers(low, high, missing=False):
    """A kind of position: one number or an array of them."""

    def fits(value):
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            return array.size == 0
        known = array[~np.isnan(array.astype(float))] if missing else array
        return bool(np.all((known >= low) & (known <= high)))

    return fits


def whole(least):
    """A kind of position: a whole number."""
    return lambda value: (
        isinstance(value, Integral) and not isinstance(value, bool) and value >= least
    )


def switch(value):
    """A kind of position: True or False."""
    return isinstance(value, bool)


def among(*values):
    """A kind of position: one of a few values, an array of them included."""

    def fits(value):
        if isinstance(value, list | tuple | set | dict) or torch.is_tensor(value):
            return value in values if isinstance(value, list) else False
        array = np.asarray(value, dtype=object)
        return array.size > 0 and all(one is None or one in values for one in array.ravel())

    return fits


def functions(value):
    """A kind of position: a function."""
    return value is None or (callable(value) and not isinstance(value, type))


TOLERANCE = number(0, 1, "(]")
INSIDE = number(0, 1, "()")


def binary(value):
    """A kind of position: decisions, 0 or 1."""
    array = np.asarray(value)
    return array.shape == (N,) and array.dtype.kind in "biu" and np.isin(array, (0, 1)).all()


def nothing(value):
    """A kind of position that none of the odd values fits."""
    return False


def good_data():
    """Rows, labels and groups that everything takes."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, N)
    X = rng.normal(size=(N, 4)).astype(np.float32)
    X[:, 0] += group
    y = (X[:, 0] + X[:, 1] + 0.5 * rng.normal(size=N) > 0.5).astype(int)
    return X, y, group


def metric_calls():
    """(name, function, good arguments, kinds of their positions) of the metrics."""
    _, y, group = good_data()
    y_pred, score = np.roll(y, 1), np.linspace(0, 1, N)
    measured = {"y_true": y, "y_pred": y_pred, "sensitive_features": group}
    kinds = {"y_true": "labels", "y_pred": "labels", "sensitive_features": "groups"}
    # A constant classifier is one, and bias needs no second label in the record either.
    kinds |= dict.fromkeys(("y_true", "y_pred"), "decisions")
    constraint = {"constraint": "statistical_parity"}, {"constraint": nothing}
    positive = {"pos_label": 1}, {"pos_label": ("or None", among(0, 1))}
    tolerance = {"tolerance": 0.05}, {"tolerance": TOLERANCE}
    for name in ("statistical_parity", "equal_opportunity", "average_odds", "equalized_odds"):
        function = getattr(metrics, f"{name}_difference")
        yield f"{name}_difference", function, measured | positive[0], kinds | positive[1]
    yield "bias", metrics.bias, *merged((measured, kinds), constraint, positive)
    yield "bias_by_class", metrics.bias_by_class, *merged((measured, kinds), constraint)
    yield "bias_amplification", metrics.bias_amplification, measured, kinds
    every = merged((measured, kinds), constraint, tolerance, positive)
    yield "phi_score", metrics.phi_score, *every
    share, size, error = numbers(0, 1), numbers(-1, 1), numbers(0, np.inf)
    known = {"balanced_accuracy": 0.8, "bias": 0.01, "standard_error": 0.02, "tolerance": 0.05}
    yield (
        "expected_phi",
        metrics.expected_phi,
        known | {"caution": 1.0},
        {"balanced_accuracy": share, "bias": size, "standard_error": error}
        | {"tolerance": TOLERANCE, "caution": number(0, 1e301)},
    )
    yield "holm", metrics.holm, {"p_values": [0.1]}, {"p_values": numbers(0, 1, missing=True)}
    yield (
        "probability_inside",
        metrics.probability_inside,
        {"statistics": [[0.1], [0.2]], "errors": [[0.1], [0.1]], "tolerance": 0.05}
        | {"caution": 1.0},
        {"statistics": numbers(-np.inf, np.inf), "errors": error, "tolerance": TOLERANCE}
        | {"caution": number(0, 1e301)},
    )
    yield (
        "rows_needed",
        metrics.rows_needed,
        {"shares": [0.5, 0.5], "rates": [0.2, 0.2], "probability": 0.9}
        | constraint[0]
        | tolerance[0],
        {"shares": nothing, "rates": nothing, "probability": INSIDE}
        | constraint[1]
        | tolerance[1],
    )
    curve = {"y_true": y, "score": score, "groups": group, **constraint[0], "n_groups": 2}
    yield (
        "threshold_curve",
        metrics.threshold_curve,
        curve | {"max_thresholds": 10},
        {"y_true": "codes", "score": "scores", "groups": "codes", **constraint[1]}
        | {"n_groups": ("or None", whole(2)), "max_thresholds": whole(2)},
    )
    drawn = metrics.threshold_curve(y, score, group, "statistical_parity")
    yield (
        "choose_threshold",
        metrics.choose_threshold,
        {"curve": drawn, "tolerance": 0.1, "caution": 1.0, "slack": 0.0, "confidence": None},
        {"curve": nothing, "tolerance": TOLERANCE, "caution": number(0, 1e301)}
        | {"slack": number(0, 1), "confidence": ("or None", INSIDE)},
    )
    yield (
        "cell_counts",
        metrics.cell_counts,
        {"y": y, "groups": group, "n_classes": 2, "n_groups": 2},
        {"y": "codes", "groups": "codes", "n_classes": whole(2), "n_groups": whole(2)},
    )
    tensors = torch.from_numpy(y), torch.from_numpy(group)
    proba = torch.softmax(torch.rand(N, 2), 1)
    yield (
        "soft_bias",
        metrics.soft_bias,
        {"proba": proba, "y": tensors[0], "groups": tensors[1]} | constraint[0],
        {"proba": lambda v: torch.is_tensor(v) and v.is_floating_point()}
        | constraint[1]
        | {"y": torch.is_tensor, "groups": torch.is_tensor},
    )
    yield "get_constraint", metrics.get_constraint, *constraint
    yield (
        "make_fairness_scorer",
        metrics.make_fairness_scorer,
        {"metric": metrics.bias, "greater_is_better": False, "absolute": True},
        {"metric": callable, "greater_is_better": switch, "absolute": switch},
    )
    yield "phi_scorer", metrics.phi_scorer, *merged(constraint, tolerance)


def merged(*pairs):
    """Pairs of dicts as one pair."""
    return tuple({k: v for pair in pairs for k, v in pair[i].items()} for i in (0, 1))


def benchmark_calls():
    """The same of compare and what reads its results."""
    X, y, group = good_data()
    model = LogisticRegression()
    folder = Path(tempfile.mkdtemp())
    data = {"mitigators": {"lr": model}, "X": X, "y": y, "sensitive_features": group}
    kinds = {"mitigators": nothing, "X": "rows", "y": "labels", "sensitive_features": "groups"}
    yield (
        "compare",
        compared,
        data
        | {"estimator": None, "preprocessor": None, "constraint": "average_odds"}
        | {"tolerance": 0.1, "drop_sensitive": False, "cv": 1, "path": None}
        | {"progress": False},
        kinds
        | {"estimator": functions}
        | {"preprocessor": ("or None", nothing), "constraint": nothing, "tolerance": TOLERANCE}
        | {"drop_sensitive": switch, "cv": among(1, 2, 95, [1, 2])}
        | {"path": ("or None", lambda v: isinstance(v, str) and bool(v))}
        | {"progress": switch},
    )
    results = benchmark.compare(**data, cv=3, progress=False, path=folder / "runs.csv")
    yield (
        "summarize",
        benchmark.summarize,
        {"results": results, "reference": None, "score": "phi", "confidence_level": 0.9}
        | {"random_state": 0},
        {"results": nothing, "reference": ("or None", nothing), "score": nothing}
        | {"confidence_level": INSIDE, "random_state": ("or None", whole(0))},
    )
    yield (
        "pareto_front",
        benchmark.pareto_front,
        {"accuracy": [0.8, 0.7], "size_of_bias": [0.1, 0.2]},
        {
            "accuracy": lambda v: np.shape(v) == (2,),
            "size_of_bias": lambda v: np.shape(v) == (2,),
        },
    )
    yield (
        "ParetoSelector",
        benchmark.ParetoSelector,
        {"accuracy": "balanced_accuracy", "bias": "bias", "tolerance": 0.1, "caution": 1.0},
        {"accuracy": lambda v: isinstance(v, str) and v, "bias": lambda v: isinstance(v, str)}
        | {"tolerance": TOLERANCE, "caution": number(0, 1e301)},
    )
    yield (
        "ParetoSelector.choice",
        lambda cv_results: benchmark.ParetoSelector()(cv_results),
        {"cv_results": {"split0_test_balanced_accuracy": [0.8], "split0_test_bias": [0.01]}},
        {"cv_results": nothing},
    )


def compared(**arguments):
    """What compare returns; an error where all that it returns are errors."""
    results = benchmark.compare(**arguments)
    if results["error"].ne("").all():
        raise ValueError(results["error"].iloc[0])
    return results


def audit_calls():
    """The same of audits."""
    X, y, group = good_data()
    model = LogisticRegression().fit(X, y)
    common = {"sensitive_features": group, "constraint": "average_odds", "tolerance": 0.1}
    common |= {"pos_label": None, "before": None, "n_resamples": 100, "confidence_level": 0.9}
    common |= {"correction": "holm", "min_group_size": 5, "random_state": 0}
    kinds = {"sensitive_features": "groups", "constraint": nothing, "tolerance": TOLERANCE}
    kinds |= {"pos_label": ("or None", among(0, 1)), "n_resamples": whole(100)}
    kinds |= {"confidence_level": INSIDE, "correction": nothing, "min_group_size": whole(1)}
    kinds |= {"random_state": ("or None", lambda v: whole(0)(v) and v < 2**32)}
    kinds |= {"before": ("or None", binary)}
    yield (
        "audit",
        skfairaug.audit,
        {"estimator": model, "X": X, "y": y} | common,
        {"estimator": nothing, "X": "rows", "y": "labels"} | kinds,
    )
    yield (
        "audit_predictions",
        auditing.audit_predictions,
        {"y_true": y, "y_pred": y} | common,
        {"y_true": "labels", "y_pred": binary} | kinds,
    )


def dataset_calls():
    """The same of the data sets."""
    folder = tempfile.mkdtemp()
    loans = {"n_samples": 50, "random_state": 0, "label_bias": 0.3, "proxy_strength": 0.5}
    loans |= {"group_imbalance": 0.4, "include_sensitive": True, "encode": None}
    yield (
        "make_loans",
        datasets.make_loans,
        loans | {"return_X_y": False},
        {"n_samples": lambda v: whole(2)(v) and v < 10**6, "random_state": "anything"}
        | {"label_bias": number(0, 1), "proxy_strength": number(0, 1)}
        | {"group_imbalance": number(0, 1, "[)"), "include_sensitive": switch}
        | {"encode": ("or None", nothing), "return_X_y": switch},
    )
    for name in ("adult", "bank", "compas", "german"):
        fetch = getattr(datasets, f"fetch_{name}")
        # Nothing is there, so that whatever else is right ends in an OSError.
        good = {"data_home": folder, "download_if_missing": False, "encode": None}
        sensitive = inspect.signature(fetch).parameters["sensitive"].default
        good |= {"sensitive": sensitive, "return_X_y": True}
        yield f"fetch_{name}", partial(found_nothing, fetch), good, dict.fromkeys(good, nothing)


def found_nothing(fetch, **arguments):
    """Raise what a fetcher raises, but for files that are missing, which is right here."""
    try:
        return fetch(**arguments)
    except OSError as error:
        if "not found" not in str(error):
            raise
        raise ValueError("files are missing, as they should be") from error


#: Those around a classifier that takes sample weights, which a network does not.
WEIGHTED = ("CorrelationRemover", "ExponentiatedGradient", "GridSearch", "Reweighing")


def estimators():
    """Name -> quick estimator."""
    X, y, _ = good_data()
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        TabularMLP,
        module__n_features=4,
        module__depth=1,
        module__width=4,
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=2,
        verbose=0,
    ).fit(X, y)
    quick = {"max_epochs": 1, "steps_per_epoch": 2, "batch_size": 32, "random_state": 0}
    quick |= {"tolerance": 0.9, "n_perturbations": 2, "n_calls": 3, "n_initial": 2}
    quick |= {"n_candidates": 5, "n_trees": 2, "max_iter": 2, "grid_size": 5}
    quick |= {"n_thresholds": 3, "n_margins": 2, "critic_steps": 1}
    named = {name: getattr(rivals, name) for name in rivals.__all__}
    named |= {"FairAugmentFineTuner": skfairaug.FairAugmentFineTuner}
    named |= {"AdversarialAugmenter": skfairaug.AdversarialAugmenter}
    named |= {"MaskReactivator": skfairaug.MaskReactivator, "FairRule": skfairaug.FairRule}
    for name, kind in named.items():
        takes_net = "estimator" in inspect.signature(kind).parameters
        inside = LogisticRegression() if name in WEIGHTED else net
        made = kind(estimator=inside) if takes_net else kind()
        params = made.get_params(deep=False)
        made.set_params(**{k: v for k, v in quick.items() if k in params})
        yield name, made


def estimator_calls():
    """The same of every estimator: fit, its parameters, and what it predicts."""
    X, y, group = good_data()
    data = {"X": X, "y": y, "sensitive_features": group}
    kinds = {"X": "rows", "y": "labels", "sensitive_features": "groups"}
    for name, made in estimators():
        try:
            fitted = sklearn.clone(made).fit(**data)
        except (TypeError, ValueError, RuntimeError) as error:
            print(f"left out: {name} does not take the network of the others ({error})")
            continue
        yield (
            f"{name}.fit",
            lambda made=made, **rows: sklearn.clone(made).fit(**rows),
            data,
            kinds,
        )
        params = made.get_params(deep=False)
        constraints = made._parameter_constraints

        def fit_with(made=made, **params):
            return sklearn.clone(made).set_params(**params).fit(**data)

        yield (
            f"{name}(...)",
            fit_with,
            params,
            {key: partial(satisfies, constraints.get(key)) for key in params},
        )
        for verb in ("predict", "predict_proba", "transform"):
            method = getattr(fitted, verb, None)
            if method is not None:
                groups = verb == "predict" and getattr(made, "needs_sensitive_features", False)
                given = data if groups else {"X": X}
                given = {key: given[key] for key in given if key != "y"}
                yield (
                    f"{name}.{verb}",
                    method,
                    given,
                    {
                        "X": "rows",
                        "sensitive_features": "groups",
                    },
                )


def satisfies(constraints, value):
    """Whether a parameter's own constraints have a value; those without any have all."""
    if not isinstance(constraints, list):
        return True
    return any(make_constraint(one).is_satisfied_by(value) for one in constraints)


GROUPS = {
    "metrics": metric_calls,
    "benchmark": benchmark_calls,
    "audit": audit_calls,
    "datasets": dataset_calls,
    "estimators": estimator_calls,
}

#: What an error says of what was expected.
SAYS = re.compile(
    r"\b(must|expect\w*|needs?|needed|at least|at most|one of|should|required?|instead|"
    r"empty|missing|holds?|has \d+|pass)\b"
)


def judge(function, good, position, value, may):
    """How one call ends: a verdict, and what was said."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(**(good | {position: value}))
    except (ValueError, TypeError, NotFittedError, OSError) as error:
        text = str(error)
        named = re.search(rf"\b{re.escape(position.rstrip('s'))}s?\b", text) or SAYS.search(
            text
        )
        return ("clear" if named else "unclear"), f"{type(error).__name__}: {text}"
    except Exception as error:  # noqa: BLE001  what else may come is what is looked for
        return "unclear", f"{type(error).__name__}: {error}"
    return ("fine" if may else "wrong"), ""


def on_alarm(*_):
    raise RuntimeError(f"more than {SECONDS} seconds")


def planned(only, budget, seed):
    """All calls, those of the estimators drawn."""
    names = list(odd_values())
    calls = []
    for group, make in GROUPS.items():
        if only in (None, group):
            found = [
                (group, name, function, good, position, kinds.get(position, "anything"), odd)
                for name, function, good, kinds in make()
                for position in good
                for odd in names
            ]
            if group == "estimators" and len(found) > budget:
                rng = np.random.RandomState(seed)
                chosen = np.sort(rng.choice(len(found), budget, replace=False))
                found = [found[i] for i in chosen]
            calls += found
    return calls


def main(argv=None):
    """Run all calls and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=GROUPS, help="one group of callables")
    parser.add_argument("--budget", type=int, default=2500, help="calls of estimators")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=20, help="how many of each to print")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    sklearn.set_config(enable_metadata_routing=True)
    signal.signal(signal.SIGALRM, on_alarm)
    start, ends, bad, used = time.perf_counter(), Counter(), [], Counter()
    odd = odd_values()
    for group, name, function, good, position, kind, value in planned(
        args.only, args.budget, args.seed
    ):
        signal.alarm(SECONDS)
        verdict, text = judge(
            function, good, position, odd[value], takes(kind, value, odd[value])
        )
        signal.alarm(0)
        key = f"{name}.{position} {value}"
        if verdict in ("unclear", "wrong"):
            match = [rule for rule in ALLOWED if fnmatch.fnmatchcase(key, rule)]
            if match:
                verdict = "allowed"
                used[match[0]] += 1
            else:
                bad.append((group, verdict, key, text))
        ends[group, verdict] += 1
    report(ends, bad, used, args.show, time.perf_counter() - start)
    return bool(bad)


def report(ends, bad, used, show, seconds):
    """Print counts, examples and the exceptions that were used."""
    for verdict in ("unclear", "wrong"):
        listed = [one for one in bad if one[1] == verdict]
        for _, _, key, text in listed[:show]:
            print(f"{verdict}: {key}: {' '.join(text.split())[:160]}")
        if len(listed) > show:
            print(f"... and {len(listed) - show} more")
    table = pd.Series(ends).unstack(fill_value=0)
    table.loc["all"] = table.sum()
    print(table.to_string())
    print(f"{sum(ends.values())} calls in {seconds:.0f} s; allowed exceptions:")
    for rule, reason in ALLOWED.items():
        print(f"  {used[rule]:4} {rule}: {reason}")


if __name__ == "__main__":
    sys.exit(main())
