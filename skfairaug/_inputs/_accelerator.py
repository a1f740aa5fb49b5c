"""Nets of skorch's AccelerateMixin, as they are copied and pickled: without accelerate.

An accelerated net refers to an ``Accelerator``, which belongs to the processes that run
now.  A copy shares it; a pickle, which may be read elsewhere, has a stand-in.
"""

import copy
from contextlib import nullcontext

import torch
from torch.nn.parallel import DistributedDataParallel


class OneProcess:
    """What AccelerateMixin asks of an ``Accelerator``, for one process and no accelerate."""

    device = torch.device("cpu")
    device_placement = False
    distributed_type = "NO"
    is_main_process = True
    num_processes = 1
    print = staticmethod(print)
    scaler = None

    def prepare(self, part):
        """A module, optimizer or iterator as it is."""
        return part

    def unwrap_model(self, module, keep_fp32_wrapper=False):
        """The module, which nothing has wrapped."""
        return module

    def accumulate(self, module):
        """A training step."""
        return nullcontext()

    def autocast(self):
        """Full precision."""
        return nullcontext()

    def backward(self, loss):
        """Gradients of the loss."""
        loss.backward()

    def gather_for_metrics(self, values):
        """The values of all processes."""
        return values

    def wait_for_everyone(self):
        """There is nobody to wait for."""


def accelerator_of(net):
    """The accelerator of a net; None where it has none."""
    return vars(net).get("accelerator")


def unwrapped(value):
    """A module out of what wraps it; other values as they are.

    The wrappers share gradients among processes, or are made by ``torch.compile``, which
    neither copies nor lets layers be hooked.
    """
    while True:
        if isinstance(value, DistributedDataParallel):
            value = value.module
        elif isinstance(value, torch.nn.Module) and hasattr(value, "_orig_mod"):
            value = value._orig_mod
        else:
            return value


def take_off_wrappers(net):
    """Undo in place what accelerate made of the forward passes of a net's copy."""
    if accelerator_of(net) is not None and vars(net).get("_wrapped_with_accelerator"):
        net._unwrap_accelerator()


def portable_attributes(attributes):
    """A net's attributes with a stand-in for the accelerator, wherever they refer to it."""
    accelerator = attributes.get("accelerator")
    if accelerator is None:
        return attributes

    def detached(value):
        return print if getattr(value, "__self__", None) is accelerator else value

    attributes = {name: detached(value) for name, value in attributes.items()}
    attributes["accelerator"] = OneProcess()
    callbacks = []
    for name, callback in attributes["callbacks_"]:
        callback = copy.copy(callback)
        vars(callback).update({key: detached(value) for key, value in vars(callback).items()})
        callbacks.append((name, callback))
    attributes["callbacks_"] = callbacks
    return attributes
