"""Data with sensitive features: synthetic loans, public tables, and images."""

from skfairaug.datasets._adult import fetch_adult
from skfairaug.datasets._bank import fetch_bank
from skfairaug.datasets._celeba import fetch_celeba
from skfairaug.datasets._cifar10s import fetch_cifar10s
from skfairaug.datasets._compas import fetch_compas
from skfairaug.datasets._german import fetch_german
from skfairaug.datasets._image_folder import read_image_folder
from skfairaug.datasets._loans import make_loans
from skfairaug.datasets._pixels import to_gray
from skfairaug.datasets._skewed_digits import make_skewed_digits

__all__ = [
    "fetch_adult",
    "fetch_bank",
    "fetch_celeba",
    "fetch_cifar10s",
    "fetch_compas",
    "fetch_german",
    "make_loans",
    "make_skewed_digits",
    "read_image_folder",
    "to_gray",
]
