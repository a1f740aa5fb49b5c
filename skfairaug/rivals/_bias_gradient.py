"""Follow the gradient of the bias, or prune by it (Marcinkevics et al. 2022)."""

from contextlib import suppress
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skfairaug._engine._debiasing_task import fine_tune
from skfairaug._engine._estimator import BaseIntraProcessor
from skfairaug._engine._training import check_finite
from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._encoder import find_head, weight_layers
from skfairaug._inputs._models import log_probabilities, predict_log_proba


class BiasGradientFineTuning(BaseIntraProcessor):
    r"""Move a trained network along the gradient of its bias, or prune it by that gradient.

    The bias gets a differentiable proxy, and nothing else is optimised: accuracy is kept
    by stopping in time [1]_. No sensitive feature is needed to predict.

    Parameters
    ----------
    estimator : skorch net
        Trained NeuralNetClassifier or NeuralNetBinaryClassifier, or a
        :class:`~sklearn.frozen.FrozenEstimator` of one; never changed, and kept by
        :func:`~sklearn.base.clone`. An unfitted one is trained first, on the rows
        that do not debias.
    constraint : str, default="statistical_parity"
        Bias measure: "statistical_parity" ("demographic_parity"),
        "equal_opportunity", "average_odds" or "equalized_odds".
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    caution : float, default=0.0
        Standard errors of the bias that the choice of epoch and threshold allows
        for, see :func:`~skfairaug.metrics.expected_phi`; 0 trusts the validation rows.
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
    train_mode : bool, default=False
        Whether dropout and BatchNorm behave as in training while fine-tuning. Networks
        are always judged in evaluation mode.
    layer : str, default=None
        Name of the output layer, whose units are not pruned; None finds the last linear
        layer.
    sensitive_columns : "auto", list of str or list of int, default="auto"
        Columns of X that say the group, from which `fit` reads the groups where it gets
        no `sensitive_features`. "auto" names none.
    validation_fraction : float, default=0.0
        Share of the rows, in [0, 1), that only choose among networks. The others
        train, and choose as well.
    debias_fraction : float, default=0.25
        Where `estimator` is not fitted: share of the rows, in (0, 1), that debias it.
        The others train it.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Attributes
    ----------
    net_ : skorch net
        The best network, in evaluation mode, on the device of `estimator`.
    threshold_ : float
        Cut-off on the favourable class's probability as `net_` gives it; for more
        than two classes 0.5 and unused.
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    history_ : skorch History
        Bias, balanced accuracy and expected Phi per epoch or round.
    balanced_accuracy_ : float
        Balanced accuracy of the result on the rows that chose it.
    bias_ : float
        Signed bias there: first minus second group.
    objective_ : float
        Expected Phi there.
    n_pruned_ : int
        Hidden units switched off in the network that was kept; with
        ``method="pruning"``.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Warns
    -----
    FairnessNotReachedWarning
        If the least biased network misses the tolerance on the validation rows, or
        only a constant prediction meets it.

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
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import BiasGradientFineTuning
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=5, verbose=0).fit(X[:300], y[:300])
    >>> fair = BiasGradientFineTuning(net, tolerance=0.3, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.3
    True
    """

    _parameter_constraints: dict = {
        **BaseIntraProcessor._parameter_constraints,
        "method": [StrOptions({"gradient", "pruning"})],
        "prune_fraction": [Interval(Real, 0, 1, closed="right")],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "train_mode": ["boolean"],
        "layer": [str, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        estimator,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=0.0,
        method="gradient",
        max_epochs=50,
        steps_per_epoch=5,
        lr=1e-3,
        batch_size=512,
        prune_fraction=0.02,
        train_mode=False,
        layer=None,
        sensitive_columns="auto",
        validation_fraction=0.0,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.method = method
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.lr = lr
        self.batch_size = batch_size
        self.prune_fraction = prune_fraction
        self.train_mode = train_mode
        self.layer = layer
        self.sensitive_columns = sensitive_columns
        self.validation_fraction = validation_fraction
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _debias(self, task):
        vars(self).pop("n_pruned_", None)  # of an earlier fit with the other method
        sign = self._proxy(task, predict_log_proba(task.net, task.X[task.select])).sign()
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
        layers = hidden_layers(net, find_head(net, task.X, self.layer))
        n_units = sum(len(layer.weight) for layer in layers)
        n_round = max(1, round(self.prune_fraction * n_units))
        self.n_pruned_, pruned = 0, 0
        with suppress(KeyboardInterrupt):  # the best so far is kept, as in fine-tuning
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
