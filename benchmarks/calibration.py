"""Whether claims hold: the probability claimed against the share truly inside, per setting.

    python -m benchmarks.calibration doc/results/tables --write doc/results

Reads the runs that ``python -m benchmarks.paper tables`` left in a folder. "inside" is judged
on the test rows, whose own sampling error a claim about the population does not have;
"expected" is the share that would be inside on test rows if every claim were exactly true: its
normal distribution widened by the test rows' standard error, as many rows as chose.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

METHODS = ["FairAugmentFineTuner", "FairRule"]


def read(folder):
    """Runs of both methods: setting, whether the group was dropped, claim, inside."""
    frames = []
    for path in sorted(Path(folder).glob("*-runs.csv")):
        frame = pd.read_csv(path)
        frame = frame[frame["method"].isin(METHODS) & frame["probability_inside"].notna()]
        if len(frame):
            name = path.name.removesuffix("-runs.csv")
            group = "dropped" if name.endswith("-dropped") else "in X"
            frame = frame.assign(setting=name.removesuffix("-dropped"), group=group)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def on_test_rows(claimed):
    """Share inside on as many test rows, where a claim about the population is true.

    A claim P of an unbiased classifier has a standard error of tolerance / z, with z the
    normal quantile of (1 + P) / 2; the test rows' is as large.
    """
    z = ndtri((1 + np.clip(claimed, 0.0, 1 - 1e-9)) / 2)
    return 2 * ndtr(z / np.sqrt(2)) - 1


def calibration(runs):
    """Claimed and true shares of each method and setting, and of all."""
    runs = runs.assign(
        inside=runs["bias"].abs() < runs["tolerance"],
        expected=on_test_rows(runs["probability_inside"]),
    )
    columns = {
        "claimed": ("probability_inside", "mean"),
        "expected": ("expected", "mean"),
        "inside": ("inside", "mean"),
        "runs": ("inside", "size"),
    }
    parts = runs.groupby(["method", "setting", "group"]).agg(**columns)
    whole = runs.groupby("method").agg(**columns)
    whole.index = pd.MultiIndex.from_tuples([(m, "all", "") for m in whole.index])
    table = pd.concat([parts, whole])
    table["difference"] = table["claimed"] - table["inside"]
    table.index.names = ["method", "setting", "group"]
    return table


def draw(table, path):
    """Share inside against the claim, a point per setting."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    rows = table.drop(index="all", level="setting").reset_index()
    for method, part in rows.groupby("method"):
        for group, points in part.groupby("group"):
            ax.scatter(
                points["claimed"],
                points["inside"],
                marker="o" if group == "dropped" else "s",
                color="C0" if method == METHODS[0] else "C1",
                alpha=0.8,
                label=f"{method}, group {group}",
            )
    low = min(rows["claimed"].min(), rows["inside"].min()) - 0.05
    ax.set(
        xlabel="probability claimed, mean over seeds",
        ylabel="share inside the bound on test rows",
        xlim=(low, 1.01),
        ylim=(low, 1.02),
    )
    ax.legend()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="of the runs")
    parser.add_argument("--write", metavar="DIR", help="write a table and a picture")
    args = parser.parse_args()
    table = calibration(read(args.folder))
    print(table.to_string(float_format=lambda value: f"{value:.3f}"))
    if args.write:
        table.to_csv(Path(args.write) / "calibration.csv", float_format="%.3f")
        draw(table, Path(args.write) / "calibration.png")


if __name__ == "__main__":
    main()
