"""Predict class and group together, and take the training's prior back (Wang et al. 2020)."""

import torch
from sklearn.utils._param_validation import StrOptions
from torch.nn import functional as F

from skfairaug.rivals._domain_heads import add_heads
from skfairaug.rivals._trained_anew import TRAINING, TrainedAnew


class DomainDiscriminative(TrainedAnew):
    r"""Train a network to predict class and group together, and correct for their prior.

    Fairness through awareness [1]_: a network of :math:`C \cdot G` outputs says how likely
    every pair of class and group is; how often the pairs occurred in training is divided
    out, and the groups are summed over. No sensitive feature is needed to predict.

    Parameters
    ----------
    estimator : skorch net
        NeuralNetClassifier with any module and the criterion CrossEntropyLoss. A clone
        of it is trained from new weights,
        whether or not it is fitted.
    constraint : str, default="statistical_parity"
        Bias measure that chooses the epoch, see `skfairaug.metrics.CONSTRAINTS`.
    tolerance : float, default=0.05
        Bias allowed, in (0, 1]. None chooses the epoch by balanced accuracy alone.
    caution : float, default=1.0
        Standard errors of the bias that the choice of epoch and threshold allows for,
        see :func:`~skfairaug.metrics.expected_phi`.
    inference : {"sum", "max"}, default="sum"
        Whether a class has the sum of its pairs' probabilities or the largest of them.
    prior_shift : bool, default=True
        Whether the pairs' frequencies in training are divided out.
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
        The network, in evaluation mode, whose module gives classes.
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
    DomainIndependent : A classifier for each group.

    Notes
    -----
    With the network's :math:`P_{tr}(y, a | x)`, trained by cross-entropy on rows as they
    occur, and the frequencies :math:`P_{tr}(y, a)` of the rows that train,

    .. math::
        \hat y = \arg\max_y \sum_a \frac{P_{tr}(y, a | x)}{P_{tr}(y, a)}

    or the largest term in place of the sum: both as published [1]_, for a target in which
    every pair is as frequent. Other than published: Adam with a one-cycle rate in place of
    SGD in steps, and the epoch (for two classes the threshold too) is chosen on rows set
    aside, where the original takes the last.

    References
    ----------
    .. [1] Wang, Qinami, Karakozis, Genova, Nair, Hata, Russakovsky, "Towards Fairness in
       Visual Recognition: Effective Strategies for Bias Mitigation", CVPR 2020.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import DomainDiscriminative
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> y = (X[:, 0] + X[:, 1] > 0).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss, verbose=0)
    >>> fair = DomainDiscriminative(net, tolerance=0.2, max_epochs=5, batch_size=64,
    ...     random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.2
    True
    """

    _parameter_constraints: dict = {
        **TRAINING,
        "inference": [StrOptions({"sum", "max"})],
        "prior_shift": ["boolean"],
    }

    def __init__(
        self,
        estimator,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        inference="sum",
        prior_shift=True,
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
        self.inference = inference
        self.prior_shift = prior_shift
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.sensitive_columns = sensitive_columns
        self.validation_fraction = validation_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _change_net(self, net, rows):
        n_classes, n_groups = len(self.classes_), len(rows.groups.names)
        cells = torch.as_tensor(rows.groups.codes * n_classes + rows.y)
        counts = torch.bincount(cells, minlength=n_classes * n_groups).float()
        prior = (counts / counts.sum()).log().view(n_groups, n_classes)
        combine = OverGroups(self.inference, prior if self.prior_shift else 0 * prior)
        add_heads(net, rows.X, n_classes, n_groups, combine)

    def _debias(self, task):
        pairs = task.groups * task.n_classes + task.y

        def loss(log_proba, batch):
            return F.nll_loss(log_proba, pairs[batch.rows])

        self._train(task, loss)


class OverGroups:
    """Class log-scores from those of pairs of group and class, a prior divided out."""

    def __init__(self, inference, log_prior):
        self.inference = inference
        self.log_prior = log_prior

    def __call__(self, logits):
        shifted = logits - self.log_prior.to(logits)
        return shifted.logsumexp(1) if self.inference == "sum" else shifted.amax(1)
