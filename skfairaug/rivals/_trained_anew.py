"""What the rivals that train a network from new weights share."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from torch import nn

from skfairaug._engine._debiasing_task import Batch
from skfairaug._engine._estimator import split_cells
from skfairaug._engine._parameters import parameters
from skfairaug._engine._selection import Goal
from skfairaug._engine._training import fine_tune
from skfairaug._inputs._checks import check_tolerance
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._models import check_output
from skfairaug._inputs._rows import on_device
from skfairaug.metrics._constraints import get_constraint
from skfairaug.rivals._net_rival import NetRival


@parameters
class TrainedAnew(NetRival):
    """Base of the rivals that train a clone of the net on training rows.

    Parameters
    ----------
    estimator : skorch net
        NeuralNetClassifier or NeuralNetBinaryClassifier with any module. A clone of it is
        trained from new weights, whether or not it is fitted.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1]. None chooses the epoch by balanced accuracy alone.
    max_epochs : int, default=30
        Passes over the training rows; after each, the network is a candidate.
    lr : float, default=0.003
        Peak of the one-cycle learning rate of Adam.
    batch_size : int, default=512
        Rows of a batch, as they occur.
    validation_fraction : float, default=0.2
        Share of every (label, group) cell, in [0, 1), that is not trained on and chooses
        epoch and threshold; a cell's only row does both. 0: all rows train and choose.

    Attributes
    ----------
    net_ : skorch net
        The fair network, in evaluation mode.
    """

    max_epochs: int = 30
    lr: float = 3e-3
    batch_size: int = 512
    validation_fraction: float = 0.2

    _parameter_constraints = {
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    }

    fits_on = "train"

    def fit(self, X, y, *, sensitive_features=None):
        """Train a fair network on training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows, as the net takes them.
        y : array-like of shape (n_samples,)
            Labels; of two, `pos_label` is the favourable one.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns); several
            columns make intersectional groups. None reads them from `sensitive_columns`.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        if isinstance(self.estimator, FrozenEstimator | Pipeline | nn.Module):
            raise TypeError(
                f"{type(self).__name__} trains the network from new weights, so estimator "
                "must be a skorch classifier that may be trained; got a "
                f"{type(self.estimator).__name__}."
            )
        return super().fit(X, y, sensitive_features=sensitive_features)

    def _start(self, rows, held_out, seed):
        """The task: a net with new weights, and rows set aside to choose."""
        net = clone(self.estimator).initialize()
        check_output(net, on_device(net, rows.X), len(self.classes_))
        self._change_net(net, rows)
        train = select = np.arange(len(rows.y))
        if self.validation_fraction:
            select, train = split_cells(rows.cells, self.validation_fraction, seed)
            alone = np.bincount(rows.cells)[rows.cells[select]] == 1
            train = np.sort(np.concatenate([train, select[alone]]))
        return self._make_task(net, rows, train, select, seed)

    def _check_tolerance(self):
        if self.tolerance is not None:
            check_tolerance(self.tolerance)

    def _goal(self):
        tolerance = 1.0 if self.tolerance is None else self.tolerance
        return Goal(get_constraint(self.constraint), tolerance, caution=self.caution)

    def _change_net(self, net, rows):
        """Give the initialised net another module than its own."""

    def _train(self, task, loss):
        """Train in passes over the rows as they occur, without weighing any."""
        size = min(self.batch_size, len(task.train))
        fine_tune(
            task,
            lambda epoch: passes(task, size),
            loss,
            lr=self.lr,
            max_epochs=self.max_epochs,
            steps_per_epoch=len(task.train) // size,
            train_mode=True,
        )


def passes(task, batch_size):
    """Batches of a pass over the training rows in random order; the rest is left out."""
    order = torch.randperm(len(task.train), generator=task.generator, device=task.X.device)
    n_batches = len(order) // batch_size
    drawn = task.train[order[: n_batches * batch_size]].view(n_batches, batch_size)
    for X, rows in zip(task.X.batches(drawn), drawn, strict=True):
        yield Batch(X, rows, len(rows))
