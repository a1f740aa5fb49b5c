"""What every debiasing step works on: rows on the device, groups, and the best so far."""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state

from skfairaug._engine._fair_rule import FairRule
from skfairaug._engine._selection import Best, Goal, Selection
from skfairaug._engine._training import CellSampler, record
from skfairaug._inputs._contexts import frozen
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._models import log_probabilities, predict_log_proba
from skfairaug._inputs._rows import DeviceRows, TensorRows
from skfairaug.metrics._cells import counts_of_codes
from skfairaug.metrics._soft import bias_of_probabilities
from skfairaug.steps.distil import distillation_loss, group_offsets
from skfairaug.steps.mix import mix_rows
from skfairaug.steps.penalty import bias_penalty, weighted_cross_entropy

#: Rows mixed between the groups that a table's network learns the rule from.
N_MIXED = 30_000


class Batch(NamedTuple):
    """Rows to train on: the first `n_real` as they are, the others perturbed."""

    X: torch.Tensor  # or a mapping to tensors, as the net takes it
    rows: torch.Tensor  # the row of the task that each row is, or was made from
    n_real: int
    importance: Callable | None = None  # log-probabilities -> Eq. 10 weights
    context: AbstractContextManager = nullcontext()  # in which the net is to see it
    targets: torch.Tensor | None = None  # the teacher's; None takes those of `rows`


@dataclass
class DebiasingTask:
    """Rows of the validation set on the net's device, and what is known of them.

    `train` are the rows that the network is fitted to, `select` those that choose
    among networks and thresholds; they may overlap. `measure` are rows that the network was
    trained on before: they measure the bias and say nothing of accuracy.
    """

    net: object
    X: DeviceRows
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
    measure: torch.Tensor
    best: Best = field(init=False)
    teacher: torch.Tensor | None = None  # class probabilities for every row
    rule: FairRule | None = None  # what they come from
    interrupted: bool = False  # by Ctrl-C

    def __post_init__(self):
        self.best = Best(self.judge)

    @cached_property
    def cells(self):
        """Cell code of every row, label by label."""
        return self.y * self.n_groups + self.groups

    @cached_property
    def counts(self):
        """Natural cell counts, for measures taken on resampled batches."""
        return counts_of_codes(self.y, self.groups, self.n_classes, self.n_groups)

    @cached_property
    def cell_weights(self):
        """Weight of a row of each cell in a batch of equal cells.

        Classes weigh the same (balanced accuracy is the aim), and groups within a class as
        they occur or, where the goal balances cells, the same too.
        """
        sizes = self.counts[0].T if self.n_classes == 2 else self.counts[..., 1]
        sizes = sizes.float()  # of every (label, group) cell
        if self.goal.balance == "cells":
            sizes = (sizes > 0).float()
        return (sizes / sizes.sum(1, keepdim=True)).flatten()

    @cached_property
    def selection(self):
        """The rows that choose, those that only measure the bias last."""
        rows = torch.cat([self.select, self.measure])
        y, groups = (values[rows].cpu().numpy() for values in (self.y, self.groups))
        return Selection(
            y,
            groups,
            self.n_classes,
            self.n_groups,
            self.goal,
            seed=self.generator.initial_seed() % 2**31,
            seen=np.arange(len(y)) >= len(self.select),
        )

    @cached_property
    def sampler(self):
        """Draws training rows, equally many of every cell."""
        return CellSampler(self.cells, self.train, self.generator)

    def batches(self, n_batches, batch_size):
        """An epoch of batches of real rows."""
        drawn = self.sampler.draw(n_batches, batch_size)
        for X, rows in zip(self.X.batches(drawn), drawn, strict=True):
            yield Batch(X, rows, len(rows))

    def soft_bias(self, log_proba, rows):
        """Soft bias, on the natural distribution, of predictions for `rows`."""
        return bias_of_probabilities(
            log_proba.exp(),
            self.y[rows],
            self.groups[rows],
            self.goal.constraint,
            counts=self.counts,
            n_groups=self.n_groups,
        )

    def make_teacher(self, group_estimator=None, seed=0):
        """Make the fair teacher, if there is to be one, of the network as it is now.

        The fair rule gives every row its targets; for rows that it was fitted to, models do
        that did not see the row. Groups that are not known are then the likeliest ones.
        """
        if not self.goal.distillation:
            return
        if self.n_classes > 2 and not self.goal.constraint.is_gap:
            self.teacher = self._without_prior_shift()
            return
        self.rule = FairRule(
            self.n_classes,
            self.n_groups,
            self.goal,
            group_estimator=group_estimator,
            seed=seed,
        )
        labelled = torch.zeros(len(self.y), dtype=torch.bool, device=self.y.device)
        labelled[self.select] = True
        y, groups, labelled = (
            values.cpu().numpy() for values in (self.y, self.groups, labelled)
        )
        log_proba, columns = read(self.net, self.X)
        scores = self.rule.fit(log_proba, columns, y, groups, labelled=labelled)
        self.teacher = self._targets(scores)
        unknown = groups < 0
        if unknown.any():
            q = self.rule.posterior.predict(log_proba[unknown], columns[unknown])
            likeliest = torch.as_tensor(q.sum(1).argmax(1), device=self.groups.device)
            self.groups = self.groups.clone()
            self.groups[torch.as_tensor(unknown, device=self.groups.device)] = likeliest

    def _without_prior_shift(self):
        """Of the network, less how often each class was seen in each group.

        Bias amplification of several classes asks for no more. On digits this teacher was
        ahead of the fair rule; it reads the group of each row, which images show.
        """
        log_proba, rows = predict_log_proba(self.net, self.X), self.select
        scales, offsets = group_offsets(
            log_proba[rows], self.y[rows], self.groups[rows], self.n_groups
        )
        return (scales[self.groups] * log_proba + offsets[self.groups]).softmax(1)

    def rule_targets(self, X):
        """What the fair rule, as teacher, says of rows that it was not fitted to."""
        return self._targets(self.rule.scores(*read(self.net, X)))

    def _targets(self, scores):
        """Class probabilities that the rule's scores stand for, on the device."""
        scores = torch.as_tensor(scores, dtype=torch.float32, device=self.y.device)
        if scores.ndim == 1:
            scores = torch.stack([-scores / 2, scores / 2], dim=1)
        return scores.softmax(1)

    def mixed_batches(self):
        """Like `batches`, of rows mixed between the groups, which the teacher labels."""
        rows, X = mix_rows(
            self.X.tensor,
            self.sampler.draw(1, min(N_MIXED, 20 * len(self.train)))[0],
            self.y,
            self.groups,
            self.train,
            generator=self.generator,
        )
        targets = self.rule_targets(TensorRows(X))
        cells = self.cells[rows]
        everything = torch.arange(len(rows), device=rows.device)
        sampler = CellSampler(cells, everything, self.generator)

        def batches(n_batches, batch_size):
            for drawn in sampler.draw(n_batches, batch_size):
                yield Batch(X[drawn], rows[drawn], len(drawn), targets=targets[drawn])

        return batches

    @property
    def has_images(self):
        """Whether rows have several dimensions, as images have."""
        return (self.X.ndim or 0) > 2

    def recipe(self, lr, train_mode):
        """Learning rate and mode of fine-tuning, chosen by the kind of rows where None."""
        images = self.has_images
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
            targets = self.teacher[batch.rows] if batch.targets is None else batch.targets
            loss = loss + share * distillation_loss(log_proba, targets, importance)
        if goal.penalty:
            real = slice(batch.n_real)
            bias = self.soft_bias(log_proba[real], batch.rows[real])
            loss = loss + goal.penalty * bias_penalty(
                bias, tolerance=goal.tolerance, margin=goal.margin
            )
        return loss

    def generator_of(self, random_state):
        """A step's own source of randomness; None where it has none."""
        if random_state is None:
            return None
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        return torch.Generator(self.X.device).manual_seed(seed)

    @contextmanager
    def until_interrupted(self):
        """Let Ctrl-C end the block and nothing else: the best so far is kept."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    def judge(self, log_proba):
        """Verdict on the net, given its class log-probabilities of the selection rows."""
        if len(self.measure):
            seen = predict_log_proba(self.net, self.X.at(self.measure))
            log_proba = torch.cat([log_proba, seen])
        log_proba = log_proba.double().cpu().numpy()
        if self.n_classes == 2:
            log_proba = log_proba[:, 1] - log_proba[:, 0]
        return self.selection.choose([log_proba])

    def offer_net(self, phase=None):
        """Judge the net as it stands, and with a phase give it a row in the history.

        Returns its class log-probabilities of the selection rows, and the verdict.
        """
        net = self.net
        log_proba = predict_log_proba(net, self.X.at(self.select))
        verdict = self.best.offer(log_proba, net.module_.state_dict())
        if phase is None:
            return log_proba, verdict
        net.history.new_epoch()
        net.history.record("epoch", len(net.history))
        record(net.history, verdict, phase)
        return log_proba, verdict

    def predict_proba(self, X):
        """Class probabilities, differentiable in the weights and in X."""
        return log_probabilities(self.net, self.net.infer(X)).exp()


def read(net, X):
    """Class log-probabilities of rows, and what their group is read from, on the host."""
    log_proba, columns = predict_log_proba(net, X), X.columns
    if columns is None:
        with frozen(net.module_):
            columns = Encoder(net, find_head(net, X)).all_rows(X)
    return tuple(one.double().cpu().numpy() for one in (log_proba, columns))
