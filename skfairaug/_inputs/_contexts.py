"""Contexts in which a net runs, and which put everything back."""

from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def evaluating(module):
    """Put a module in evaluation mode, and every part back into its own mode after."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def frozen(module):
    """Evaluation mode and no parameter gradients, both restored on leaving."""
    wanted = [(p, p.requires_grad) for p in module.parameters()]
    module.requires_grad_(False)
    try:
        with evaluating(module):
            yield module
    finally:
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)


@contextmanager
def overriding(net, **methods):
    """Give a net other methods for the time of the block."""
    before = {name: net.__dict__[name] for name in methods if name in net.__dict__}
    net.__dict__.update(methods)
    try:
        yield net
    finally:
        for name in methods:
            del net.__dict__[name]
        net.__dict__.update(before)


@contextmanager
def whole_fit(estimator):
    """A fit that succeeds, or leaves an estimator that is not fitted, not even as before.

    What a fit learns is in the attributes whose names end in an underscore.
    """
    _forget(estimator)
    try:
        yield estimator
    except BaseException:
        _forget(estimator)
        raise


def _forget(estimator):
    for name in list(vars(estimator)):
        if name.endswith("_") and not name.startswith("_"):
            delattr(estimator, name)


@contextmanager
def isolated_random_state(seed):
    """Seed torch and NumPy inside the block; give the caller's states back after."""
    numpy_state = np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
