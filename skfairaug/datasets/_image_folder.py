"""Folders of face images with a table that describes them."""

import inspect
import os
import re
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params
from torch.utils.data import Dataset

from skfairaug._inputs._intervals import Interval
from skfairaug.datasets._decode import decode_image, decode_images

#: age_gender_race_date.jpg, with or without ".chip" before the ending.
UTKFACE_NAME = re.compile(r"(\d+)_([01])_([0-4])_\d+(\.chip)?\.(jpg|png)", re.IGNORECASE)

UTKFACE_GENDERS = ("Male", "Female")

UTKFACE_RACES = ("White", "Black", "Asian", "Indian", "Other")


@validate_params(
    {
        "folder": [str, os.PathLike],
        "table": [pd.DataFrame, str, os.PathLike, None],
        "target": [str, callable, "array-like"],
        "sensitive": [str, callable, "array-like"],
        "path": [str],
        "size": [Interval(Integral, 1, None, closed="left"), None],
        "as_dataset": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def read_image_folder(
    folder, table=None, *, target, sensitive, path="file", size=None, as_dataset=False
):
    """Read images from a folder, with targets and groups from a table.

    Serves the layouts of FairFace [1]_, which has tables with the columns file, age,
    gender and race, and of UTKFace [2]_, which has all this in the names of its files.

    Parameters
    ----------
    folder : str or path-like
        What the paths of the images are relative to.
    table : DataFrame, str or path-like, default=None
        One row per image, or the CSV file with it. None makes it of file names such as
        `25_1_0_20170116174525125.jpg`, in sorted order: columns file, age (years), gender
        (Male, Female) and race (White, Black, Asian, Indian, Other). Names that do not
        follow the pattern are left out; UTKFace itself has a few.
    target : str, callable or array-like of shape (n_samples,)
        Column of the table, a function of the table, or the labels themselves, in its
        order.
    sensitive : str, list of str, callable or array-like of shape (n_samples,)
        The same for the groups; a list of columns gives a DataFrame. Make it an ordered
        categorical to say which group is the unprivileged one, the first; else the values
        are sorted, False before True.
    path : str, default="file"
        Column of the table with the paths.
    size : int, default=None
        Height and width to which the largest square in the middle of an image is scaled.
        None keeps the images, which must then be of one size.
    as_dataset : bool, default=False
        Whether `data` is a torch Dataset that reads an image when it is asked for, for
        what does not fit in memory.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        data : ndarray of uint8 of shape (n_samples, 3, height, width), or Dataset
            Images. The Dataset gives pairs of a Tensor of uint8 and an int, the label.
        target : ndarray of int64 of shape (n_samples,)
            Labels as positions in `target_names`.
        sensitive_features : Series of shape (n_samples,) or DataFrame
            Ordered categoricals.
        files : ndarray of str of shape (n_samples,)
            Paths relative to `folder`.
        target_names : list
            The values of the target, sorted, or the categories of a categorical.
        DESCR : str
            This text.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If images are missing; says how many and which is the first.
    ValueError
        If a column is missing, a length is wrong, a value is missing, no image is there,
        or, with `size=None`, two images differ in size.

    Notes
    -----
    FairFace is published under CC BY 4.0, UTKFace for research that is not commercial.
    Age, gender and race in both are what others saw in a face or what a network guessed,
    not what the persons say. Images that were scaled or encoded again give other results:
    compare only runs on the same files.

    References
    ----------
    .. [1] Kärkkäinen, Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender,
       and Age for Bias Measurement and Mitigation", WACV 2021.
    .. [2] Zhang, Song, Qi, "Age Progression/Regression by Conditional Adversarial
       Autoencoder", CVPR 2017.

    Examples
    --------
    >>> from skfairaug.datasets import read_image_folder
    >>> faces = read_image_folder(
    ...     "UTKFace",
    ...     target=lambda table: table["age"] >= 30,
    ...     sensitive=lambda table: table["race"] == "White",
    ...     size=64,
    ... )  # doctest: +SKIP
    >>> faces = read_image_folder(
    ...     "fairface", "fairface/fairface_label_val.csv", target="gender", sensitive="race"
    ... )  # doctest: +SKIP
    """
    folder = Path(folder).expanduser()
    if table is None:
        table = _table_of_names(folder)
    elif not isinstance(table, pd.DataFrame):
        table = pd.read_csv(table)
    files = _values(table, path, "path").to_numpy(dtype=str)
    y, target_names = encode_labels(_values(table, target, "target"))
    groups = _groups(table, sensitive)
    part = image_part(folder, files, y, groups, size=size, as_dataset=as_dataset)
    descr = inspect.getdoc(read_image_folder)
    return Bunch(**part, target_names=target_names, DESCR=descr)


class ImageFiles(Dataset):
    """Images that are read from their files when they are asked for.

    Parameters
    ----------
    paths : ndarray of str of shape (n_samples,)
        The files.
    target : ndarray of int64 of shape (n_samples,)
        Labels.
    size : int, default=None
        See `read_image_folder`.
    """

    def __init__(self, paths, target, size=None):
        self.paths = paths
        self.target = target
        self.size = size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        image = np.ascontiguousarray(decode_image(str(self.paths[row]), self.size))
        return torch.from_numpy(image), int(self.target[row])


def image_part(folder, files, target, groups, *, size, as_dataset):
    """Read the images of a part, or prepare for reading them.

    Parameters
    ----------
    folder : Path
        What `files` are relative to.
    files : ndarray of str of shape (n_samples,)
        Paths.
    target : ndarray of int64 of shape (n_samples,)
        Labels.
    groups : Series or DataFrame of n_samples rows
        Sensitive features.
    size : int or None
        See `read_image_folder`.
    as_dataset : bool
        Whether to return a Dataset.

    Returns
    -------
    part : Bunch
        With `data`, `target`, `sensitive_features` and `files`.

    Raises
    ------
    OSError
        If a file is missing.
    """
    paths = np.array([os.path.join(folder, file) for file in files], dtype=str)
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise OSError(f"{len(missing)} of {len(paths)} images not found, first {missing[0]}.")
    data = ImageFiles(paths, target, size) if as_dataset else decode_images(paths, size)
    return Bunch(data=data, target=target, sensitive_features=groups, files=files)


def encode_labels(values):
    """Labels as numbers.

    Parameters
    ----------
    values : Series of shape (n_samples,)
        Without missing values.

    Returns
    -------
    codes : ndarray of int64 of shape (n_samples,)
        Positions in `names`.
    names : list
        The values, sorted, or the categories of a categorical.
    """
    categorical = values.astype("category").cat
    return categorical.codes.to_numpy(dtype="int64"), categorical.categories.tolist()


def _table_of_names(folder):
    """What the names of UTKFace's files say."""
    found = [UTKFACE_NAME.fullmatch(name) for name in sorted(os.listdir(folder))]
    rows = [
        (match[0], int(match[1]), UTKFACE_GENDERS[int(match[2])], UTKFACE_RACES[int(match[3])])
        for match in found
        if match
    ]
    return pd.DataFrame(rows, columns=["file", "age", "gender", "race"])


def _groups(table, sensitive):
    several = isinstance(sensitive, list | tuple) and all(
        isinstance(name, str) and name in table for name in sensitive
    )
    if several:
        return pd.DataFrame({name: _groups(table, name) for name in sensitive})
    return _values(table, sensitive, "sensitive").astype("category").cat.as_ordered()


def _values(table, wanted, parameter):
    """A column, what a function makes of the table, or an array in its order; checked."""
    if len(table) == 0:
        raise ValueError("the table has no rows, or no file name says age, gender and race.")
    if isinstance(wanted, str):
        if wanted not in table:
            raise ValueError(
                f"{parameter}={wanted!r} is no column of the table; it has {list(table)}."
            )
        values = table[wanted]
    else:
        values = pd.Series(wanted(table) if callable(wanted) else wanted)
    if len(values) != len(table):
        raise ValueError(
            f"{parameter} has {len(values)} entries, the table has {len(table)} rows."
        )
    if values.isna().any():
        raise ValueError(
            f"{parameter} has {values.isna().sum()} missing values; leave those rows out."
        )
    return values.reset_index(drop=True)
