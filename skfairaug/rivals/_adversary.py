"""The adversary of adversarial debiasing, and how it turns a net's gradients."""

from contextlib import contextmanager

import torch
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from skfairaug.steps.penalty import weighted_cross_entropy

#: Brings log-odds to about unit size for the adversary.
SPREAD = 4.0


class Adversary:
    """Guesses the group of rows from the class probabilities that a net gives them.

    Parameters
    ----------
    task : DebiasingTask
        Its constraint decides what else the adversary sees: the label, the favourable
        rows alone, or nothing.
    units : int
        Hidden units; 0 is a logistic regression, with labels one per label.
    lr : float
        Learning rate of its Adam.
    n_steps : int
        Steps on each batch.
    """

    def __init__(self, task, *, units, lr, n_steps):
        name = task.goal.constraint.name
        self.task = task
        self.n_steps = n_steps
        self.favourable_only = name == "equal_opportunity" and task.n_classes == 2
        self.sees_label = name != "statistical_parity" and not self.favourable_only
        n_inputs = 1 if task.n_classes == 2 else task.n_classes
        if self.sees_label:
            n_inputs = (n_inputs + 1) * task.n_classes
        layers = [nn.Linear(n_inputs, units or task.n_groups)]
        if units:
            layers += [nn.ReLU(), nn.Linear(units, task.n_groups)]
        self.module = nn.Sequential(*layers).to(task.X.device)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=lr, fused=True)
        self.row_weights = self._cell_weights()[task.cells]

    def _cell_weights(self):
        """Weights that make groups count the same in a batch of equal cells.

        Within a group the labels occur as they do, unless the adversary knows them.
        """
        task = self.task
        sizes = torch.bincount(task.cells, minlength=task.n_classes * task.n_groups)
        sizes = sizes.view(task.n_classes, task.n_groups).float()
        if self.favourable_only:
            weights = torch.zeros_like(sizes)
            weights[-1] = 1.0
        elif self.sees_label:
            weights = torch.ones_like(sizes)
        else:
            weights = sizes / sizes.sum(0)
        return weights.flatten()

    def loss(self, log_proba, rows):
        """Weighted cross-entropy of its guesses, a scalar tensor."""
        task = self.task
        seen = log_proba[:, 1:] - log_proba[:, :1] if task.n_classes == 2 else log_proba
        seen = seen / SPREAD
        if self.sees_label:
            label = F.one_hot(task.y[rows], task.n_classes).to(seen)
            seen = torch.cat([seen, torch.ones_like(seen[:, :1])], dim=1)
            seen = (seen[:, :, None] * label[:, None, :]).flatten(1)
        guess = F.log_softmax(self.module(seen), dim=1)
        return weighted_cross_entropy(guess, task.groups[rows], self.row_weights[rows])

    def learn(self, log_proba, rows):
        """Descend its loss; the net that gave the predictions gets no gradient."""
        log_proba = log_proba.detach()
        parameters = list(self.module.parameters())
        for _ in range(self.n_steps):
            gradients = torch.autograd.grad(self.loss(log_proba, rows), parameters)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            self.optimizer.step()


class Opponent(Callback):
    """Puts the adversary's say into the net's gradients, after skorch has computed them.

    Parameters
    ----------
    adversary : Adversary
        Learns from every batch it faces.
    weight : float
        Alpha at the last step.
    n_steps : int
        Steps of the net in all.
    """

    def __init__(self, adversary, weight, n_steps):
        self.adversary = adversary
        self.weight = weight
        self.n_steps = n_steps
        self.step = 0
        self.losses = []

    def face(self, log_proba, rows):
        """Let the adversary learn from a batch, and keep its gradient to the net's weights."""
        self.adversary.learn(log_proba, rows)
        module = self.adversary.task.net.module_
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        loss = self.adversary.loss(log_proba, rows)
        # The graph stays for the net's own loss, whose backward pass follows.
        self.gradients = torch.autograd.grad(
            loss, self.parameters, retain_graph=True, allow_unused=True
        )
        self.losses.append(loss.detach())

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.step += 1
        alpha = self.weight * (self.step / self.n_steps) ** 0.5
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            if parameter.grad is not None and gradient is not None:
                parameter.grad = opposed_gradient(parameter.grad, gradient, alpha)
        self.gradients = ()

    def on_epoch_end(self, net, **kwargs):
        net.history.record("adversary_loss", torch.stack(self.losses).mean().item())
        self.losses = []


def opposed_gradient(predictor, adversary, alpha):
    r"""Gradient of the predictor, turned away from the adversary's.

    Parameters
    ----------
    predictor, adversary : Tensor
        Gradients of the two losses to one parameter tensor.
    alpha : float
        Weight of the adversary.

    Returns
    -------
    gradient : Tensor
        :math:`g_P - \frac{\langle g_P, g_A \rangle}{\|g_A\|^2} g_A - \alpha g_A`; where
        :math:`g_A` vanishes, :math:`g_P`.
    """
    square = adversary.square().sum()
    share = (predictor * adversary).sum() / square.clamp_min(torch.finfo(square.dtype).tiny)
    return predictor - (share + alpha) * adversary


@contextmanager
def first_callback(net, callback):
    """Put a callback before a net's own ones, and take it away after the block."""
    net.callbacks_ = [("opponent", callback), *net.callbacks_]
    try:
        yield net
    finally:
        net.callbacks_ = [pair for pair in net.callbacks_ if pair[1] is not callback]
