"""Which group each row belongs to: sensitive features in any form, numbered."""

from dataclasses import dataclass
from functools import reduce
from numbers import Integral

import numpy as np
import pandas as pd

MAX_NUMBERS = 20  # a numeric sensitive feature with more distinct values is continuous


@dataclass(frozen=True, eq=False)
class Groups:
    """Which group each row belongs to.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,), int64
        Group of each row, an index into `names`; -1 where it is not known. Group 0 is the
        unprivileged one and group 1 the privileged one.
    names : tuple of str
        One name per group, every one of which occurs in `codes`.
    """

    codes: np.ndarray
    names: tuple[str, ...]


def encode_groups(
    sensitive_features, n_samples=None, *, min_groups=2, max_groups=100, missing="error"
):
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
    missing : {"error", "infer"}, default="error"
        What a missing value is: an error, or a row whose group is not known and may be
        inferred.

    Returns
    -------
    groups : Groups
        Groups in sorted order of their values (`np.unique`), or in category order for
        an ordered pandas categorical, whose categories without rows are left out.

    Raises
    ------
    ValueError
        If a value is missing (with "infer": of all rows), the length is not `n_samples`,
        there is one group only, or a feature is continuous.

    Examples
    --------
    >>> from skfairaug._inputs._groups import encode_groups
    >>> encode_groups(["male", "female", "male"])
    Groups(codes=array([1, 0, 1]), names=('female', 'male'))
    >>> encode_groups([["f", 30], ["m", 30], ["f", 60]]).names
    ('f, 30', 'f, 60', 'm, 30')
    """
    columns = _as_columns(sensitive_features)
    _check_rows(columns, n_samples)
    known = ~np.any([column.isna() for column in columns], axis=0)
    _check_missing(columns, known, missing)
    groups = reduce(_merge, [_encode_column(_where(column, known)) for column in columns])
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
    codes = np.full(len(known), -1, dtype=np.int64)
    codes[known] = groups.codes
    return Groups(codes, groups.names)


def known_groups(sensitive_features, n_samples, names, asking):
    """Number the groups of rows to predict as `fit` has numbered them.

    A batch may lack groups, and may hold them in another type: 1 and 1.0 are one group.

    Parameters
    ----------
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_features)
        As in `encode_groups`.
    n_samples : int
        Number of rows expected.
    names : sequence of str
        Names of the groups that `fit` has seen.
    asking : str
        What needs them, for the message where `sensitive_features` is None.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        Group of each row, an index into `names`.

    Raises
    ------
    ValueError
        If it is None, a value is missing or the length is not `n_samples`, or if there is
        a group that is not among `names`.

    Examples
    --------
    >>> from skfairaug._inputs._groups import known_groups
    >>> known_groups([2.0, 2.0], 2, ("1", "2"), "this model")
    array([1, 1])
    """
    if sensitive_features is None:
        raise ValueError(
            f"{asking} needs the group of every row to predict: "
            "predict(X, sensitive_features=...)."
        )
    columns = _as_columns(sensitive_features)
    _check_rows(columns, n_samples)
    _check_missing(columns, ~np.any([column.isna() for column in columns], axis=0), "error")
    # Neither the number of groups nor their values are judged: fit has done so.
    groups = reduce(_merge, [_number(column) for column in columns])
    unknown = [name for name in groups.names if name not in names]
    if unknown:
        raise ValueError(
            f"sensitive_features holds groups {unknown} that fit has not seen; it saw "
            f"{list(names)}."
        )
    return np.array([names.index(name) for name in groups.names])[groups.codes]


def check_same_order(X, **others):
    """Refuse what has X's own index in another order, as rows are told by their position.

    Parameters
    ----------
    X : object
        Rows.
    **others : object
        What else has a value per row, by its name.

    Raises
    ------
    ValueError
        If both have an index of the same labels, each of which occurs once, and the order
        differs.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfairaug._inputs._groups import check_same_order
    >>> X, sex = pd.DataFrame({"age": [30, 40]}), pd.Series(["f", "m"], index=[1, 0])
    >>> check_same_order(X, sensitive_features=sex)
    Traceback (most recent call last):
    ...
    ValueError: sensitive_features has the index of X in another order, and rows are told...
    """
    index = _index_of(X)
    if index is None or not index.is_unique:
        return
    for name, other in others.items():
        own = _index_of(other)
        if own is None or len(own) != len(index) or own.equals(index):
            continue
        if own.is_unique and index.isin(own).all():
            raise ValueError(
                f"{name} has the index of X in another order, and rows are told by their "
                f"position: pass {name}.loc[X.index], or {name}.to_numpy() if the positions "
                "are right and the labels are not."
            )


def _index_of(values):
    return values.index if isinstance(values, (pd.DataFrame, pd.Series)) else None


def column_indices(columns, X, names=None, what="sensitive_columns"):
    """Positions of named or numbered columns; None for "auto" and None.

    Parameters
    ----------
    columns : "auto", None, str, int or list of them
        Columns.
    X : ndarray of shape (n_samples, n_features), or rows of another kind
        Rows, which have columns if they are a table.
    names : sequence of str, default=None
        Names of the columns.
    what : str, default="sensitive_columns"
        What error messages call `columns`.

    Returns
    -------
    indices : list of int, or None
        Positions.

    Raises
    ------
    ValueError
        If a column is not there, or X has no columns.
    """
    if columns is None or (isinstance(columns, str) and columns == "auto"):
        return None
    if getattr(X, "ndim", None) != 2:
        raise ValueError(
            f"{what} names columns of X, and X is no table: pass sensitive_features, one "
            "value per row."
        )
    n_features = X.shape[1]
    listed = isinstance(columns, list | tuple) or getattr(columns, "ndim", 0) == 1
    if isinstance(columns, bool) or not (listed or isinstance(columns, str | Integral)):
        raise ValueError(
            f'{what} must be "auto", or a list of names or positions of columns of X; got '
            f"{columns!r}."
        )
    columns = list(columns) if listed else [columns]
    if not columns:
        raise ValueError(f'{what} is empty; name columns of X, or leave "auto".')
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


def _check_missing(columns, known, missing):
    if known.all() or (missing == "infer" and known.any()):
        return
    number = sum(int(column.isna().sum()) for column in columns)
    remedy = "Drop those rows, or make 'unknown' a group of its own."
    if missing == "infer":
        remedy = "The groups can only be inferred from rows that have one."
    raise ValueError(
        f"sensitive_features has {number} missing value(s) (NaN or None). {remedy}"
    )


def _where(column, known):
    """The known part of a column; whole numbers that a NaN made floats are whole again."""
    if known.all():
        return column
    column = column[known].infer_objects()
    if column.dtype.kind == "f" and (column % 1 == 0).all():
        column = column.astype(np.int64)
    return column


def _encode_column(column):
    groups = _number(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        if column.dtype.ordered:  # a scale that the user has cut into steps
            return groups
        column = column.astype(column.cat.categories.dtype)
    _check_discrete(column)
    return groups


def _number(column):
    """Groups of a column in the order of its values, or of an ordered categorical."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        if column.dtype.ordered:
            column = column.cat.remove_unused_categories()
            names = tuple(_name(value) for value in column.cat.categories)
            return Groups(column.cat.codes.to_numpy().astype(np.int64), names)
        column = column.astype(column.cat.categories.dtype)
    try:
        codes, values = pd.factorize(column, sort=True)
    except TypeError as error:  # lists of unequal lengths become objects
        raise ValueError(
            "sensitive_features must hold numbers or strings, rows of equal length; got "
            f"{type(column.iloc[0]).__name__}."
        ) from error
    return Groups(codes.astype(np.int64), tuple(_name(value) for value in values))


def _name(value):
    """What a group is called; a whole number the same whether it came as float or not."""
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _check_discrete(column):
    """Refuse numbers that are measurements rather than codes of groups."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return
    numbers = np.unique(column.to_numpy(dtype=np.float64))
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
