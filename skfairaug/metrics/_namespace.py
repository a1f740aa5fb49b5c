"""Write a formula once, for NumPy arrays and for torch tensors."""

import numpy as np
import torch


def namespace(array):
    """The module, torch or numpy, whose functions take `array`."""
    return torch if isinstance(array, torch.Tensor) else np


def pick(array, index, axis):
    """One entry along `axis` for each position of `index`; the axis goes away.

    `index` has the shape of `array` without that axis, which counts from the end.
    """
    if isinstance(array, torch.Tensor):
        return torch.take_along_dim(array, index.unsqueeze(axis), axis).squeeze(axis)
    index = np.expand_dims(index, axis)
    return np.take_along_axis(array, index, axis).squeeze(axis)
