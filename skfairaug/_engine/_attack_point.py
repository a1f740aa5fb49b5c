"""Where an attack acts: on the rows themselves, or on what a layer makes of them."""

from contextlib import contextmanager, nullcontext

import torch

from skfairaug._inputs._contexts import evaluating
from skfairaug._inputs._rows import concatenate
from skfairaug.modules._pixels import unit_pixels

#: Radius of each norm's ball on a standardised table, and on pixels in [0, 1].
TABLE_RADIUS = {"linf": 0.1, "l2": 0.5}
PIXEL_RADIUS = {"linf": 8 / 255, "l2": 0.5}


class RowPoint:
    """The rows themselves; those of uint8 are pixels, in units of [0, 1].

    Parameters
    ----------
    X : DeviceRows
        Rows as the task has them; only their type is read.
    """

    def __init__(self, X):
        pixels = X.dtype == torch.uint8
        self.radius = PIXEL_RADIUS if pixels else TABLE_RADIUS
        self.clip = (0.0, 1.0) if pixels else None
        self.unit = 1.0  # of the radius

    def values(self, X):
        """What an attack changes of a batch."""
        return unit_pixels(X)

    def join(self, real, made, values):
        """A batch of real rows and of attacked ones, and the context to run it in."""
        return torch.cat([unit_pixels(real), values]), nullcontext()

    def at(self, X, values):
        """What the net takes so that it sees `values`, as a context."""
        return nullcontext(values)


class LayerPoint:
    """The output of a layer, such as the embedding of tokens, which have no gradient.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its module runs the layer once in a forward pass.
    layer : nn.Module
        The layer.
    X : batch
        A few rows; the standard deviation of what the layer makes of them is the unit of
        the attack's radius.
    """

    clip = None

    def __init__(self, net, layer, X):
        self.net = net
        self.layer = layer
        self.unit = self.values(X).std().item()
        self.radius = {norm: radius * self.unit for norm, radius in TABLE_RADIUS.items()}

    @torch.no_grad()
    def values(self, X):
        """What an attack changes of a batch."""
        seen = []
        hook = self.layer.register_forward_hook(lambda layer, args, out: seen.append(out))
        try:
            with evaluating(self.net.module_):
                self.net.infer(X)
        finally:
            hook.remove()
        return seen[0].detach()

    def join(self, real, made, values):
        """A batch of real rows and of attacked ones, and the context to run it in."""
        return concatenate([real, made]), self._replaced(values)

    @contextmanager
    def at(self, X, values):
        """What the net takes so that it sees `values`, as a context."""
        with self._replaced(values):
            yield X

    @contextmanager
    def _replaced(self, values):
        """Let the layer give `values` for the last rows of a batch; the first are real."""

        def replace(layer, args, output):
            n_real = len(output) - len(values)
            return torch.cat([output[:n_real], values]) if n_real else values

        hook = self.layer.register_forward_hook(replace)
        try:
            yield
        finally:
            hook.remove()
