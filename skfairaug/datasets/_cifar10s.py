"""CIFAR-10S: ten classes, of which half are mostly gray when a network learns them."""

import inspect
import os
from numbers import Integral, Real

from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from skfairaug._inputs._intervals import Interval
from skfairaug.datasets._cifar10 import CLASSES, open_cifar10
from skfairaug.datasets._skew import build_part, build_test, first_per_class, plan_skew


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "skew": [Interval(Real, 0.5, 1, closed="both")],
        "n_validation": [Interval(Integral, 2, None, closed="left")],
        "validation": [StrOptions({"balanced", "biased"})],
        "random_state": ["random_state"],
        "n_per_class": [Interval(Integral, 1, None, closed="left"), None],
        "n_test_per_class": [Interval(Integral, 1, None, closed="left"), None],
        "download_if_missing": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_cifar10s(
    data_home=None,
    *,
    skew=0.95,
    n_validation=500,
    validation="balanced",
    random_state=0,
    n_per_class=None,
    n_test_per_class=None,
    download_if_missing=True,
):
    """Load CIFAR-10 with skewed colours: even classes mostly gray, odd ones in colour.

    The construction of [1]_. A network that learns from it takes colour for a sign of
    the class and amplifies the skew; the test images, each in colour and in gray, show
    it. Validation images that tell both apart are held out first.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with the files, or whose subfolder `cifar10` has them: Hugging Face's
        `train-00000-of-00001.parquet` and `test-00000-of-00001.parquet`, or the original
        `cifar-10-batches-py` or `cifar-10-python.tar.gz`. None means the environment
        variable SKFAIRAUG_DATA, else `~/skfairaug_data`.
    skew : float, default=0.95
        Share, 0.5 to 1, of a class' training images that are as most of the class; 0.8,
        0.9, 0.95 and 0.99 are the paper's, 0.5 has no bias.
    n_validation : int, default=500
        Training images held out of each class before the rest is skewed, at least 2.
    validation : {"balanced", "biased"}, default="balanced"
        "balanced": half of those are gray. "biased": they are as skewed as the training
        images, and `n_validation` of each class are then drawn with replacement so that
        every cell of class and colour has equally many rows.
    random_state : int, RandomState instance or None, default=0
        Which images are held out and which are gray. None means other ones every time;
        NumPy's global state is neither read nor changed.
    n_per_class : int, default=None
        Training images of a class at most, after the hold-out, for reduced runs; the
        other ones are not decoded.
    n_test_per_class : int, default=None
        Test images of a class at most, the first in the file whatever the seed; each
        comes twice.
    download_if_missing : bool, default=True
        Whether the original archive, 170 MB, is downloaded (needs pooch) into
        `data_home` if no files are found.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        train, validation, test : :class:`~sklearn.utils.Bunch`
            The parts, each with `data`, ndarray of uint8 of shape (n, 3, 32, 32);
            `target`, ndarray of int64 of shape (n,); `sensitive_features`, Series of
            shape (n,), an ordered categorical, gray < colour; and `indices`, ndarray of
            int64 of shape (n,), each image's row in the file. Training and validation
            images are in random order. The test part is the test set in colour, in the
            file's order, and then the same images in gray: rows i and n / 2 + i are a
            pair.
        target_names : list of str
            The classes.
        sensitive_name : str
            "colour".
        DESCR : str
            This text.

    Raises
    ------
    ImportError
        If parquet files are there and pyarrow or Pillow is not installed.
    OSError
        If the files are missing and cannot be downloaded; says where to put them.
    ValueError
        If a parameter is out of its range, or too few images are left for a cell.

    Notes
    -----
    Gray is the luma, see :func:`to_gray`. By default there are 45,000 training images,
    5,000 validation and 20,000 test ones, 215 MB in all.

    Creators: Alex Krizhevsky, Vinod Nair and Geoffrey Hinton; no licence is stated, they
    ask for [2]_ to be cited. The images are a part of the 80 Million Tiny Images, which
    their authors have withdrawn.

    Parquet files hold compressed images. Hugging Face's are PNG and have the original
    pixels; there are copies encoded again as JPEG, which are smoother, and on which
    accuracies differ. Compare only runs on the same files. The order of rows differs
    too, so the same seed holds out other images.

    References
    ----------
    .. [1] Wang et al., "Towards Fairness in Visual Recognition: Effective Strategies for
       Bias Mitigation", CVPR 2020.
    .. [2] Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical
       report, University of Toronto, 2009.

    Examples
    --------
    >>> from skfairaug.datasets import fetch_cifar10s
    >>> cifar = fetch_cifar10s(skew=0.9, n_per_class=100)  # doctest: +SKIP
    >>> cifar.train.data.shape  # doctest: +SKIP
    (1000, 3, 32, 32)
    """
    source = open_cifar10(data_home, download_if_missing=download_if_missing)
    y, y_test = source.labels("train"), source.labels("test")
    train, held_out = plan_skew(
        y,
        skew=skew,
        n_validation=n_validation,
        validation=validation,
        n_per_class=n_per_class,
        random_state=random_state,
    )
    test = first_per_class(y_test, n_test_per_class)
    return Bunch(
        train=build_part(source.images("train", train.rows), y, train),
        validation=build_part(source.images("train", held_out.rows), y, held_out),
        test=build_test(source.images("test", test), y_test, test),
        target_names=list(CLASSES),
        sensitive_name="colour",
        DESCR=inspect.getdoc(fetch_cifar10s),
    )
