"""Fine-tune against a critic that predicts a batch's bias (Savani et al. 2020)."""

from contextlib import contextmanager
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn
from torch.nn import functional as F

from skfairaug._engine._debiasing_task import Batch, fine_tune
from skfairaug._engine._estimator import BaseIntraProcessor
from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._models import predict_log_proba
from skfairaug.metrics._soft import soft_bias
from skfairaug.steps.penalty import weighted_cross_entropy


class AdversarialFineTuning(BaseIntraProcessor):
    r"""Fine-tune a trained network against a critic that predicts the bias of a batch.

    A second network, the critic, learns to tell the bias of a mini-batch from its
    representations. Through it the bias, which has no gradient of its own, weights the
    loss of the network [1]_. No sensitive feature is needed to predict.

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
        for, see :func:`~skfairaug.metrics.expected_phi`; 0 trusts the validation rows,
        as published.
    weight : float, default=0.75
        Factor lambda of the predicted bias in the loss.
    margin : float, default=0.02
        How far inside the tolerance the predicted bias is let alone.
    max_epochs : int, default=32
        Epochs; after each, the network is a candidate.
    critic_steps : int, default=201
        Batches that train the critic at the start of an epoch.
    steps_per_epoch : int, default=301
        Batches that then train the network.
    lr : float, default=0.0001
        Learning rate of Adam for the network.
    critic_lr : float, default=0.001
        Learning rate of Adam for the critic.
    critic_width : int, default=32
        Units of a hidden layer of the critic.
    critic_depth : int, default=3
        Hidden layers of the critic.
    batch_size : int, default=64
        Rows of a batch, drawn as they occur.
    train_mode : bool, default=True
        Whether dropout and BatchNorm behave as in training while fine-tuning. Networks
        are always judged in evaluation mode.
    layer : str, default=None
        Name of the module whose input is the representation; None finds the last
        linear layer.
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
        Bias, balanced accuracy and expected Phi per epoch, beside the losses.
    balanced_accuracy_ : float
        Balanced accuracy of the result on the rows that chose it.
    bias_ : float
        Signed bias there: first minus second group.
    objective_ : float
        Expected Phi there.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.

    Warns
    -----
    FairnessNotReachedWarning
        If the least biased network misses the tolerance on the validation rows, or
        only a constant prediction meets it.

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
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import AdversarialFineTuning
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=5, verbose=0).fit(X[:300], y[:300])
    >>> fair = AdversarialFineTuning(net, tolerance=0.3, max_epochs=2, critic_steps=5,
    ...                              steps_per_epoch=5, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.3
    True
    """

    _parameter_constraints: dict = {
        **BaseIntraProcessor._parameter_constraints,
        "weight": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, 1, closed="both")],
        "critic_steps": [Interval(Integral, 1, None, closed="left")],
        "critic_lr": [Interval(Real, 0, None, closed="neither")],
        "critic_width": [Interval(Integral, 1, None, closed="left")],
        "critic_depth": [Interval(Integral, 0, None, closed="left")],
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
        weight=0.75,
        margin=0.02,
        max_epochs=32,
        critic_steps=201,
        steps_per_epoch=301,
        lr=1e-4,
        critic_lr=1e-3,
        critic_width=32,
        critic_depth=3,
        batch_size=64,
        train_mode=True,
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
        self.weight = weight
        self.margin = margin
        self.max_epochs = max_epochs
        self.critic_steps = critic_steps
        self.steps_per_epoch = steps_per_epoch
        self.lr = lr
        self.critic_lr = critic_lr
        self.critic_width = critic_width
        self.critic_depth = critic_depth
        self.batch_size = batch_size
        self.train_mode = train_mode
        self.layer = layer
        self.sensitive_columns = sensitive_columns
        self.validation_fraction = validation_fraction
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _debias(self, task):
        if not self.max_epochs:
            return
        head = find_head(task.net, task.X, self.layer)
        encoder = Encoder(task.net, head)
        with torch.no_grad():
            n_inputs = encoder(task.X[:1]).shape[1] * self.batch_size
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
        return soft_bias(predicted, y, groups, task.goal.constraint, counts=task.counts)

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
