"""MaskReactivator: step 2 of the method as a transformer."""

from contextlib import nullcontext
from numbers import Integral, Real

import torch
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from skfairaug._engine._budget import budget_of
from skfairaug._engine._estimator import NetHolder
from skfairaug._engine._fitting import fits
from skfairaug._engine._selection import Best, Goal
from skfairaug._engine._training import record, train
from skfairaug._inputs._contexts import evaluating, frozen, isolated_random_state, overriding
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._intervals import Interval
from skfairaug._inputs._parameters import check_idle
from skfairaug._inputs._rows import on_device
from skfairaug.metrics._constraints import get_constraint
from skfairaug.steps.mask import (
    binary_mask,
    density,
    masked_forward,
    sparsity_penalty,
    start_mask,
)
from skfairaug.steps.reactivate import reactivate, reestimate_batchnorm


class MaskReactivator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetHolder):
    """Find the fair sub-structure of a network; restart the weights outside it.

    Learns one binary mask over the weights of all linear and convolutional layers
    of the frozen network (Eq. 11-12), keeps the best by expected Phi, and gives the
    masked-out weights a new start.

    As a step of a Pipeline, ``transform`` returns the representation of the
    sub-network (what its last layer sees), for any classifier to follow. Inside
    :class:`FairAugmentFineTuner` it uses that estimator's network, rows and goal
    (`constraint`, `tolerance`, `caution`, `penalty`, `margin` and `sensitive_columns`), and
    its own are to stay as they are.

    Parameters
    ----------
    estimator : skorch net, torch.nn.Module or Pipeline, default=None
        Fitted network, as in :class:`FairAugmentFineTuner`; an unfitted one is trained on
        the rows first. Not needed inside :class:`FairAugmentFineTuner`.
    density : float, default=0.9
        Share of the weights to keep, the paper's tau, in (0, 1].
    sparsity_weight : float, default=2.0
        Weight of the sparsity budget, the paper's beta.
    lr : float, default=0.05
        Learning rate of AdamW on the mask logits.
    max_epochs : int, default=5
        Epochs; after each, the mask is a candidate.
    steps_per_epoch : int, default=None
        Batches in an epoch. None takes 30; for images (rows of several dimensions) three
        passes over them, 30 batches at most.
    batch_size : int, default=None
        Rows of a batch. None takes 512; for images an eighth of the rows, from 64 to 512.
    reinit_scale : float, default=0.0
        Factor on the layer's own initialiser for the masked-out weights; 0 starts
        them from zero.
    constraint : str, default="statistical_parity"
        Bias measure, see :data:`~skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1].
    caution : float, default=1.0
        Standard errors in the choice of the mask, see
        :func:`~skfairaug.metrics.expected_phi`.
    penalty : float, default=8.0
        Weight of the bias term.
    margin : float, default=0.8
        Share of the tolerance by which the bias term aims inside it.
    sensitive_columns : "auto", list of str or list of int, default="auto"
        Columns of X that say the group, read where no `sensitive_features` are given.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Source of randomness. Inside :class:`FairAugmentFineTuner` None takes that
        estimator's.

    Attributes
    ----------
    net_ : skorch net
        The reactivated network.
    mask_ : dict of str to ndarray
        Parameter name -> binary mask, 1 where the weight was kept.
    density_ : float
        Share of the weights kept.
    history_ : list of dict
        Loss, density, bias and balanced accuracy per epoch.
    preprocessor_ : Pipeline or None
        Steps before the net in a Pipeline, as they came.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, where X has names.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    groups_ : tuple of str
        Names of the groups.

    See Also
    --------
    FairAugmentFineTuner : The whole method.

    References
    ----------
    .. [1] Zhang, Bao, Pei, Huang, "Toward Unified Data and Algorithm Fairness via
       Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug import MaskReactivator
    >>> from skfairaug.modules import TabularMLP
    >>> rng = np.random.RandomState(0)
    >>> X = rng.normal(size=(80, 3)).astype(np.float32)
    >>> y, group = rng.randint(0, 2, (2, 80))
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=1, verbose=0).fit(X, y)
    >>> step = MaskReactivator(net, max_epochs=3, random_state=0)
    >>> step.fit(X, y, sensitive_features=group).transform(X).shape
    (80, 32)
    """

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "density": [Interval(Real, 0, 1, closed="right")],
        "sparsity_weight": [Interval(Real, 0, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left"), None],
        "reinit_scale": [Interval(Real, 0, None, closed="left")],
        "constraint": [str],
        "tolerance": "no_validation",
        "caution": [Interval(Real, 0, None, closed="left")],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, 1, closed="both")],
        "sensitive_columns": "no_validation",
        "pos_label": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        density=0.9,
        sparsity_weight=2.0,
        lr=0.05,
        max_epochs=5,
        steps_per_epoch=None,
        batch_size=None,
        reinit_scale=0.0,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        penalty=8.0,
        margin=0.8,
        sensitive_columns="auto",
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.density = density
        self.sparsity_weight = sparsity_weight
        self.lr = lr
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.reinit_scale = reinit_scale
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.penalty = penalty
        self.margin = margin
        self.sensitive_columns = sensitive_columns
        self.pos_label = pos_label
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _goal(self):
        return Goal(
            get_constraint(self.constraint),
            self.tolerance,
            caution=self.caution,
            penalty=self.penalty,
            margin=self.margin * self.tolerance,
        )

    @fits
    def fit(self, X, y, *, sensitive_features=None):
        """Learn the mask and reactivate a copy of the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Validation rows, as the network takes them.
        y : array-like of shape (n_samples,)
            Labels.
        sensitive_features : array-like, default=None
            Group of every row, of shape (n_samples,) or (n_samples, n_columns). None
            reads them from `sensitive_columns`.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        if not self.penalty:
            check_idle(self, ("margin",), "with penalty=0, which leaves the bias term out.")
        rows = self._validate_rows(X, y, sensitive_features)
        seed = self._draw_seed()
        with isolated_random_state(seed):
            task = self._whole_task(rows, seed)
            head = find_head(task.net, task.X)
            masks, finished = self.learn(task, task.batches)
            if not finished:
                raise KeyboardInterrupt
            self.restart(task, masks)
            self._n_features_out = (
                Encoder(task.net, head).all_rows(task.X.at(task.train[:1])).shape[1]
            )
        self.mask_ = to_numpy(masks)
        self.density_ = float(density(masks))
        self.history_ = task.net.history
        self.net_ = task.net
        return self

    def transform(self, X):
        """Representation of the fair sub-network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. No sensitive feature is needed.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_units)
            Input of the network's last layer.
        """
        check_is_fitted(self)
        X = on_device(self.net_, self._validate_X(X))
        encoder = Encoder(self.net_, find_head(self.net_, X))
        with evaluating(self.net_.module_):
            return encoder.all_rows(X).float().cpu().numpy()

    def learn(self, task, batches):
        """Learn a mask of the task's net, whose weights stay as they are.

        Parameters
        ----------
        task : DebiasingTask
            Network, rows and goal.
        batches : callable
            ``batches(n_batches, batch_size)`` yields an epoch of batches.

        Returns
        -------
        masks : dict of str to Tensor
            Parameter name -> binary mask, the best by expected Phi.
        finished : bool
            False where Ctrl-C ended the learning.
        """
        net = task.net
        logits = start_mask(net.module_)
        best, masks = Best(task.judge), hard_masks(logits)
        budget = budget_of(task, self.steps_per_epoch, self.batch_size)

        module, infer = net.module_, net.infer

        def masked_module(*rows, **by_name):
            return masked_forward(module, masks, *rows, **by_name)

        def masked(X, **params):
            # Through the net's own infer: that of a binary net squeezes a column of logits.
            with overriding(net, module_=masked_module):
                return infer(X, **params)

        def make_epoch(epoch):
            nonlocal masks
            for batch in batches(*budget):
                masks = {name: binary_mask(m) for name, m in logits.items()}
                yield batch
                # What perturbs the next batch, and judges the epoch, needs no gradient.
                masks = hard_masks(logits)

        def loss(log_proba, batch):
            budget = sparsity_penalty(masks, self.density)
            return task.loss(log_proba, batch) + self.sparsity_weight * budget

        def judge(log_proba):
            verdict = best.offer(log_proba, masks)
            net.history.record("density", float(density(masks)))
            record(net.history, verdict, "mask")
            task.best.offer(log_proba, masked_state(net, masks))

        with frozen(net.module_), overriding(net, infer=masked):
            finished = train(
                task,
                make_epoch,
                loss,
                judge,
                optimizer=torch.optim.AdamW(logits.values(), lr=self.lr, fused=True),
                max_epochs=self.max_epochs,
            )
        return best.state or hard_masks(logits), finished

    def restart(self, task, masks, generator=None):
        """Re-draw the masked-out weights of the task's net; re-estimate its BatchNorm.

        Parameters
        ----------
        task : DebiasingTask
            Its network is changed.
        masks : dict of str to Tensor
            Parameter name -> binary mask, as from `learn`.
        generator : torch.Generator, default=None
            Source of randomness; None takes the task's.
        """
        net = task.net
        with nullcontext() if generator is None else seeded(generator):
            reactivate(net.module_, masks, scale=self.reinit_scale)
        generator = task.generator if generator is None else generator
        size = budget_of(task, batch_size=self.batch_size).batch_size
        with evaluating(net.module_):
            shuffled = torch.randperm(
                len(task.train), generator=generator, device=task.X.device
            )
            parts = [p for p in task.train[shuffled].split(size) if len(p) > 1]
            reestimate_batchnorm(net.module_, net.infer, task.X.batches(parts))


def seeded(generator):
    """Context in which torch's global numbers follow a generator's seed."""
    return isolated_random_state(generator.initial_seed())


def hard_masks(logits):
    """Binary masks without gradient."""
    return {name: binary_mask(m.detach()) for name, m in logits.items()}


def masked_state(net, masks):
    """State dict of the masked network."""
    state = net.module_.state_dict()
    return {k: v * masks[k] if k in masks else v for k, v in state.items()}


def to_numpy(masks):
    """Masks as bool arrays."""
    return {name: mask.cpu().numpy().astype(bool) for name, mask in masks.items()}
