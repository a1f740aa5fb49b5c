"""Train a representation that tells a group's classifier nothing (Alvi et al. 2018)."""

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn
from torch.nn import functional as F

from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._rows import at
from skfairaug.rivals._adversarial_fine_tuning import watched_input
from skfairaug.rivals._trained_anew import TRAINING, TrainedAnew


class UniformConfusion(TrainedAnew):
    r"""Train a network whose representation leaves a classifier of groups undecided.

    A second classifier learns to tell the group from the representation, and the network
    learns to make it answer every group with the same probability [1]_, [2]_. No sensitive
    feature is needed to predict.

    Parameters
    ----------
    estimator : skorch net
        NeuralNetClassifier with any module. A clone of it is trained from new weights,
        whether or not it is fitted.
    constraint : str, default="statistical_parity"
        Bias measure that chooses the epoch, see `skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1]. None chooses the epoch by balanced accuracy alone.
    caution : float, default=1.0
        Standard errors of the bias that the choice of epoch and threshold allows for,
        see :func:`~skfairaug.metrics.expected_phi`.
    confusion_weight : float, default=1.0
        Weight alpha of the confusion in the network's loss.
    domain_lr : float, default=0.01
        Learning rate of Adam for the classifier of groups.
    layer : str, default=None
        Name of the module whose input is the representation; None finds the last
        linear layer.
    max_epochs : int, default=30
        Passes over the training rows; after each, the network is a candidate.
    lr : float, default=0.003
        Peak of the one-cycle learning rate of Adam.
    batch_size : int, default=512
        Rows of a batch, as they occur.
    sensitive_columns : "auto", list of str or list of int, default="auto"
        Columns of X that say the group, from which `fit` reads the groups where it gets
        no `sensitive_features`. "auto" names none.
    validation_fraction : float, default=0.2
        Share of every (label, group) cell, in [0, 1), that is not trained on and chooses
        epoch and threshold; a cell's only row does both. 0: all rows train and choose.
    pos_label : label, default=None
        The favourable one of two labels. None: the greater, or the last of an ordered
        categorical.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Attributes
    ----------
    net_ : skorch net
        The network, in evaluation mode.
    threshold_ : float
        Cut-off on the favourable class's probability as `net_` gives it; for more
        than two classes 0.5 and unused.
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    history_ : skorch History
        Loss, bias, balanced accuracy and expected Phi per epoch.
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
        If the least biased network misses the tolerance on the rows that choose, or
        only a constant prediction meets it.

    See Also
    --------
    AdversarialDebiasing : An adversary that sees predictions, with another rule.

    Notes
    -----
    On every batch the classifier h of groups takes a step on
    :math:`\mathbb{E}[\ell(h(f'(X)), A)]`, and the network one on

    .. math::
        \mathbb{E}[\ell(f(X), Y)]
        - \alpha\, \mathbb{E}\Big[\frac1G \sum_a \log h_a(f'(X))\Big] ,

    the second term being the cross-entropy to the uniform distribution. As published, rows
    come as they occur. Other than published: h is a linear layer, trained by Adam; a
    one-cycle rate; and the epoch (for two classes the threshold too) is chosen on rows set
    aside.

    References
    ----------
    .. [1] Alvi, Zisserman, Nellaker, "Turning a Blind Eye: Explicit Removal of Biases and
       Variation from Deep Neural Network Embeddings", ECCV Workshops 2018.
    .. [2] Tzeng, Hoffman, Darrell, Saenko, "Simultaneous Deep Transfer Across Domains and
       Tasks", ICCV 2015.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import UniformConfusion
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> y = (X[:, 0] + X[:, 1] > 0).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss, verbose=0)
    >>> fair = UniformConfusion(net, tolerance=0.2, max_epochs=5, batch_size=64, random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.2
    True
    """

    _parameter_constraints: dict = {
        **TRAINING,
        "confusion_weight": [Interval(Real, 0, None, closed="left")],
        "domain_lr": [Interval(Real, 0, None, closed="neither")],
        "layer": [str, None],
    }

    def __init__(
        self,
        estimator,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        confusion_weight=1.0,
        domain_lr=1e-2,
        layer=None,
        max_epochs=30,
        lr=3e-3,
        batch_size=512,
        sensitive_columns="auto",
        validation_fraction=0.2,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.confusion_weight = confusion_weight
        self.domain_lr = domain_lr
        self.layer = layer
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.sensitive_columns = sensitive_columns
        self.validation_fraction = validation_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _debias(self, task):
        head = find_head(task.net, task.X, self.layer)
        one = at(task.X, task.train[:1])
        with evaluating(task.net.module_):
            n_inputs = Encoder(task.net, head).all_rows(one).shape[1]
        domain = nn.Linear(n_inputs, task.n_groups).to(task.X.device)
        optimizer = torch.optim.Adam(domain.parameters(), lr=self.domain_lr, fused=True)

        def learn(Z, groups):
            optimizer.zero_grad()
            F.cross_entropy(domain(Z), groups).backward()
            optimizer.step()

        def loss(log_proba, batch):
            Z = representation()
            learn(Z.detach(), task.groups[batch.rows])
            # The classifier is given no gradient here: only the network is confused.
            weight, bias = domain.weight.detach(), domain.bias.detach()
            undecided = -F.log_softmax(F.linear(Z, weight, bias), dim=1).mean()
            return F.nll_loss(log_proba, task.y[batch.rows]) + self.confusion_weight * undecided

        with watched_input(head) as representation:
            self._train(task, loss)
