"""Networks that the tables and examples use, and what feeds them images."""

from skfairaug.modules._embedding_mlp import EmbeddingMLP, bin_edges, make_tabular_net
from skfairaug.modules._image_net import TensorBatches, make_image_net
from skfairaug.modules._mlp import TabularMLP
from skfairaug.modules._pixels import PixelInput, random_crop_flip, unit_pixels
from skfairaug.modules._resnet import ResNet18, SmallConvNet

__all__ = [
    "EmbeddingMLP",
    "PixelInput",
    "ResNet18",
    "SmallConvNet",
    "TabularMLP",
    "TensorBatches",
    "bin_edges",
    "make_image_net",
    "make_tabular_net",
    "random_crop_flip",
    "unit_pixels",
]
