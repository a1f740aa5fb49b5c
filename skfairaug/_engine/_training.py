"""The training loop: a skorch net driven over batches that are drawn here.

The net's own machinery does the work (``train_step``, callbacks, history,
device), as in skorch's ``fit_loop``.  Two things differ: the loss is ours, and an epoch is
booked at its end.  Its losses are read from the device once, and callbacks hear of single
batches only where one of them wants to.
"""

from contextlib import contextmanager

import torch
from skorch import NeuralNet
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
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

#: What skorch calls once a batch: of callbacks (and of the net, which is the first of them),
#: and of the net alone.
HEARD = "on_batch_begin", "on_batch_end", "on_grad_computed"
STEPS = "train_step", "train_step_single"


def fine_tune(
    task,
    make_epoch,
    loss,
    *,
    lr,
    max_epochs,
    steps_per_epoch,
    train_mode,
    one_cycle=True,
    done=None,
):
    """Train all weights of the task's net, which is a candidate for the best at each epoch.

    Parameters
    ----------
    task : DebiasingTask
        Its net is changed.
    make_epoch : callable
        ``make_epoch(epoch)`` yields the batches of an epoch.
    loss : callable
        ``loss(log_proba, batch)`` is the scalar to minimise.
    lr : float
        Peak learning rate of Adam.
    max_epochs, steps_per_epoch : int
        Length of the training.
    train_mode : bool
        Whether dropout and BatchNorm behave as in training.
    one_cycle : bool, default=True
        False keeps the learning rate at its peak.
    done : callable, default=None
        ``done(log_proba, verdict)`` says after each epoch whether it was the last; it
        receives the class log-probabilities of the selection rows.

    Returns
    -------
    finished : bool
        False where Ctrl-C ended the training.
    """
    net = task.net
    # One fused kernel instead of one per parameter and operation.
    optimizer = torch.optim.Adam(net.module_.parameters(), lr=lr, fused=True)
    schedule = None
    if one_cycle:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=lr, total_steps=max_epochs * steps_per_epoch + 1
        )

    def judge(log_proba):
        verdict = task.best.offer(log_proba, net.module_.state_dict())
        record(net.history, verdict, "fine-tune")
        return done is not None and done(log_proba, verdict)

    return train(
        task,
        make_epoch,
        loss,
        judge,
        optimizer=optimizer,
        schedule=schedule,
        max_epochs=max_epochs,
        train_mode=train_mode,
    )


def train(
    task, make_epoch, loss, judge, *, optimizer, max_epochs, schedule=None, train_mode=False
):
    """Run epochs of the task's net: the one loop, whatever it is that learns.

    Parameters
    ----------
    task : DebiasingTask
        Its net is changed by the optimizer, and its history goes on.
    make_epoch : callable
        ``make_epoch(epoch)`` yields the batches of an epoch.
    loss : callable
        ``loss(log_proba, batch)`` is the scalar to minimise.
    judge : callable
        ``judge(log_proba)`` receives the class log-probabilities of the selection rows after
        each epoch; if it returns True, that was the last.
    optimizer : torch.optim.Optimizer
        Of what learns.
    max_epochs : int
        Length of the training.
    schedule : learning-rate scheduler of PyTorch, default=None
        Goes on by one at each step.
    train_mode : bool, default=False
        Whether dropout and BatchNorm behave as in training.

    Returns
    -------
    finished : bool
        False where Ctrl-C ended the training.
    """
    net = task.net
    net.optimizer_ = scaled(net, optimizer)
    net.callbacks_ = [pair for pair in net.callbacks_ if not isinstance(pair[1], NOT_OURS)]
    for _, callback in net.callbacks_:
        if isinstance(callback, PrintLog):
            callback.initialize()  # a new heading: the columns are others now
    X_valid, y_valid = task.X.at(task.select), task.y[task.select]
    shown = task.X.shown
    data = {
        "dataset_train": net.get_dataset(shown, net_targets(net, task.y)),
        "dataset_valid": net.get_dataset(X_valid.shown, net_targets(net, y_valid)),
    }
    net.notify("on_train_begin", X=shown, y=task.y)
    try:
        with task.until_interrupted():
            for epoch in range(max_epochs):
                net.notify("on_epoch_begin", **data)
                run_epoch(task, make_epoch(epoch), loss, schedule, train_mode, epoch)
                log_proba = evaluate(net, X_valid, y_valid)
                check_finite([log_proba.max().item()], epoch)
                done = judge(log_proba)
                net.notify("on_epoch_end", **data)
                if done:
                    break
    finally:
        net.notify("on_train_end", X=shown, y=task.y)
    return not task.interrupted


def run_epoch(task, batches, loss, schedule, train_mode, epoch):
    """Train on an epoch's batches, and book them in the net's history at its end."""
    net, losses, sizes = task.net, [], []
    batch = None
    heard = hears_batches(net)
    # skorch makes a record of every batch that it is told of.
    first = len(net.history[-1]["batches"])

    def loss_of(output):
        return loss(log_probabilities(net, output), batch)

    with own_loss(net, loss_of, train_mode, alone=not heard):
        for batch in batches:
            pair = batch.X, net_targets(net, task.y[batch.rows])
            if heard:
                net.notify("on_batch_begin", batch=pair, training=True)
            with batch.context:
                step = net.train_step(pair)
            if schedule is not None:
                schedule.step()
            losses.append(step["loss"].detach())
            sizes.append(len(batch.rows))
            if heard:
                net.notify("on_batch_end", batch=pair, training=True, **step)
    values = torch.stack(losses).tolist()
    records = net.history[-1]["batches"]
    if not heard:
        records.extend({} for _ in values)
    for one, value, size in zip(records[first:], values, sizes, strict=True):
        one["train_loss"] = value
        one["train_batch_size"] = size
    net.history.record("train_batch_count", len(losses))
    check_finite(values, epoch)


def hears_batches(net):
    """Whether the net's class or one of its callbacks has a say in single batches."""
    methods = (*HEARD, *STEPS)
    if any(overrides(net, name, NeuralNet) for name in methods) or vars(net).keys() & STEPS:
        return True
    return any(
        overrides(callback, name, Callback) and not scores_validation(callback, name)
        for _, callback in net.callbacks_
        for name in HEARD
    )


def overrides(instance, name, base):
    """Whether the class of an instance has a method other than its base's."""
    return getattr(type(instance), name, None) is not getattr(base, name)


def scores_validation(callback, name):
    """Whether a method is that of skorch's scoring, which lets training batches pass."""
    given = getattr(type(callback), name, None)
    ours = [getattr(kind, name) for kind in (EpochScoring, BatchScoring)]
    return given in ours and not callback.on_train


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
def own_loss(net, loss, train_mode, *, alone=False):
    """Make skorch's training steps use `loss(output)`; evaluation keeps the net's own.

    Overriding ``get_loss`` alone leaves the rest of a user's net class (mixed
    precision, accelerate, gradient clipping) in force. Where steps are `alone`, with nobody
    to hear of them or to change the module's mode between them, that is set once.
    """
    criterion, set_training = net.get_loss, net._set_training

    def get_loss(y_pred, y_true, X=None, training=False):
        if training:
            return loss(y_pred)
        return criterion(y_pred, y_true, X=X, training=False)

    changes = {"get_loss": get_loss}
    if alone:
        set_training(train_mode)
        changes["_set_training"] = changes["notify"] = lambda *args, **kwargs: None
    elif not train_mode:
        changes["_set_training"] = lambda training=True: set_training(False)
    with overriding(net, **changes):
        yield


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
    log_probas, losses, first = [], [], 0
    targets, before = net_targets(net, y), len(net.history[-1]["batches"])
    for rows in X.chunks():
        size = min(len(y) - first, X.chunk_size)
        batch = (rows, targets[first : first + size])
        first += size
        net.notify("on_batch_begin", batch=batch, training=False)
        step = net.validation_step(batch)
        losses.append(step["loss"].detach())
        net.history.record_batch("valid_batch_size", size)
        net.notify("on_batch_end", batch=batch, training=False, **step)
        log_probas.append(log_probabilities(net, step["y_pred"]))
    values = torch.stack(losses).tolist()
    for one, value in zip(net.history[-1]["batches"][before:], values, strict=True):
        one["valid_loss"] = value
    net.history.record("valid_batch_count", len(log_probas))
    return torch.cat(log_probas)


def record(history, verdict, phase):
    """Add a verdict to the last row of a skorch history."""
    history.record("phase", phase)
    history.record("bias", verdict.bias)
    history.record("balanced_accuracy", verdict.balanced_accuracy)
    history.record("expected_phi", verdict.objective)
