"""Networks that the tables and examples use."""

from skfairaug.modules._embedding_mlp import EmbeddingMLP, bin_edges, make_tabular_net
from skfairaug.modules._mlp import TabularMLP

__all__ = ["EmbeddingMLP", "TabularMLP", "bin_edges", "make_tabular_net"]
