"""A classifier for each group over one representation (Wang et al. 2020)."""

import numpy as np
from sklearn.utils._param_validation import StrOptions
from torch.nn import functional as F

from skfairaug._inputs._checks import check_same_length
from skfairaug._inputs._labels import in_class_order
from skfairaug.rivals._domain_heads import add_heads
from skfairaug.rivals._trained_anew import TRAINING, TrainedAnew


class DomainIndependent(TrainedAnew):
    r"""Train a classifier for each group over one representation, and ask all of them.

    Within a group the skew of the others teaches nothing, so no classifier takes the group
    for the class [1]_. It is the strongest of the published rivals on CIFAR-10S.

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
    inference : {"sum", "conditional"}, default="sum"
        "sum" adds the outputs of all groups' classifiers and needs no sensitive feature;
        "conditional" asks the classifier of the row's group, which `predict` is told.
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
    DomainDiscriminative : One classifier of class and group.

    Notes
    -----
    With the outputs :math:`s(y, a, x)` of the classifier of group a, trained by the
    cross-entropy of the row's own group on rows as they occur,

    .. math:: \hat y = \arg\max_y \sum_a s(y, a, x)

    or, where the group :math:`a^*` of the row is known,
    :math:`\arg\max_y s(y, a^*, x)`, both as published [1]_. Other than published: Adam
    with a one-cycle rate in place of SGD in steps, and the epoch (for two classes the
    threshold too) is chosen by the sum on rows set aside, where the original takes the last.

    References
    ----------
    .. [1] Wang, Qinami, Karakozis, Genova, Nair, Hata, Russakovsky, "Towards Fairness in
       Visual Recognition: Effective Strategies for Bias Mitigation", CVPR 2020.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import DomainIndependent
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> y = (X[:, 0] + X[:, 1] > 0).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss, verbose=0)
    >>> fair = DomainIndependent(net, tolerance=0.2, max_epochs=5, batch_size=64,
    ...     random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.2
    True
    """

    _parameter_constraints: dict = {
        **TRAINING,
        "inference": [StrOptions({"sum", "conditional"})],
    }

    def __init__(
        self,
        estimator,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        inference="sum",
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
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.sensitive_columns = sensitive_columns
        self.validation_fraction = validation_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    @property
    def needs_sensitive_features(self):
        """Whether `predict` takes the group."""
        return self.inference == "conditional"

    def _change_net(self, net, rows):
        n_classes, n_groups = len(self.classes_), len(rows.groups.names)
        add_heads(net, rows.X, n_classes, n_groups, SumOfGroups())

    def _debias(self, task):
        def loss(log_proba, batch):
            # Of one group's outputs alone: the others only shift them by a constant.
            heads = log_proba.unflatten(1, (task.n_groups, -1))
            own = task.groups[batch.rows].view(-1, 1, 1).expand(-1, 1, task.n_classes)
            return F.cross_entropy(heads.gather(1, own).squeeze(1), task.y[batch.rows])

        self._train(task, loss)

    def decision_function(self, X, *, sensitive_features=None):
        """Log-odds of the favourable class less those of the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        sensitive_features : array-like, default=None
            Group of every row, one of those seen in `fit`; for "conditional" inference.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Positive where `predict` gives the favourable class; several classes:
            log-probabilities.
        """
        scores = self._scores_of(X, sensitive_features)
        return in_class_order(scores, self._labels)

    def _scores_of(self, X, sensitive_features):
        if not self.needs_sensitive_features:
            return self._scores(X)
        codes = self._group_codes(X, sensitive_features)
        # Of all rows by every group's classifier, which is one pass each.
        scores = []
        module = self.net_.module_
        for group in range(len(self.groups_)):
            module.combine = OfGroup(group)
            try:
                scores.append(self._scores(X))
            finally:
                module.combine = SumOfGroups()
        return np.stack(scores)[codes, np.arange(len(codes))]

    def _group_codes(self, X, sensitive_features):
        """Number of each row's group among those seen in `fit`."""
        if sensitive_features is None:
            raise ValueError(
                "conditional inference needs the group of every row: "
                "predict(X, sensitive_features=...)."
            )
        names = np.asarray(sensitive_features)
        if names.ndim == 2:
            names = np.array([", ".join(map(str, row)) for row in names])
        check_same_length(X=X, sensitive_features=names)
        known = {name: code for code, name in enumerate(self.groups_)}
        unknown = sorted({str(name) for name in names} - known.keys())
        if unknown:
            raise ValueError(f"groups {unknown} were not seen in fit, which saw {list(known)}.")
        return np.array([known[str(name)] for name in names])

    def predict_proba(self, X, *, sensitive_features=None):
        """Class probabilities, shifted so that 0.5 is the chosen threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        sensitive_features : array-like, default=None
            Group of every row; for "conditional" inference.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Rows sum to one; `predict` is their argmax.
        """
        proba = self._proba_of(self._scores_of(X, sensitive_features))
        return in_class_order(proba, self._labels)

    def predict(self, X, *, sensitive_features=None):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        sensitive_features : array-like, default=None
            Group of every row; for "conditional" inference.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Labels.
        """
        return self._labels_of(self._scores_of(X, sensitive_features))


class SumOfGroups:
    """Class scores added over the groups' classifiers."""

    def __call__(self, logits):
        return logits.sum(1)


class OfGroup:
    """Class scores of one group's classifier."""

    def __init__(self, group):
        self.group = group

    def __call__(self, logits):
        return logits[:, self.group]
