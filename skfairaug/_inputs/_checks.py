"""Checks of labels, cells and tolerances; their error messages are made here."""

from numbers import Integral, Number, Real

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target


def encode_labels(y, name="y"):
    """Number the classes of `y`, of which there must be two or more.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: numbers or strings.
    name : str, default="y"
        What error messages call `y`.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        Class of each row, an index into `classes`.
    classes : ndarray of shape (n_classes,)
        The distinct labels, sorted.

    Raises
    ------
    ValueError
        If a label is missing, the labels are continuous, or there is one class only.

    Examples
    --------
    >>> from skfairaug._inputs._checks import encode_labels
    >>> codes, classes = encode_labels(["no", "yes", "no"])
    >>> codes.tolist(), classes.tolist()
    ([0, 1, 0], ['no', 'yes'])
    """
    y = as_labels(y, name)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"{name} holds one class, {classes[0]!s}; at least two classes are needed."
        )
    return codes.astype(np.int64, copy=False), classes


def as_labels(y, name="y"):
    """Return labels as a 1-D array; a missing label is an error.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Labels: numbers or strings.
    name : str, default="y"
        What error messages call `y`.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The same labels.

    Raises
    ------
    ValueError
        If `y` is not 1-D, is empty, lacks a label or holds continuous numbers.
    """
    if y is None:
        raise ValueError(f"{name} is None; one label per row is expected.")
    if hasattr(y, "__array__") and not hasattr(y, "dtype"):
        y = np.asarray(y)  # what only promises to become an array
    try:
        shape = np.shape(y)
    except ValueError:  # lists of unequal lengths
        shape = ()
    table = len(shape) == 2 and shape[1] != 1
    kind = getattr(getattr(y, "dtype", None), "kind", "O")
    if len(shape) not in (1, 2) or table or kind in "cmMV" or isinstance(y, dict | set):
        raise ValueError(f"{name} must hold one label for each row; got {_short(y)}.")
    missing = int(np.sum(pd.isna(np.asarray(y, dtype=object))))
    if missing:
        raise ValueError(f"{name} has {missing} missing value(s) (NaN or None).")
    y = column_or_1d(y, warn=True)
    if y.dtype == object and {type(label) for label in y} in ({int}, {bool}):
        y = np.array(y.tolist())  # scikit-learn knows no kind of target in numbers as objects
    if len(y) == 0:
        raise ValueError(f"{name} is empty; one label per row is expected.")
    kind = type_of_target(y, input_name=name)
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"Unknown label type: {name} is {kind}, but one label of a class per row is "
            "expected (not probabilities or other scores)."
        )
    return y


def check_same_length(**arrays):
    """Check that all arrays, given by name, have as many rows as the first.

    Raises
    ------
    ValueError
        Naming the array that differs, its length and the one expected.
    """
    (first, expected), *others = ((name, len(array)) for name, array in arrays.items())
    for name, length in others:
        if length != expected:
            raise ValueError(
                f"{name} has {length} rows but {first} has {expected}; lengths must agree."
            )


def check_broadcast(**arrays):
    """Check that arrays, given by name, have shapes that fit each other.

    Raises
    ------
    ValueError
        Naming the arrays and their shapes.
    """
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as error:
        told = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"shapes do not fit each other: {told}.") from error


def check_row_per_label(X, n_samples):
    """Check that X has a row for each label.

    Raises
    ------
    TypeError
        If it is no array, frame or list of rows.
    ValueError
        If it has more rows or fewer.
    """
    shape = getattr(X, "shape", None)
    try:
        n_rows = len(X) if shape is None else shape[0]
    except (TypeError, IndexError) as error:
        raise TypeError(f"X must hold a row for each label; got {_short(X)}.") from error
    if n_rows != n_samples or isinstance(X, str | bytes | dict | set):
        raise ValueError(
            f"X must hold a row for each of the {n_samples} labels; got {_short(X)}."
        )


def check_cells(y_codes, group_codes, class_names, group_names, labels=None):
    """Check that no (label, group) cell is empty.

    Parameters
    ----------
    y_codes, group_codes : ndarray of shape (n_samples,), int
        Class and group of each row.
    class_names, group_names : sequence
        What to call them in the message; their lengths are the numbers of classes and
        groups.
    labels : sequence of int, default=None
        Classes whose cells must hold rows; None means all, () only asks that each
        group does.

    Raises
    ------
    ValueError
        Naming the first group without a row, or the empty cells.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug._inputs._checks import check_cells
    >>> y, groups = np.array([0, 1, 0]), np.array([0, 0, 1])
    >>> check_cells(y, groups, ["bad", "good"], ["f", "m"])
    Traceback (most recent call last):
    ...
    ValueError: No rows with label 'good' in group 'm'; every (label, group) cell...
    """
    n_classes, n_groups = len(class_names), len(group_names)
    cells = np.bincount(y_codes * n_groups + group_codes, minlength=n_classes * n_groups)
    cells = cells.reshape(n_classes, n_groups)
    for group in np.flatnonzero(cells.sum(0) == 0):
        raise ValueError(
            f"No rows in group '{group_names[group]}'; every group needs at least one."
        )
    labels = range(n_classes) if labels is None else labels
    empty = [(label, g) for label in labels for g in range(n_groups) if not cells[label, g]]
    if empty:
        named = ", ".join(
            f"label '{class_names[label]}' in group '{group_names[g]}'" for label, g in empty
        )
        raise ValueError(
            f"No rows with {named}; every (label, group) cell that is measured needs at "
            "least one. Merge groups, or give more data."
        )


def is_label(value):
    """Whether a value can be a label: a number or a text, not an array of them."""
    return isinstance(value, str | bytes | Number | np.generic)


def check_pos_label(pos_label, classes):
    """Check that the positive label, if given, is a class, and that it is if it must be.

    Raises
    ------
    ValueError
        If `pos_label` is no class, or None where there is one class only.
    """
    if pos_label is None and len(classes) == 1:
        raise ValueError(
            f"y_true and y_pred hold one label, '{classes[0]}'; pass pos_label to say "
            "which label is the positive one."
        )
    if pos_label is None:
        return
    if not is_label(pos_label) or (len(classes) > 1 and pos_label not in classes.tolist()):
        raise ValueError(
            f"pos_label={_short(pos_label)} is not a label; expected one of {classes.tolist()}."
        )


def check_labels_present(y_codes, class_names):
    """Check that every class occurs.

    Raises
    ------
    ValueError
        Naming the class without rows: balanced accuracy needs a recall of each.
    """
    sizes = np.bincount(y_codes, minlength=len(class_names))
    for label in np.flatnonzero(sizes == 0):
        raise ValueError(
            f"No rows with label '{class_names[label]}'; balanced accuracy needs every class."
        )


def check_scores(score):
    """Check that no score is NaN.

    Raises
    ------
    ValueError
        Saying how many are.
    """
    missing = int(np.isnan(score).sum())
    if missing:
        raise ValueError(f"score has {missing} NaN among {len(score)} values.")


def check_tolerance(tolerance):
    """Check that a tolerance lies in (0, 1].

    Raises
    ------
    ValueError
        If it does not; it is compared with a difference of two rates.
    """
    if not _is_number(tolerance) or not 0 < tolerance <= 1:
        raise ValueError(
            f"tolerance must be a number in (0, 1], the bound on a difference of two "
            f"rates; got {tolerance!r}."
        )


def check_caution(caution):
    """Check that a caution, a number of standard errors, is finite and not negative.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not _is_number(caution) or not 0 <= caution < np.inf:
        raise ValueError(
            f"caution must be a number of standard errors, 0 or more; got {caution!r}."
        )


def check_number(value, name, low, high, *, open_ends=False):
    """Check that a value is a number of an interval; True and NaN are none.

    Raises
    ------
    ValueError
        If it is not.
    """
    inside = _is_number(value) and (low < value < high if open_ends else low <= value <= high)
    if not inside:
        ends = f"({low:g}, {high:g})" if open_ends else f"[{low:g}, {high:g}]"
        raise ValueError(f"{name} must be a number in {ends}; got {value!r}.")


def check_whole(value, name, least):
    """Check that a value is a whole number, not below a least one; True is none.

    Raises
    ------
    ValueError
        If it is not.
    """
    integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not integer or not least <= value < 2**31:  # NumPy and torch count no further
        raise ValueError(f"{name} must be a whole number, {least} or more; got {value!r}.")


def check_switch(value, name):
    """Check that a value is True or False.

    Raises
    ------
    TypeError
        If it is not.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {value!r}.")


def as_numbers(values, name, low=-np.inf, high=np.inf, *, missing=False):
    """Return numbers as a float64 array.

    Parameters
    ----------
    values : float or array-like
        Numbers.
    name : str
        What error messages call them.
    low, high : float, default=-inf, inf
        Ends of the interval that they are from.
    missing : bool, default=False
        Whether NaN may stand among them.

    Returns
    -------
    numbers : ndarray
        The same numbers.

    Raises
    ------
    ValueError
        If one is no number or lies outside.
    """
    try:
        array = np.asarray(values)
        numeric = array.dtype.kind in "iuf" or array.size == 0
    except ValueError:  # lists of unequal lengths
        numeric = False
    if not numeric:
        raise ValueError(f"{name} must hold numbers; got {_short(values)}.")
    array = array.astype(np.float64)
    outside = ~((array >= low) & (array <= high))
    if missing:
        outside &= ~np.isnan(array)
    if outside.any():
        bounds = "" if low == -np.inf and high == np.inf else f" in [{low:g}, {high:g}]"
        raise ValueError(
            f"{name} must hold numbers{bounds}; got {array[outside].ravel()[0]:g}."
        )
    return array


def as_codes(values, name, n_codes=None):
    """Return codes of classes or groups, 0 and up, as a 1-D int64 array.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Whole numbers.
    name : str
        What error messages call them.
    n_codes : int, default=None
        How many codes there are; None takes any.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        The same numbers.

    Raises
    ------
    ValueError
        If they are not 1-D, none at all, or one is no code.
    """
    try:
        array = np.asarray(values)
        fits = array.ndim == 1 and array.size > 0 and array.dtype.kind in "biu"
    except ValueError:  # lists of unequal lengths
        fits = False
    last = "" if n_codes is None else f" to {n_codes - 1}"
    if not fits:
        raise ValueError(
            f"{name} must hold a whole number, from 0{last}, for each row; got "
            f"{_short(values)}."
        )
    array = array.astype(np.int64)
    outside = array[(array < 0) | (array >= (np.inf if n_codes is None else n_codes))]
    if len(outside):
        raise ValueError(f"{name} must hold whole numbers from 0{last}; got {outside[0]}.")
    return array


def check_held_out(held_out, n_samples):
    """Return a bool array that says which rows the network was not trained on.

    Raises
    ------
    ValueError
        If it is not one bool per row, or marks no row.
    """
    if held_out is None:
        return np.ones(n_samples, dtype=bool)
    held_out = np.asarray(held_out)
    if held_out.shape != (n_samples,) or not np.isin(held_out, (0, 1)).all():
        raise ValueError(
            f"held_out must hold True or False for each of the {n_samples} rows; got "
            f"shape {held_out.shape} and dtype {held_out.dtype}."
        )
    held_out = held_out.astype(bool)
    if not held_out.any():
        raise ValueError(
            "held_out marks no row: epoch and threshold must be chosen on rows that the "
            "network was not trained on."
        )
    return held_out


def check_group_rows(group_codes, group_names):
    """Check that every group has two rows, one of which can be left out.

    Raises
    ------
    ValueError
        Naming the first group that has fewer.
    """
    sizes = np.bincount(group_codes, minlength=len(group_names))
    for group in np.flatnonzero(sizes < 2):
        rows = "one row" if sizes[group] else "no row"
        raise ValueError(
            f"sensitive_features has {rows} in group '{group_names[group]}'; every group "
            "needs at least two, as what is said of one row is learned from the others. "
            "Merge groups, or give more data."
        )


def check_group_estimator(group_estimator):
    """Check that the classifier of the groups, if given, can be fitted and gives probabilities.

    Raises
    ------
    TypeError
        If it is a class, is no classifier or lacks `predict_proba`.
    """
    if group_estimator is None:
        return
    if isinstance(group_estimator, type):
        raise TypeError(
            f"group_estimator must be an instance, not the class {group_estimator.__name__}."
        )
    wanted = ("fit", "predict_proba", "get_params")
    missing = [name for name in wanted if not hasattr(group_estimator, name)]
    if missing or not is_classifier(group_estimator):
        lacks = f" has no {' and no '.join(missing)}" if missing else " is no classifier"
        raise TypeError(
            "group_estimator must be a scikit-learn classifier with predict_proba, or None; "
            f"{type(group_estimator).__name__}{lacks}."
        )


def check_training_rows(cells, kept, spent):
    """Check that an unfitted net can be trained on `spent` and debiased on `kept`.

    Raises
    ------
    ValueError
        If a (label, group) cell is missing from either part.
    """
    wanted = set(np.unique(cells).tolist())
    for rows, use in ((spent, "train"), (kept, "debias")):
        missing = wanted - set(np.unique(cells[rows]).tolist())
        if missing:
            raise ValueError(
                f"The estimator is not fitted, and {len(cells)} rows are too few to "
                f"train it and debias it on different rows: {len(rows)} rows to {use} it "
                f"miss {len(missing)} of the {len(wanted)} (label, group) cells. Give "
                "more rows, or a fitted net."
            )


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)


def _short(value):
    """What came, in few words."""
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape):
        dtype = f" and dtype {value.dtype}" if hasattr(value, "dtype") else ""
        return f"{type(value).__name__} of shape {tuple(shape)}{dtype}"
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:50]}..."
