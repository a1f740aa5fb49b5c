"""The paper's tables of images, I to III, run again; on a CPU at a reduced scale."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Memory
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfairaug._augmenter import AdversarialAugmenter
from skfairaug._finetuner import FairAugmentFineTuner
from skfairaug._inputs._contexts import isolated_random_state
from skfairaug._reactivator import MaskReactivator
from skfairaug.benchmark._compare import compare
from skfairaug.benchmark._paper import CIFAR_50, CIFAR_80, CIFAR_90, CIFAR_99
from skfairaug.benchmark._tables import OURS
from skfairaug.datasets._celeba import fetch_celeba
from skfairaug.datasets._cifar10s import fetch_cifar10s
from skfairaug.datasets._pixels import to_gray
from skfairaug.datasets._skewed_digits import make_skewed_digits
from skfairaug.modules._image_net import make_image_net
from skfairaug.modules._resnet import ResNet18, SmallConvNet
from skfairaug.rivals._adversarial_debiasing import AdversarialDebiasing
from skfairaug.rivals._adversarial_fine_tuning import AdversarialFineTuning
from skfairaug.rivals._aif360 import (
    CalibratedEqOddsPostprocessing,
    EqOddsPostprocessing,
    RejectOptionClassification,
)
from skfairaug.rivals._domain_discriminative import DomainDiscriminative
from skfairaug.rivals._domain_independent import DomainIndependent
from skfairaug.rivals._layerwise import LayerwiseOptimization
from skfairaug.rivals._plain import PlainFineTuning
from skfairaug.rivals._random_perturbation import RandomPerturbation
from skfairaug.rivals._threshold_only import ThresholdOnly
from skfairaug.rivals._uniform_confusion import UniformConfusion

#: Rows of table II, and of the clean data that say what is to be reached.
FEW = (
    "Baseline",
    "Dom.Ind",
    "Proposed",
    "Proposed joint",
    OURS,
    "PlainFineTuning",
    "Baseline, gray",
    f"{OURS}, gray",
)
CIFAR_ROWS = {CIFAR_50: ("Baseline",), **dict.fromkeys((CIFAR_80, CIFAR_90, CIFAR_99), FEW)}


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


class Images:
    """Training, validation and test images of a seed, in one array with its splits."""

    def __init__(self, bunch):
        parts = [bunch[name] for name in ("train", "validation", "test")]
        self.X = np.concatenate([part.data for part in parts])
        self.y = np.concatenate([np.asarray(part.target) for part in parts])
        self.groups = pd.concat([part.sensitive_features for part in parts], ignore_index=True)
        ends = np.cumsum([len(part.data) for part in parts])
        self.rows = tuple(np.split(np.arange(ends[-1]), ends[:-1]))


def run_image_setting(
    setting,
    seeds,
    *,
    scale=1.0,
    steps=None,
    tolerance=0.05,
    data_home=None,
    skin_tones=None,
    rows=None,
    n_jobs=None,
    device="cpu",
    mixed_precision="auto",
    folder,
    cache_dir,
):
    """Run the rows of a table of images in one setting; resumes.

    Parameters
    ----------
    setting : Setting
        Data, sensitive feature and measure.
    seeds : list of int
        Seeds of the data's construction, of networks and methods.
    scale : float, default=1.0
        Share of the training images, see :class:`Scale`.
    steps : int, default=None
        Batches in an epoch of fine-tuning; None takes what follows from the share.
    tolerance : float, default=0.05
        Bias allowed.
    data_home : str or path, default=None
        Folder with the official files.
    skin_tones : Series, default=None
        For CelebA: Fitzpatrick type of every image, 1 to 6.
    rows : list of str, default=None
        Names of the methods to run; None runs all.
    n_jobs : int, default=None
        Processes; a GPU is best served by one.
    device : str, default="cpu"
        Where networks are trained.
    mixed_precision : bool or "auto", default="auto"
        Whether in bfloat16, see :class:`~skfairaug.modules.ResNet18`.
    folder : str or path
        Where each result is appended to a CSV file.
    cache_dir : str or path
        Where trained networks are kept.

    Returns
    -------
    results : DataFrame or None
        As :func:`compare` gives them; None where the setting has none of the rows.
    """
    scale, parts = scale_of(setting, scale, steps), []
    train = Memory(cache_dir, verbose=0).cache(train_image_net)
    source = source_of(setting, scale, data_home, skin_tones)
    for seed in seeds:
        images = Images(source.fetch(seed))
        make_net = partial(
            image_net,
            scale=scale,
            n_classes=len(np.unique(images.y)),
            device=device,
            mixed_precision=mixed_precision,
        )
        n_train = len(images.rows[0])
        wanted = chosen(source, make_net(n_train), n_train, rows)
        if not wanted:
            return None
        parts.append(
            compare(
                wanted,
                images.X,
                images.y,
                sensitive_features=images.groups,
                estimator=partial(train, make_net=make_net),
                constraint=setting.constraint,
                tolerance=tolerance,
                cv={seed: images.rows},
                n_jobs=n_jobs,
                path=Path(folder) / f"{image_slug(setting, tolerance, scale)}-runs.csv",
            )
        )
    # By method first, as a comparison of several splits gives them.
    results = pd.concat(parts, ignore_index=True)
    order = pd.Categorical(results["method"], categories=list(wanted), ordered=True)
    return results.iloc[np.lexsort([results["split"], order.codes])].reset_index(drop=True)


@dataclass(frozen=True)
class Source:
    """Where the images of a setting come from, and what is run on them."""

    fetch: Callable  # seed -> Bunch of three parts
    methods: Callable  # (net, number of training images) -> name -> classifier
    names: tuple | None = None  # of the methods that this setting has; None means all


def scale_of(setting, fraction, steps=None):
    """The size of a setting's run."""
    if setting.data.startswith("digits"):
        return DigitScale(steps=steps)
    return Scale(fraction, steps)


def source_of(setting, scale, data_home, skin_tones):
    """Images and rows of a setting."""
    name, detail = setting.data.split("-")
    if name == "digits":

        def fetch(seed):
            return make_skewed_digits(skew=int(detail) / 100, noise=0.2, random_state=seed)

        return Source(fetch, partial(cifar_methods, scale))

    if name == "celeba":
        if skin_tones is None:
            raise ValueError(
                "CelebA comes without skin tones: give the Fitzpatrick type of every image."
            )

        def fetch(seed):
            return fetch_celeba(data_home, target=detail, sensitive=skin_tones, size=64)

        return Source(fetch, lambda net, n_train: celeba_methods(scale))

    def fetch(seed):
        return fetch_cifar10s(
            data_home,
            skew=int(detail) / 100,
            n_per_class=None if scale.full else scale.at(4500, 1, 20),
            n_validation=scale.at(500, 0.5, 20),
            n_test_per_class=None if scale.full else scale.at(1000, 0.5, 50),
            random_state=seed,
        )

    return Source(fetch, partial(cifar_methods, scale), CIFAR_ROWS.get(setting))


def chosen(source, net, n_train, rows):
    """The methods of a setting that are asked for, in the order of the table."""
    methods = source.methods(net, n_train)
    unknown = sorted(set(rows or ()) - methods.keys())
    if unknown:
        raise ValueError(f"no such rows: {unknown}; there are {list(methods)}.")
    names = methods if source.names is None else source.names
    return {name: methods[name] for name in names if not rows or name in rows}


def image_slug(setting, tolerance, scale):
    """Name of a setting's files."""
    parts = [setting.data.lower(), f"{tolerance:g}"]
    if scale.fraction < 1:
        parts.append(f"scale{scale.fraction:g}")
    if scale.steps:
        parts.append(f"steps{scale.steps}")
    return "-".join(parts)
