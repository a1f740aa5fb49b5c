"""A net's parts: its representation, its head, its layers."""

import torch

from skfairaug._inputs._models import plain, predict_log_proba, uncompiled


def find_head(net, X):
    """Return the net's last layer: what comes before it is the encoder f'.

    The last ``nn.Linear`` *executed* in a forward pass. A net without one may end in a
    convolution or a layer of its own: the last part then that has a matrix of weights.
    """
    executed = []
    hooks = [
        part.register_forward_pre_hook(lambda part, _: executed.append(part))
        for part in plain(net.module_).modules()
        if any(weight.ndim > 1 for weight in part.parameters(recurse=False))
    ]
    try:
        with uncompiled(net):
            predict_log_proba(net, X.first(2))
    finally:
        for hook in hooks:
            hook.remove()
    linear = [part for part in executed if isinstance(part, torch.nn.Linear)]
    if not executed:
        raise ValueError(
            "the net has no layer with a matrix of weights, so its representation is not "
            f"known; its parts are {sorted(type(p).__name__ for p in net.module_.modules())}."
        )
    return (linear or executed)[-1]


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
