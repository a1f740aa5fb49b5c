"""A strong network for tables: numbers are cut into bins before the first layer."""

from numbers import Integral

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn


class EmbeddingMLP(nn.Module):
    r"""Feed-forward network that sees where in its range each number lies.

    A number enters as a piecewise linear encoding: one component per bin, which runs
    from 0 to 1 across the bin. So the first layer can learn any piecewise linear
    function of a column, steps and spikes included, as trees do. All columns also enter
    as they are, softly clipped.

    Parameters
    ----------
    n_features : int
        Columns of X, standardised.
    n_classes : int, default=2
        Logits returned, for ``CrossEntropyLoss``. 1 suits
        ``NeuralNetBinaryClassifier``.
    numeric_columns : sequence of int, default=None
        Columns to encode; None encodes all. :func:`bin_edges` finds those that are not
        binary.
    edges : sequence of array-like, default=None
        Rising edges of the bins of each numeric column, two or more, in the units of X.
        None takes the quantiles of a standard normal distribution.
    n_bins : int, default=32
        Bins of a column where `edges` is None.
    width : int, default=256
        Units of a hidden layer.
    depth : int, default=2
        Hidden layers, each Linear, SiLU, Dropout.
    dropout : float, default=0.4
        Share of units dropped in training.

    See Also
    --------
    make_tabular_net : The network with bins and training that suit a table.

    Notes
    -----
    With the edges :math:`b_0 < \dots < b_T` of a column, the component t of the
    encoding ([1]_, Eq. 1) is

    .. math::
        e_t(x) = \min(1, \max(0, (x - b_{t-1}) / (b_t - b_{t-1})))

    and x itself enters as :math:`x / \sqrt{1 + (x / 3)^2}` ([2]_). Both have a gradient,
    so an attack on the input goes through.

    References
    ----------
    .. [1] Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in
       Tabular Deep Learning", NeurIPS 2022.
    .. [2] Holzmüller, Grinsztajn, Steinwart, "Better by Default: Strong Pre-Tuned MLPs
       and Boosted Trees on Tabular Data", NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.modules import EmbeddingMLP
    >>> net = EmbeddingMLP(n_features=5, numeric_columns=[0], edges=[[-1.0, 0.0, 2.0]])
    >>> net.encode(torch.tensor([[-3.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]])).tolist()
    [[0.0, 0.0], [1.0, 0.5]]
    >>> net(torch.zeros(3, 5)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        n_features,
        n_classes=2,
        numeric_columns=None,
        edges=None,
        n_bins=32,
        width=256,
        depth=2,
        dropout=0.4,
    ):
        super().__init__()
        columns = _checked_columns(numeric_columns, n_features)
        if edges is None:
            levels = (torch.arange(n_bins + 1) + 0.5) / (n_bins + 1)
            edges = [torch.special.ndtri(levels).numpy()] * len(columns)
        edges = _checked_edges(edges, columns)
        sizes = torch.tensor([len(edge) - 1 for edge in edges], dtype=torch.int64)
        of_bin = torch.tensor(columns, dtype=torch.int64).repeat_interleave(sizes)
        lower = np.concatenate([np.empty(0, np.float32), *(edge[:-1] for edge in edges)])
        slope = np.concatenate([np.empty(0, np.float32), *(1 / np.diff(e) for e in edges)])
        self.register_buffer("column_of_bin", of_bin)
        self.register_buffer("lower_edge", torch.from_numpy(lower))
        self.register_buffer("slope", torch.from_numpy(slope))
        layers, n_inputs = [], n_features + len(of_bin)
        for _ in range(depth):
            layers += [nn.Linear(n_inputs, width), nn.SiLU(), nn.Dropout(dropout)]
            n_inputs = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(n_inputs, n_classes)

    def encode(self, X):
        """Piecewise linear encoding of the numeric columns.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        encoding : Tensor of shape (n_samples, total number of bins)
            Values in [0, 1], column by column.
        """
        distance = X.index_select(1, self.column_of_bin) - self.lower_edge
        return (distance * self.slope).clamp(0.0, 1.0)

    def forward(self, X):
        """Logits of a batch.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
            Inputs of a softmax, or of a sigmoid for one class.
        """
        # A rare category, standardised, lies dozens of units from the others.
        clipped = X * torch.rsqrt(1 + (X / 3) ** 2)
        return self.head(self.body(torch.cat([clipped, self.encode(X)], dim=1)))


def bin_edges(X, max_bins=128):
    """Find the columns of a table that are not binary, and bins for them.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Training rows, as the network takes them. Labels are not looked at.
    max_bins : int, default=128
        Bins of a column at most, 1 or more.

    Returns
    -------
    numeric_columns : tuple of int
        Columns with three or more distinct values.
    edges : tuple of ndarray
        Rising edges of each of these columns, all of them values that occur: every
        value where there are few enough; otherwise the smallest, the largest, those
        that hold a bin's share of rows by themselves, and quantiles of the others.

    Raises
    ------
    ValueError
        If X is not 2-D, has no rows or holds NaN or infinite numbers, or `max_bins` is
        no positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.modules import bin_edges
    >>> X = np.column_stack([[0, 1] * 4, [0, 0, 0, 0, 0, 1, 2, 9]])
    >>> columns, edges = bin_edges(X)
    >>> columns, edges[0].tolist()
    ((1,), [0.0, 1.0, 2.0, 9.0])
    """
    X = np.asarray(X, dtype=np.float32)
    if X.ndim != 2 or len(X) == 0:
        raise ValueError(f"X must be a table with one row or more; got shape {X.shape}.")
    if not np.isfinite(X).all():
        raise ValueError("X holds NaN or infinite numbers; fill them before bins are made.")
    if not isinstance(max_bins, Integral) or max_bins < 1:
        raise ValueError(f"max_bins must be a positive integer; got {max_bins!r}.")
    columns, edges = [], []
    for j, column in enumerate(X.T):
        values, counts = np.unique(column, return_counts=True)
        if len(values) > 2:
            columns.append(j)
            edges.append(_edges_among(values, counts, int(max_bins)))
    return tuple(columns), tuple(edges)


def make_tabular_net(X, n_classes=2, *, max_bins=128, max_epochs=40, **params):
    """Make an unfitted skorch classifier of an :class:`EmbeddingMLP` for a table.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Training rows, standardised numbers and one-hot columns; read for the number of
        columns and the bins.
    n_classes : int, default=2
        Number of classes.
    max_bins : int, default=128
        Bins of a column at most.
    max_epochs : int, default=40
        Passes over the rows; the learning rate falls to zero along a cosine over them.
    **params : dict
        Parameters of skorch's NeuralNetClassifier to add or to change, such as
        ``batch_size``, ``module__width`` or ``device``.

    Returns
    -------
    net : NeuralNetClassifier
        Unfitted: AdamW with rate 2e-3, betas (0.9, 0.95) and weight decay 0.01, batches
        of 512, label smoothing 0.1, no validation part and so no early stopping.

    Raises
    ------
    ValueError
        As in :func:`bin_edges`.

    Notes
    -----
    The loss does not weigh the classes: where balanced accuracy is the aim, a threshold
    on the probability is to be chosen on validation rows, which
    :class:`~skfairaug.FairAugmentFineTuner` does.

    Weights and batches are drawn from torch's global random state, as skorch does:
    ``torch.manual_seed`` before ``fit`` repeats a result.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.modules import make_tabular_net
    >>> X = np.random.RandomState(0).normal(size=(500, 3)).astype(np.float32)
    >>> y = (abs(X[:, 0]) < 0.5).astype(int)
    >>> net = make_tabular_net(X, max_epochs=10, batch_size=32).fit(X, y)
    >>> bool(net.score(X, y) > 0.9)
    True
    """
    columns, edges = bin_edges(X, max_bins)
    schedule = LRScheduler("CosineAnnealingLR", T_max=max_epochs)
    given = {
        "module__n_features": np.shape(X)[1],
        "module__n_classes": n_classes,
        "module__numeric_columns": columns,
        "module__edges": edges,
        "criterion": nn.CrossEntropyLoss,
        "criterion__label_smoothing": 0.1,
        "optimizer": torch.optim.AdamW,
        "optimizer__betas": (0.9, 0.95),
        "optimizer__weight_decay": 0.01,
        "lr": 2e-3,
        "batch_size": 512,
        "max_epochs": max_epochs,
        "train_split": None,
        "iterator_train__shuffle": True,
        "callbacks": [("schedule", schedule)],
        "verbose": 0,
    }
    return NeuralNetClassifier(EmbeddingMLP, **(given | params))


def _edges_among(values, counts, max_bins):
    """At most `max_bins` + 1 of the sorted distinct `values`, the outermost among them."""
    if len(values) <= max_bins + 1:
        return values
    # A value that most rows have, such as no capital gain, would take every quantile.
    heavy = counts * max_bins >= counts.sum()
    light = np.where(heavy, 0, counts)
    running = np.cumsum(light) / light.sum()
    levels = np.linspace(0, 1, max_bins + 1 - heavy.sum())[1:-1]
    chosen = np.searchsorted(running, levels)
    return values[np.unique([0, *np.flatnonzero(heavy), *chosen, len(values) - 1])]


def _checked_columns(columns, n_features):
    columns = range(n_features) if columns is None else columns
    for column in columns:
        if not isinstance(column, Integral) or not 0 <= column < n_features:
            raise ValueError(
                f"numeric_columns must hold indices from 0 to {n_features - 1}; got {column!r}."
            )
    return [int(column) for column in columns]


def _checked_edges(edges, columns):
    edges = [np.asarray(edge, dtype=np.float32) for edge in edges]
    if len(edges) != len(columns):
        raise ValueError(
            f"edges must hold one array per numeric column, {len(columns)}; got {len(edges)}."
        )
    for column, edge in zip(columns, edges, strict=True):
        rising = edge.ndim == 1 and len(edge) > 1 and np.isfinite(edge).all()
        if not rising or not (np.diff(edge) > 0).all():
            raise ValueError(
                f"edges of column {column} must be two or more rising finite numbers; got "
                f"{edge.tolist()}."
            )
    return edges
