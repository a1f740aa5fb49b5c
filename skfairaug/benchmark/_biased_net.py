"""A biased network for demonstrations: rows, its training, and its most accurate threshold."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping, LRScheduler
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from skfairaug._inputs._contexts import isolated_random_state
from skfairaug.metrics._threshold import threshold_curve
from skfairaug.modules._mlp import TabularMLP


@dataclass(frozen=True)
class Split:
    """One part of a data set: standardised float32 rows, labels 0/1 and group codes."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray


def train_biased_net(train, seed, *, batch_size=256, patience=10, floor=0.0, callbacks=()):
    """The network of the paper's tables, trained on accuracy alone.

    Parameters
    ----------
    train : Split
        Rows; a tenth of them stops the training.
    seed : int
        Seed of the weights.
    batch_size, patience : int
        Rows of a batch; epochs without improvement before it stops.
    floor : float, default=0.0
        Start again, twice as patient, while the best balanced accuracy on the tenth
        is below; three times at most.
    callbacks : sequence of skorch callbacks, default=()
        More callbacks.

    Returns
    -------
    net : NeuralNetClassifier
        Fitted.
    seconds : float
        What it took.
    """
    start = time.perf_counter()
    fit, held = train_test_split(
        np.arange(len(train.y)), test_size=0.1, stratify=train.y, random_state=seed
    )
    held_out = Dataset(train.X[held], train.y[held])
    for attempt in range(3):
        patient = patience * 2**attempt
        with isolated_random_state(seed + 1000 * attempt):
            net = NeuralNetClassifier(
                TabularMLP,
                module__n_features=train.X.shape[1],
                criterion=torch.nn.CrossEntropyLoss,
                optimizer=torch.optim.Adam,
                lr=1e-3,
                batch_size=batch_size,
                max_epochs=30 * patient,
                train_split=predefined_split(held_out),
                callbacks=[
                    EarlyStopping(patience=patient, load_best=True, sink=_quiet),
                    LRScheduler(
                        "ReduceLROnPlateau",
                        monitor="valid_loss",
                        patience=max(3, patient // 3),
                    ),
                    *callbacks,
                ],
                iterator_train__shuffle=True,
                iterator_train__drop_last=True,
                verbose=0,
            ).fit(train.X[fit], train.y[fit])
        net.train_split = None  # nothing of the data stays in the net
        score = net.predict_proba(train.X[held])[:, 1]
        curve = threshold_curve(
            train.y[held], score, np.zeros(len(held), int), "statistical_parity", 1
        )
        if curve.balanced_accuracy.max() >= floor:
            break
    return net, time.perf_counter() - start


def best_threshold_predictions(net, validation, test):
    """Test predictions of the biased net at its most accurate threshold."""
    curve = threshold_curve(
        validation.y,
        net.predict_proba(validation.X)[:, 1],
        validation.groups,
        "statistical_parity",
    )
    cut = curve.thresholds[curve.balanced_accuracy.argmax()]
    return (net.predict_proba(test.X)[:, 1].astype(np.float64) > cut).astype(int)


def _quiet(message):
    """Sink for callbacks that print."""
