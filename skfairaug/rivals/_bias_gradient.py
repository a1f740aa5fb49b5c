"""Follow the gradient of the bias, or prune by it (Marcinkevics et al. 2022)."""

from numbers import Real

import torch
from sklearn.utils._param_validation import StrOptions

from skfairaug._engine._parameters import parameters
from skfairaug._engine._training import check_finite, fine_tune
from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._encoder import find_head, weight_layers
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._models import log_probabilities, predict_log_proba
from skfairaug.rivals._fine_tuning import FineTuning


@parameters
class BiasGradientFineTuning(FineTuning):
    r"""Move a trained network along the gradient of its bias, or prune it by that gradient.

    The bias gets a differentiable proxy, and nothing else is optimised: accuracy is kept
    by stopping in time [1]_. No sensitive feature is needed to predict.

    Parameters
    ----------
    method : {"gradient", "pruning"}, default="gradient"
        "gradient" descends or ascends the bias, whichever leads to zero; "pruning"
        switches off the hidden units that contribute most to it.
    max_epochs : int, default=50
        Epochs, or rounds of pruning, at most; after each, the network is a candidate.
    steps_per_epoch : int, default=5
        Batches in an epoch; pruning adds up their gradients.
    lr : float, default=0.001
        Learning rate of Adam. Pruning does not use it.
    batch_size : int, default=512
        Rows of a batch, in equal parts from every (label, group) cell, which are mixed
        as they occur.
    prune_fraction : float, default=0.02
        Share of the hidden units, in (0, 1], to switch off per round; at least one.

    Attributes
    ----------
    n_pruned_ : int
        Hidden units switched off in the network that was kept; with
        ``method="pruning"``.

    See Also
    --------
    skfairaug.steps.bias_penalty : The same proxy as a term beside the cross-entropy.

    Notes
    -----
    The proxy :math:`\tilde\mu` puts the mean probability of a cell in place of its positive
    rate (:func:`~skfairaug.metrics.soft_bias`). With :math:`s` the sign of the trained
    network's proxy, "gradient" takes Adam steps down
    :math:`s\, \nabla_\theta \tilde\mu`: descent where the bias is positive, ascent where it is
    negative. "pruning" removes the units :math:`j` of hidden linear and convolutional layers
    with the largest influence

    .. math:: I_j = s \sum_{w \in j} w \, \frac{\partial \tilde\mu}{\partial w},

    the sum over the incoming weights and the bias of the unit: to first order
    :math:`s \tilde\mu` falls by :math:`I_j` when they become zero. Influences are
    computed anew in every round.

    Either ends where the proxy of the selection rows has changed its sign, and the best
    network so far is kept. There is no term for accuracy, so `lr` and `prune_fraction`
    say how finely the way is sampled, not how well the network predicts in the end. The
    defaults are ours, for tables.

    References
    ----------
    .. [1] Marcinkevics, Ozkan, Vogt, "Debiasing Deep Chest X-Ray Classifiers using
       Intra- and Post-processing Methods", MLHC 2022.

    Examples
    --------
    >>> from skfairaug.rivals import BiasGradientFineTuning
    >>> fair = BiasGradientFineTuning(net, tolerance=0.3, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.3
    True
    """

    caution: float = 0.0
    method: str = "gradient"
    max_epochs: int = 50
    steps_per_epoch: int = 5
    prune_fraction: float = 0.02

    _parameter_constraints = {
        "method": [StrOptions({"gradient", "pruning"})],
        "prune_fraction": [Interval(Real, 0, 1, closed="right")],
    }

    def _debias(self, task):
        sign = self._proxy(task, predict_log_proba(task.net, task.X.at(task.select))).sign()
        if self.method == "pruning":
            self._prune(task, sign)
        elif self.max_epochs:
            self._descend(task, sign)

    def _proxy(self, task, log_proba):
        """Soft bias of the selection rows."""
        return task.soft_bias(log_proba, task.select)

    def _descend(self, task, sign):
        fine_tune(
            task,
            lambda epoch: task.batches(self.steps_per_epoch, self.batch_size),
            lambda log_proba, batch: sign * task.soft_bias(log_proba, batch.rows),
            done=lambda log_proba, verdict: bool(sign * self._proxy(task, log_proba) <= 0),
            lr=self.lr,
            max_epochs=self.max_epochs,
            steps_per_epoch=self.steps_per_epoch,
            train_mode=self.train_mode,
            one_cycle=False,
        )

    def _prune(self, task, sign):
        net = task.net
        layers = hidden_layers(net, find_head(net, task.X))
        n_units = sum(len(layer.weight) for layer in layers)
        n_round = max(1, round(self.prune_fraction * n_units))
        self.n_pruned_, pruned = 0, 0
        with task.until_interrupted():
            for epoch in range(self.max_epochs):
                influence = self._influence(task, sign, layers, epoch)
                removed = switch_off(layers, influence, n_round)
                if not removed:
                    break
                pruned += removed
                log_proba, verdict = task.offer_net("prune")
                if task.best.verdict is verdict:
                    self.n_pruned_ = pruned
                if sign * self._proxy(task, log_proba) <= 0:
                    break

    def _influence(self, task, sign, layers, epoch):
        """By how much the proxy falls, to first order, without each unit of the layers."""
        net = task.net
        parameters = [p for layer in layers for p in trainable(layer)]
        total = 0.0
        with evaluating(net.module_):
            for batch in task.batches(self.steps_per_epoch, self.batch_size):
                log_proba = log_probabilities(net, net.infer(batch.X))
                total = total + sign * task.soft_bias(log_proba, batch.rows)
        check_finite([total.item()], epoch)
        gradients = torch.autograd.grad(total, parameters, materialize_grads=True)
        return unit_influence(layers, gradients)


def trainable(layer):
    """Parameters of a layer that may change."""
    return [p for p in layer.parameters(recurse=False) if p.requires_grad]


def unit_influence(layers, gradients):
    """Sum of parameter times gradient over the parameters of each unit, layers in a row."""
    rest = iter(gradients)
    return torch.cat(
        [
            sum((p.detach() * next(rest)).reshape(len(p), -1).sum(1) for p in trainable(layer))
            for layer in layers
        ]
    )


def hidden_layers(net, head):
    """Layers below the head whose first axis of weights counts their units."""
    layers = [
        layer
        for layer in weight_layers(net.module_)
        if layer is not head and not getattr(layer, "transposed", False)
    ]
    if not layers:
        raise ValueError(
            "method='pruning' needs a hidden linear or convolutional layer, and the net has "
            "none; use method='gradient'."
        )
    return layers


@torch.no_grad()
def switch_off(layers, influence, n_units):
    """Zero the most influential units, if any raises the bias; return how many."""
    chosen = influence.topk(min(n_units, len(influence))).indices
    mask = torch.zeros_like(influence, dtype=torch.bool)
    mask[chosen] = influence[chosen] > 0
    sizes = [len(layer.weight) for layer in layers]
    for layer, units in zip(layers, mask.split(sizes), strict=True):
        for parameter in trainable(layer):
            parameter[units] = 0.0
    return int(mask.sum())
