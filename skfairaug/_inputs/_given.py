"""Rows as the caller gives them, checked and brought into one of three forms.

An array, a mapping of names to arrays (the module's keyword arguments), or a torch Dataset
that is fetched when its rows are needed.  Whatever else comes becomes one of them: frames,
lists and tensors are arrays, a frame whose columns are the module's arguments is a mapping,
and a Dataset whose rows have one axis (of a table, or of tokens) is read into an array once.
"""

import inspect
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy.sparse import issparse
from sklearn.utils.validation import (
    _check_feature_names,
    check_array,
    check_X_y,
    validate_data,
)
from torch.utils.data import DataLoader, Dataset, Subset

from skfairaug._inputs._checks import as_labels, check_same_length

#: What rows are cast to unless they are one of them: float64 holds integers up to 2^53.
FLOATS = (np.float64, np.float32)

#: Rows of a data set of a table that are read at once.
READ_ROWS = 4096

_NONE = "no_validation"


def is_dataset(X):
    """Whether `X` is a torch Dataset, whose rows are fetched when they are needed."""
    return isinstance(X, Dataset)


def is_named(X):
    """Whether `X` holds arrays by name. (One kind of sparse matrix is a mapping too.)"""
    return isinstance(X, Mapping) and not issparse(X)


def is_array(X):
    """Whether `X`, once checked, is one array."""
    return not (is_dataset(X) or is_named(X))


def holds_integers(X):
    """Whether `X` is an array of integers, or a tensor of them."""
    if isinstance(X, torch.Tensor):
        return not (X.is_floating_point() or X.is_complex())
    return isinstance(X, np.ndarray) and X.dtype.kind in "iu"


def number_of_rows(X):
    """How many rows `X` has, of whatever kind."""
    return len(next(iter(X.values()))) if is_named(X) and X else len(X)


def writable(X):
    """An array that may be written to, since torch warns of another, as of frames' values."""
    return X.copy() if isinstance(X, np.ndarray) and not X.flags.writeable else X


def in_precision_of(X, made):
    """What was made of rows `X` by a net, in their own precision where they are floats."""
    floats = is_array(X) and X.dtype.kind == "f"
    return made.astype(X.dtype, copy=False) if floats else made


def take(X, rows):
    """Rows on the host at integer positions: of an array, frame, mapping or data set."""
    if is_dataset(X):
        return Subset(X, np.asarray(rows).tolist())
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    if is_named(X):
        return {name: np.asarray(part)[rows] for name, part in X.items()}
    return X[rows]


def collected(X):
    """`X`, or an array where it is a Dataset whose rows have one axis, which is read."""
    if not is_dataset(X) or not len(X) or np.ndim(_row(X[0])) != 1:
        return X
    return np.concatenate([_row(part).numpy() for part in DataLoader(X, READ_ROWS)])


def _row(item):
    """The features in what a Dataset gives: a row, or a pair of a row and anything."""
    return item[0] if isinstance(item, (tuple, list)) else item


def check_rows(estimator, X, y=_NONE, *, types, module=None, named=True, reset=True):
    """Check rows, and in fit labels; remember their shape in fit and compare it after.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_`, and `feature_names_in_` where X has names.
    X : array-like, DataFrame, mapping of str to arrays, or torch Dataset
        Rows.
    y : array-like of shape (n_samples,), default="no_validation"
        Labels; given in fit.
    types : callable
        ``types(X)`` lists the NumPy types that the rows may keep, the one they are cast to
        otherwise first.
    module : nn.Module, default=None
        What they are for; None where they are for another classifier, which takes one array.
    named : bool, default=True
        Whether the columns are those that the caller gave, whose names and number are kept.
    reset : bool, default=True
        Whether this is fit, which remembers.

    Returns
    -------
    X : ndarray, dict of str to ndarray, or torch Dataset
        Checked rows.
    y : ndarray of shape (n_samples,)
        Checked labels, where they are given.
    """
    X = collected(X)
    by_name = isinstance(getattr(estimator, "_row_shape", None), dict)
    if takes_columns(module, X) if reset else by_name and isinstance(X, pd.DataFrame):
        _check_feature_names(estimator, X, reset=reset)
        X = by_column(X)
    with_labels = not isinstance(y, str)
    if not is_array(X):
        if module is None:
            raise TypeError(
                f"X is a {type(X).__name__}, and this {type(estimator).__name__} takes a "
                "table: give an array or a DataFrame."
            )
        X = named_arrays(X, types(X)[0]) if is_named(X) else X
        _check_shape(estimator, X, reset)
        if not with_labels:
            return X
        y = as_labels(y)
        check_same_length(X=range(number_of_rows(X)), y=y)
        return X, y
    if by_name and not reset:
        _check_shape(estimator, np.asarray(X), reset)  # which it cannot have
    X = np.asarray(X) if holds_integers(X) else X
    given = {"dtype": list(types(X)), "allow_nd": True, "reset": reset}
    with np.errstate(over="ignore"):  # an infinity is refused below, with its reason
        validate = validate_data if named else _validate_unnamed
        checked = validate(estimator, X, y, **given)
    X = checked[0] if with_labels else checked
    check_size(X)
    _check_shape(estimator, X, reset)
    return checked


def _validate_unnamed(estimator, X, y, *, reset, **given):
    """Rows behind the steps of a Pipeline, whose columns are not the caller's."""
    if isinstance(y, str):
        return check_array(X, estimator=estimator, **given)
    return check_X_y(X, y, estimator=estimator, **given)


def check_size(X, name="X"):
    """Refuse numbers that a network's float32 cannot hold, and whose squares overflow.

    Raises
    ------
    ValueError
        Naming the largest.
    """
    if X.dtype != np.float64 or not X.size:
        return
    largest = max(X.max(), -X.min())
    if largest > np.finfo(np.float32).max:
        raise ValueError(
            f"{name} holds a number of size {largest:.3g}, too large for float32, in which "
            "models compute. Standardise the columns, or mend the number."
        )


def _check_shape(estimator, X, reset):
    """Remember the shape of a row in fit; compare it with that of fit after."""
    shape = row_shape(X)
    if reset:
        estimator._row_shape = shape
        return
    expected = getattr(estimator, "_row_shape", shape)
    if shape != expected:
        raise ValueError(
            f"X has rows of shape {_in_words(shape)}, but {type(estimator).__name__} was "
            f"fitted on rows of shape {_in_words(expected)}."
        )


def row_shape(X):
    """Shape of a row; of several arrays by name, the shape in each."""
    if is_dataset(X):
        X = _row(X[0])
        X = {k: np.asarray(v)[None] for k, v in X.items()} if is_named(X) else X[None]
    if is_named(X):
        return {name: tuple(part.shape[1:]) for name, part in X.items()}
    return tuple(X.shape[1:])


def _in_words(shape):
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{k!r}: {v}" for k, v in shape.items()) + "}"
    return str(shape)


def named_arrays(X, floats=np.float32):
    """Return a mapping of names to arrays with a row each; floats are cast to one type.

    Raises
    ------
    ValueError
        If it is empty, lengths differ, or a number is NaN, infinite or too large.
    """
    if not X:
        raise ValueError("X is an empty mapping; at least one array is needed.")
    arrays = {}
    for name, part in X.items():
        part = np.asarray(part)
        if part.dtype.kind not in "biuf" or part.ndim == 0:
            raise ValueError(
                f"X[{name!r}] must be an array of numbers with a row each; got shape "
                f"{part.shape} and dtype {part.dtype}."
            )
        if part.dtype.kind == "f":
            if not np.isfinite(part).all():
                raise ValueError(f"X[{name!r}] holds NaN or infinity.")
            check_size(part, f"X[{name!r}]")
            part = part.astype(floats, copy=False)
        arrays[name] = part
    check_same_length(**arrays)
    return arrays


def takes_columns(module, X):
    """Whether X is a frame whose columns are a module's arguments, as skorch hands them over.

    Parameters
    ----------
    module : nn.Module
        Its ``forward`` names what it takes, or takes anything by name and nothing else.
    X : object
        Rows.

    Returns
    -------
    takes : bool
        False for an array, for one thing.
    """
    if module is None or not isinstance(X, pd.DataFrame):
        return False
    parameters = inspect.signature(module.forward).parameters.values()
    if any(one.kind == one.VAR_POSITIONAL for one in parameters):
        return False
    by_name = {
        one.name: one.default is one.empty
        for one in parameters
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    anything = any(one.kind == one.VAR_KEYWORD for one in parameters)
    if not by_name:
        return anything
    needed = {name for name, required in by_name.items() if required}
    return needed <= set(X) and (anything or set(X) <= by_name.keys())


def by_column(X):
    """A frame as skorch hands it to a module: an array of one column for each name."""
    return {name: X[name].to_numpy().reshape(-1, 1) for name in X}
