"""Networks for small images."""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F

from skfairaug.modules._pixels import CIFAR_MEAN, CIFAR_STD, PixelInput


class ResNet18(nn.Module):
    """Residual network of 18 layers for images of 32 x 32 pixels.

    The network of [1]_ as [2]_ uses it on CIFAR-10S: a 3 x 3 convolution at the start
    and no pooling after it, so that small images keep their detail.

    Parameters
    ----------
    n_classes : int, default=10
        Logits returned.
    width : int, default=64
        Channels of the first stage; the others have 2, 4 and 8 times as many. 64 is the
        published network, a smaller one is as much faster as its square.
    mean : tuple of float, default=(0.4914, 0.4822, 0.4465)
        Mean of each channel's pixels in [0, 1]; the default is CIFAR-10's.
    std : tuple of float, default=(0.247, 0.2435, 0.2616)
        Standard deviation of each channel's pixels; the default is CIFAR-10's.
    padding : int, default=4
        Pixels by which a training image is shifted at most.
    flip : bool, default=True
        Whether half of the training images are mirrored.
    mixed_precision : bool or "auto", default="auto"
        Whether to compute in bfloat16 where that is safe. "auto": on a GPU that has it.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
    .. [2] Wang et al., "Towards Fairness in Visual Recognition: Effective Strategies for
       Bias Mitigation", CVPR 2020.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.modules import ResNet18
    >>> images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    >>> ResNet18(width=4)(images).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        n_classes=10,
        width=64,
        mean=CIFAR_MEAN,
        std=CIFAR_STD,
        padding=4,
        flip=True,
        mixed_precision="auto",
    ):
        super().__init__()
        self.mixed_precision = mixed_precision
        self.pixels = PixelInput(mean, std, padding=padding, flip=flip)
        self.stem = nn.Sequential(
            nn.Conv2d(len(mean), width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        blocks, n_in = [], width
        for stage in range(4):
            n_out = width * 2**stage
            for stride in (1 if stage == 0 else 2, 1):
                blocks.append(BasicBlock(n_in, n_out, stride))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(n_in, n_classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, X):
        """Logits of a batch of images.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_channels, height, width)
            uint8 pixels, or floating point ones in [0, 1].

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
            Inputs of a softmax, float32.
        """
        with precision(self.mixed_precision, X.device):
            X = self.blocks(self.stem(self.pixels(X)))
            return self.head(X.mean((2, 3))).float()


class BasicBlock(nn.Module):
    """Two convolutions around which the input passes by."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, X):
        """Features of half the size where the stride is 2."""
        out = F.relu(self.norm1(self.conv1(X)), inplace=True)
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(X), inplace=True)


class SmallConvNet(nn.Module):
    """Three convolutions for images of a few pixels, such as scikit-learn's digits.

    Parameters
    ----------
    n_classes : int, default=10
        Logits returned.
    width : int, default=16
        Channels of the first convolution; the others have twice and four times as many.
    mean : tuple of float, default=(0.5, 0.5, 0.5)
        Mean of each channel's pixels in [0, 1].
    std : tuple of float, default=(0.25, 0.25, 0.25)
        Standard deviation of each channel's pixels.
    padding : int, default=0
        Pixels by which a training image is shifted at most.
    flip : bool, default=False
        Whether half of the training images are mirrored, which digits do not survive.
    mixed_precision : bool or "auto", default=False
        As in :class:`ResNet18`; it does not pay in a network this small.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.modules import SmallConvNet
    >>> SmallConvNet()(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        n_classes=10,
        width=16,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        padding=0,
        flip=False,
        mixed_precision=False,
    ):
        super().__init__()
        self.mixed_precision = mixed_precision
        self.pixels = PixelInput(mean, std, padding=padding, flip=flip)
        layers, n_in = [], len(mean)
        for n_out, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
            layers += [
                nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(inplace=True),
            ]
            n_in = n_out
        # Where a stroke is says as much of a digit as that there is one.
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(4 * n_in, n_classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, X):
        """Logits of a batch of images.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_channels, height, width)
            uint8 pixels, or floating point ones in [0, 1].

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
            Inputs of a softmax, float32.
        """
        with precision(self.mixed_precision, X.device):
            return self.head(self.body(self.pixels(X))).float()


def precision(mixed, device):
    """Context in which a network computes: bfloat16 where it is wanted and to be had."""
    if mixed == "auto":
        mixed = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16) if mixed else nullcontext()
