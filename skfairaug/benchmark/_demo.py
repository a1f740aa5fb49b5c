"""The demo: a network trained on biased loan decisions, before and after."""

import time

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skfairaug._finetuner import FairAugmentFineTuner
from skfairaug.benchmark._biased_net import (
    Split,
    best_threshold_predictions,
    train_biased_net,
)
from skfairaug.benchmark._pareto import plot_pareto
from skfairaug.datasets._loans import make_loans
from skfairaug.metrics._hard import bias
from skfairaug.metrics._phi import phi_score

CONSTRAINT, TOLERANCE = "statistical_parity", 0.05
LABEL_BIAS = 0.5  # share of the qualified women who were turned down
PER_GROUP = {
    "selection rate": selection_rate,
    "TPR": true_positive_rate,
    "FPR": false_positive_rate,
    "balanced accuracy": balanced_accuracy_score,
}


class Advance(Callback):
    """Moves a rich progress bar on by an epoch."""

    def __init__(self, progress, task):
        self.progress = progress
        self.task = task

    def on_epoch_end(self, net, **kwargs):
        """Report an epoch."""
        self.progress.advance(self.task)


def loan_splits(n_samples, seed):
    """Train, validation and test part of the synthetic loans, and the group names."""
    loans = make_loans(n_samples, random_state=seed, label_bias=LABEL_BIAS, encode="onehot")
    y = loans.target.to_numpy()
    sex = loans.sensitive_features
    train, rest = train_test_split(np.arange(len(y)), test_size=0.4, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, random_state=seed)
    scaler = StandardScaler().fit(loans.data.iloc[train])
    X = scaler.transform(loans.data).astype(np.float32)
    codes = sex.cat.codes.to_numpy().astype(np.int64)
    names = list(sex.cat.categories)
    return [Split(X[i], y[i], codes[i]) for i in (train, validation, test)], names


def run_demo(console, *, picture="pareto.png", seed=0, n_samples=20_000):
    """Train, debias, print before and after per group, draw the trade-off.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    picture : str or path, default="pareto.png"
        File to draw to.
    seed : int, default=0
        Seed of everything.
    n_samples : int, default=20000
        Loan applications to make up.
    """
    (train, validation, test), names = loan_splits(n_samples, seed)
    console.print(
        f"{n_samples} made-up loan applications: {len(train.y)} train a network, "
        f"{len(validation.y)} make it fair, {len(test.y)} judge it."
    )
    columns = TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("training on biased decisions", total=None)
        advance = Advance(progress, bar)
        net, _ = train_biased_net(train, seed, batch_size=512, patience=5, callbacks=[advance])
        progress.update(bar, total=len(net.history), completed=len(net.history))
        tuner = FairAugmentFineTuner(
            net, constraint=CONSTRAINT, tolerance=TOLERANCE, random_state=seed
        )
        advance.task = progress.add_task("making it fair", total=tuner.max_epochs)
        start = time.perf_counter()
        tuner.fit(validation.X, validation.y, sensitive_features=validation.groups)
        seconds = time.perf_counter() - start

    predictions = {
        "before": best_threshold_predictions(net, validation, test),
        "after": tuner.predict(test.X),
    }
    console.print(groups_table(predictions, test, names))
    console.print(
        f"Made fair in {seconds:.1f} s. Phi is the balanced accuracy if |bias| < "
        f"{TOLERANCE:g}, else 0. Judged on rows that nothing was fitted to."
    )
    plot_pareto(
        {"before": net, "after": tuner.net_}, predictions, test, CONSTRAINT, TOLERANCE, picture
    )
    console.print(f"The trade-off at every threshold is drawn in {picture}.")


def groups_table(predictions, test, names):
    """Rates per group, and bias and Phi overall, before and after."""
    groups = np.asarray(names)[test.groups]
    table = Table(title=f"{CONSTRAINT} on {len(test.y)} test rows")
    for column in ("", "group", *PER_GROUP, "bias", "Phi"):
        table.add_column(column, justify="left" if column in ("", "group") else "right")
    for when, y_pred in predictions.items():
        frame = MetricFrame(
            metrics=PER_GROUP, y_true=test.y, y_pred=y_pred, sensitive_features=groups
        )
        rows = pd.concat([frame.by_group, frame.overall.to_frame("all").T])
        sensitive = {"sensitive_features": test.groups}
        gap = bias(test.y, y_pred, constraint=CONSTRAINT, **sensitive)
        phi = phi_score(test.y, y_pred, constraint=CONSTRAINT, tolerance=TOLERANCE, **sensitive)
        for name, values in rows.iterrows():
            ends = [f"{gap:+.3f}", f"{phi:.3f}"] if name == "all" else ["", ""]
            table.add_row(when, str(name), *(f"{v:.3f}" for v in values), *ends)
        table.add_section()
    return table
