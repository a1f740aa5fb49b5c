"""Rows of the paper's tables of tabular data: its own methods, and those it does not have."""

from functools import partial

import torch
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug.modules import TabularMLP, make_tabular_net
from skfairaug.rivals import (
    AdversarialDebiasing,
    AdversarialFineTuning,
    BiasGradientFineTuning,
    CalibratedEqOddsPostprocessing,
    CorrelationRemover,
    EqOddsPostprocessing,
    ExponentiatedGradient,
    GridSearch,
    LayerwiseOptimization,
    OxonFair,
    OxonFairWithGroups,
    PlainFineTuning,
    RandomPerturbation,
    RejectOptionClassification,
    Reweighing,
    ThresholdOnly,
    ThresholdOptimizer,
)

#: What the others are tested against.
OURS = "FairAugmentFineTuner"


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
