"""Rows without the columns that say the group: the case of a group that cannot be seen."""

import numpy as np
import pandas as pd

from skfairaug._inputs._groups import encode_groups

#: What stands between a column's name and its value in the name of a one-hot column.
SEPARATORS = ("=", "_")


def without_sensitive(X, sensitive_features):
    """Rows without the columns that follow from the groups.

    Parameters
    ----------
    X : ndarray or DataFrame of shape (n_samples, n_features)
        Rows of a table.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row. The names of a Series or a DataFrame count.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_samples, n_kept)
        The other columns, in their order.

    Raises
    ------
    ValueError
        If X is not a table, or has no such column.

    Notes
    -----
    A column leaves if each group (of each sensitive feature, and of their intersections) has
    one value in it, if it has the name of a sensitive feature, or if it is one of that
    feature's one-hot columns: ``sex=Male`` or ``sex_Male``, holding two values.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfairaug.benchmark._sensitive import without_sensitive
    >>> X = pd.DataFrame({"sex_f": [1, 0, 1], "age": [30, 40, 50]})
    >>> without_sensitive(X, pd.Series(["f", "m", "f"], name="sex")).columns.tolist()
    ['age']
    """
    if np.ndim(X) != 2:
        raise ValueError(
            f"drop_sensitive needs a table of rows and columns; X has shape {np.shape(X)}."
        )
    frame = pd.DataFrame(X)
    sensitive = pd.DataFrame(sensitive_features)
    named = {str(name) for name in sensitive} if _has_names(sensitive_features) else set()
    groups = encode_groups(sensitive_features, len(frame), min_groups=1).codes
    gone = [
        _is_named(name, frame[name], named) or _follows(frame[name], groups) for name in frame
    ]
    if not any(gone):
        raise ValueError(
            "drop_sensitive: no column of X says the group, neither by its name nor by having "
            "one value per group; pass drop_sensitive=False."
        )
    kept = np.flatnonzero(~np.asarray(gone))
    return X.iloc[:, kept] if isinstance(X, pd.DataFrame) else np.asarray(X)[:, kept]


def _has_names(sensitive_features):
    if isinstance(sensitive_features, pd.Series):
        return sensitive_features.name is not None
    return isinstance(sensitive_features, pd.DataFrame)


def _is_named(name, column, sensitive):
    """Whether a column is a sensitive feature or one of its one-hot columns."""
    name = str(name)
    if name in sensitive:
        return True
    child = any(name.startswith(one + sep) for one in sensitive for sep in SEPARATORS)
    return child and column.nunique() <= 2


def _follows(column, groups):
    """Whether a column holds one value per group, and not the same in all."""
    # A value that is missing in one group only says the group too.
    values = column.groupby(groups).nunique(dropna=False)
    return column.nunique(dropna=False) > 1 and values.max() == 1
