"""Train a net against an adversary that guesses the group (Zhang, Lemoine, Mitchell 2018)."""

from numbers import Integral, Real

from skfairaug._engine._parameters import parameters
from skfairaug._engine._training import fine_tune
from skfairaug._inputs._intervals import Interval
from skfairaug.rivals._adversary import Adversary, Opponent, first_callback
from skfairaug.rivals._trained_anew import TrainedAnew
from skfairaug.steps.penalty import weighted_cross_entropy


@parameters
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
    batch_size : int, default=512
        Rows of a batch, in equal parts from every (label, group) cell.

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
    >>> from skfairaug.rivals import AdversarialDebiasing
    >>> fair = AdversarialDebiasing(net, tolerance=0.1, max_epochs=5, random_state=0)
    >>> fair = fair.fit(X, y, sensitive_features=group)
    >>> abs(fair.bias_) < 0.1
    True
    """

    adversary_weight: float = 3.0
    adversary_units: int = 32
    adversary_steps: int = 2
    adversary_lr: float = 3e-3
    steps_per_epoch: int = 50

    _parameter_constraints = {
        "adversary_weight": [Interval(Real, 0, None, closed="left")],
        "adversary_units": [Interval(Integral, 0, None, closed="left")],
        "adversary_steps": [Interval(Integral, 1, None, closed="left")],
        "adversary_lr": [Interval(Real, 0, None, closed="neither")],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left")],
    }

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
