"""How long a network is trained: epochs' steps and batches, and how long that takes."""

import math
import time
from typing import NamedTuple

from skorch.callbacks import PrintLog

from skfairaug._inputs._models import predict_log_proba
from skfairaug._inputs._rows import OTHER_ROWS

#: An epoch on a table, whose rows cost little, however many there are.
STEPS, BATCH = 30, 512

#: Of other rows an epoch is so many passes over them, in batches of this share of them.
PASSES, SHARE = 3, 8
SMALLEST = 64

#: Expected Phi that counts as growth, and epochs without it that end a training.
GROWTH, PATIENCE = 0.003, 8

#: A training step costs about so many forward passes.
FORWARD_PASSES = 3


class Budget(NamedTuple):
    """Batches in an epoch, and rows in a batch."""

    steps_per_epoch: int
    batch_size: int


def budget_of(task, steps_per_epoch=None, batch_size=None):
    """The budget of an epoch, from the number of rows where it is not given.

    Parameters
    ----------
    task : DebiasingTask
        Its training rows count. Rows of several dimensions are images, and dear.
    steps_per_epoch, batch_size : int, default=None
        As given; None takes 30 batches of 512 rows for tables and other rows, and for images
        three passes over the rows in batches of an eighth of them, at least 64 and at most
        512 rows, and at most 30 batches.

    Returns
    -------
    budget : Budget
        Of each epoch.
    """
    n_rows = len(task.train)
    if batch_size is None:
        batch_size = BATCH
        if task.has_images:
            batch_size = min(BATCH, max(SMALLEST, n_rows // SHARE))
    if steps_per_epoch is None:
        steps_per_epoch = STEPS
        if task.has_images:
            steps_per_epoch = min(STEPS, math.ceil(PASSES * n_rows / batch_size))
    return Budget(steps_per_epoch, batch_size)


def until_converged(task):
    """What ends a round of fine-tuning on images, as `done` of `fine_tune`.

    The network is level with its teacher, or has not grown for some epochs.
    """
    reached = [task.best.verdict.objective]

    def done(log_proba, verdict):
        reached.append(task.best.verdict.objective)
        level = task.rule.verdict.objective - reached[-1] < GROWTH
        before = reached[-1 - PATIENCE] if len(reached) > PATIENCE else -math.inf
        return level or reached[-1] - before < GROWTH

    return done


def announce(task, budget, epochs, passes=1.0):
    """Say beforehand how long a training on images will take, where the net is verbose.

    Parameters
    ----------
    task : DebiasingTask
        One chunk of its rows is timed.
    budget : Budget
        Of an epoch.
    epochs : tuple of int
        Epochs of each round, of which the first is sure.
    passes : float, default=1.0
        What a batch costs, in training passes.
    """
    net = task.net
    if not (net.verbose and task.has_images and epochs[0]):
        return
    rows = task.train[:OTHER_ROWS]
    start = time.perf_counter()
    predict_log_proba(net, task.X.at(rows)).sum().item()  # waits for the device
    forward = (time.perf_counter() - start) / len(rows)
    trained = epochs[0] * budget.steps_per_epoch * budget.batch_size
    judged = epochs[0] * len(task.select)
    seconds = forward * (FORWARD_PASSES * passes * trained + judged)
    more = " and ".join(str(n) for n in epochs[1:])
    more = f"; then {more} more while it is behind its teacher" if more else ""
    sink = next((one.sink for _, one in net.callbacks_ if isinstance(one, PrintLog)), print)
    (sink if callable(sink) else print)(
        f"fine-tuning: {epochs[0]} epochs of {budget.steps_per_epoch} batches of "
        f"{budget.batch_size} rows, about {seconds:.0f} s on {task.X.device}{more}"
    )
