"""Pixels at the entrance of an image network: to [0, 1], cropped, flipped, normalised."""

import torch
from torch import nn
from torch.nn import functional as F

#: Mean and standard deviation of CIFAR-10's training pixels, by channel, in [0, 1].
CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2470, 0.2435, 0.2616)


def unit_pixels(X):
    """Pixels in [0, 1]: uint8 ones are divided by 255, floating point ones are there.

    Parameters
    ----------
    X : Tensor
        Images, or anything else that is not uint8.

    Returns
    -------
    X : Tensor
        The same values in units of [0, 1], float32 where they were uint8.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.modules import unit_pixels
    >>> unit_pixels(torch.tensor([0, 51], dtype=torch.uint8))
    tensor([0.0000, 0.2000])
    """
    return X.float() / 255 if X.dtype == torch.uint8 else X


def random_crop_flip(X, padding=0, flip=False):
    """Shift every image by its own random offset and mirror half of them.

    One gather for the whole batch, on its device. Uses torch's global generator, as
    dropout does.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_channels, height, width)
        Images, uint8 or floating point.
    padding : int, default=0
        Pixels, black ones, that are put around an image before it is cropped back to
        its size.
    flip : bool, default=False
        Whether to mirror an image, left to right, with probability 1/2.

    Returns
    -------
    X : Tensor of shape (n_samples, n_channels, height, width)
        Changed images of the same type.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.modules import random_crop_flip
    >>> random_crop_flip(torch.ones(2, 3, 8, 8), padding=1, flip=True).shape
    torch.Size([2, 3, 8, 8])
    """
    n, _, height, width = X.shape
    device = X.device
    top, left = torch.randint(2 * padding + 1, (2, n, 1), device=device)
    rows = top + torch.arange(height, device=device)
    columns = left + torch.arange(width, device=device)
    if flip:
        mirrored = torch.rand(n, 1, device=device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    if padding:
        X = F.pad(X, [padding] * 4)
    image = torch.arange(n, device=device)[:, None, None]
    # Indices on both sides of the channels put these last: a channels-last result.
    return X[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class PixelInput(nn.Module):
    """First layer of an image network: raw pixels in, normalised ones out.

    The data stays raw, uint8 on the device at a quarter of the memory, and everything
    that is done to it happens there, a batch at a time. An attack in front of this layer
    is one in pixel space.

    Parameters
    ----------
    mean : tuple of float, default=(0.4914, 0.4822, 0.4465)
        Mean of each channel, in units of [0, 1]; the default is CIFAR-10's.
    std : tuple of float, default=(0.247, 0.2435, 0.2616)
        Standard deviation of each channel; the default is CIFAR-10's.
    padding : int, default=0
        Pixels by which an image is shifted at most, in training mode.
    flip : bool, default=False
        Whether half of the images are mirrored, in training mode.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.modules import PixelInput
    >>> layer = PixelInput(mean=[0.5], std=[0.5])
    >>> layer(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8)).item()
    1.0
    """

    def __init__(self, mean=CIFAR_MEAN, std=CIFAR_STD, *, padding=0, flip=False):
        super().__init__()
        self.padding = padding
        self.flip = flip
        # As a multiple and an addition: one fused step from pixel to input.
        std = torch.as_tensor(std, dtype=torch.float32).view(-1, 1, 1)
        mean = torch.as_tensor(mean, dtype=torch.float32).view(-1, 1, 1)
        self.register_buffer("scale", 1 / std, persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)

    def forward(self, X):
        """Crop and flip in training mode, and normalise.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_channels, height, width)
            uint8 pixels, or floating point ones in [0, 1].

        Returns
        -------
        X : Tensor of shape (n_samples, n_channels, height, width)
            Floating point, channels last in memory.
        """
        if self.training and (self.padding or self.flip):
            X = random_crop_flip(X, self.padding, self.flip)
        X = unit_pixels(X).contiguous(memory_format=torch.channels_last)
        return torch.addcmul(self.shift, X, self.scale)
