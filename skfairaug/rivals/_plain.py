"""Fine-tune on group-balanced rows, and nothing else: a floor of any comparison."""

from numbers import Real

from skfairaug._engine._parameters import parameters
from skfairaug._engine._training import fine_tune
from skfairaug._inputs._intervals import Interval
from skfairaug.rivals._fine_tuning import FineTuning
from skfairaug.steps.penalty import weighted_cross_entropy


@parameters
class PlainFineTuning(FineTuning):
    r"""Fine-tune a trained network on group-balanced validation rows, and nothing else.

    Neither a bias term, nor a teacher, nor augmentation: what a method gains over this
    one is its own doing. No sensitive feature is needed to predict.

    Parameters
    ----------
    lr : float, default=None
        Peak of the one-cycle learning rate of Adam. None takes 0.001 for images (rows of
        several dimensions) and 0.003 for others.
    train_mode : bool, default=None
        Whether the network behaves as in training while fine-tuning; it is always judged
        in evaluation mode. None takes True for images and False for others.

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
    >>> from skfairaug.rivals import PlainFineTuning
    >>> fair = PlainFineTuning(net, tolerance=0.1, random_state=0)
    >>> fair = fair.fit(X[300:], y[300:], sensitive_features=group[300:])
    >>> abs(fair.bias_) < 0.1
    True
    """

    lr: float | None = None
    train_mode: bool | None = None
    validation_fraction: float = 0.4

    _parameter_constraints = {
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "train_mode": ["boolean", None],
    }

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
