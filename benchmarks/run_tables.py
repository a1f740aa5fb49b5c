"""The tables of doc/results: every setting, every variant, ten seeds, judged on test once.

    python -m benchmarks.run_tables --data-home DIR [--variants default,threshold only]

Rows are appended to a CSV as they come, and a second call resumes; `--report` prints the
tables of what is there.
"""

import argparse
import csv
import time
import warnings
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from benchmarks.paper.protocol import debias, prepare
from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug.exceptions import FairnessNotReachedWarning

TOLERANCE = 0.05
SETTINGS = {
    "adult sex AOD": ("adult", "sex", "average_odds"),
    "adult race SPD": ("adult", "race", "statistical_parity"),
    "adult sex SPD": ("adult", "sex", "statistical_parity"),
    "bank age SPD": ("bank", "age", "statistical_parity"),
    "compas sex EOD": ("compas", "sex", "equal_opportunity"),
    "german sex SPD": ("german", "sex", "statistical_parity"),
}

Tuner = FairAugmentFineTuner
Attack, Mask = AdversarialAugmenter, MaskReactivator
LABELS = {
    "distillation": 0.0,
    "train_mode": True,
    "lr": 1e-3,
    "margin": 0.8,
    "validation_fraction": 0.4,
}

#: name -> (maker of the tuner, what the training rows do beside)
VARIANTS = {
    "default": (Tuner, None),
    "default, training rows too": (Tuner, "train"),
    "default, training rows choose too": (Tuner, "choose"),
    "threshold only": (partial(Tuner, max_epochs=0), None),
    # what each addition is worth
    "labels and bias term, no teacher": (partial(Tuner, **LABELS), None),
    "labels, no teacher, no bias term": (partial(Tuner, penalty=0.0, **LABELS), None),
    "half teacher, half labels": (partial(Tuner, distillation=0.5), None),
    "teacher and bias term": (partial(Tuner, penalty=8.0), None),
    "dropout and BatchNorm in training mode": (partial(Tuner, train_mode=True), None),
    "choose on rows not trained on too": (partial(Tuner, validation_fraction=0.4), None),
    "rows mixed between the groups": (partial(Tuner, mixing=True), None),
    "confidence 0.8": (partial(Tuner, confidence=0.8), None),
    "confidence 0.95": (partial(Tuner, confidence=0.95), None),
    "caution 0": (partial(Tuner, caution=0.0), None),
    "caution 0.5": (partial(Tuner, caution=0.5), None),
    "caution 0.75": (partial(Tuner, caution=0.75), None),
    "caution 0.5, training rows too": (partial(Tuner, caution=0.5), "train"),
    # the paper's two ideas, over the default
    "augmented, towards": (partial(Tuner, augmenter=Attack()), None),
    "augmented, away": (partial(Tuner, augmenter=Attack(direction="away")), None),
    "augmented, towards, joint": (
        partial(Tuner, augmenter=Attack(weighting=None, joint=True)),
        None,
    ),
    "augmented, all columns": (partial(Tuner, augmenter=Attack(perturb="all")), None),
    "masked, from zero": (partial(Tuner, reactivator=Mask()), None),
    "augmented and masked": (partial(Tuner, augmenter=Attack(), reactivator=Mask()), None),
    # and over labels and bias term
    "no teacher, augmented": (partial(Tuner, augmenter=Attack(), **LABELS), None),
    "no teacher, masked": (partial(Tuner, reactivator=Mask(), **LABELS), None),
    # the paper as printed
    "paper: proposed": (Tuner.paper, None),
    "paper: joint": (partial(Tuner.paper, variant="joint"), None),
    "paper: unif": (partial(Tuner.paper, variant="unif"), None),
    "paper: ind": (partial(Tuner.paper, variant="ind"), None),
}
MAIN = [
    "default",
    "threshold only",
    "labels and bias term, no teacher",
    "augmented, towards",
    "masked, from zero",
    "paper: proposed",
    "paper: joint",
]


def run_split(data, sensitive, seed, jobs, args):
    """All variants of one split: rows of the table."""
    splits, net, net_seconds = prepare(
        data,
        sensitive,
        seed,
        data_home=args.data_home,
        validation_rows=args.rows,
        drop_sensitive=args.drop_sensitive,
        cache_dir=args.cache_dir,
    )
    if args.noise:
        splits[1] = flip_labels(splits[1], args.noise, seed)
    rows = []
    for setting, variant in jobs:
        make, training_rows = VARIANTS[variant]
        tuner = make(
            net, constraint=SETTINGS[setting][2], tolerance=TOLERANCE, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FairnessNotReachedWarning)
            run = debias(
                tuner,
                splits,
                seed,
                training_rows=training_rows,
                net_seconds=net_seconds,
            )
        rows.append({"setting": setting, "variant": variant, **key(args), **asdict(run)})
    return rows


def flip_labels(split, share, seed):
    """Flip a share of the favourable labels of the unprivileged group (validation only)."""
    rng = np.random.RandomState(seed)
    hit = (split.groups == 0) & (split.y == 1) & (rng.uniform(size=len(split.y)) < share)
    return type(split)(split.X, np.where(hit, 0, split.y), split.groups)


def key(args):
    """What else tells a run apart from others."""
    return {
        "rows": args.rows or 0,
        "noise": args.noise,
        "group": "dropped" if args.drop_sensitive else "in X",
    }


def main():
    args = parse()
    out = Path(args.out)
    done = set()
    if out.exists():
        frame = pd.read_csv(out)
        columns = ["setting", "variant", "rows", "noise", "group", "seed"]
        done = set(frame[columns].itertuples(index=False, name=None))
    if not args.report:
        tasks = {}
        for setting in args.settings:
            data, sensitive, _ = SETTINGS[setting]
            for seed in range(args.seeds):
                for variant in args.variants:
                    if (setting, variant, *key(args).values(), seed) not in done:
                        tasks.setdefault((data, sensitive, seed), []).append((setting, variant))
        write(tasks, out, args)
    print(report(pd.read_csv(out), args.write))


def write(tasks, out, args):
    """Run the tasks, appending their rows as they come."""
    out.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    parallel = Parallel(n_jobs=args.n_jobs, return_as="generator_unordered")
    runs = parallel(delayed(run_split)(*task, jobs, args) for task, jobs in tasks.items())
    for i, rows in enumerate(runs, 1):
        fresh = not out.exists()
        with out.open("a", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            if fresh:
                writer.writeheader()
            writer.writerows(rows)
        print(f"{i}/{len(tasks)} splits, {time.perf_counter() - start:.0f} s", flush=True)


def summaries(frame):
    """(setting, rows, noise, group, biased network, table) of each part of the runs."""
    frame = frame.assign(inside=frame.bias.abs() < TOLERANCE, size=frame.bias.abs())
    order = {name: i for i, name in enumerate(VARIANTS)}
    keys = ["setting", "rows", "noise", "group"]
    for (setting, rows, noise, group), part in frame.groupby(keys, sort=False):
        groups = part.groupby("variant")
        table = pd.DataFrame(
            {
                "BA": groups.balanced_accuracy.mean(),
                "std": groups.balanced_accuracy.std(ddof=0),
                "mean bias size": groups["size"].mean(),
                "inside": groups.inside.mean(),
                "claimed": groups.probability_inside.mean(),
                "Phi": groups.phi.mean(),
                "seconds": groups.seconds.median(),
                "seeds": groups.seed.nunique(),
            }
        ).sort_index(key=lambda names: names.map(order))
        before = part.drop_duplicates("seed")
        biased = before.biased_balanced_accuracy.mean(), before.biased_bias.abs().mean()
        yield setting, int(rows), noise, group, biased, table


def report(frame, folder=None):
    """Tables of all settings as text; with a folder, a CSV of each for the documentation."""
    parts = []
    for setting, rows, noise, group, (accuracy, gap), table in summaries(frame):
        title = (
            f"{setting}, group {group}; validation rows: {rows or 'all'}; flipped: {noise:g}"
        )
        parts.append(
            f"\n{title}\nbiased net: BA {accuracy:.3f}, |bias| {gap:.3f}\n"
            f"{table.to_string(float_format=lambda value: f'{value:.3f}')}"
        )
        if folder:
            name = setting.replace(" ", "-") + (f"-{rows}" if rows else "")
            name += f"-noise{noise:g}" if noise else ""
            name += "-dropped" if group == "dropped" else ""
            before = pd.DataFrame(
                {"BA": accuracy, "mean bias size": gap},
                index=["biased network, best threshold"],
            )
            out = pd.concat([before, table]).reindex(columns=table.columns)
            out["seeds"] = out.seeds.astype("Int64")
            Path(folder).mkdir(parents=True, exist_ok=True)
            out.to_csv(Path(folder) / f"{name}.csv", float_format="%.3f", index_label="variant")
    return "\n".join(parts)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-home")
    parser.add_argument("--settings", type=names(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--variants", type=names(VARIANTS), default=MAIN)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, help="cut the validation set")
    parser.add_argument(
        "--drop-sensitive", action="store_true", help="leave the group's columns out of X"
    )
    parser.add_argument("--noise", type=float, default=0.0, help="share of labels flipped")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--cache-dir", default="benchmarks/output/nets")
    parser.add_argument("--out", default="benchmarks/output/tables.csv")
    parser.add_argument("--write", metavar="DIR", help="write the tables as CSV files")
    parser.add_argument("--report", action="store_true", help="print what is there")
    return parser.parse_args()


def names(known):
    """Parser of a list of names separated by semicolons."""

    def parse_names(text):
        chosen = list(known) if text == "all" else [part.strip() for part in text.split(";")]
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {list(known)}")
        return chosen

    return parse_names


if __name__ == "__main__":
    main()
