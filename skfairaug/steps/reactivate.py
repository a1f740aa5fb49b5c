"""Step 2, reactivation: give the masked-out weights a new start."""

import copy

import torch
from torch import nn

from skfairaug._inputs._docstrings import cites_paper
from skfairaug._inputs._rows import n_rows

_NORMALISATION = (nn.modules.batchnorm._BatchNorm,)


@cites_paper
@torch.no_grad()
def reactivate(module, masks, *, scale=0.0):
    r"""Re-draw the weights that the mask removed; the others stay. In place.

    Parameters
    ----------
    module : torch.nn.Module
        The network to change.
    masks : dict of str to Tensor
        Parameter name (``"layer.weight"``) -> binary mask; 0 is re-drawn.
    scale : float, default=0.0
        Factor on the draw from the layer's own initialiser
        (``layer.reset_parameters``); 0 starts from zero.

    Returns
    -------
    module : torch.nn.Module
        The same object.

    Raises
    ------
    ValueError
        If a layer to be re-drawn has no ``reset_parameters``.

    Notes
    -----
    :math:`\theta \leftarrow M \odot \theta + (1 - M) \odot s\,\theta_0`,
    with :math:`\theta_0` a fresh draw and s the `scale`. Uses torch's global
    generator, as ``reset_parameters`` does.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import reactivate
    >>> layer = torch.nn.Linear(2, 1)
    >>> _ = reactivate(layer, {"weight": torch.tensor([[1.0, 0.0]])})
    >>> layer.weight[0, 1].item()
    0.0
    """
    layers = dict(module.named_modules())
    for name, mask in masks.items():
        layer = layers[name.removesuffix("weight").removesuffix(".")]
        fresh = torch.zeros_like(layer.weight)
        if scale != 0.0:
            twin = copy.deepcopy(layer)
            if not hasattr(twin, "reset_parameters"):
                raise ValueError(
                    f"layer {name!r} has no reset_parameters() to re-draw its weights "
                    "from; use reinit_scale=0."
                )
            twin.reset_parameters()
            fresh = scale * twin.weight
        layer.weight.copy_(torch.where(mask > 0, layer.weight, fresh))
    return module


@torch.no_grad()
def reestimate_batchnorm(module, forward, batches):
    """Recompute the running statistics of BatchNorm from data. In place.

    Parameters
    ----------
    module : torch.nn.Module
        The network; only its BatchNorm layers change, and nothing else is put in
        training mode.
    forward : callable
        Runs the network on one batch.
    batches : iterable of Tensor
        Rows on the natural distribution, in random order: a batch counts by its rows,
        and the variance between batches is not seen.

    Returns
    -------
    module : torch.nn.Module
        The same object.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import reestimate_batchnorm
    >>> norm = torch.nn.BatchNorm1d(1).eval()
    >>> _ = reestimate_batchnorm(norm, norm, [torch.tensor([[1.0], [3.0]])])
    >>> norm.running_mean
    tensor([2.])
    """
    norms = [m for m in module.modules() if isinstance(m, _NORMALISATION)]
    norms = [m for m in norms if m.track_running_stats]
    if not norms:
        return module
    before = [(m.momentum, m.training) for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    seen = 0
    try:
        for batch in batches:
            size = n_rows(batch)
            seen += size
            for norm in norms:
                norm.momentum = size / seen
            forward(batch)
    finally:
        for norm, (momentum, training) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.training = training
    return module
