"""Colour and gray images of which the classes have unequal shares, and even test images."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from skfairaug.datasets._pixels import to_gray

#: The unprivileged group, then the privileged one.
GROUPS = ("gray", "colour")


@dataclass(frozen=True)
class Plan:
    """Which images a part has and which of them stay in colour.

    Attributes
    ----------
    rows : ndarray of int64 of shape (n_rows,)
        Positions in the pool of images; a bootstrap repeats some.
    colour : ndarray of bool of shape (n_rows,)
        False for an image that is made gray.
    """

    rows: np.ndarray
    colour: np.ndarray


def plan_skew(y, *, skew, n_validation, validation, n_per_class=None, random_state=None):
    """Hold out validation images of each class and skew the colours of the rest.

    The colour of an odd class is colour, that of an even one is gray. Each of the
    choices below has its own random stream, so that one does not disturb another: the
    images held out depend on nothing but `n_validation` and the seed.

    Parameters
    ----------
    y : ndarray of int of shape (n_samples,)
        Classes 0, 1, ... of the pool.
    skew : float
        Share, 0.5 to 1, of a class' training images that have the colour of the class.
    n_validation : int
        Images held out of each class, before anything is skewed.
    validation : {"balanced", "biased"}
        Whether half of those are gray, or they are skewed too and then drawn with
        replacement so that every cell of class and colour has equally many.
    n_per_class : int, default=None
        Training images of a class at most; None keeps all.
    random_state : int, RandomState instance or None, default=None
        None means fresh numbers; NumPy's global state is not used.

    Returns
    -------
    train, validation : Plan
        In random order.

    Raises
    ------
    ValueError
        If a class is too small, or too few images are held out for a cell.
    """
    sizes = np.bincount(y)
    if n_validation >= sizes.min():
        raise ValueError(
            f"n_validation={n_validation} leaves no training images: the smallest class "
            f"has {sizes.min()} images."
        )
    n_kept = _majority(n_validation, skew)
    if validation == "biased" and n_kept == n_validation:
        raise ValueError(
            f'validation="biased" needs images of both colours in each class: with '
            f"skew={skew:g} there is none of the rare colour among n_validation="
            f"{n_validation}. Raise n_validation or lower skew."
        )
    drawing, mixing, bootstrap = _streams(random_state, 3)
    held, train = [], []
    for label in range(len(sizes)):
        order = drawing.permutation(np.flatnonzero(y == label))
        held.append(order[:n_validation])
        train.append(order[n_validation:][:n_per_class])
    if validation == "biased":
        held = [_resample(rows, n_kept, bootstrap) for rows in held]
    # Mixed before the training images, whose number would change its order.
    held_out = _mix(_plan(held, 0.5), mixing)
    return _mix(_plan(train, skew), mixing), held_out


def first_per_class(y, n_per_class):
    """Positions of the first images of each class, in their order.

    Parameters
    ----------
    y : ndarray of int of shape (n_samples,)
        Classes.
    n_per_class : int or None
        Images of a class at most; None keeps all.

    Returns
    -------
    rows : ndarray of int64
        Positions.
    """
    rank = pd.Series(y).groupby(y).cumcount().to_numpy()
    return np.flatnonzero(rank < (len(y) if n_per_class is None else n_per_class))


def build_part(X, y, plan):
    """Images of a plan, gray ones made gray.

    Parameters
    ----------
    X : ndarray of uint8 of shape (n_rows, 3, height, width)
        The plan's images, all in colour; changed in place.
    y : ndarray of shape (n_samples,)
        Classes of the pool.
    plan : Plan
        Which images these are.

    Returns
    -------
    part : Bunch
        See `fetch_cifar10s`.
    """
    X[~plan.colour] = to_gray(X[~plan.colour])
    groups = pd.Categorical.from_codes(
        plan.colour.astype("int8"), categories=list(GROUPS), ordered=True
    )
    return Bunch(
        data=X,
        target=y[plan.rows].astype("int64"),
        sensitive_features=pd.Series(groups, name="colour"),
        indices=plan.rows,
    )


def build_test(X, y, rows):
    """Both copies of the test images, all in colour and then all in gray.

    Parameters
    ----------
    X : ndarray of uint8 of shape (n_rows, 3, height, width)
        Images in colour.
    y : ndarray of shape (n_samples,)
        Classes of the pool.
    rows : ndarray of int64 of shape (n_rows,)
        Positions of the images in it.

    Returns
    -------
    part : Bunch
        See `fetch_cifar10s`.
    """
    both = Plan(np.concatenate([rows, rows]), np.repeat([True, False], len(rows)))
    return build_part(np.concatenate([X, X]), y, both)


def _majority(n, share):
    """How many of n images have the colour of their class; a half is rounded up."""
    # 1 - 0.95 is a little more than 0.05.
    return n - math.ceil(round(n * (1 - share), 9) - 0.5)


def _plan(by_class, share):
    """The first images of each class have its colour, the others the other one."""
    colour = [
        (np.arange(len(rows)) < _majority(len(rows), share)) == (label % 2 == 1)
        for label, rows in enumerate(by_class)
    ]
    return Plan(np.concatenate(by_class).astype("int64"), np.concatenate(colour))


def _resample(rows, n_kept, rng):
    """Draw with replacement from the common and the rare colour, as many of each."""
    half = _majority(len(rows), 0.5)
    common = rng.choice(rows[:n_kept], half)
    return np.concatenate([common, rng.choice(rows[n_kept:], len(rows) - half)])


def _mix(plan, rng):
    order = rng.permutation(len(plan.rows))
    return Plan(plan.rows[order], plan.colour[order])


def _streams(random_state, n_streams):
    # None must not mean NumPy's global state, as it does in check_random_state.
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    return [np.random.RandomState(seed) for seed in rng.randint(2**31 - 1, size=n_streams)]
