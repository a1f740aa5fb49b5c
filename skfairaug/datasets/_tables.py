"""From a raw table to features, target and sensitive features, as AIF360 cuts them."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions

#: Parameter constraints that all fetchers share.
FETCHER_CONSTRAINTS = {
    "data_home": [str, os.PathLike, None],
    "sensitive": [str, list, tuple],
    "encode": [StrOptions({"onehot"}), None],
    "download_if_missing": ["boolean"],
    "return_X_y": ["boolean"],
}


@dataclass(frozen=True)
class Grouping:
    """How the column of a sensitive feature splits the rows in two.

    Attributes
    ----------
    names : tuple of (str, str)
        The unprivileged group, then the privileged one.
    privileged : callable
        From the column, a Series, to a bool Series that is True for the privileged.
    """

    names: tuple[str, str]
    privileged: Callable[[pd.Series], pd.Series]


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    column : str
        Column of the raw table.
    favourable : tuple
        Its values that count as the favourable outcome, which is 1.
    name : str
        Name of the resulting Series.
    names : tuple of (str, str)
        What 0 and 1 mean.
    """

    column: str
    favourable: tuple
    name: str
    names: tuple[str, str]


def check_sensitive(sensitive, groupings):
    """Check the names of the sensitive features that are asked for.

    Parameters
    ----------
    sensitive : str or list of str
        One name or several.
    groupings : dict of str to Grouping
        The features that the data set has.

    Raises
    ------
    ValueError
        If a name is unknown or repeated, or none is given.
    """
    names = [sensitive] if isinstance(sensitive, str) else list(sensitive)
    unknown = [name for name in names if not isinstance(name, str) or name not in groupings]
    if unknown or not names or len(set(map(str, names))) < len(names):
        raise ValueError(
            f"sensitive must be one or several different names of {sorted(groupings)}; "
            f"got {sensitive!r}."
        )


def build_bunch(frame, *, target, groupings, sensitive, encode, return_X_y, descr):
    """Split a raw table into what a fetcher returns.

    Parameters
    ----------
    frame : DataFrame
        Raw columns in AIF360's order, the target's among them; rows with a missing
        value are left out.
    target : Target
        What is predicted.
    groupings : dict of str to Grouping
        The sensitive features, by column.
    sensitive : str or list of str
        Those asked for.
    encode : {"onehot"} or None
        Whether `data` is AIF360's numeric frame or has categoricals.
    return_X_y : bool
        Whether to return a tuple instead.
    descr : str
        Text about the data set.

    Returns
    -------
    bunch : Bunch or tuple of (DataFrame, Series, Series or DataFrame)
        See `fetch_adult`.
    """
    frame = frame.dropna().reset_index(drop=True)
    y = frame[target.column].isin(target.favourable).astype("int64").rename(target.name)
    features = frame.drop(columns=target.column)
    if isinstance(sensitive, str):
        groups = group_rows(features[sensitive], groupings[sensitive])
    else:
        groups = pd.DataFrame(
            {name: group_rows(features[name], groupings[name]) for name in sensitive}
        )
    if encode == "onehot":
        data = encode_onehot(features, groupings)
    else:
        data = features.astype(dict.fromkeys(_text_columns(features), "category"))
    if return_X_y:
        return data, y, groups
    return Bunch(
        data=data,
        target=y,
        sensitive_features=groups,
        feature_names=list(data.columns),
        target_names=list(target.names),
        sensitive_names=list(groupings),
        DESCR=descr,
    )


def group_rows(column, grouping):
    """Return the group of each row.

    Parameters
    ----------
    column : Series
        Raw column of the sensitive feature.
    grouping : Grouping
        How it splits.

    Returns
    -------
    groups : Series
        Ordered categorical, the unprivileged group first; same index and name.
    """
    codes = grouping.privileged(column).astype("int8")
    values = pd.Categorical.from_codes(codes, categories=list(grouping.names), ordered=True)
    return pd.Series(values, index=column.index, name=column.name)


def encode_onehot(features, groupings):
    """Make all columns numeric the way AIF360's StandardDataset does.

    Parameters
    ----------
    features : DataFrame
        Numeric and text or categorical columns without missing values.
    groupings : dict of str to Grouping
        Sensitive features, each of which becomes one column with 1 for the privileged.

    Returns
    -------
    numeric : DataFrame of float64
        Numeric and sensitive columns in their order, then one column `name=value` per
        value of each other column, values sorted.
    """
    split = {name: rule.privileged(features[name]) for name, rule in groupings.items()}
    texts = [name for name in _text_columns(features) if name not in groupings]
    features = features.assign(**split)
    return pd.get_dummies(features, columns=texts, prefix_sep="=").astype("float64")


def _text_columns(frame):
    return [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
