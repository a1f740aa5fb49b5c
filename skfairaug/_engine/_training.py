"""The training loop: a skorch net driven over batches that are drawn here.

The net's own machinery does the work (``train_step``, callbacks, history,
device), as in skorch's ``fit_loop``.  Two things differ: the loss is ours, and the
losses of an epoch are read from the device once, at its end.
"""

from contextlib import contextmanager

import torch
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    PrintLog,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    WandbLogger,
)

from skfairaug._engine._processes import scaled
from skfairaug._inputs._contexts import overriding
from skfairaug._inputs._models import log_probabilities, net_targets
from skfairaug._inputs._rows import at, chunk_size, chunks, off_device

#: Callbacks of the net's first training that have no part in another one. An accuracy monitor
#: would end it just when it trades accuracy for fairness; the choice by expected Phi takes its
#: place. A schedule is for the optimizer and the number of steps that trained the net.
#: Checkpoints and records of runs are the caller's: nothing of the caller's is written to.
NOT_OURS = (
    EarlyStopping,
    LRScheduler,
    Checkpoint,
    TrainEndCheckpoint,
    LoadInitState,
    MlflowLogger,
    NeptuneLogger,
    SacredLogger,
    TensorBoard,
    WandbLogger,
)


class CellSampler:
    """Draws batches that hold equally many rows of every (label, group) cell.

    With replacement, so a cell of ten rows serves as well as one of ten thousand;
    the caller weights the rows back to whatever distribution it needs.

    Parameters
    ----------
    cells : LongTensor of shape (n_samples,)
        Cell code of every row.
    rows : LongTensor of shape (n_rows,)
        Rows to draw from.
    generator : torch.Generator
        Source of randomness, on the tensors' device.
    """

    def __init__(self, cells, rows, generator):
        self.generator = generator
        codes = cells[rows]
        self.rows_of_cell = [rows[codes == cell] for cell in torch.unique(codes)]

    def draw(self, n_batches, batch_size, weights=None):
        """Row indices of shape (n_batches, about batch_size), for a whole epoch.

        `weights` of shape (n_samples,) make rows of a cell likelier than others.
        """
        per_cell = max(1, round(batch_size / len(self.rows_of_cell)))
        columns = []
        for rows in self.rows_of_cell:
            # float32 cannot tell the rows of a large cell apart.
            precise = torch.float32 if rows.device.type == "mps" else torch.float64
            position = torch.rand(
                (n_batches, per_cell),
                generator=self.generator,
                device=rows.device,
                dtype=precise,
            )
            if weights is None:
                position = (position * len(rows)).long()
            else:
                running = weights[rows].to(precise).cumsum(0)
                position = torch.searchsorted(running, position * running[-1], right=True)
            columns.append(rows[position.clamp_max(len(rows) - 1)])
        return torch.cat(columns, dim=1)


@contextmanager
def own_loss(net, loss, train_mode):
    """Make skorch's training steps use `loss(output)`; evaluation keeps the net's own.

    Overriding ``get_loss`` alone leaves the rest of a user's net class (mixed
    precision, accelerate, gradient clipping) in force.
    """
    criterion = net.get_loss

    def get_loss(y_pred, y_true, X=None, training=False):
        if training:
            return loss(y_pred)
        return criterion(y_pred, y_true, X=X, training=False)

    changes = {"get_loss": get_loss}
    if not train_mode:
        set_training = net._set_training
        changes["_set_training"] = lambda training=True: set_training(False)
    with overriding(net, **changes):
        yield


class Trainer:
    """Trains a net for a number of epochs of drawn batches.

    Parameters
    ----------
    net : skorch.NeuralNet
        Changed in place.
    X : Tensor, NamedRows or StreamedRows
        All rows, as :mod:`skfairaug._inputs._rows` has them on the device.
    y : Tensor
        Their class codes.
    lr : float
        Peak learning rate of the one-cycle schedule.
    max_epochs, steps_per_epoch : int
        Length of the training.
    train_mode : bool
        Whether dropout and BatchNorm behave as in training.
    one_cycle : bool, default=True
        False keeps the learning rate at its peak.
    """

    def __init__(
        self, net, X, y, *, lr, max_epochs, steps_per_epoch, train_mode, one_cycle=True
    ):
        self.net = net
        self.X = X
        self.y = y
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.train_mode = train_mode
        # One fused kernel instead of one per parameter and operation.
        optimizer = torch.optim.Adam(net.module_.parameters(), lr=lr, fused=True)
        self.schedule = None
        if one_cycle:
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, max_lr=lr, total_steps=max_epochs * steps_per_epoch + 1
            )
        net.optimizer_ = scaled(net, optimizer)

    def run(self, make_epoch, on_epoch_end, selection_rows):
        """Train; return False where Ctrl-C ended it.

        Parameters
        ----------
        make_epoch : callable
            ``make_epoch(epoch)`` yields (rows of X, y, loss function) per batch; the
            loss function maps the module's output to a scalar tensor.
        on_epoch_end : callable
            ``on_epoch_end(log_proba)`` receives the class log-probabilities of the
            selection rows after each epoch; if it returns True, that was the last.
        selection_rows : LongTensor
            Rows that are evaluated after each epoch.
        """
        net = self.net
        X_valid, y_valid = at(self.X, selection_rows), self.y[selection_rows]
        shown = off_device(self.X)
        datasets = {
            "dataset_train": net.get_dataset(shown, net_targets(net, self.y)),
            "dataset_valid": net.get_dataset(off_device(X_valid), net_targets(net, y_valid)),
        }
        net.callbacks_ = [pair for pair in net.callbacks_ if not isinstance(pair[1], NOT_OURS)]
        for _, callback in net.callbacks_:
            if isinstance(callback, PrintLog):
                callback.initialize()  # a new heading: the columns are others now
        net.notify("on_train_begin", X=shown, y=self.y)
        try:
            for epoch in range(self.max_epochs):
                net.notify("on_epoch_begin", **datasets)
                self._train_epoch(make_epoch(epoch), epoch)
                log_proba = evaluate(net, X_valid, y_valid)
                check_finite([log_proba.max().item()], epoch)
                done = on_epoch_end(log_proba)
                net.notify("on_epoch_end", **datasets)
                if done:
                    break
            return True
        except KeyboardInterrupt:
            return False
        finally:
            net.notify("on_train_end", X=shown, y=self.y)

    def _train_epoch(self, batches, epoch):
        net, losses, sizes = self.net, [], []
        first = len(net.history[-1]["batches"])
        for X, y, loss in batches:
            batch = (X, net_targets(net, y))
            net.notify("on_batch_begin", batch=batch, training=True)
            with own_loss(net, loss, self.train_mode):
                step = net.train_step(batch)
            if self.schedule is not None:
                self.schedule.step()
            losses.append(step["loss"].detach())
            sizes.append(len(y))
            net.notify("on_batch_end", batch=batch, training=True, **step)
        values = torch.stack(losses).tolist()
        records = net.history[-1]["batches"][first:]
        for record, value, size in zip(records, values, sizes, strict=True):
            record["train_loss"] = value
            record["train_batch_size"] = size
        net.history.record("train_batch_count", len(losses))
        check_finite(values, epoch)


def check_finite(losses, epoch):
    """Raise where a loss is not a number, with the epoch and the remedy."""
    if not all(abs(loss) < float("inf") for loss in losses):
        raise FloatingPointError(
            f"the loss became non-finite in epoch {epoch + 1}. Standardise X, or lower "
            "lr (and the augmenter's radius), then fit again; the net that was passed "
            "in is unchanged."
        )


@torch.no_grad()
def evaluate(net, X, y):
    """Class log-probabilities of rows, with the net's own validation loss recorded."""
    log_probas, first = [], 0
    targets = net_targets(net, y)
    for rows in chunks(X):
        size = min(len(y) - first, chunk_size(X))
        batch = (rows, targets[first : first + size])
        first += size
        net.notify("on_batch_begin", batch=batch, training=False)
        step = net.validation_step(batch)
        net.history.record_batch("valid_loss", step["loss"].item())
        net.history.record_batch("valid_batch_size", size)
        net.notify("on_batch_end", batch=batch, training=False, **step)
        log_probas.append(log_probabilities(net, step["y_pred"]))
    net.history.record("valid_batch_count", len(log_probas))
    return torch.cat(log_probas)
