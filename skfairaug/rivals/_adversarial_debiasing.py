"""Train a net against an adversary that guesses the group (Zhang, Lemoine, Mitchell 2018)."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval

from skfairaug._engine._debiasing_task import fine_tune
from skfairaug.rivals._adversary import Adversary, Opponent, first_callback
from skfairaug.rivals._trained_anew import TRAINING, TrainedAnew
from skfairaug.steps.penalty import weighted_cross_entropy


class AdversarialDebiasing(TrainedAnew):
    r"""Train a network from scratch against an adversary that guesses the group.

    The adversary sees the network's prediction, and the label where the constraint
    conditions on it. The network learns to predict the label and, by the gradient rule of
    [1]_, to leave the adversary nothing to learn from. No sensitive feature is needed to
    predict.

    Parameters
    ----------
    estimator : skorch net
        NeuralNetClassifier or NeuralNetBinaryClassifier with any module. A clone of it is
        trained from new weights, whether or not it is fitted.
    constraint : str, default="statistical_parity"
        Bias measure: "statistical_parity" ("demographic_parity"),
        "equal_opportunity", "average_odds" or "equalized_odds".
    tolerance : float, default=0.05
        Bias allowed, in (0, 1]. None chooses the epoch by balanced accuracy alone.
    caution : float, default=1.0
        Standard errors of the bias that the choice of epoch and threshold allows for,
        see :func:`~skfairaug.metrics.expected_phi`.
    adversary_weight : float, default=3.0
        Weight alpha of the adversary at the end of the training; 0 leaves the projection.
    adversary_units : int, default=32
        Hidden units of the adversary; 0 makes it a logistic regression, as published.
    adversary_steps : int, default=2
        Steps of the adversary for each step of the network.
    adversary_lr : float, default=0.003
        Learning rate of the adversary's Adam.
    max_epochs : int, default=30
        Epochs; after each, the network is a candidate.
    steps_per_epoch : int, default=50
        Batches in an epoch, whatever the number of rows.
    lr : float, default=0.003
        Peak of the one-cycle learning rate of Adam.
    batch_size : int, default=512
        Rows of a batch, in equal parts from every (label, group) cell.
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
        The fair network, in evaluation mode.
    threshold_ : float
        Cut-off on the favourable class's probability as `net_` gives it; for more
        than two classes 0.5 and unused.
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the favourable one.
    groups_ : tuple of str
        Names of the groups.
    history_ : skorch History
        Loss, the adversary's loss, bias, balanced accuracy and expected Phi per epoch.
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

    Notes
    -----
    With the loss :math:`L_P` of the network, that of the adversary :math:`L_A`, and for
    every parameter tensor W of the network :math:`g_P = \nabla_W L_P` and
    :math:`g_A = \nabla_W L_A`, the network descends along ([1]_, Eq. 1)

    .. math::
        g_P - \frac{\langle g_P, g_A \rangle}{\|g_A\|^2} g_A - \alpha_t g_A,

    that is, less what would help the adversary, and further away from it. As published,
    the adversary reads the prediction alone for statistical parity, the label as well
    for average and equalized odds, and the favourable rows alone for equal opportunity
    (for more than two classes all rows, with their labels), and
    :math:`\alpha_t` grows with the root of the step t; here it ends at `adversary_weight`.

    Other than published: the adversary has a hidden layer and reads log-odds (for more
    classes, log-probabilities), as a network can hide from one that reads probabilities
    by saturating them; it takes two steps for each of the network's; a one-cycle rate
    takes the place of 1/t; the network's loss weighs classes equally, since balanced
    accuracy is the aim, and the adversary's groups, so that a rare one is heard; and
    epoch and threshold are chosen on rows set aside, where the original takes the last
    epoch and 0.5.

    The network's own callbacks run during the training, except early stopping.

    References
    ----------
    .. [1] Zhang, Lemoine, Mitchell, "Mitigating Unwanted Biases with Adversarial
       Learning", AIES 2018.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skfairaug.modules import TabularMLP
    >>> from skfairaug.rivals import AdversarialDebiasing
    >>> rng = np.random.RandomState(0)
    >>> group = rng.randint(0, 2, 2000)
    >>> X = rng.normal(size=(2000, 3)).astype(np.float32)
    >>> X[:, 0] += group
    >>> y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    >>> net = NeuralNetClassifier(TabularMLP, module__n_features=3, module__depth=1,
    ...                           criterion=torch.nn.CrossEntropyLoss, verbose=0)
    >>> fair = AdversarialDebiasing(net, tolerance=0.1, max_epochs=5, random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.1
    True
    """

    _parameter_constraints: dict = {
        **TRAINING,
        "adversary_weight": [Interval(Real, 0, None, closed="left")],
        "adversary_units": [Interval(Integral, 0, None, closed="left")],
        "adversary_steps": [Interval(Integral, 1, None, closed="left")],
        "adversary_lr": [Interval(Real, 0, None, closed="neither")],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator,
        *,
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        adversary_weight=3.0,
        adversary_units=32,
        adversary_steps=2,
        adversary_lr=3e-3,
        max_epochs=30,
        steps_per_epoch=50,
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
        self.adversary_weight = adversary_weight
        self.adversary_units = adversary_units
        self.adversary_steps = adversary_steps
        self.adversary_lr = adversary_lr
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.lr = lr
        self.batch_size = batch_size
        self.sensitive_columns = sensitive_columns
        self.validation_fraction = validation_fraction
        self.pos_label = pos_label
        self.random_state = random_state

    def _debias(self, task):
        adversary = Adversary(
            task,
            units=self.adversary_units,
            lr=self.adversary_lr,
            n_steps=self.adversary_steps,
        )
        opponent = Opponent(
            adversary, self.adversary_weight, self.max_epochs * self.steps_per_epoch
        )

        def loss(log_proba, batch):
            opponent.face(log_proba, batch.rows)
            weights = task.cell_weights[task.cells[batch.rows]]
            return weighted_cross_entropy(log_proba, task.y[batch.rows], weights)

        with first_callback(task.net, opponent):
            fine_tune(
                task,
                lambda epoch: task.batches(self.steps_per_epoch, self.batch_size),
                loss,
                lr=self.lr,
                max_epochs=self.max_epochs,
                steps_per_epoch=self.steps_per_epoch,
                train_mode=True,
            )
