"""A short name for a run, so that a second call finds what the first one did."""

import functools
import hashlib
import types
import uuid

import joblib
import numpy as np
import pandas as pd
import torch
from joblib.memory import MemorizedFunc, NotMemorizedFunc
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.history import History

from skfairaug._inputs._models import is_fitted_net

#: Callables that their name tells.
NAMED = type | types.FunctionType | types.BuiltinFunctionType


def fingerprint(*parts):
    """Sixteen hexadecimal digits that change with any of the parts.

    Parameters
    ----------
    *parts : object
        Estimators count by class, parameters and what they have learnt, nets by
        parameters, layers and weights, functions by name (remembered by joblib or not),
        other callables by class and attributes, arrays and frames by their values,
        however they lie in memory. An object that cannot be pickled is never the same
        again.

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
    try:
        described = repr([describe(part) for part in parts])
    except RecursionError:  # an object that holds itself
        described = uuid.uuid4().hex
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def describe(value):
    """A value in a form whose ``repr`` does not depend on addresses in memory."""
    if isinstance(value, int | float | str | bool | None):
        return value
    if isinstance(value, torch.Tensor | np.ndarray | pd.Series | pd.DataFrame):
        return _describe_array(value)
    if isinstance(value, dict):
        return [(describe(key), describe(one)) for key, one in sorted(value.items(), key=str)]
    if isinstance(value, list | tuple):
        return [describe(one) for one in value]
    if isinstance(value, NAMED):
        return qualified_name(value)
    if isinstance(value, functools.partial):
        return describe([value.func, value.args, value.keywords])
    if isinstance(value, MemorizedFunc | NotMemorizedFunc):
        return describe(value.func)  # wherever its results are kept
    if isinstance(value, types.MethodType):
        return describe([value.__func__, value.__self__])
    state = _state(value)
    if state is not None:
        return qualified_name(type(value)), describe(state)
    try:
        return joblib.hash(value)
    except Exception:  # noqa: BLE001  pickle raises anything: better again than wrong
        return uuid.uuid4().hex


def qualified_name(value):
    """Module and name of a class or function; of another callable, those of its class."""
    name = getattr(value, "__qualname__", None)
    if name is None:
        return qualified_name(type(value))
    return f"{value.__module__}.{name}"


def _state(value):
    """What tells an object from others of its class; None where only pickle can say."""
    net = value.estimator if isinstance(value, FrozenEstimator) else value
    if isinstance(net, NeuralNet) and is_fitted_net(net):  # the rest is history
        return net.get_params(deep=False), net.module_
    if isinstance(value, torch.nn.Module):
        return [(name, type(part), _settings(part)) for name, part in value.named_modules()], (
            value.state_dict()
        )
    if isinstance(value, Callback):
        return value.get_params(deep=False)
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        learnt = {name: one for name, one in vars(value).items() if name not in params}
        # A history holds seconds, which no second training repeats.
        return params, {k: v for k, v in learnt.items() if not isinstance(v, History)}
    return getattr(value, "__dict__", None) if callable(value) else None


def _settings(module):
    """Attributes of a layer other than its weights, parts and mode."""
    public = {name: one for name, one in vars(module).items() if name[0] != "_"}
    return {name: one for name, one in public.items() if name != "training"}


def _describe_array(value):
    """Type, shape and digest of the values, column by column where there are columns."""
    if isinstance(value, pd.DataFrame):
        return [(describe(name), _describe_array(column)) for name, column in value.items()]
    if isinstance(value, pd.Series):
        if isinstance(value.dtype, pd.CategoricalDtype):
            categories = value.cat.categories.to_numpy()
            return value.cat.ordered, describe(categories), describe(value.cat.codes)
        hashes = pd.util.hash_pandas_object(value, index=False)
        return str(value.dtype), _describe_array(hashes.to_numpy())
    kind, shape = str(value.dtype), tuple(value.shape)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().reshape(-1).view(torch.uint8).numpy()
    if value.dtype.hasobject:
        return shape, describe(value.tolist())
    content = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return kind, shape, hashlib.sha256(content).hexdigest()
