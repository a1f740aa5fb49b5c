"""FairAugmentFineTuner: the whole method; its `_debias` reads as the paper's algorithm."""

from numbers import Integral, Real

from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from skfairaug._augmenter import AdversarialAugmenter, Attacker
from skfairaug._base import BaseIntraProcessor
from skfairaug._nets import log_probabilities
from skfairaug._reactivator import MaskReactivator, to_numpy
from skfairaug._training import Trainer
from skfairaug.steps.mask import density

PASS = "passthrough"


class FairAugmentFineTuner(BaseIntraProcessor):
    """Make a trained skorch classifier fair with a small validation set.

    Copies the network, augments the validation rows with an adversarial attack that
    mixes the groups, finds and restarts the weights that carry the bias, fine-tunes
    with a bias term, and picks the epoch and threshold that keep the bias inside
    the tolerance on new data most surely. No sensitive feature is needed to predict.

    Parameters
    ----------
    estimator : skorch net
        Trained NeuralNetClassifier or NeuralNetBinaryClassifier, or a
        :class:`~sklearn.frozen.FrozenEstimator` of one; never changed. An unfitted
        one is trained first, on the rows that do not debias.
    """

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "augmenter": [AdversarialAugmenter, StrOptions({PASS}), None],
        "reactivator": [MaskReactivator, StrOptions({PASS}), None],
        "joint": ["boolean"],
        "sensitive_columns": "no_validation",
        "constraint": [str],
        "tolerance": "no_validation",
        "caution": [Interval(Real, 0, None, closed="left")],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, 1, closed="both")],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "debias_fraction": [Interval(Real, 0, 1, closed="neither")],
        "layer": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        augmenter=None,
        reactivator=None,
        joint=False,
        sensitive_columns="auto",
        constraint="statistical_parity",
        tolerance=0.05,
        caution=1.0,
        penalty=8.0,
        margin=0.8,
        max_epochs=10,
        steps_per_epoch=30,
        lr=1e-3,
        batch_size=512,
        validation_fraction=0.4,
        debias_fraction=0.25,
        layer=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.augmenter = augmenter
        self.reactivator = reactivator
        self.joint = joint
        self.sensitive_columns = sensitive_columns
        self.constraint = constraint
        self.tolerance = tolerance
        self.caution = caution
        self.penalty = penalty
        self.margin = margin
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.lr = lr
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.debias_fraction = debias_fraction
        self.layer = layer
        self.random_state = random_state

    def _debias(self, task):
        batches, attacker = task.batches, None
        if self.augmenter not in (None, PASS):
            # Step 1: rows that mix the groups, as the biased network sees them (Eq. 7).
            attacker = Attacker(clone(self.augmenter), task, self.layer)
            X_adv = None
            if not self.joint:
                attacker.refresh()
                X_adv = attacker.attack_all()

            def batches(n_batches, batch_size):
                return attacker.batches(n_batches, batch_size, X_adv)

        masks, finished = None, True
        if self.reactivator not in (None, PASS):
            # Step 2: the fair sub-structure, and a new start for the rest (Eq. 11-12).
            reactivator = clone(self.reactivator)
            masks, finished = reactivator.learn(task, batches)
            reactivator.restart(task, masks)
            task.best.offer_net()
        if finished and self.max_epochs:
            # Step 3: fine-tune everything.
            self._fine_tune(task, batches)
        if masks is not None:
            self.mask_ = to_numpy(masks)
            self.density_ = float(density(masks))
        if attacker is not None:
            self.attack_probabilities_ = attacker.probabilities.cpu().numpy()

    def _fine_tune(self, task, batches):
        net = task.net
        trainer = Trainer(
            net,
            task.X,
            task.y,
            lr=self.lr,
            max_epochs=self.max_epochs,
            steps_per_epoch=self.steps_per_epoch,
        )

        def make_epoch(epoch):
            for batch in batches(self.steps_per_epoch, self.batch_size):

                def loss(output, batch=batch):
                    return task.loss(log_probabilities(net, output), batch)

                yield batch.X, task.y[batch.rows], loss

        def judge(log_proba):
            verdict = task.best.offer(log_proba, net.module_.state_dict)
            net.history.record("phase", "fine-tune")
            net.history.record("bias", verdict.bias)
            net.history.record("balanced_accuracy", verdict.balanced_accuracy)
            net.history.record("expected_phi", verdict.objective)

        trainer.run(make_epoch, judge, task.select)
