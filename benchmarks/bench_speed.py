"""Speed: fit against rivals at their published settings, and cost against the number of rows.

    python -m benchmarks.bench_speed --data-home DIR [--sizes 10000,100000,1000000]

One thread. Times are medians over repeats taken in turn, so that a change of the machine's
speed hits both sides; look at the ratios. Memory is the growth of the process's peak during
fit, each size in a process of its own.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
import warnings

import numpy as np
import torch
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits

from benchmarks.paper.protocol import prepare
from skfairaug import FairAugmentFineTuner
from skfairaug.modules import TabularMLP
from skfairaug.rivals import AdversarialFineTuning, LayerwiseOptimization, RandomPerturbation


def seconds(function):
    """Seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def against_rivals(args):
    """Adult, SPD by sex: fairlearn on training rows, the others on validation rows."""
    splits, net, _ = prepare(
        "adult", "sex", 0, data_home=args.data_home, cache_dir=args.cache_dir
    )
    train, validation, _ = splits
    tuner = FairAugmentFineTuner(net, random_state=0)

    def ours():
        tuner.fit(validation.X, validation.y, sensitive_features=validation.groups)

    def theirs():
        reduction = ExponentiatedGradient(
            LogisticRegression(max_iter=1000), DemographicParity(difference_bound=0.04)
        )
        reduction.fit(train.X, train.y, sensitive_features=train.groups)

    def savani(rival):
        rival(net, random_state=0).fit(
            validation.X, validation.y, sensitive_features=validation.groups
        )

    candidates = {
        "skfairaug": ours,
        "ExponentiatedGradient": theirs,
        "RandomPerturbation": lambda: savani(RandomPerturbation),
        "LayerwiseOptimization": lambda: savani(LayerwiseOptimization),
        "AdversarialFineTuning": lambda: savani(AdversarialFineTuning),
    }
    times = {name: [] for name in candidates}
    for _ in range(args.repeats):
        for name, fit in candidates.items():
            times[name].append(seconds(fit))
    print(
        f"\nAdult, SPD-sex, one thread, median of {args.repeats} ({len(validation.y)} rows "
        f"of validation, {len(train.y)} of training for fairlearn)"
    )
    base = statistics.median(times["skfairaug"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:32s} {median:6.2f} s   {median / base:5.2f} x ours")


def rows_like_a_table(n_rows, n_features=98):
    """Random rows with a group column; float32, made in place."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    groups = rng.integers(0, 2, n_rows)
    X[:, 0] = groups
    y = (X[:, 1] + X[:, 2] + 0.5 * groups + rng.standard_normal(n_rows) > 0.5).astype(int)
    return X, y, groups


def fit_size(n_rows, queue):
    """Seconds and memory growth of one fit; runs in a process of its own."""
    torch.set_num_threads(1)
    X, y, groups = rows_like_a_table(n_rows)
    net = NeuralNetClassifier(
        TabularMLP,
        module__n_features=X.shape[1],
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=1,
        train_split=None,
        verbose=0,
    ).fit(X[:2000], y[:2000])
    tuner = FairAugmentFineTuner(net, random_state=0)
    tuner.fit(X[:2000], y[:2000], sensitive_features=groups[:2000])  # warm
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = seconds(lambda: tuner.fit(X, y, sensitive_features=groups))
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    queue.put((taken, growth / 1024, X.nbytes / 2**20))


def against_rows(args):
    """Seconds and memory for growing numbers of rows."""
    print("\nCost against rows (98 columns, 11 layers)")
    context = multiprocessing.get_context("spawn")
    for n_rows in args.sizes:
        queue = context.Queue()
        process = context.Process(target=fit_size, args=(n_rows, queue))
        process.start()
        taken, growth, size = queue.get()
        process.join()
        print(
            f"  {n_rows:9,d} rows  {taken:7.2f} s  {1e6 * taken / n_rows:8.2f} us a row  "
            f"{growth:7.0f} MiB more at the peak = {growth / size:.2f} x the data"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-home")
    parser.add_argument("--cache-dir", default="benchmarks/output/nets")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[10_000, 100_000, 1_000_000],
    )
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        against_rivals(args)
    against_rows(args)


if __name__ == "__main__":
    main()
