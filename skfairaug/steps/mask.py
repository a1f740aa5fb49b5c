"""Step 2, mask: find the fair sub-structure of a frozen network (Eq. 11-12)."""

import torch
from torch import nn
from torch.func import functional_call

from skfairaug._inputs._docstrings import cites_paper

START_LOGIT = 3.0  # sigmoid(3) = 0.95: every weight is kept at the start


class _StraightThrough(torch.autograd.Function):
    """1[sigmoid(m) > 0.5] forward, the gradient of sigmoid(m) backward."""

    @staticmethod
    def forward(ctx, logits):
        ctx.save_for_backward(logits)
        return (logits > 0).to(logits.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        (logits,) = ctx.saved_tensors
        soft = torch.sigmoid(logits)
        return grad_output * soft * (1 - soft)


def binary_mask(logits):
    """Binary mask of mask logits, with straight-through gradients.

    Parameters
    ----------
    logits : Tensor
        The continuous m of Eq. 12.

    Returns
    -------
    mask : Tensor
        1 where sigmoid(m) > 0.5, else 0; its gradient is that of sigmoid(m).

    References
    ----------
    .. [1] Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through
       Stochastic Neurons for Conditional Computation", arXiv:1308.3432, 2013.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import binary_mask
    >>> binary_mask(torch.tensor([-1.0, 2.0]))
    tensor([0., 1.])
    """
    return _StraightThrough.apply(logits)


def start_mask(module):
    """Mask logits that keep every weight of every linear and convolutional layer.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Biases and normalisation layers are never masked.

    Returns
    -------
    logits : dict of str to Tensor
        Parameter name -> logits of its shape, all 3.0, ready to be trained. A weight
        that several layers share is masked once, under its first name. Where
        some parameters require a gradient, those that do not have no mask.

    Raises
    ------
    ValueError
        If the network has no such weight.

    Examples
    --------
    >>> from torch import nn
    >>> from skfairaug.steps import start_mask
    >>> list(start_mask(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))))
    ['0.weight']
    """
    layers = (nn.Linear, nn.modules.conv._ConvNd)
    names = (
        f"{name}.weight" if name else "weight"
        for name, layer in module.named_modules()
        if isinstance(layer, layers)
    )
    # named_parameters lists a shared weight once.
    weights = dict(module.named_parameters())
    tunable = {name: weight for name, weight in weights.items() if weight.requires_grad}
    weights = tunable or weights  # a net frozen as a whole keeps its weights, not its mask
    logits = {
        name: torch.full_like(weights[name], START_LOGIT, requires_grad=True)
        for name in names
        if name in weights
    }
    if not logits:
        raise ValueError(
            "the network has no linear or convolutional layer with a weight of its own, "
            "so there is nothing to mask; leave the step out."
        )
    return logits


def density(masks):
    r"""Share of the maskable weights that the masks keep, :math:`\|M\|_0 / N`.

    Parameters
    ----------
    masks : dict of str to Tensor
        Binary masks; one budget for all layers.

    Returns
    -------
    density : Tensor, scalar
        Differentiable where the masks are.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import density
    >>> density({"a": torch.tensor([1.0, 0.0]), "b": torch.ones(2)})
    tensor(0.7500)
    """
    kept = torch.stack([mask.sum() for mask in masks.values()]).sum()
    return kept / sum(mask.numel() for mask in masks.values())


@cites_paper
def sparsity_penalty(masks, target=0.9):
    r"""Log-sparsity budget: zero once the density is at or below its target.

    Parameters
    ----------
    masks : dict of str to Tensor
        Binary masks.
    target : float, default=0.9
        The paper's tau, in (0, 1].

    Returns
    -------
    penalty : Tensor, scalar
        :math:`R = \log(\max(\|M\|_0/N, \tau)/\tau)`.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import sparsity_penalty
    >>> sparsity_penalty({"a": torch.ones(4)}, target=0.5)
    tensor(0.6931)
    """
    return torch.log(density(masks).clamp_min(target) / target)


def masked_forward(module, masks, *args, **kwargs):
    r"""Output of the masked network, :math:`f(X; \theta \odot M)`; `module` is untouched.

    Parameters
    ----------
    module : torch.nn.Module
        The frozen network.
    masks : dict of str to Tensor
        Parameter name -> binary mask.
    *args, **kwargs : Tensor of shape (n_samples, ...)
        What the module takes: rows, or several arrays by name.

    Returns
    -------
    output : Tensor
        What `module` would return with its weights multiplied by the masks.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import masked_forward
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> masked_forward(layer, {"weight": torch.zeros(1, 2)}, torch.ones(1, 2)).item()
    0.0
    """
    weights = dict(module.named_parameters())
    masked = {name: weights[name] * mask.to(weights[name]) for name, mask in masks.items()}
    return functional_call(module, masked, args, kwargs)
