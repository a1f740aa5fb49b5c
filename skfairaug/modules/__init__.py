"""Networks that the tables and examples use."""

from skfairaug.modules._mlp import TabularMLP

__all__ = ["TabularMLP"]
