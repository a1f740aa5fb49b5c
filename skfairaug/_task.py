"""What every debiasing step works on: rows on the device, groups, and the best so far."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit

from skfairaug._nets import log_probabilities, predict_log_proba
from skfairaug._rows import at, batches_of
from skfairaug._training import CellSampler, Trainer
from skfairaug.metrics._cells import cell_counts, cell_rates
from skfairaug.metrics._constraints import Constraint
from skfairaug.metrics._group_thresholds import group_thresholds
from skfairaug.metrics._phi import expected_phi
from skfairaug.metrics._soft import soft_bias
from skfairaug.metrics._threshold import choose_threshold, threshold_curve
from skfairaug.steps.equalize import distillation_loss, group_offsets, teacher_log_odds
from skfairaug.steps.penalty import bias_penalty, weighted_cross_entropy

#: Expected Phi given up for a smaller bias. The top of the curve is flat, about as wide as
#: the standard error of a balanced accuracy on ten thousand rows; its middle is safest.
SLACK = 0.005


class Batch(NamedTuple):
    """Rows to train on: the first `n_real` as they are, the others perturbed."""

    X: torch.Tensor  # or a mapping to tensors, as the net takes it
    rows: torch.Tensor  # the row of the task that each row is, or was made from
    n_real: int
    importance: Callable | None = None  # log-probabilities -> Eq. 10 weights
    context: AbstractContextManager = nullcontext()  # in which the net is to see it


@dataclass(frozen=True)
class Goal:
    """What is asked of the network: a constraint, how tight, and how surely."""

    constraint: Constraint
    tolerance: float
    caution: float = 0.0
    penalty: float = 0.0
    margin: float = 0.0  # in units of the bias
    distillation: float = 0.0
    balance: str = "labels"


@dataclass
class Task:
    """Rows of the validation set on the net's device, and what is known of them.

    `train` are the rows that the network is fitted to, `select` those that choose
    among networks and thresholds; they may overlap.
    """

    net: object
    X: torch.Tensor
    y: torch.Tensor
    groups: torch.Tensor
    n_classes: int
    n_groups: int
    train: torch.Tensor
    select: torch.Tensor
    goal: Goal
    columns: torch.Tensor
    group_values: torch.Tensor
    generator: torch.Generator
    best: "Best" = field(init=False)
    teacher: torch.Tensor | None = None  # class probabilities for every row

    def __post_init__(self):
        self.best = Best(self)

    @cached_property
    def cells(self):
        """Cell code of every row, label by label."""
        return self.y * self.n_groups + self.groups

    @cached_property
    def counts(self):
        """Natural cell counts, for measures taken on resampled batches."""
        return cell_counts(self.y, self.groups, self.n_classes, self.n_groups)

    @cached_property
    def cell_weights(self):
        """Weight of a row of each cell in a batch of equal cells.

        Classes weigh the same (balanced accuracy is the aim), and groups within a class as
        they occur or, where the goal balances cells, the same too.
        """
        sizes = torch.bincount(self.cells, minlength=self.n_classes * self.n_groups)
        sizes = sizes.view(self.n_classes, self.n_groups).float()
        if self.goal.balance == "cells":
            sizes = (sizes > 0).float()
        return (sizes / sizes.sum(1, keepdim=True)).flatten()

    @cached_property
    def sampler(self):
        """Draws training rows, equally many of every cell."""
        return CellSampler(self.cells, self.train, self.generator)

    def batches(self, n_batches, batch_size):
        """An epoch of batches of real rows."""
        drawn = self.sampler.draw(n_batches, batch_size)
        for X, rows in zip(batches_of(self.X, drawn), drawn, strict=True):
            yield Batch(X, rows, len(rows))

    def soft_bias(self, log_proba, rows):
        """Soft bias, on the natural distribution, of predictions for `rows`."""
        return soft_bias(
            log_proba.exp(),
            self.y[rows],
            self.groups[rows],
            self.goal.constraint,
            counts=self.counts,
            n_groups=self.n_groups,
        )

    def make_teacher(self):
        """Make the fair teacher, if there is to be one, of the network as it is now."""
        if self.goal.distillation:
            log_proba = predict_log_proba(self.net, self.X)
            make = self._teach_two if self.n_classes == 2 else self._teach_many
            self.teacher = make(log_proba)

    def _teach_two(self, log_proba):
        """A threshold for each group, as the constraint asks."""
        log_odds = log_proba[:, 1] - log_proba[:, 0]
        y, score, groups = (
            values[self.select].cpu().numpy() for values in (self.y, log_odds, self.groups)
        )
        gap = 2 * (self.goal.tolerance - self.goal.margin)
        cuts = group_thresholds(y, score, groups, self.goal.constraint, self.n_groups, gap=gap)
        bound = log_odds.abs().max()
        cuts = torch.as_tensor(cuts).to(log_odds).clamp(-bound, bound)
        targets = teacher_log_odds(log_odds, self.groups, cuts)
        return torch.stack([torch.sigmoid(-targets), torch.sigmoid(targets)], dim=1)

    def _teach_many(self, log_proba):
        """Offsets of the classes for each group."""
        rows = self.select
        scales, offsets = group_offsets(
            log_proba[rows], self.y[rows], self.groups[rows], self.n_groups
        )
        return (scales[self.groups] * log_proba + offsets[self.groups]).softmax(1)

    def recipe(self, lr, train_mode):
        """Learning rate and mode of fine-tuning, chosen by the kind of rows where None."""
        images = (self.X.ndim or 0) > 2
        return {
            "lr": lr or (1e-3 if images else 3e-3),
            "train_mode": images if train_mode is None else train_mode,
        }

    def loss(self, log_proba, batch):
        """Fine-tune loss of a batch: labels, fair teacher and bias term.

        The bias term is taken on the real rows alone, whose distribution is natural.
        """
        goal = self.goal
        share = 0.0 if self.teacher is None else goal.distillation
        importance = batch.importance and batch.importance(log_proba)
        loss = 0.0
        if share < 1:
            weights = self.cell_weights[self.cells[batch.rows]]
            y = self.y[batch.rows]
            loss = (1 - share) * weighted_cross_entropy(log_proba, y, weights, importance)
        if share:
            targets = self.teacher[batch.rows]
            loss = loss + share * distillation_loss(log_proba, targets, importance)
        if goal.penalty:
            real = slice(batch.n_real)
            bias = self.soft_bias(log_proba[real], batch.rows[real])
            loss = loss + goal.penalty * bias_penalty(
                bias, tolerance=goal.tolerance, margin=goal.margin
            )
        return loss

    def offer_net(self, phase):
        """Judge the net as it stands, and give it a row of its own in the history.

        Returns its class log-probabilities of the selection rows, and the verdict.
        """
        net = self.net
        log_proba = predict_log_proba(net, at(self.X, self.select))
        verdict = self.best.offer(log_proba, net.module_.state_dict)
        net.history.new_epoch()
        net.history.record("epoch", len(net.history))
        record(net.history, verdict, phase)
        return log_proba, verdict

    def predict_proba(self, X):
        """Class probabilities, differentiable in the weights and in X."""
        return log_probabilities(self.net, self.net.infer(X)).exp()


@dataclass(frozen=True)
class Verdict:
    """How a network does on the selection rows, at its best threshold."""

    log_odds: float  # cut-off on log p1 - log p0; 0 for several classes
    balanced_accuracy: float
    bias: float
    objective: float

    @property
    def threshold(self):
        """The cut-off as a probability of the positive class."""
        return float(expit(self.log_odds))


class Best:
    """Keeps the best network seen so far, by expected Phi on the selection rows."""

    def __init__(self, task):
        self.task = task
        self.verdict = None
        self.state = None

    def judge(self, log_proba):
        """Verdict on class log-probabilities of the selection rows."""
        task, goal = self.task, self.task.goal
        y = task.y[task.select].cpu().numpy()
        groups = task.groups[task.select].cpu().numpy()
        log_proba = log_proba.double().cpu().numpy()
        if task.n_classes == 2:
            curve = threshold_curve(
                y, log_proba[:, 1] - log_proba[:, 0], groups, goal.constraint, task.n_groups
            )
            i = choose_threshold(
                curve,
                tolerance=goal.tolerance,
                caution=goal.caution,
                slack=SLACK if goal.caution else 0.0,
            )
            log_odds, accuracy = curve.thresholds[i], curve.balanced_accuracy[i]
            bias, error = curve.bias[i], curve.standard_error[i]
        else:
            log_odds = 0.0
            accuracy, bias, error = self._judge_classes(y, groups, log_proba.argmax(1))
        objective = expected_phi(
            accuracy, bias, error, tolerance=goal.tolerance, caution=goal.caution
        )
        return Verdict(float(log_odds), float(accuracy), float(bias), float(objective))

    def _judge_classes(self, y, groups, predicted):
        task, constraint = self.task, self.task.goal.constraint
        shape = task.n_classes, task.n_groups
        counts = cell_counts(y, groups, *shape)
        hits = np.eye(task.n_classes)[predicted]
        rates = cell_rates(hits, y, groups, *shape, constraint.mix(counts))
        gaps = constraint.class_gaps(rates, counts)
        errors = constraint.class_errors(rates, counts)
        recalls = (rates * counts)[..., 1].sum(-1) / counts[..., 1].sum(-1)
        bias = constraint.over_classes(gaps)
        return recalls.mean(), bias, constraint.over_classes(gaps, errors)

    def offer(self, log_proba, state_dict):
        """Judge a network; keep a copy of its weights if none was better."""
        verdict = self.judge(log_proba)
        if self.verdict is None or self._key(verdict) > self._key(self.verdict):
            self.verdict = verdict
            self.state = {k: v.detach().clone() for k, v in state_dict().items()}
        return verdict

    def _key(self, verdict):
        """Inside the tolerance by expected Phi; outside it by the smallest bias."""
        inside = abs(verdict.bias) < self.task.goal.tolerance
        return inside, verdict.objective if inside else -abs(verdict.bias)

    def offer_net(self):
        """Judge the task's net as it stands."""
        task = self.task
        log_proba = predict_log_proba(task.net, at(task.X, task.select))
        return self.offer(log_proba, task.net.module_.state_dict)

    def restore(self):
        """Load the best weights into the task's net."""
        self.task.net.module_.load_state_dict(self.state)


def fine_tune(task, make_epoch, loss, *, done=None, **training):
    """Train the task's net, which is a candidate for the best after every epoch.

    Parameters
    ----------
    task : Task
        Its net is changed.
    make_epoch : callable
        ``make_epoch(epoch)`` yields the batches of an epoch.
    loss : callable
        ``loss(log_proba, batch)`` is the scalar to minimise.
    done : callable, default=None
        ``done(log_proba, verdict)`` says after each epoch whether it was the last; it
        receives the class log-probabilities of the selection rows.
    **training : dict
        Parameters of :class:`~skfairaug._training.Trainer`.

    Returns
    -------
    finished : bool
        False where Ctrl-C ended the training.
    """
    net = task.net
    trainer = Trainer(net, task.X, task.y, **training)

    def steps(epoch):
        for batch in make_epoch(epoch):

            def loss_of(output, batch=batch):
                return loss(log_probabilities(net, output), batch)

            with batch.context:
                yield batch.X, task.y[batch.rows], loss_of

    def judge(log_proba):
        verdict = task.best.offer(log_proba, net.module_.state_dict)
        record(net.history, verdict, "fine-tune")
        return done is not None and done(log_proba, verdict)

    return trainer.run(steps, judge, task.select)


def record(history, verdict, phase):
    """Add a verdict to the last row of a skorch history."""
    history.record("phase", phase)
    history.record("bias", verdict.bias)
    history.record("balanced_accuracy", verdict.balanced_accuracy)
    history.record("expected_phi", verdict.objective)
