"""The paper's tables of tabular data, run again: its number beside ours in every row."""

from functools import partial
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
import torch
from joblib import Memory
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skfairaug._finetuner import FairAugmentFineTuner
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug._rule import FairRule
from skfairaug.benchmark._compare import compare
from skfairaug.benchmark._paper import PUBLISHED, Published
from skfairaug.benchmark._pareto import ParetoDisplay
from skfairaug.benchmark._protocol import FETCHERS, TRAINING, Split, train_biased_net
from skfairaug.benchmark._sensitive import without_sensitive
from skfairaug.benchmark._summary import summarize
from skfairaug.modules._embedding_mlp import make_tabular_net
from skfairaug.modules._mlp import TabularMLP
from skfairaug.rivals._adversarial_debiasing import AdversarialDebiasing
from skfairaug.rivals._adversarial_fine_tuning import AdversarialFineTuning
from skfairaug.rivals._aif360 import (
    CalibratedEqOddsPostprocessing,
    EqOddsPostprocessing,
    RejectOptionClassification,
    Reweighing,
)
from skfairaug.rivals._bias_gradient import BiasGradientFineTuning
from skfairaug.rivals._correlation_remover import CorrelationRemover
from skfairaug.rivals._layerwise import LayerwiseOptimization
from skfairaug.rivals._oxonfair import OxonFair, OxonFairWithGroups
from skfairaug.rivals._plain import PlainFineTuning
from skfairaug.rivals._random_perturbation import RandomPerturbation
from skfairaug.rivals._reductions import ExponentiatedGradient, GridSearch
from skfairaug.rivals._threshold_only import ThresholdOnly
from skfairaug.rivals._threshold_optimizer import ThresholdOptimizer

#: What the others are tested against.
OURS = "FairAugmentFineTuner"

#: Differences of balanced accuracy up to this count as the published number.
LEVEL = 0.02


def methods(n_features):
    """Rows of a table: the paper's by their names there, then those it does not have.

    Parameters
    ----------
    n_features : int
        Columns of X.

    Returns
    -------
    methods : dict of str to classifier
        Name -> estimator for :func:`compare`.
    """
    network = NeuralNetClassifier(
        TabularMLP,
        module__n_features=n_features,
        criterion=torch.nn.CrossEntropyLoss,
        verbose=0,
    )
    linear = partial(LogisticRegression, max_iter=1000)
    return {
        "Baseline": ThresholdOnly(None, constraint=None),
        "ROC": RejectOptionClassification(None),
        "EqOdds": EqOddsPostprocessing(None),
        "CalibEqOdds": CalibratedEqOddsPostprocessing(None),
        "Adv.Debias": ThresholdOnly(AdversarialDebiasing(network)),
        "RndPert": RandomPerturbation(None),
        "LayerwiseOpt": LayerwiseOptimization(None),
        "Adv.Ft": AdversarialFineTuning(None),
        "Proposed": FairAugmentFineTuner.paper(None),
        "Proposed joint": FairAugmentFineTuner.paper(None, "joint"),
        OURS: FairAugmentFineTuner(None),
        "FairRule": FairRule(None),
        "ThresholdOnly": ThresholdOnly(None),
        "PlainFineTuning": PlainFineTuning(None),
        "BiasGradientFineTuning": BiasGradientFineTuning(None),
        "BiasGradientFineTuning, pruning": BiasGradientFineTuning(None, method="pruning"),
        "ThresholdOptimizer": ThresholdOptimizer(None),
        "OxonFair": OxonFair(None),
        "OxonFairWithGroups": OxonFairWithGroups(None),
        "ExponentiatedGradient": ExponentiatedGradient(linear()),
        "ExponentiatedGradient, threshold": ThresholdOnly(ExponentiatedGradient(linear())),
        "GridSearch, threshold": ThresholdOnly(GridSearch(linear())),
        "Reweighing, threshold": ThresholdOnly(Reweighing(linear())),
        "CorrelationRemover": CorrelationRemover(linear()),
    }


def strong_methods():
    """Rows over a stronger network than the paper's.

    Returns
    -------
    methods : dict of str to classifier
        Name -> estimator for :func:`compare`.
    """
    return {
        "Baseline, strong network": ThresholdOnly(None, constraint=None),
        "FairAugmentFineTuner, strong network": FairAugmentFineTuner(None),
        "FairRule, strong network": FairRule(None),
        "ThresholdOnly, strong network": ThresholdOnly(None),
        "PlainFineTuning, strong network": PlainFineTuning(None),
        "ThresholdOptimizer, strong network": ThresholdOptimizer(None),
    }


def tree_methods(trees):
    """Rows over gradient-boosted trees.

    Parameters
    ----------
    trees : callable
        Makes an unfitted classifier.

    Returns
    -------
    methods : dict of str to classifier
        Name -> estimator for :func:`compare`.
    """
    return {
        "Baseline, LightGBM": ThresholdOnly(trees(), constraint=None),
        "FairRule, LightGBM": FairRule(trees()),
        "ThresholdOnly, LightGBM": ThresholdOnly(trees()),
        "ThresholdOptimizer, LightGBM": ThresholdOptimizer(trees()),
        "ExponentiatedGradient, LightGBM": ExponentiatedGradient(trees()),
        "ExponentiatedGradient, LightGBM, threshold": ThresholdOnly(
            ExponentiatedGradient(trees())
        ),
    }


def lightgbm():
    """Factory of LightGBM classifiers, an optional dependency."""
    try:
        from lightgbm import LGBMClassifier
    except ImportError as error:
        raise ImportError(
            'the rows over LightGBM need it: pip install "skfairaug[benchmark]", or choose '
            "other rows."
        ) from error
    return partial(LGBMClassifier, n_jobs=1, verbose=-1)


def train_network(X, y, seed, *, data, train=train_biased_net):
    """The biased network of a data set, for :func:`compare`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Training rows.
    y : ndarray of shape (n_samples,)
        Labels, 0 or 1.
    seed : int
        Seed of the weights.
    data : {"adult", "bank", "compas", "german"}
        Decides how patiently it is trained.
    train : callable, default=train_biased_net
        What trains it, such as one that remembers.

    Returns
    -------
    net : NeuralNetClassifier
        Fitted.
    """
    return train(Split(X, y, np.empty(0)), seed, **TRAINING[data])[0]


def train_strong_network(X, y, seed):
    """A network that comes near tree ensembles, for :func:`compare`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Training rows.
    y : ndarray of shape (n_samples,)
        Labels, 0 or 1.
    seed : int
        Seed of the weights.

    Returns
    -------
    net : NeuralNetClassifier
        Fitted.
    """
    with isolated_random_state(seed):
        return make_tabular_net(X, verbose=0).fit(X, y)


def run_setting(
    setting,
    seeds,
    *,
    tolerance=0.05,
    drop_sensitive=False,
    data_home=None,
    rows=None,
    n_jobs=None,
    folder,
    cache_dir,
):
    """Run the rows of a table in one setting; resumes.

    Parameters
    ----------
    setting : Setting
        Data, sensitive feature and measure.
    seeds : list of int
        Seeds of splits, networks and methods.
    tolerance : float, default=0.05
        Bias allowed.
    drop_sensitive : bool, default=False
        Leave out the columns that say the group.
    data_home : str or path, default=None
        Folder with the official files.
    rows : list of str, default=None
        Names of the methods to run; None runs all.
    n_jobs : int, default=None
        Processes.
    folder : str or path
        Where each result is appended to a CSV file.
    cache_dir : str or path
        Where trained networks are kept.

    Returns
    -------
    results : DataFrame
        As :func:`compare` gives them.
    """
    bunch = FETCHERS[setting.data](data_home, sensitive=setting.sensitive, encode="onehot")
    X = bunch.data
    if drop_sensitive:
        X = without_sensitive(X, bunch.sensitive_features)
    X = X.to_numpy(dtype=np.float64)
    remember = Memory(cache_dir, verbose=0).cache
    train = partial(train_network, data=setting.data, train=remember(train_biased_net))
    paper = methods(X.shape[1]), train
    strong = strong_methods(), remember(train_strong_network)
    forest = tree_methods(LogisticRegression)  # whose names count here
    known = [*paper[0], *strong[0], *forest]
    unknown = sorted(set(rows or ()) - set(known))
    if unknown:
        raise ValueError(f"no such rows: {unknown}; there are {known}.")
    if not rows or set(rows) & forest.keys():
        forest = tree_methods(lightgbm())
    parts = []
    for mitigators, train in (paper, strong, (forest, None)):
        wanted = {name: one for name, one in mitigators.items() if not rows or name in rows}
        if wanted:
            parts.append(
                compare(
                    wanted,
                    X,
                    bunch.target.to_numpy(),
                    sensitive_features=bunch.sensitive_features,
                    estimator=train,
                    preprocessor=StandardScaler(),
                    constraint=setting.constraint,
                    tolerance=tolerance,
                    cv=seeds,
                    n_jobs=n_jobs,
                    path=Path(folder) / f"{slug(setting, tolerance, drop_sensitive)}-runs.csv",
                )
            )
    return pd.concat(parts, ignore_index=True)


def slug(setting, tolerance, drop_sensitive=False):
    """Name of a setting's files."""
    parts = [*setting, f"{tolerance:g}"] + ["dropped"] * drop_sensitive
    return "-".join(parts).replace("_", "-")


def table(setting, results):
    """Summary of a setting with the published numbers and what became of them.

    Parameters
    ----------
    setting : Setting
        Which one.
    results : DataFrame
        As :func:`compare` gives them.

    Returns
    -------
    table : DataFrame
        A row per method, in the order of the results.
    """
    reference = OURS if OURS in set(results["method"]) else None
    summary = summarize(results)
    tolerance = results["tolerance"].iloc[0]
    published = [PUBLISHED[setting].get(name, Published(None, None)) for name in summary.index]
    table = pd.DataFrame(
        {
            "paper BA": np.array([one.balanced_accuracy for one in published], dtype=float),
            "paper abs bias": np.array([one.bias for one in published], dtype=float),
            "BA": summary["balanced_accuracy"],
            "std": summary["balanced_accuracy_std"],
            "abs bias": summary["abs_bias"],
            "inside": summary["inside"],
            "claimed": summary["claimed"],
            "Phi": summary["phi"],
            "Phi low": summary["phi_low"],
            "Phi high": summary["phi_high"],
            "seconds": summary["fit_seconds"],
            "needs A": summary["needs_sensitive_features"].map({True: "yes", False: "no"}),
            "seeds": summary["n_splits"],
            "errors": summary["n_errors"],
        },
        index=summary.index,
    )
    if reference:
        for name, score in (("BA", "balanced_accuracy"), ("Phi", "phi")):
            tested = summarize(results, reference=reference, score=score)
            table[f"{name} - ours"] = tested["difference"]
            table[f"p of {name}"] = tested["p_value"]
    table["against the paper"] = [
        verdict(one, row["BA"], row["abs bias"], tolerance)
        for one, (_, row) in zip(published, table.iterrows(), strict=True)
    ]
    return table


def verdict(published, accuracy, size, tolerance):
    """In words, what became of a published number.

    Parameters
    ----------
    published : Published
        The paper's row.
    accuracy, size : float
        Our means of balanced accuracy and \\|bias\\|.
    tolerance : float
        Bound on the bias.

    Returns
    -------
    verdict : str
        Empty where the paper has no such row.
    """
    if published.balanced_accuracy is None:
        if published.bias is None:
            return ""
        ours = "out of bound" if size >= tolerance else "inside"
        return f"out of bound there, {ours} here"
    difference = accuracy - published.balanced_accuracy
    if np.isnan(difference):
        return "not reproduced: it failed"
    if abs(difference) <= LEVEL:
        return "reproduced"
    return "higher" if difference > 0 else "not reproduced: lower"


def write(setting, results, folder, name=None, note=None, comparable=True):
    """Write a setting's table (CSV and Markdown) and figure.

    Parameters
    ----------
    setting : Setting
        Which one.
    results : DataFrame
        As :func:`compare` gives them.
    folder : str or path
        Where to.
    name : str, default=None
        Of the files, without suffix; None takes :func:`slug`'s.
    note : str, default=None
        How the run differs from the published one, for the heading.
    comparable : bool, default=True
        Whether its numbers may be compared with the paper's.

    Returns
    -------
    table : DataFrame
        What was written.
    """
    from matplotlib.figure import Figure  # an extra: only pictures need it

    tolerance = results["tolerance"].iloc[0]
    stem = Path(folder) / (name or slug(setting, tolerance))
    rows = table(setting, results)
    if not comparable:
        rows = rows.drop(columns="against the paper")
    rows.to_csv(f"{stem}.csv", float_format="%.3f")
    title = f"{setting.title} within {tolerance:g}"
    if name and name.endswith("dropped"):
        title += ", group not in X"
    text = rows.reset_index().to_markdown(index=False, floatfmt=".3f", missingval="")
    heading = f"# {title}\n\n" + (f"{note}\n\n" if note else "")
    Path(f"{stem}.md").write_text(f"{heading}{text}\n")
    figure = Figure(figsize=(10, 8), layout="constrained")
    display = ParetoDisplay.from_results(results, ax=figure.subplots(), annotate="legend")
    right = 5 * tolerance
    beyond = rows.index[rows["abs bias"] > right].tolist()
    title += f"; further right: {', '.join(beyond)}" if beyond else ""
    display.ax_.set_title(fill(title, 80))
    display.ax_.set_xlim(right=right)
    shown = rows.drop(index=beyond)
    if len(shown):
        spread = shown["std"].fillna(0)
        low, high = (shown["BA"] - spread).min(), (shown["BA"] + spread).max()
        display.ax_.set_ylim(low - 0.01, high + 0.01)
    figure.savefig(f"{stem}.png", dpi=120)
    return rows
