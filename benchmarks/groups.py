"""More than two groups, and groups that are not known of every row, on Adult.

    python -m benchmarks.groups several --data-home DIR --cache-dir DIR --out several.csv
    python -m benchmarks.groups unknown --data-home DIR --cache-dir DIR --out unknown.csv
    python -m benchmarks.groups several --out several.csv --report

`several` bounds the largest gap between sex x race (four groups), race in three and race in
five, with the columns of those features in X and dropped. `unknown` hides the group of half and
of nine tenths of the validation rows, and compares ``missing_groups="infer"`` with leaving
those rows out. Rows are appended to a CSV as they come, and a second call resumes.
"""

import argparse
import csv
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier

from benchmarks.paper.protocol import judge, prepare
from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug.benchmark._splits import split_rows
from skfairaug.datasets import fetch_adult
from skfairaug.exceptions import FairnessNotReachedWarning

TOLERANCE = 0.05
METHODS = ["FairAugmentFineTuner", "FairRule", "FairRule, LightGBM"]
#: Grouping -> the sensitive feature whose columns leave X, where they do.
GROUPINGS = {"sex x race": None, "race in three": "race", "race in five": "race"}
HIDDEN = [0.0, 0.5, 0.9]


def groups_of(grouping, args):
    """Name of every row's group."""
    frame = fetch_adult(args.data_home).data
    race = frame["race"].astype(str)
    if grouping == "race in five":
        return race.to_numpy()
    if grouping == "race in three":
        return race.where(race.isin(["White", "Black"]), "other").to_numpy()
    white = race.where(race == "White", "non-white")
    return (frame["sex"].astype(str) + ", " + white).to_numpy()


def parts(sensitive, dropped, seed, args):
    """Splits and network of the paper's protocol."""
    splits, net, _ = prepare(
        "adult",
        sensitive,
        seed,
        data_home=args.data_home,
        drop_sensitive=dropped,
        cache_dir=args.cache_dir,
    )
    return splits, net


def make(method, net, train, **params):
    """An estimator over the fitted network, or over trees fitted to the training rows."""
    if method == "FairAugmentFineTuner":
        return FairAugmentFineTuner(net, **params)
    if method == "FairRule":
        return FairRule(net, **params)
    trees = LGBMClassifier(random_state=0, verbose=-1, n_jobs=1).fit(train.X, train.y)
    return FairRule(trees, **params)


def fit(model, X, y, groups, test, test_groups, constraint):
    """Fit once, judge once."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, sensitive_features=groups)
    seconds = time.perf_counter() - start
    split = type(test)(test.X, test.y, test_groups)
    accuracy, gap = judge(model.predict(test.X), split, constraint)
    return {
        "balanced_accuracy": accuracy,
        "bias": gap,
        "claimed": model.probability_inside_,
        "warned": any(one.category is FairnessNotReachedWarning for one in caught),
        "seconds": seconds,
    }


def several(grouping, dropped, method, seed, args):
    """One fit under several groups."""
    sensitive = GROUPINGS[grouping]
    if dropped and sensitive is None:
        return None  # no network without both columns is in the protocol
    (train, validation, test), net = parts(sensitive or "sex", dropped, seed, args)
    groups = groups_of(grouping, args)
    _, held, tested = split_rows(len(groups), seed)
    params = {"constraint": "statistical_parity", "tolerance": TOLERANCE, "random_state": seed}
    model = make(method, net, train, **params)
    return fit(
        model,
        validation.X,
        validation.y,
        groups[held],
        test,
        groups[tested],
        params["constraint"],
    )


def unknown(hidden, way, method, seed, args):
    """One fit where the groups of some rows are not known; the group is not in X."""
    (train, validation, test), net = parts("sex", True, seed, args)
    groups = validation.groups.astype(object)
    rng = np.random.RandomState(seed)
    groups[rng.permutation(len(groups))[: round(hidden * len(groups))]] = None
    rows = np.arange(len(groups))
    if way == "left out":
        rows = np.flatnonzero([group is not None for group in groups])
    params = {"constraint": args.constraint, "tolerance": TOLERANCE, "random_state": seed}
    model = make(method, net, train, missing_groups="infer", **params)
    return fit(
        model,
        validation.X[rows],
        validation.y[rows],
        groups[rows],
        test,
        test.groups,
        args.constraint,
    )


EXPERIMENTS = {
    "several": (several, ["grouping", "dropped", "method", "seed"], [GROUPINGS, [True, False]]),
    "unknown": (unknown, ["hidden", "way", "method", "seed"], [HIDDEN, ["infer", "left out"]]),
}


def main():
    args = parse()
    run, keys, choices = EXPERIMENTS[args.experiment]
    out = Path(args.out)
    done = set()
    if out.exists():
        done = set(pd.read_csv(out)[keys].itertuples(index=False, name=None))
    jobs = [] if args.report else product(range(args.seeds), *choices, args.methods)
    for seed, *choice in jobs:
        key = (*choice, seed)
        if key in done or key[:2] == (0.0, "left out"):
            continue
        row = run(*choice, seed, args)
        if row is None:
            continue
        row = dict(zip(keys, key, strict=True)) | row
        fresh = not out.exists()
        with out.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        print(*key, f"{row['balanced_accuracy']:.3f} {row['bias']:+.3f}", flush=True)
    print(summary(pd.read_csv(out), keys[:3]).to_string(index=False))


def summary(frame, keys):
    """Means over the seeds."""
    size = frame["bias"].abs()
    inside = size < TOLERANCE
    phi = frame["balanced_accuracy"].where(inside, 0.0)
    groups = frame.assign(size=size, inside=inside, phi=phi).groupby(keys, sort=False)
    return pd.DataFrame(
        {
            "BA": groups["balanced_accuracy"].mean().round(3),
            "|bias|": groups["size"].mean().round(3),
            "inside": groups["inside"].mean().round(2),
            "Phi": groups["phi"].mean().round(3),
            "claimed": groups["claimed"].mean().round(2),
            "warned": groups["warned"].mean().round(2),
            "seconds": groups["seconds"].median().round(1),
            "seeds": groups.size(),
        }
    ).reset_index()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("experiment", choices=sorted(EXPERIMENTS))
    parser.add_argument("--data-home", help="folder with the official files")
    parser.add_argument("--cache-dir", help="where trained networks are kept")
    parser.add_argument("--out", required=True, help="CSV to append to")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--methods", type=lambda s: s.split(";"), default=METHODS)
    parser.add_argument("--constraint", default="statistical_parity")
    parser.add_argument("--report", action="store_true", help="print what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
