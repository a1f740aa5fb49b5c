"""Fine-tune against a critic that predicts a batch's bias (Savani et al. 2020)."""

from contextlib import contextmanager
from numbers import Integral, Real

import torch
from torch import nn
from torch.nn import functional as F

from skfairaug._engine._debiasing_task import Batch
from skfairaug._engine._parameters import parameters
from skfairaug._engine._training import fine_tune
from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._models import predict_log_proba
from skfairaug.metrics._soft import bias_of_probabilities
from skfairaug.rivals._fine_tuning import FineTuning
from skfairaug.steps.penalty import weighted_cross_entropy


@parameters
class AdversarialFineTuning(FineTuning):
    r"""Fine-tune a trained network against a critic that predicts the bias of a batch.

    A second network, the critic, learns to tell the bias of a mini-batch from its
    representations. Through it the bias, which has no gradient of its own, weights the
    loss of the network [1]_. No sensitive feature is needed to predict.

    Parameters
    ----------
    weight : float, default=0.75
        Factor lambda of the predicted bias in the loss.
    margin : float, default=0.02
        How far inside the tolerance the predicted bias is let alone.
    critic_steps : int, default=201
        Batches that train the critic at the start of an epoch.
    steps_per_epoch : int, default=301
        Batches that then train the network.
    critic_lr : float, default=0.001
        Learning rate of Adam for the critic.
    critic_width : int, default=32
        Units of a hidden layer of the critic.
    critic_depth : int, default=3
        Hidden layers of the critic.
    batch_size : int, default=64
        Rows of a batch, drawn as they occur.

    Notes
    -----
    The critic g takes the representations f' of all rows of a batch B, one after the
    other, and minimises :math:`(g(f'(B)) - \mu(B))^2` with :math:`\mu(B)` the bias of the
    labels predicted for B. The network minimises

    .. math::
        \max(1, \lambda (|g(f'(B))| - \epsilon + m) + 1) \cdot
        \mathbb{E}_B[\ell(f(X), Y)]

    with the tolerance :math:`\epsilon`, the `margin` m and the cross-entropy
    :math:`\ell`, class-balanced here, as balanced accuracy is the aim. A batch of the
    default size holds a handful of rows of a rare cell, so that most of what the critic
    is to learn is noise; the cells of a batch are mixed by how often they occur in all
    validation rows.

    Published are the steps, epochs, `batch_size`, `lr`, `margin`, `critic_depth` and
    `weight`, which the published settings for tables lack; width and learning rate of the
    critic and `train_mode` are ours. In the published code networks are scored in training
    mode, with dropout at work, and early stopping keeps a reference that training goes on
    to change; here they are judged in evaluation mode, and the best one is a copy. The
    critic learns from representations as in evaluation, which stand still meanwhile and
    are computed once per epoch.

    References
    ----------
    .. [1] Savani, White, Govindarajulu, "Intra-Processing Methods for Debiasing Neural
       Networks", NeurIPS 2020.

    Examples
    --------
    >>> from skfairaug.rivals import AdversarialFineTuning
    >>> fair = AdversarialFineTuning(net, tolerance=0.3, max_epochs=2, critic_steps=5,
    ...                              steps_per_epoch=5, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.3
    True
    """

    caution: float = 0.0
    weight: float = 0.75
    margin: float = 0.02
    max_epochs: int = 32
    critic_steps: int = 201
    steps_per_epoch: int = 301
    lr: float = 1e-4
    critic_lr: float = 1e-3
    critic_width: int = 32
    critic_depth: int = 3
    batch_size: int = 64
    train_mode: bool = True

    _parameter_constraints = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, 1, closed="both")],
        "critic_steps": [Interval(Integral, 1, None, closed="left")],
        "critic_lr": [Interval(Real, 0, None, closed="neither")],
        "critic_width": [Interval(Integral, 1, None, closed="left")],
        "critic_depth": [Interval(Integral, 0, None, closed="left")],
    }

    def _debias(self, task):
        if not self.max_epochs:
            return
        head = find_head(task.net, task.X)
        encoder = Encoder(task.net, head)
        with torch.no_grad():
            n_inputs = encoder(task.X[task.train[:1]]).shape[1] * self.batch_size
        critic = make_critic(n_inputs, self.critic_width, self.critic_depth)
        critic.to(task.X.device)
        optimizer = torch.optim.Adam(critic.parameters(), lr=self.critic_lr, fused=True)
        class_weights = 1 / torch.bincount(task.y[task.train], minlength=task.n_classes)

        def make_epoch(epoch):
            self._train_critic(task, encoder, critic, optimizer)
            for rows in self._draw(task, self.steps_per_epoch):
                yield Batch(task.X[rows], rows, len(rows), None)

        def loss(log_proba, batch):
            y = task.y[batch.rows]
            error = weighted_cross_entropy(log_proba, y, class_weights[y])
            bias = critic(representation().flatten()).squeeze().abs()
            excess = bias - task.goal.tolerance + self.margin
            return (self.weight * excess + 1).clamp_min(1) * error

        with watched_input(head) as representation:
            fine_tune(
                task,
                make_epoch,
                loss,
                lr=self.lr,
                max_epochs=self.max_epochs,
                steps_per_epoch=self.steps_per_epoch,
                train_mode=self.train_mode,
                one_cycle=False,
            )

    def _draw(self, task, n_batches):
        """Rows of so many batches, drawn with replacement as they occur."""
        position = torch.randint(
            len(task.train),
            (n_batches, self.batch_size),
            generator=task.generator,
            device=task.X.device,
        )
        return task.train[position]

    def _train_critic(self, task, encoder, critic, optimizer):
        net = task.net
        batches = self._draw(task, self.critic_steps)
        with evaluating(net.module_):
            Z = encoder.all_rows(task.X).float()
        predicted = F.one_hot(predict_log_proba(net, task.X).argmax(1), task.n_classes)
        targets = batch_biases(task, predicted.float(), batches)
        critic.requires_grad_(True).train()
        losses = []
        for rows, target in zip(batches, targets, strict=True):
            error = (critic(Z[rows].flatten()).squeeze() - target) ** 2
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            losses.append(error.detach())
        critic.requires_grad_(False).eval()
        net.history.record("critic_loss", torch.stack(losses).mean().item())


def make_critic(n_inputs, width, depth):
    """Network from the representations of a batch, in one row, to its bias."""
    layers = [nn.Linear(n_inputs, width)]
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def batch_biases(task, predicted, batches):
    """Signed bias of the predictions in every batch, cells mixed as in all rows."""

    def bias(predicted, y, groups):
        return bias_of_probabilities(
            predicted, y, groups, task.goal.constraint, counts=task.counts
        )

    return torch.vmap(bias)(predicted[batches], task.y[batches], task.groups[batches])


@contextmanager
def watched_input(layer):
    """Function that returns the input of a layer's last forward pass."""
    seen = []

    def keep(module, inputs):
        seen[:] = inputs[:1]

    hook = layer.register_forward_pre_hook(keep)
    try:
        yield lambda: seen[0].flatten(1).float()
    finally:
        hook.remove()
