"""Rows of the paper's tables of images, at full and at reduced scale."""

from dataclasses import dataclass

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.paper.rows import OURS
from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug.datasets import to_gray
from skfairaug.modules import ResNet18, SmallConvNet, make_image_net
from skfairaug.rivals import (
    AdversarialDebiasing,
    AdversarialFineTuning,
    CalibratedEqOddsPostprocessing,
    DomainDiscriminative,
    DomainIndependent,
    EqOddsPostprocessing,
    LayerwiseOptimization,
    PlainFineTuning,
    RandomPerturbation,
    RejectOptionClassification,
    ThresholdOnly,
    UniformConfusion,
)


@dataclass(frozen=True)
class Scale:
    """How large a run is; `full` is the paper's size.

    Parameters
    ----------
    fraction : float
        Share of the training images. The other sizes follow from it, less steeply, so
        that a small run still learns and can still be judged.
    steps : int, default=None
        Batches in an epoch of fine-tuning; None takes what follows from the share.
    """

    fraction: float = 1.0
    steps: int | None = None

    @property
    def full(self):
        """Whether nothing is reduced."""
        return self.fraction == 1.0

    def at(self, whole, power, least=1):
        """A size that falls with a power of the fraction."""
        return max(least, round(whole * self.fraction**power))

    @property
    def width(self):
        """Channels of the first stage of the network."""
        return self.at(64, 0.6, 8)

    @property
    def batch_size(self):
        """Images of a batch, a multiple of the cells'."""
        return self.at(25, 0.4, 5) * 20

    @property
    def training(self):
        """How the networks that start from new weights are trained."""
        return {"max_epochs": self.at(30, 0.2), "batch_size": self.at(512, 0.8, 64)}

    @property
    def tuning(self):
        """How the networks are fine-tuned."""
        return {
            "max_epochs": 10,
            "steps_per_epoch": self.steps or self.at(30, 0.5),
            "batch_size": self.batch_size,
        }

    @property
    def network(self):
        """The network, and how fast it is trained."""
        lr = 0.2 * self.training["batch_size"] / 512
        return {"module": ResNet18, "module__width": self.width, "lr": lr}

    def describe(self):
        """How the run differs from the published one, in words; None if it does not."""
        if self.full:
            return self.steps and f"{self.steps} batches of fine-tuning an epoch in place of 30"
        steps = self.tuning["steps_per_epoch"]
        shorter = "" if steps == 30 else f"{steps} batches of fine-tuning an epoch, "
        return (
            f"REDUCED to {self.fraction:g} of the training images, a ResNet18 of width "
            f"{self.width} in place of 64, {self.training['max_epochs']} passes in place of "
            f"30, {shorter}and shorter searches: compare rows with each other, not with "
            "the paper"
        )


class DigitScale(Scale):
    """The size of scikit-learn's digits, whole."""

    batch_size = 200
    training = {"max_epochs": 15, "batch_size": 64}
    network = {"module": SmallConvNet, "lr": 0.1}


def image_net(n_samples, scale, *, n_classes=10, device="cpu", mixed_precision="auto"):
    """The network of the tables, unfitted."""
    return make_image_net(
        n_samples,
        device=device,
        module__n_classes=n_classes,
        module__mixed_precision=mixed_precision,
        **scale.network,
        **scale.training,
    )


def train_image_net(X, y, seed, make_net):
    """The biased network of the tables, for :func:`compare`."""
    with isolated_random_state(seed):
        return make_net(len(X)).fit(X, y)


def proposed(variant, scale, *, counterfactual=None):
    """The method as the paper prints it, on images."""
    tuner = FairAugmentFineTuner.paper(None, variant, **scale.tuning)
    tuner.augmenter.set_params(n_steps=scale.at(7, 0.25), counterfactual=counterfactual)
    mask = {name: scale.tuning[name] for name in ("steps_per_epoch", "batch_size")}
    return tuner.set_params(reactivator=MaskReactivator(reinit_scale=1.0, **mask))


def ours(scale, **params):
    """The method with what we add, on images."""
    return FairAugmentFineTuner(None, **(scale.tuning | params))


def tuned_methods(scale):
    """Rows that start from the biased network and the validation images."""
    return {
        "RndPert": RandomPerturbation(None, n_perturbations=scale.at(101, 0.5)),
        "LayerwiseOpt": LayerwiseOptimization(
            None, n_layers=scale.at(5, 0.25), n_calls=scale.at(20, 0.25, 12)
        ),
        "Adv.Ft": AdversarialFineTuning(
            None,
            max_epochs=scale.at(32, 0.5),
            critic_steps=scale.at(201, 0.5),
            steps_per_epoch=scale.at(301, 0.5),
        ),
        "Proposed": proposed("proposed", scale, counterfactual=to_gray),
        "Proposed joint": proposed("joint", scale, counterfactual=to_gray),
        OURS: ours(scale),
        "PlainFineTuning": PlainFineTuning(None, validation_fraction=0.0, **scale.tuning),
    }


def cifar_methods(scale, net, n_train):
    """Rows of table I: the paper's by their names there, then those it does not have.

    Parameters
    ----------
    scale : Scale
        Size of the run.
    net : skorch net
        Unfitted; those that start from new weights train a clone.
    n_train : int
        Training images.

    Returns
    -------
    methods : dict of str to classifier
        Name -> estimator for :func:`compare`.
    """
    passes = scale.training["max_epochs"]
    trained = {
        "max_epochs": passes,
        "batch_size": scale.training["batch_size"],
        "validation_fraction": 0.1,
        # As published, the epoch is chosen for accuracy.
        "tolerance": None,
    }
    an_epoch = max(1, n_train // trained["batch_size"])
    tuned = tuned_methods(scale)
    gray = FunctionTransformer(to_gray)
    return {
        "Baseline": FairAugmentFineTuner(None, max_epochs=0),
        "Uni.Conf": UniformConfusion(net, **trained),
        "Adv.Debias": AdversarialDebiasing(net, steps_per_epoch=an_epoch, **trained),
        "Dom.Disc": DomainDiscriminative(net, inference="sum", **trained),
        "Dom.Disc, max": DomainDiscriminative(net, inference="max", **trained),
        "Dom.Ind": DomainIndependent(net, inference="sum", **trained),
        "Dom.Ind, conditional": DomainIndependent(net, inference="conditional", **trained),
        **{name: tuned.pop(name) for name in ("RndPert", "LayerwiseOpt", "Adv.Ft")},
        "Proposed unif": proposed("unif", scale),
        "Proposed ind": proposed("ind", scale, counterfactual=to_gray),
        **tuned,
        f"{OURS}, joint": ours(
            scale, augmenter=AdversarialAugmenter(radius=2 / 255, n_steps=2, joint=True)
        ),
        # Here a function takes the group out of an image, which no table may leave out.
        "Baseline, gray": make_pipeline(gray, net),
        f"{OURS}, gray": make_pipeline(gray, ours(scale)),
    }


def celeba_methods(scale):
    """Rows of table III.

    Parameters
    ----------
    scale : Scale
        Size of the run.

    Returns
    -------
    methods : dict of str to classifier
        Name -> estimator for :func:`compare`.
    """
    tuned = tuned_methods(scale)
    for name in ("Proposed", "Proposed joint"):
        tuned[name].augmenter.set_params(counterfactual=None)  # no gray copy of a skin tone
    return {
        "Baseline": ThresholdOnly(None, constraint=None),
        "ROC": RejectOptionClassification(None),
        "EqOdds": EqOddsPostprocessing(None),
        "CalibEqOdds": CalibratedEqOddsPostprocessing(None),
        **tuned,
        "ThresholdOnly": ThresholdOnly(None),
    }
