"""A net's parts: its representation, its head, its layers."""

import torch

from skfairaug._inputs._models import plain, predict_log_proba, uncompiled


def find_head(net, X, layer=None):
    """Return the net's last linear layer: what comes before it is the encoder f'.

    The last ``nn.Linear`` *executed* in a forward pass, or the module called
    `layer` (a name as in ``module.named_modules()``).
    """
    if layer is not None:
        return find_layer(net, layer)
    modules = dict(plain(net.module_).named_modules())
    executed = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: executed.append(module))
        for module in modules.values()
        if isinstance(module, torch.nn.Linear)
    ]
    try:
        with uncompiled(net):
            predict_log_proba(net, X.first(2))
    finally:
        for hook in hooks:
            hook.remove()
    if not executed:
        raise ValueError(
            "the net has no nn.Linear layer, so its representation is not known. "
            "Name the layer whose input is the representation: layer='...', one of "
            f"{sorted(name for name in modules if name)}."
        )
    return executed[-1]


def weight_layers(module):
    """Linear and convolutional layers with a trainable weight of their own, in order."""
    kinds = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
    layers = [part for part in module.modules() if isinstance(part, kinds)]
    weights = [part._parameters.get("weight") for part in layers]
    layers = [
        layer
        for layer, weight in zip(layers, weights, strict=True)
        if weight is not None and weight.requires_grad
    ]
    if not layers:
        raise ValueError(
            "the net has no linear or convolutional layer with a trainable weight of its own."
        )
    return layers


def find_layer(net, layer, what="layer"):
    """Return the module called `layer`, a name as in ``module.named_modules()``."""
    modules = dict(plain(net.module_).named_modules())
    if layer not in modules:
        raise ValueError(
            f"{what}={layer!r} is not a module of the net; it has "
            f"{sorted(name for name in modules if name)}."
        )
    return modules[layer]


class Encoder:
    """The net up to its head: ``encoder(X)`` is the representation f'(X).

    Stops the forward pass at the head, so a representation costs no more than
    the layers below it.
    """

    class _Reached(Exception):
        pass

    def __init__(self, net, head):
        self.net = net
        self.head = head

    def __call__(self, X):
        seen = []

        def stop(module, inputs):
            seen.append(inputs[0])
            raise Encoder._Reached

        hook = self.head.register_forward_pre_hook(stop)
        try:
            with uncompiled(self.net):
                self.net.infer(X)
        except Encoder._Reached:
            pass
        finally:
            hook.remove()
        return seen[0].flatten(1).float()

    @torch.no_grad()
    def all_rows(self, X):
        """Representations of all rows, without gradient."""
        return torch.cat([self(part) for part in X.chunks()])
