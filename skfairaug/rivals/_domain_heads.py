"""One network with outputs for every group: what the domain rivals share."""

import torch
from torch import nn

from skfairaug._engine._parameters import parameters
from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._encoder import find_head
from skfairaug._inputs._models import check_output, plain
from skfairaug._inputs._rows import on_device
from skfairaug.rivals._trained_anew import TrainedAnew


@parameters
class DomainRival(TrainedAnew):
    """Base of the rivals whose net has the classes' outputs once for every group.

    A subclass implements ``_combine(rows)``, which says how classes follow from them.

    Parameters
    ----------
    estimator : skorch net
        NeuralNetClassifier with any module and the criterion CrossEntropyLoss. A clone of
        it is trained from new weights, whether or not it is fitted.

    Attributes
    ----------
    net_ : skorch net
        The network, in evaluation mode, whose module gives classes.

    References
    ----------
    .. [1] Wang, Qinami, Karakozis, Genova, Nair, Hata, Russakovsky, "Towards Fairness in
       Visual Recognition: Effective Strategies for Bias Mitigation", CVPR 2020.
    """

    def _change_net(self, net, rows):
        shape = len(self.classes_), len(rows.groups.names)
        add_heads(net, rows.X, *shape, self._combine(rows))


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

    def forward(self, *args, by_group=False, **kwargs):
        """Logits of all groups in training, of the classes otherwise; or group by group."""
        logits = self.module(*args, **kwargs)
        if self.training:
            return logits
        logits = logits.unflatten(1, (self.n_groups, -1))
        return logits if by_group else self.combine(logits)


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
    criterion = plain(net.criterion_)
    if not isinstance(criterion, nn.CrossEntropyLoss):
        raise ValueError(
            "a network with outputs for every group needs the criterion CrossEntropyLoss, "
            f"which takes logits; this net has {type(criterion).__name__}."
        )
    X = on_device(net, X)
    check_output(net, X, n_classes)
    head = find_head(net, X)
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


@torch.no_grad()
def log_proba_by_group(net, X):
    """Class log-probabilities (n_samples, n_groups, n_classes) by each group's outputs."""
    with evaluating(net.module_):
        logits = [net.infer(part, by_group=True).float() for part in X.chunks()]
    return torch.cat(logits).log_softmax(-1)
