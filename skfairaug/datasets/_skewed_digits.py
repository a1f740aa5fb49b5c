"""Small digits with skewed colours, for which nothing is downloaded."""

import inspect
from numbers import Integral, Real

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import StrOptions, validate_params

from skfairaug._inputs._intervals import Interval
from skfairaug.datasets._pixels import to_gray
from skfairaug.datasets._skew import build_part, build_test, plan_skew

#: Red, green and blue of a white pixel in an image in colour. Hues that differ from image
#: to image hide the skew: a network hardly takes them up.
TINT = (1.0, 0.3, 0.1)

#: Test digits of each class; each comes twice.
N_TEST = 50


@validate_params(
    {
        "skew": [Interval(Real, 0.5, 1, closed="both")],
        "n_validation": [Interval(Integral, 2, None, closed="left")],
        "validation": [StrOptions({"balanced", "biased"})],
        "noise": [Interval(Real, 0, None, closed="left")],
        "tint": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_skewed_digits(
    *,
    skew=0.95,
    n_validation=30,
    validation="balanced",
    noise=0.0,
    tint=True,
    random_state=0,
):
    """Colour scikit-learn's digits with a skew: even ones mostly gray, odd ones tinted.

    Real images of 8 x 8 pixels, made what :func:`fetch_cifar10s` makes of CIFAR-10, so
    that a small network learns the skew, and unlearns it, in seconds and without a
    download.

    Parameters
    ----------
    skew : float, default=0.95
        Share, 0.5 to 1, of a class' training images that are as most of the class.
    n_validation : int, default=30
        Images held out of each class before the rest is skewed, at least 2.
    validation : {"balanced", "biased"}, default="balanced"
        Whether half of those are gray, or they are skewed too and balanced by a
        bootstrap, as :func:`fetch_cifar10s` has it.
    noise : float, default=0.0
        Standard deviation of Gaussian noise on every pixel, in units of [0, 1], before
        it is tinted; 0.3 makes it hard.
    tint : bool, default=True
        Whether images in colour have one. False leaves them as gray as the others: a
        control in which nothing gives the group away.
    random_state : int, RandomState instance or None, default=0
        Everything that is drawn. None means something else every time; NumPy's global
        state is neither read nor changed.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        train, validation, test : :class:`~sklearn.utils.Bunch`
            The parts, each with `data`, ndarray of uint8 of shape (n, 3, 8, 8);
            `target`, ndarray of int64 of shape (n,), the digit; `sensitive_features`,
            Series of shape (n,), an ordered categorical, gray < colour; and `indices`,
            ndarray of int64 of shape (n,), each image's row in
            :func:`~sklearn.datasets.load_digits`. The test part is 500 images, 50 a
            digit, in colour, and then the same in gray: rows i and 500 + i are a pair.
        target_names : list of str
            The digits.
        sensitive_name : str
            "colour".
        DESCR : str
            This text.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or too few images are left for a cell.

    Notes
    -----
    An image in colour is the digit in one orange-red, the same for all, so that the tint
    is easily learned. Its gray copy is its luma, see :func:`to_gray`, so both show the
    digit with the same contrast, and the tint says nothing about it but by the skew.
    With the same seed, other values of `skew`, `validation` and `noise` hold out the same
    images.

    The digits are E. Alpaydin and C. Kaynak's (1998), UCI Machine Learning Repository,
    CC BY 4.0, doi:10.24432/C50P49.

    Examples
    --------
    >>> from skfairaug.datasets import make_skewed_digits
    >>> digits = make_skewed_digits()
    >>> digits.train.data.shape, digits.validation.data.shape, digits.test.data.shape
    ((997, 3, 8, 8), (300, 3, 8, 8), (1000, 3, 8, 8))
    >>> even = digits.train.target % 2 == 0
    >>> digits.train.sensitive_features[even].value_counts().to_dict()
    {'gray': 466, 'colour': 25}
    """
    # None must not mean NumPy's global state, as it does in check_random_state.
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    drawing, planning, painting = rng.randint(2**31 - 1, size=3)
    digits = load_digits()
    y = digits.target
    images = _paint(digits.images / 16, noise, tint, np.random.RandomState(painting))
    test, pool = _hold_out_test(y, np.random.RandomState(drawing))
    plans = plan_skew(
        y[pool],
        skew=skew,
        n_validation=n_validation,
        validation=validation,
        random_state=planning,
    )
    train, held_out = (type(plan)(pool[plan.rows], plan.colour) for plan in plans)
    return Bunch(
        train=build_part(images[train.rows], y, train),
        validation=build_part(images[held_out.rows], y, held_out),
        test=build_test(images[test], y, test),
        target_names=[str(name) for name in digits.target_names],
        sensitive_name="colour",
        DESCR=inspect.getdoc(make_skewed_digits),
    )


def _paint(images, noise, tint, rng):
    """Digits in [0, 1] of shape (n, 8, 8) to pixels of shape (n, 3, 8, 8), in colour."""
    # Drawn whether or not it is used: the same noise at another strength.
    images = np.clip(images + noise * rng.standard_normal(images.shape), 0, 1)
    pixels = np.rint(255 * np.reshape(TINT, (3, 1, 1)) * images[:, None]).astype(np.uint8)
    return pixels if tint else to_gray(pixels)


def _hold_out_test(y, rng):
    """Positions of the test images, as many of each class, and of the others."""
    order = rng.permutation(len(y))
    rank = np.empty(len(y), dtype="int64")
    for label in np.unique(y):
        rank[order[y[order] == label]] = np.arange(np.sum(y == label))
    return np.flatnonzero(rank < N_TEST), np.flatnonzero(rank >= N_TEST)
