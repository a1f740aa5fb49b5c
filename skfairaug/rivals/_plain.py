"""Fine-tune on group-balanced rows, and nothing else: a floor of any comparison."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval

from skfairaug._engine._debiasing_task import fine_tune
from skfairaug._engine._estimator import BaseIntraProcessor
from skfairaug.steps.penalty import weighted_cross_entropy


class PlainFineTuning(BaseIntraProcessor):
    r"""Fine-tune a trained network on group-balanced validation rows, and nothing else.

    Neither a bias term, nor a teacher, nor augmentation: what a method gains over this
    one is its own doing. No sensitive feature is needed to predict.

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
    caution : float, default=1.0
        Standard errors of the bias that the choice of epoch and threshold allows
        for, see :func:`~skfairaug.metrics.expected_phi`; 0 trusts the validation rows.
    max_epochs : int, default=10
        Epochs of fine-tuning; after each, the network is a candidate.
    steps_per_epoch : int, default=30
        Batches in an epoch, whatever the number of rows.
    lr : float, default=None
        Peak of the one-cycle learning rate of Adam. None takes 0.001 for images (rows of
        several dimensions) and 0.003 for others.
    batch_size : int, default=512
        Rows of a batch, in equal parts from every (label, group) cell.
    train_mode : bool, default=None
        Whether the network behaves as in training while fine-tuning; it is always judged
        in evaluation mode. None takes True for images and False for others.
    sensitive_columns : "auto", list of str or list of int, default="auto"
        Columns of X that say the group, from which `fit` reads the groups where it gets
        no `sensitive_features`. "auto" names none.
    validation_fraction : float, default=0.4
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
        Bias, balanced accuracy and expected Phi per epoch, beside the loss.
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

    See Also
    --------
    skfairaug.FairAugmentFineTuner : Adds a fair teacher, and more on request.

    Notes
    -----
    Minimises the mean cross-entropy of the :math:`C \cdot G` cells of label and group,

    .. math::
        \frac{1}{C G} \sum_{y, a} \mathbb{E}[\ell(f(X), Y) \mid Y = y, A = a].

    In these batches the label does not depend on the group, so a network that takes the
    one for the other has no advantage from it. The classes weigh the same, as balanced
    accuracy asks. Threshold and epoch are chosen as by
    :class:`~skfairaug.FairAugmentFineTuner`, but four rows in ten only choose: labels of a
    few hundred rows are soon learned by heart, and then say nothing about the epoch.
    Kamiran and Calders resample for the same end [1]_.

    References
    ----------
    .. [1] Kamiran, Calders, "Data Preprocessing Techniques for Classification without
       Discrimination", Knowledge and Information Systems 33, 2012.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import PlainFineTuning
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss,
    ...                           max_epochs=5, verbose=0).fit(X[:300], y[:300])
    >>> fair = PlainFineTuning(net, tolerance=0.1, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.1
    True
    """

    _parameter_constraints: dict = {
        **BaseIntraProcessor._parameter_constraints,
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "train_mode": ["boolean", None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        estimator,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        max_epochs=10,
        steps_per_epoch=30,
        lr=None,
        batch_size=512,
        train_mode=None,
        sensitive_columns="auto",
        validation_fraction=0.4,
        debias_fraction=0.25,
        pos_label=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.lr = lr
        self.batch_size = batch_size
        self.train_mode = train_mode
        self.sensitive_columns = sensitive_columns
        self.validation_fraction = validation_fraction
        self.debias_fraction = debias_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _debias(self, task):
        def loss(log_proba, batch):
            # No weights: the cells, of which a batch holds equal parts, count the same.
            y = task.y[batch.rows]
            return weighted_cross_entropy(log_proba, y, log_proba.new_ones(len(y)))

        if self.max_epochs:
            fine_tune(
                task,
                lambda epoch: task.batches(self.steps_per_epoch, self.batch_size),
                loss,
                max_epochs=self.max_epochs,
                steps_per_epoch=self.steps_per_epoch,
                **task.recipe(self.lr, self.train_mode),
            )
