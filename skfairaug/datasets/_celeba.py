"""CelebA: faces of celebrities with forty attributes."""

import inspect
import os
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skfairaug._inputs._intervals import Interval
from skfairaug.datasets._files import get_data_home
from skfairaug.datasets._image_folder import image_part

PARTITIONS = ("train", "validation", "test")

#: What is needed, and where the publisher, torchvision and Kaggle have it.
PLACES = {
    "list_attr_celeba": ("list_attr_celeba.txt", "list_attr_celeba.csv"),
    "list_eval_partition": ("list_eval_partition.txt", "list_eval_partition.csv"),
    "img_align_celeba": ("img_align_celeba/img_align_celeba", "img_align_celeba"),
}

#: Where the lists are to be had.
AGAIN = "Get the lists again from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html."

SUBFOLDERS = ("", "Anno", "Eval", "Img")


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "target": [str],
        "sensitive": [str, "array-like"],
        "dark_from": [Real, None],
        "size": [Interval(Integral, 1, None, closed="left"), None],
        "partition": [str, list, tuple],
        "n_per_partition": [Interval(Integral, 1, None, closed="left"), None],
        "as_dataset": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_celeba(
    data_home=None,
    *,
    target="Smiling",
    sensitive="Male",
    dark_from=4,
    size=None,
    partition=PARTITIONS,
    n_per_partition=None,
    as_dataset=False,
):
    """Load CelebA: an attribute of a face, by another attribute or by skin tone.

    202,599 aligned photographs of 178 x 218 pixels in three partitions that share no
    person. They must be on disk: a program cannot download them.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder with `img_align_celeba`, `list_attr_celeba.txt` and
        `list_eval_partition.txt`, or whose subfolder `celeba` has them; Kaggle's `.csv`
        and the publisher's subfolders `Anno`, `Eval` and `Img` are understood. None means
        the environment variable SKFAIRAUG_DATA, else `~/skfairaug_data`.
    target : str, default="Smiling"
        Attribute to predict, 1 for a face that has it.
    sensitive : str, list of str, or array-like of shape (n_images,), default="Male"
        Attribute that makes the groups, or several. Or a value per image, such as a score
        of its skin tone: a Series whose index holds names of files goes by these, anything
        else has one entry per image, in the order of the list of attributes. Images whose
        value is missing are left out.
    dark_from : float, default=4
        Scores from here on are dark, the unprivileged group: on the Fitzpatrick scale, 1
        to 6, types 4 and above. None takes the values of an array as they are, as is
        always done with what are not numbers. Not used with attributes.
    size : int, default=None
        Height and width to which the largest square in the middle of an image is scaled;
        None keeps 218 x 178 pixels.
    partition : str or list of str, default=("train", "validation", "test")
        Which partitions to return.
    n_per_partition : int, default=None
        Images of a partition at most, the first in the list.
    as_dataset : bool, default=False
        Whether `data` is a torch Dataset that reads an image when it is asked for. As an
        array, all images at `size=64` take 2.5 GB, at full size 24 GB.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like, with attributes:

        train, validation, test : :class:`~sklearn.utils.Bunch`
            The partitions, each with `data`, ndarray of uint8 of shape
            (n, 3, height, width), or a Dataset of pairs of a Tensor of uint8 and an int,
            the label; `target`, ndarray of int64 of shape (n,); `sensitive_features`,
            Series of shape (n,) or, for a list, DataFrame; and `files`, ndarray of str of
            shape (n,). Groups are ordered categoricals, the first unprivileged: "not
            Male" < "Male", "dark" < "light", other values sorted.
        target_names : list of str
            What 0 and 1 mean.
        sensitive_names : list of str
            Names of the sensitive features.
        DESCR : str
            This text.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If files are missing or lists are damaged; says where to get them and where they go.
    ValueError
        If an attribute or a partition is unknown, an array has the wrong length, or the
        scores put all images in one group.

    Notes
    -----
    CelebA [1]_ is for research that is not commercial, and its images may not be passed
    on. The attributes are what annotators saw, not what the persons say. It has no skin
    tones: bring your own scores. That types 4 to 6 are one group follows [2]_. Copies that
    were scaled or encoded again give other results: compare only runs on the same files.

    References
    ----------
    .. [1] Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
    .. [2] Zhang, Bao, Pei, Huang, "Toward Unified Data and Algorithm Fairness via
       Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022.

    Examples
    --------
    >>> from skfairaug.datasets import fetch_celeba
    >>> faces = fetch_celeba(target="Young", size=64)  # doctest: +SKIP
    >>> faces.validation.data.shape  # doctest: +SKIP
    (19867, 3, 64, 64)
    """
    wanted = _check_partitions(partition)
    places = _find_files(get_data_home(data_home))
    attributes = _read_attributes(places["list_attr_celeba"])
    parts = _read_partitions(places["list_eval_partition"])
    _check_lists(attributes, parts, places)
    parts = parts.reindex(attributes.index)
    groups = _groups(attributes, target, sensitive, dark_from)
    known = groups.notna().all(axis=1) if groups.ndim == 2 else groups.notna()
    y = (attributes[target] > 0).astype("int64")
    bunch = Bunch(
        target_names=[f"not {target}", target],
        sensitive_names=list(groups) if groups.ndim == 2 else [groups.name],
        DESCR=inspect.getdoc(fetch_celeba),
    )
    for name in wanted:
        rows = np.flatnonzero((parts == PARTITIONS.index(name)) & known)[:n_per_partition]
        if len(rows) == 0:
            raise ValueError(f"the partition {name!r} has no images whose group is known.")
        bunch[name] = image_part(
            places["img_align_celeba"],
            attributes.index[rows].to_numpy(dtype=str),
            y.iloc[rows].to_numpy(),
            groups.iloc[rows].reset_index(drop=True),
            size=size,
            as_dataset=as_dataset,
        )
    return bunch


def _check_partitions(partition):
    names = [partition] if isinstance(partition, str) else list(partition)
    if not names or len(set(names)) < len(names) or not set(names) <= set(PARTITIONS):
        raise ValueError(
            f"partition must be one or several different names of {list(PARTITIONS)}; "
            f"got {partition!r}."
        )
    return names


def _find_files(home):
    """Path of each of PLACES, all under one folder."""
    missing = {}
    for folder in (home / "celeba", home):
        found = {name: _first_there(folder, names) for name, names in PLACES.items()}
        missing[folder] = [name for name, path in found.items() if path is None]
        if not missing[folder]:
            return found
    folder = min(missing, key=lambda folder: len(missing[folder]))
    names = "; ".join(" or ".join(PLACES[name]) for name in missing[folder])
    raise OSError(
        f"not found in {folder}: {names}. CelebA is offered on Google Drive, where a program "
        "cannot fetch it: get it from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and "
        "unpack it there, or name another folder with `data_home` or the environment "
        "variable SKFAIRAUG_DATA."
    )


def _first_there(folder, spellings):
    paths = (Path(folder, sub, name) for name in spellings for sub in SUBFOLDERS)
    return next((path for path in paths if path.exists()), None)


def _read_attributes(path):
    """1 and -1 by file and attribute."""
    if path.suffix == ".csv":
        return pd.read_csv(path, index_col=0)
    # The first line counts the rows; the names in the second have none for the files.
    with path.open(encoding="utf-8") as file:
        expected = file.readline().strip()
    frame = pd.read_csv(path, sep=r"\s+", skiprows=1) if expected.isdigit() else None
    if frame is None or len(frame) != int(expected) or frame.iloc[:, -1].isna().any():
        found = "no number in its first line" if frame is None else f"{len(frame)} whole rows"
        raise OSError(f"{path} is damaged: {found}, expected {expected[:20]}. {AGAIN}")
    return frame


def _read_partitions(path):
    """0, 1 or 2 by file."""
    if path.suffix == ".csv":
        return pd.read_csv(path, index_col=0).iloc[:, 0]
    return pd.read_csv(path, sep=r"\s+", header=None, index_col=0).iloc[:, 0]


def _check_lists(attributes, parts, places):
    """Check that the two lists are of the same images: each may have lost its end."""
    if not parts.isin(range(len(PARTITIONS))).all() or len(parts) != len(attributes):
        raise OSError(
            f"{places['list_attr_celeba']} lists {len(attributes)} images and "
            f"{places['list_eval_partition']} puts {int(parts.isin(range(3)).sum())} in a "
            f"partition: one of them is damaged. {AGAIN}"
        )
    unknown = attributes.index.difference(parts.index)
    if len(unknown):
        raise OSError(
            f"{places['list_eval_partition']} has no partition for {len(unknown)} images, "
            f"such as {unknown[0]}. {AGAIN}"
        )


def _groups(attributes, target, sensitive, dark_from):
    """Groups of all images; missing ones are missing."""
    named = isinstance(sensitive, str) or (
        isinstance(sensitive, list | tuple) and all(isinstance(s, str) for s in sensitive)
    )
    names = [sensitive] if isinstance(sensitive, str) else list(sensitive) if named else []
    unknown = [name for name in [target, *names] if name not in attributes]
    if unknown or target in names or (named and not names):
        raise ValueError(
            "target and sensitive must be different attributes, of "
            f"{list(attributes)}; got target={target!r}, sensitive={names}."
        )
    if not named:
        return _groups_of_values(_align(sensitive, attributes.index), dark_from)
    groups = {name: _split(attributes[name] > 0, (f"not {name}", name)) for name in names}
    return groups[sensitive] if isinstance(sensitive, str) else pd.DataFrame(groups)


def _align(values, files):
    """A Series of values by file, in the order of the files."""
    if isinstance(values, pd.Series) and values.index.isin(files).any():
        return values.reindex(files)
    if len(values) != len(files):
        raise ValueError(
            f"sensitive has {len(values)} entries; expected one for each of the {len(files)} "
            "images of the list, or a Series whose index holds names of files."
        )
    values = values.reset_index(drop=True) if isinstance(values, pd.Series) else values
    return pd.Series(values, name=getattr(values, "name", None)).set_axis(files)


def _groups_of_values(values, dark_from):
    values = values.rename("skin_tone" if values.name is None else values.name)
    numeric = pd.api.types.is_numeric_dtype(values) and values.dtype != bool
    if dark_from is None or not numeric:
        return values.astype("category").cat.as_ordered()
    values = values.astype("float64")
    light = (values < dark_from).astype("float64").where(values.notna())
    if light.nunique() < 2:
        raise ValueError(
            f"dark_from={dark_from:g} puts all scores, {values.min():g} to "
            f"{values.max():g}, in one group; dark_from=None takes values as groups."
        )
    return _split(light, ("dark", "light"))


def _split(privileged, names):
    codes = privileged.astype("float64").fillna(-1).astype("int8")
    groups = pd.Categorical.from_codes(codes, categories=list(names), ordered=True)
    return pd.Series(groups, index=privileged.index, name=privileged.name)
