"""Claims and promises on few rows: what is claimed, what holds, and what a confidence buys.

    python -m benchmarks.few_rows --data-home DIR --out few_rows.csv
    python -m benchmarks.few_rows --out few_rows.csv --report doc/results

Cuts Adult's validation rows to several sizes, stratified by label and group, and judges every
fit on all rows that no fit has seen: the test rows and the rest of the validation rows. Results
are appended as they come, and a second call resumes. `--report` writes the table and picture
of the three curves of Seldonian algorithms: balanced accuracy, share of runs with a solution,
and share of solutions outside the bound, against the number of validation rows.
"""

import argparse
import csv
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.paper.protocol import judge, prepare
from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug.benchmark._biased_net import Split
from skfairaug.exceptions import FairnessNotReachedWarning

TOLERANCE = 0.05
SETTINGS = {
    "adult sex SPD": ("adult", "sex", "statistical_parity"),
    "adult sex AOD": ("adult", "sex", "average_odds"),
}
METHODS = {
    "rule": FairRule,
    "rule, confidence 0.8": partial(FairRule, confidence=0.8),
    "rule, confidence 0.95": partial(FairRule, confidence=0.95),
    "network": FairAugmentFineTuner,
}
KEYS = ["setting", "group", "method", "rows", "seed", "subset"]
SIZES = [600, 1200, 2400, 9000]


def run(setting, group, method, rows, seed, subset, args):
    """Fit once, and judge on all rows that are left."""
    data, sensitive, constraint = SETTINGS[setting]
    (_, validation, test), net, _ = prepare(
        data,
        sensitive,
        seed,
        data_home=args.data_home,
        drop_sensitive=group == "dropped",
        cache_dir=args.cache_dir,
    )
    kept, rest = train_test_split(
        np.arange(len(validation.y)),
        train_size=min(rows, len(validation.y) - 4),
        random_state=subset,
        stratify=2 * validation.y + validation.groups,
    )
    model = METHODS[method](
        net, constraint=constraint, tolerance=TOLERANCE, random_state=subset
    )
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            validation.X[kept], validation.y[kept], sensitive_features=validation.groups[kept]
        )
    seconds = time.perf_counter() - start
    unseen = Split(
        *(
            np.concatenate([getattr(test, part), getattr(validation, part)[rest]])
            for part in ("X", "y", "groups")
        )
    )
    accuracy, gap = judge(model.predict(unseen.X), unseen, constraint)
    return {
        "balanced_accuracy": accuracy,
        "bias": gap,
        "claimed": model.probability_inside_,
        "claimed_accuracy": model.balanced_accuracy_,
        "solved": not any(one.category is FairnessNotReachedWarning for one in caught),
        "seconds": seconds,
    }


def summary(frame):
    """Means of each size, setting and method."""
    inside = frame["bias"].abs() < TOLERANCE
    frame = frame.assign(
        size=frame["bias"].abs(),
        inside=inside,
        outside=np.where(frame["solved"], ~inside, np.nan).astype(float),
    )
    groups = frame.groupby(["setting", "group", "method", "rows"], sort=False)
    return pd.DataFrame(
        {
            "BA": groups["balanced_accuracy"].mean(),
            "mean bias size": groups["size"].mean(),
            "inside": groups["inside"].mean(),
            "claimed": groups["claimed"].mean(),
            "solved": groups["solved"].mean(),
            "solutions outside": groups["outside"].mean(),
            "seconds": groups["seconds"].median(),
            "runs": groups.size(),
        }
    ).reset_index()


def draw(table, path):
    """The three curves, the group dropped and kept side by side."""
    from matplotlib.figure import Figure

    part = table[(table["setting"] == "adult sex SPD") & table["method"].str.startswith("rule")]
    shown = {
        "BA": "balanced accuracy",
        "solved": "share of runs with a solution",
        "solutions outside": "share of solutions outside",
    }
    figure = Figure(figsize=(10, 6), layout="constrained")
    grid = figure.subplots(2, 3, sharex=True, sharey="col")
    for line, group in zip(grid, ("dropped", "in X"), strict=True):
        for ax, (column, label) in zip(line, shown.items(), strict=True):
            for method, rows in part[part["group"] == group].groupby("method", sort=False):
                name = method.removeprefix("rule, ").replace("rule", "expected Phi")
                ax.plot(rows["rows"], rows[column], marker="o", label=name)
            ax.set(xscale="log", title=f"{label},\ngroup {group}")
            ax.set_xticks(SIZES, [str(size) for size in SIZES])
            ax.minorticks_off()
            if column != "BA":
                ax.set_ylim(-0.03, 1.03)
    for ax in grid[1]:
        ax.set_xlabel("validation rows")
    grid[0, 2].axhline(0.05, color="0.7", linewidth=1)
    grid[1, 2].axhline(0.05, color="0.7", linewidth=1)
    grid[0, 0].legend()
    figure.savefig(path, dpi=110)


def main():
    args = parse()
    out = Path(args.out)
    done = set()
    if out.exists():
        done = set(pd.read_csv(out)[KEYS].itertuples(index=False, name=None))
    if not args.report:
        jobs = product(
            args.settings,
            ("dropped", "in X"),
            args.methods,
            SIZES,
            args.seeds,
            range(args.subsets),
        )
        jobs = [job for job in jobs if job not in done and not (job[3] > 8000 and job[5])]
        for i, job in enumerate(jobs, 1):
            row = dict(zip(KEYS, job, strict=True)) | run(*job, args)
            fresh = not out.exists()
            with out.open("a", newline="") as file:
                writer = csv.DictWriter(file, row)
                if fresh:
                    writer.writeheader()
                writer.writerow(row)
            print(f"{i}/{len(jobs)}", end="\r", flush=True)
    table = summary(pd.read_csv(out))
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    if args.report:
        folder = Path(args.report)
        table.to_csv(folder / "few-rows.csv", index=False, float_format="%.3f")
        draw(table, folder / "few-rows.png")


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-home")
    parser.add_argument("--cache-dir", default="benchmarks/output/nets")
    parser.add_argument("--out", default="benchmarks/output/few_rows.csv")
    parser.add_argument("--settings", type=lambda text: text.split(";"), default=list(SETTINGS))
    parser.add_argument("--methods", type=lambda text: text.split(";"), default=list(METHODS))
    parser.add_argument("--seeds", type=lambda text: range(int(text)), default=range(6))
    parser.add_argument("--subsets", type=int, default=2, help="of each seed's validation rows")
    parser.add_argument("--report", metavar="DIR", help="write table and picture, run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
