"""One network with outputs for every group: the module of the domain rivals."""

import torch
from torch import nn

from skfairaug._inputs._encoder import find_head
from skfairaug._inputs._rows import at, on_device


class DomainHeads(nn.Module):
    """A network whose last layer has the classes' outputs once for every group.

    In training mode it gives them all, group by group; in evaluation mode those of
    the classes, by `combine`.

    Parameters
    ----------
    module : nn.Module
        Gives n_groups * n_classes logits.
    n_groups : int
        Number of groups.
    combine : callable
        From logits (n_samples, n_groups, n_classes) to (n_samples, n_classes). An instance
        of a class of its own, so that it can be pickled.
    """

    def __init__(self, module, n_groups, combine):
        super().__init__()
        self.module = module
        self.n_groups = n_groups
        self.combine = combine

    def forward(self, *args, **kwargs):
        """Logits of all groups in training, of the classes otherwise."""
        logits = self.module(*args, **kwargs)
        if self.training:
            return logits
        return self.combine(logits.unflatten(1, (self.n_groups, -1)))


def add_heads(net, X, n_classes, n_groups, combine):
    """Replace the last layer of an initialised net by one with outputs for every group.

    Parameters
    ----------
    net : skorch.NeuralNet
        Changed in place.
    X : rows on the host
        A few of them find the last layer.
    n_classes, n_groups : int
        What the new layer has outputs for.
    combine : callable
        See :class:`DomainHeads`.

    Raises
    ------
    ValueError
        If the net's criterion does not take logits.
    """
    if not isinstance(net.criterion_, nn.CrossEntropyLoss):
        raise ValueError(
            "a network with outputs for every group needs the criterion CrossEntropyLoss, "
            f"which takes logits; this net has {type(net.criterion_).__name__}."
        )
    head = find_head(net, at(on_device(net, X), torch.arange(2)))
    if not isinstance(head, nn.Linear):
        raise ValueError(
            "a network with outputs for every group needs an nn.Linear layer as its last; this "
            f"one ends in {type(head).__name__}."
        )
    (name,) = (name for name, part in net.module_.named_modules() if part is head)
    parent, _, own = name.rpartition(".")
    new = nn.Linear(head.in_features, n_classes * n_groups, head.bias is not None)
    module = net.module_
    if name:
        setattr(module.get_submodule(parent), own, new.to(head.weight))
    else:
        module = new.to(head.weight)
    # Not by setattr, which in skorch registers what a user adds to a class.
    vars(net)["module_"] = DomainHeads(module, n_groups, combine)
