"""Gray copies of colour images."""

import numpy as np
import torch

#: ITU-R 601 luma, as shares of red, green and blue.
LUMA = (0.299, 0.587, 0.114)

#: The same in units of 2**-16, with which Pillow computes; their sum is 2**16.
INTEGER_LUMA = (19595, 38470, 7471)


def to_gray(X):
    """Make colour images gray; they keep three channels, all equal.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n_samples, 3, height, width)
        Red, green and blue pixels, uint8 or floating point. One image without the first
        axis will do.

    Returns
    -------
    gray : ndarray or Tensor of shape (n_samples, 3, height, width)
        The luma in each channel; same type and device. uint8 pixels are rounded as
        Pillow's ``convert("L")`` does; floating point ones are not rounded, and gradients
        pass through.

    Raises
    ------
    ValueError
        If `X` does not have three channels, or is neither uint8 nor floating point.

    Notes
    -----
    ``Y = 0.299 R + 0.587 G + 0.114 B`` [1]_. As the `counterfactual` of
    :class:`~skfairaug.AdversarialAugmenter` it asks what the network says to the same
    image without colour. A gray image is its own gray copy.

    References
    ----------
    .. [1] Recommendation ITU-R BT.601, "Studio encoding parameters of digital television".

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.datasets import to_gray
    >>> red = np.array([255, 0, 0], dtype=np.uint8).reshape(1, 3, 1, 1)
    >>> to_gray(red).ravel()
    array([76, 76, 76], dtype=uint8)
    """
    on_device = isinstance(X, torch.Tensor)
    X = X if on_device else np.asarray(X)
    if X.ndim < 3 or X.shape[-3] != 3:
        raise ValueError(
            "images must have the shape (n_samples, 3, height, width), three channels "
            f"first; got {tuple(X.shape)}."
        )
    channels = tuple(X[..., i, :, :] for i in range(3))
    if X.dtype in (np.uint8, torch.uint8):
        luma = _integer_luma(channels, on_device)
    elif X.is_floating_point() if on_device else X.dtype.kind == "f":
        luma = _float_luma(channels)
    else:
        raise ValueError(
            f"images must be uint8, 0 to 255, or floating point, 0 to 1; got {X.dtype}."
        )
    return torch.stack([luma] * 3, -3) if on_device else np.stack([luma] * 3, -3)


def _float_luma(channels):
    red, green, blue = channels
    # Two differences, not three products: exactly itself where the channels are equal.
    return green + LUMA[0] * (red - green) + LUMA[2] * (blue - green)


def _integer_luma(channels, on_device):
    total = 1 << 15  # half a unit, so that the shift rounds
    for weight, channel in zip(INTEGER_LUMA, channels, strict=True):
        wide = channel.int() if on_device else channel.astype(np.int32)
        wide *= weight
        wide += total
        total = wide
    total >>= 16
    return total.to(torch.uint8) if on_device else total.astype(np.uint8)
