"""The paper's tables of images, I to III, run again; on a CPU at a reduced scale."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Memory

from benchmarks.paper.image_rows import (
    DigitScale,
    Scale,
    celeba_methods,
    cifar_methods,
    image_net,
    train_image_net,
)
from benchmarks.paper.published import CIFAR_50, CIFAR_80, CIFAR_90, CIFAR_99
from benchmarks.paper.rows import OURS
from skfairaug.benchmark import compare
from skfairaug.datasets import fetch_celeba, fetch_cifar10s, make_skewed_digits

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
