"""Checks of labels, groups, cells and tolerances; their error messages are made here."""

from dataclasses import dataclass
from functools import reduce
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

MAX_NUMBERS = 20  # a numeric sensitive feature with more distinct values is continuous


@dataclass(frozen=True, eq=False)
class Groups:
    """Which group each row belongs to.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,), int64
        Group of each row, an index into `names`. Group 0 is the unprivileged one and
        group 1 the privileged one.
    names : tuple of str
        One name per group, every one of which occurs in `codes`.
    """

    codes: np.ndarray
    names: tuple[str, ...]


def encode_groups(sensitive_features, n_samples=None, *, min_groups=2, max_groups=100):
    """Number the groups that one or several sensitive features form.

    Parameters
    ----------
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_features)
        Series, DataFrame, array or list. Several columns merge into intersectional
        groups, of which those that occur are kept.
    n_samples : int, default=None
        Number of rows expected; None accepts any.
    min_groups : int, default=2
        Fewer groups than this are an error.
    max_groups : int, default=100
        More groups than this are an error.

    Returns
    -------
    groups : Groups
        Groups in sorted order of their values (`np.unique`), or in category order for
        an ordered pandas categorical, whose categories without rows are left out.

    Raises
    ------
    ValueError
        If a value is missing, the length is not `n_samples`, there is one group only,
        or a feature is continuous.

    Examples
    --------
    >>> from skfairaug._validation import encode_groups
    >>> encode_groups(["male", "female", "male"])
    Groups(codes=array([1, 0, 1]), names=('female', 'male'))
    >>> encode_groups([["f", 30], ["m", 30], ["f", 60]]).names
    ('f, 30', 'f, 60', 'm, 30')
    """
    columns = _as_columns(sensitive_features)
    _check_rows(columns, n_samples)
    groups = reduce(_merge, [_encode_column(column) for column in columns])
    if len(groups.names) < min_groups:
        raise ValueError(
            f"sensitive_features holds one group, '{groups.names[0]}'; bias is a "
            "difference between groups, so at least two are needed."
        )
    if len(groups.names) > max_groups:
        raise ValueError(
            f"sensitive_features forms {len(groups.names)} groups in "
            f"{len(groups.codes)} rows; at most {max_groups} are accepted. Bin or merge "
            "values, or pass fewer columns."
        )
    return groups


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
    >>> from skfairaug._validation import encode_labels
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
    missing = int(np.sum(pd.isna(np.asarray(y, dtype=object))))
    if missing:
        raise ValueError(f"{name} has {missing} missing value(s) (NaN or None).")
    y = column_or_1d(y, warn=True)
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
    >>> from skfairaug._validation import check_cells
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
    if pos_label is not None and len(classes) > 1 and pos_label not in classes.tolist():
        raise ValueError(
            f"pos_label={pos_label!r} is not a label; expected one of {classes.tolist()}."
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


def named_arrays(X):
    """Return a mapping of names to arrays with a row each; floats become float32.

    Raises
    ------
    ValueError
        If it is empty, lengths differ, or a number is NaN or infinite.
    """
    if not X:
        raise ValueError("X is an empty mapping; at least one array is needed.")
    arrays = {}
    for name, part in X.items():
        part = np.asarray(part)
        if part.dtype.kind == "f":
            if not np.isfinite(part).all():
                raise ValueError(f"X[{name!r}] holds NaN or infinity.")
            part = part.astype(np.float32, copy=False)
        if part.dtype.kind not in "biuf" or part.ndim == 0:
            raise ValueError(
                f"X[{name!r}] must be an array of numbers with a row each; got shape "
                f"{part.shape} and dtype {part.dtype}."
            )
        arrays[name] = part
    check_same_length(**arrays)
    return arrays


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


def column_indices(columns, n_features, names=None, what="sensitive_columns"):
    """Positions of named or numbered columns; None for "auto" and None.

    Raises
    ------
    ValueError
        If a column is not there.
    """
    if columns is None or (isinstance(columns, str) and columns == "auto"):
        return None
    columns = [columns] if isinstance(columns, (str, Integral)) else list(columns)
    known = list(range(n_features)) if names is None else list(names)
    indices = []
    for column in columns:
        if isinstance(column, str) and column in known:
            indices.append(known.index(column))
        elif isinstance(column, Integral) and -n_features <= column < n_features:
            indices.append(int(column) % n_features)
        else:
            raise ValueError(
                f"{what}: {column!r} is not a column of X, which has "
                f"{known if names is not None else f'{n_features} columns without names'}."
            )
    return indices


def groups_from_columns(X, columns):
    """Sensitive features read from columns of X.

    Raises
    ------
    ValueError
        If no columns are named.
    """
    if columns is None:
        raise ValueError(
            "fit needs to know the groups: pass sensitive_features (one value per row), "
            "or name the columns of X that say them with sensitive_columns=[...]."
        )
    return X[:, columns]


def _is_index(value):
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)


def _as_columns(sensitive_features):
    """One pandas Series per sensitive feature."""
    given = sensitive_features
    if given is None:
        raise ValueError(
            "sensitive_features is None; expected a 1-D or 2-D array-like with one row "
            "per sample."
        )
    if isinstance(given, pd.DataFrame):
        columns = [given.iloc[:, i] for i in range(given.shape[1])]
    elif isinstance(given, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)):
        columns = [pd.Series(given)]
    else:
        # Lists go through object: NumPy alone would turn ["a", nan] into strings.
        array = np.asarray(given, dtype=object if isinstance(given, (list, tuple)) else None)
        if array.ndim not in (1, 2):
            raise ValueError(
                "sensitive_features must be 1-D or 2-D with one row per sample; got "
                f"shape {array.shape}."
            )
        array = array[:, None] if array.ndim == 1 else array
        columns = [pd.Series(column).infer_objects() for column in array.T]
    if not columns:
        raise ValueError("sensitive_features has no column; at least one is needed.")
    return columns


def _check_rows(columns, n_samples):
    n_rows = len(columns[0])
    if n_samples is not None and n_rows != n_samples:
        raise ValueError(
            f"sensitive_features has {n_rows} rows but {n_samples} were expected, one "
            "per sample."
        )
    if n_rows == 0:
        raise ValueError("sensitive_features is empty; one row per sample is expected.")
    missing = sum(int(column.isna().sum()) for column in columns)
    if missing:
        raise ValueError(
            f"sensitive_features has {missing} missing value(s) (NaN or None). Drop those "
            "rows, or make 'unknown' a group of its own."
        )


def _encode_column(column):
    if isinstance(column.dtype, pd.CategoricalDtype):
        if column.dtype.ordered:
            column = column.cat.remove_unused_categories()
            names = tuple(str(name) for name in column.cat.categories)
            return Groups(column.cat.codes.to_numpy().astype(np.int64), names)
        column = column.astype(column.cat.categories.dtype)
    try:
        codes, values = pd.factorize(column, sort=True)
    except TypeError as error:  # lists of unequal lengths become objects
        raise ValueError(
            "sensitive_features must hold numbers or strings, rows of equal length; got "
            f"{type(column.iloc[0]).__name__}."
        ) from error
    _check_discrete(column, values)
    return Groups(codes.astype(np.int64), tuple(str(value) for value in values))


def _check_discrete(column, values):
    """Refuse numbers that are measurements rather than codes of groups."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return
    numbers = np.asarray(values, dtype=np.float64)
    mostly_distinct = len(numbers) > max(2, len(column) // 2)
    if len(numbers) > MAX_NUMBERS or (mostly_distinct and np.any(numbers % 1 != 0)):
        raise ValueError(
            f"sensitive_features looks continuous: {len(numbers)} distinct numbers in "
            f"{len(column)} rows, from {numbers.min():g} to {numbers.max():g}, where a few "
            "groups are expected. Bin it, for example with pandas.cut, or pass group "
            "names as strings."
        )


def _merge(left, right):
    """Intersections of two groupings that occur, in lexicographic order."""
    pairs, codes = np.unique(left.codes * len(right.names) + right.codes, return_inverse=True)
    names = (divmod(int(pair), len(right.names)) for pair in pairs)
    names = tuple(f"{left.names[i]}, {right.names[j]}" for i, j in names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"two groups of sensitive_features would be called '{twice}', as values hold "
            "commas: rename them."
        )
    return Groups(codes.astype(np.int64), names)
