"""Data with sensitive features: synthetic loans and four public tables."""

from skfairaug.datasets._adult import fetch_adult
from skfairaug.datasets._bank import fetch_bank
from skfairaug.datasets._compas import fetch_compas
from skfairaug.datasets._german import fetch_german
from skfairaug.datasets._loans import make_loans

__all__ = ["fetch_adult", "fetch_bank", "fetch_compas", "fetch_german", "make_loans"]
