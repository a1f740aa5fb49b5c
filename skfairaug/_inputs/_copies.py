"""A net copied with nothing shared, and pickled so that it can be read anywhere."""

import copy

import torch

from skfairaug._inputs._accelerator import (
    accelerator_of,
    portable_attributes,
    take_off_wrappers,
    unwrapped,
)
from skfairaug._inputs._adopt import with_core
from skfairaug._inputs._models import is_fitted_net, unwrap


def copy_net(net):
    """Copy a fitted net: its own weights, callbacks and history, nothing shared.

    The attributes are copied one by one because `copy.deepcopy` of a skorch net
    goes through pickle, which refuses local classes and lambdas in a module.
    """
    twin = net.__class__.__new__(net.__class__)
    # torch cannot deep-copy an optimizer apart from its parameters; training
    # makes a new one anyway.
    state = {k: unwrapped(v) for k, v in net.__dict__.items() if k != "optimizer_"}
    shared = [*uncopyable_callbacks(net), accelerator_of(net)]
    memo = {id(part): part for part in shared}
    twin.__dict__.update(copy.deepcopy(state, memo))
    take_off_wrappers(twin)
    twin.optimizer_ = torch.optim.SGD(twin.module_.parameters(), lr=0.0)
    if not any(p.requires_grad for p in twin.module_.parameters()):
        # Frozen as a whole, which says how it was kept and not what may be tuned.
        twin.module_.requires_grad_(True)
    twin.module_.eval()
    return twin


def uncopyable_callbacks(net):
    """Callbacks that hold a lock or an open file (loggers, live displays): to be shared."""
    given = net.callbacks if isinstance(net.callbacks, list) else []
    given = [item[-1] if isinstance(item, tuple) else item for item in given]
    for callback in [*given, *(callback for _, callback in net.callbacks_)]:
        try:
            copy.deepcopy(callback)
        except TypeError:
            yield callback


class PortableNet:
    """A fitted net in a form that pickle and cloudpickle can both see into.

    skorch nests one pickle inside another, so that cloudpickle cannot ship a
    module class from ``__main__`` to a joblib worker.  Here the module is a plain
    attribute, on the CPU; `restore` brings the net back to its device, or to the
    CPU where that device does not exist.  What is around the net stays around it, and a
    module that is no net is kept likewise.
    """

    def __init__(self, estimator):
        self.wrapping = with_core(estimator, None)
        core = unwrap(estimator)
        if isinstance(core, torch.nn.Module):
            self.net_class = None
            self.device = next(core.parameters()).device
            away = self.device.type != "cpu"
            self.module = copy.deepcopy(core).to("cpu") if away else core
        else:
            self._keep(core)

    def _keep(self, net):
        moved = net.device != "cpu"  # or accelerate knows where it is
        twin = copy_net(net) if moved or accelerator_of(net) else net
        self.net_class = net.__class__
        self.attributes = portable_attributes(
            {name: value for name, value in twin.__dict__.items() if name != "optimizer_"}
        )
        if moved:
            for name in [*twin._modules, *twin._criteria]:
                part = self.attributes.get(name + "_")
                if isinstance(part, torch.nn.Module):
                    part.to("cpu")

    def restore(self):
        """Return a net that predicts as the original did, in what was around that."""
        core = self._module() if self.net_class is None else self._net()
        return with_core(self.wrapping, core)

    def _module(self):
        there = self.device.type != "cuda" or torch.cuda.is_available()
        return self.module.to(self.device) if there else self.module

    def _net(self):
        net = self.net_class.__new__(self.net_class)
        net.__dict__.update(self.attributes)
        wanted = net.__dict__.get("device", "cpu")
        if str(wanted).startswith("cuda") and not torch.cuda.is_available():
            net.__dict__["device"] = "cpu"
        for name in [*net._modules, *net._criteria]:
            part = net.__dict__.get(name + "_")
            if isinstance(part, torch.nn.Module) and net.device is not None:
                part.to(net.device)
        net.optimizer_ = torch.optim.SGD(net.module_.parameters(), lr=0.0)
        return net


def portable_state(state):
    """Replace every fitted net in an estimator's `__dict__` by a `PortableNet`."""
    return {k: PortableNet(v) if is_fitted_net(v) else v for k, v in state.items()}


def restored_state(state):
    """Undo `portable_state`."""
    return {k: v.restore() if isinstance(v, PortableNet) else v for k, v in state.items()}
