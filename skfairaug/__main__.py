"""Command line: ``skfairaug demo`` makes a network fair on made-up loan applications."""

import argparse

import torch
from rich.console import Console

from skfairaug.benchmark._demo import run_demo


def main(argv=None):
    """Parse arguments and run a command; returns the exit status."""
    args = build_parser().parse_args(argv)
    torch.set_num_threads(1)  # layers this small lose time to threads
    run_demo(Console(), picture=args.picture, seed=args.seed, n_samples=args.n_samples)
    return 0


def build_parser():
    """The command line's parser."""
    parser = argparse.ArgumentParser(
        prog="skfairaug",
        description="Make trained neural networks fair.",
        epilog="The paper's tables are run from the repository: python -m benchmarks.paper -h",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    demo = commands.add_parser("demo", help="debias a network on synthetic loan data")
    demo.add_argument("--picture", default="pareto.png", help="file of the Pareto picture")
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--n-samples", type=int, default=20_000, help="rows to make up")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
