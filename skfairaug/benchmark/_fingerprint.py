"""A short name for a run, so that a second call finds what the first one did."""

import functools
import hashlib

import joblib
import torch
from sklearn.base import BaseEstimator

from skfairaug._nets import is_fitted_net, unwrap


def fingerprint(*parts):
    """Sixteen hexadecimal digits that change with any of the parts.

    Parameters
    ----------
    *parts : object
        Estimators count by class and parameters, fitted nets by their weights,
        functions by name, arrays and frames by their values.

    Returns
    -------
    digest : str
        The same in every process.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skfairaug.benchmark._fingerprint import fingerprint
    >>> fingerprint(LogisticRegression()) == fingerprint(LogisticRegression(C=2))
    False
    """
    described = repr([describe(part) for part in parts])
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def describe(value):
    """A value in a form whose ``repr`` does not depend on addresses in memory."""
    if is_fitted_net(value):
        weights = unwrap(value).module_.state_dict()
        arrays = {name: tensor.cpu().numpy() for name, tensor in weights.items()}
        return qualified_name(type(value)), joblib.hash(arrays)
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        return qualified_name(type(value)), describe(params)
    if isinstance(value, dict):
        return [(describe(key), describe(one)) for key, one in sorted(value.items(), key=str)]
    if type(value) in (list, tuple):
        return [describe(one) for one in value]
    if isinstance(value, functools.partial):
        return describe([value.func, value.args, value.keywords])
    if isinstance(value, type) or callable(value):
        return qualified_name(value)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, int | float | str | bool | None):
        return value
    return joblib.hash(value)


def qualified_name(value):
    """Module and name of a class or function; of another callable, those of its class."""
    name = getattr(value, "__qualname__", None)
    if name is None:
        return qualified_name(type(value))
    return f"{value.__module__}.{name}"
