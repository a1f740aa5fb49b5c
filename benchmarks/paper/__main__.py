"""Command line of the paper's tables: ``python -m benchmarks.paper run`` and ``tables``."""

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from joblib import Memory
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.paper.image_tables import image_slug, run_image_setting, scale_of
from benchmarks.paper.pages import write
from benchmarks.paper.protocol import FETCHERS, load_table, run_methods, train_network
from benchmarks.paper.published import IMAGE_TABLES, TABLES
from benchmarks.paper.rows import OURS
from benchmarks.paper.tables import run_setting, slug
from skfairaug import FairAugmentFineTuner
from skfairaug.benchmark import summarize
from skfairaug.benchmark._biased_net import train_biased_net
from skfairaug.metrics import CONSTRAINTS
from skfairaug.rivals import ThresholdOnly

#: The biased network in the table of `run`.
BIASED = "biased network"

#: What --drop-sensitive does.
DROP = "leave the columns that say the group out of X"

#: What --training-rows does.
TRAINING_ROWS = "fine-tune on training rows too; 'choose': they also choose the threshold"

#: Columns of the paper's tables that fit on a screen.
SHOWN = ["paper BA", "BA", "abs bias", "inside", "claimed", "Phi", "seconds", "needs A"]


def main(argv=None):
    """Parse arguments and run a command; returns the exit status."""
    args = build_parser().parse_args(argv)
    console = Console()
    torch.set_num_threads(1)  # layers this small lose time to threads
    if args.command == "tables":
        run_tables(args, console)
    else:
        run(args, console)
    return 0


def build_parser():
    """The command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper", description="Run the paper's protocol and tables."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    table = commands.add_parser("run", help="run the protocol on a public table")
    table.add_argument("--data", choices=sorted(FETCHERS), required=True)
    table.add_argument("--sensitive", required=True, help="sex, race or age")
    table.add_argument("--constraint", choices=sorted(CONSTRAINTS), required=True)
    table.add_argument("--tolerance", type=float, default=0.05)
    table.add_argument("--seeds", type=parse_seeds, default=list(range(10)), metavar="N|A,B")
    table.add_argument("--data-home", help="folder that holds the official files")
    table.add_argument("--caution", type=float, help="standard errors allowed for")
    table.add_argument("--validation-rows", type=int, help="cut the validation set")
    table.add_argument("--training-rows", choices=["train", "choose"], help=TRAINING_ROWS)
    table.add_argument("--drop-sensitive", action="store_true", help=DROP)
    table.add_argument("--cache-dir", help="keep trained networks here")
    table.add_argument("--n-jobs", type=int, default=1)
    table.add_argument("--csv", help="write a row per seed")
    table.add_argument("--json", help="write a list of runs")

    tables = commands.add_parser("tables", help="run the paper's tables, rivals included")
    tables.add_argument(
        "--table",
        choices=[*IMAGE_TABLES, *TABLES, "all"],
        required=True,
        help="1 to 3 and digits are images; 'all' are those of tables",
    )
    tables.add_argument(
        "--seeds", type=parse_seeds, metavar="N|A,B", help="default: 10; 3 for tables 1 to 3"
    )
    tables.add_argument("--tolerance", type=float, default=0.05)
    tables.add_argument("--drop-sensitive", action="store_true", help=DROP)
    tables.add_argument("--training-rows", choices=["train", "choose"], help=TRAINING_ROWS)
    tables.add_argument("--methods", help="rows to run, by name, separated by semicolons")
    tables.add_argument("--data-home", help="folder that holds the official files")
    tables.add_argument("--out", default="tables", help="folder of results; resumes")
    tables.add_argument("--cache-dir", help="trained networks; default: a folder in --out")
    tables.add_argument("--n-jobs", type=int, default=1)
    images = tables.add_argument_group("tables of images")
    images.add_argument(
        "--scale", type=parse_scale, default=1.0, help="share of the images: 0.05 for a CPU"
    )
    images.add_argument(
        "--steps",
        type=parse_steps,
        help="batches in an epoch of fine-tuning; default: as many as --scale takes",
    )
    images.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    images.add_argument("--bfloat16", action="store_true", help="compute in it on a CPU too")
    images.add_argument(
        "--skin-tones", help="CSV of image,type: Fitzpatrick types of CelebA's images, 1 to 6"
    )
    return parser


def parse_seeds(text):
    """A count ("10") or a list ("31,32") of seeds."""
    try:
        seeds = [int(part) for part in text.split(",") if part]
    except ValueError:
        seeds = []
    if "," not in text and len(seeds) == 1:
        seeds = list(range(seeds[0]))
    if not seeds or min(seeds) < 0:
        raise argparse.ArgumentTypeError(
            f"expected a count such as 10 or a list such as 31,32; got {text!r}"
        )
    return seeds


def parse_steps(text):
    """A number of batches, at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0; got {text!r}")
    return int(text)


def parse_scale(text):
    """A share of the images, above 0 and at most 1."""
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not 0 < scale <= 1:
        raise argparse.ArgumentTypeError(f"expected a number in (0, 1]; got {text!r}")
    return scale


def run(args, console):
    """Run the protocol over seeds, show a table, write files."""
    caution = {} if args.caution is None else {"caution": args.caution}
    remember = Memory(args.cache_dir, verbose=0).cache
    results = run_methods(
        {
            BIASED: ThresholdOnly(None, constraint=None),
            OURS: FairAugmentFineTuner(None, **caution),
        },
        load_table(args.data, args.sensitive, args.data_home, args.drop_sensitive),
        args.seeds,
        estimator=partial(train_network, data=args.data, train=remember(train_biased_net)),
        constraint=args.constraint,
        tolerance=args.tolerance,
        validation_rows=args.validation_rows,
        training_rows=args.training_rows,
        n_jobs=args.n_jobs,
    )
    title = f"{args.data}, {args.sensitive}: {args.constraint} within {args.tolerance:g}"
    console.print(runs_table(title, results))
    if args.csv:
        results.to_csv(args.csv, index=False)
    if args.json:
        results.to_json(args.json, orient="records", indent=1)


def runs_table(title, results):
    """A row per seed, judged on test rows, and their mean."""
    table = Table(title=title)
    for name in ("seed", "biased net: BA", "bias", "fair net: BA", "bias", "Phi", "fit s"):
        table.add_column(name, justify="right")
    runs = {name: part.set_index("split") for name, part in results.groupby("method")}
    for seed in runs[OURS].index:
        before, after = runs[BIASED].loc[seed], runs[OURS].loc[seed]
        table.add_row(
            str(seed),
            f"{before.balanced_accuracy:.3f}",
            f"{before.bias:+.3f}",
            f"{after.balanced_accuracy:.3f}",
            f"{after.bias:+.3f}",
            f"{after.phi:.3f}",
            after.error or f"{after.fit_seconds:.2f}",
        )
    means = summarize(results)
    before, after = means.loc[BIASED], means.loc[OURS]
    table.add_section()
    table.add_row(
        "mean",
        f"{before.balanced_accuracy:.3f}",
        f"|{before.abs_bias:.3f}|",
        f"{after.balanced_accuracy:.3f}±{after.balanced_accuracy_std:.3f}",
        f"|{after.abs_bias:.3f}|",
        f"{after.phi:.3f}",
        f"{after.fit_seconds:.2f}",
    )
    table.caption = (
        f"inside the bound: {after.inside:.0%} of {len(runs[OURS])} seeds (test rows)"
    )
    return table


def run_tables(args, console):
    """Run the settings of a table, show and write each."""
    names = list(TABLES) if args.table == "all" else [args.table]
    seeds = args.seeds or list(range(3 if args.table in ("1", "2", "3") else 10))
    arguments = {
        "tolerance": args.tolerance,
        "data_home": args.data_home,
        "rows": args.methods and [name.strip() for name in args.methods.split(";")],
        "n_jobs": args.n_jobs,
        "folder": args.out,
        "cache_dir": args.cache_dir or Path(args.out) / "networks",
    }
    if args.table in IMAGE_TABLES and (args.drop_sensitive or args.training_rows):
        raise SystemExit("--drop-sensitive and --training-rows are for tables, not for images.")
    how = {"drop_sensitive": args.drop_sensitive, "training_rows": args.training_rows}
    run_one = partial(run_setting, **how)
    if args.table in IMAGE_TABLES:
        run_one = partial(
            run_image_setting,
            scale=args.scale,
            steps=args.steps,
            device=args.device,
            mixed_precision=True if args.bfloat16 else "auto",
            skin_tones=args.skin_tones and read_skin_tones(args.skin_tones),
        )
    for setting in (one for name in names for one in (IMAGE_TABLES | TABLES)[name]):
        console.rule(setting.title)
        note, name = None, slug(setting, args.tolerance, **how)
        if args.drop_sensitive:
            note = "The columns that say the group are not in X."
        if args.training_rows:
            more = "Training rows are passed along, where a method can tell them apart."
            note = f"{note} {more}" if note else more
        if args.table in IMAGE_TABLES:
            scale = scale_of(setting, args.scale, args.steps)
            note, name = scale.describe(), image_slug(setting, args.tolerance, scale)
            console.print(note or "Full scale")
        results = run_one(setting, seeds, **arguments)
        if results is None:
            continue  # it has none of the rows that were asked for
        comparable = note is None
        table = write(setting, results, args.out, name, note, comparable)
        console.print(frame_table(setting.title, table[SHOWN].reset_index()))
    console.print(f"All columns, as CSV and Markdown, and the figures are in {args.out}")


def read_skin_tones(path):
    """Fitzpatrick type of each image, by the name of its file."""
    return pd.read_csv(path, index_col=0).iloc[:, 0]


def frame_table(title, frame):
    """A DataFrame as a table on screen."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(frame):
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        # On a narrow screen it is the first column, of names, that wraps.
        side = "right" if numeric else "left"
        table.add_column(name, justify=side, no_wrap=i > 0, overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value):
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
