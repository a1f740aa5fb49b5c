"""A short name for the weights of a model and for what it decides by."""

import hashlib

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from torch import nn

from skfairaug._engine._export import Deployable
from skfairaug._engine._signature import plain_module
from skfairaug._inputs._models import is_fitted_net, unwrap


def model_fingerprint(model):
    """Sixteen hexadecimal digits that change with any weight, and with the cut-off.

    Parameters
    ----------
    model : estimator or torch.nn.Module
        A fitted classifier of this package over a net, a fitted net, a module, or a Pipeline
        that ends in one.

    Returns
    -------
    fingerprint : str or None
        The same in every process and on every device, after :func:`~skfairaug.load` too; it
        stands in the file that :func:`~skfairaug.save` writes and on the page of an audit.
        None of a model without a network.

    Notes
    -----
    The exported module has another one than the classifier, as its last bias is another.

    Examples
    --------
    >>> import torch
    >>> from skfairaug import model_fingerprint
    >>> layer = torch.nn.Linear(2, 1)
    >>> before = model_fingerprint(layer)
    >>> with torch.no_grad():
    ...     _ = layer.bias.add_(1)
    >>> model_fingerprint(layer) == before
    False
    """
    if isinstance(model, Pipeline):
        model = model[-1]
    decision = {}
    if isinstance(model, Deployable):
        numbers = model._decision().items()
        decision = {name: torch.as_tensor(one, dtype=torch.float64) for name, one in numbers}
        model = model._served_net()
    model = unwrap(model)
    if is_fitted_net(model) and not isinstance(model, nn.Module):
        model = plain_module(model)
    if not isinstance(model, nn.Module):
        return None
    return digest(model.state_dict() | decision)[:16]


def digest(tensors, text=""):
    """SHA-256 of tensors by name, in the order of the names, and of a text."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = torch.as_tensor(tensors[name]).detach().cpu().contiguous()
        found.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(np.asarray(tensor.reshape(-1).view(torch.uint8)))
    return found.hexdigest()
