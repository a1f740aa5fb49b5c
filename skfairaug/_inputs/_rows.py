"""Rows as a network takes them: a tensor on its device, several by name, or a data set.

What fits lies on the device as it came and is indexed there, a batch at a time.  What
does not is fetched through the net's own iterator, with its workers.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy.sparse import issparse
from skorch.utils import to_device as move
from skorch.utils import to_tensor
from torch.utils.data import Dataset, Subset

#: Rows of a table, and of images or texts, that are run through a network at once.
TABLE_ROWS, OTHER_ROWS = 8192, 512


class NamedRows:
    """Several tensors with a row each, that a module takes as keyword arguments."""

    ndim = None
    dtype = None

    def __init__(self, parts):
        self.parts = parts

    @property
    def device(self):
        """Where all of them are."""
        return next(iter(self.parts.values())).device

    def __len__(self):
        return n_rows(self.parts)

    def __getitem__(self, rows):
        return {name: part[rows] for name, part in self.parts.items()}


class StreamedRows:
    """Rows of a torch Dataset, fetched through the net's own iterator.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Gives a row, or a pair of a row and anything.
    net : skorch.NeuralNet
        Its ``iterator_valid`` with its parameters (``num_workers``, ``pin_memory``)
        fetches the rows; its device receives them.
    """

    dtype = None

    def __init__(self, dataset, net):
        self.dataset = dataset
        self.net = net
        self.device = torch.device(device_of(net))
        self.ndim = next(self.batches([[0]])).ndim

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, rows):
        rows = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        return next(self.batches([rows]))

    def at(self, rows):
        """The rows at some positions, not fetched yet."""
        rows = rows.tolist() if isinstance(rows, torch.Tensor) else rows
        return StreamedRows(Subset(self.dataset, rows), self.net)

    def batches(self, positions):
        """Fetch batches, each of the rows at given positions, workers running ahead."""
        given = self.net.get_params_for("iterator_valid")
        for fixed in ("batch_size", "shuffle", "drop_last", "sampler", "device"):
            given.pop(fixed, None)
        sampler = [rows.tolist() if hasattr(rows, "tolist") else rows for rows in positions]
        # A net with an iterator for tensors on the device has none for data sets.
        loader = torch.utils.data.DataLoader
        if issubclass(self.net.iterator_valid, loader):
            loader = self.net.iterator_valid
        for batch in loader(self.dataset, batch_sampler=sampler, **given):
            yield move(batch[0] if isinstance(batch, (tuple, list)) else batch, self.device)


def is_dataset(X):
    """Whether `X` is a torch Dataset, whose rows are fetched when they are needed."""
    return isinstance(X, Dataset)


def is_named(X):
    """Whether `X` holds arrays by name. (One kind of sparse matrix is a mapping too.)"""
    return isinstance(X, Mapping) and not issparse(X)


def on_device(net, X):
    """Rows ready for the net: moved to its device once, or to be fetched.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its device is where they go.
    X : ndarray, Tensor, mapping of str to them, or torch Dataset
        Rows on the host.

    Returns
    -------
    X : Tensor, NamedRows or StreamedRows
        Indexed by positions, each gives a batch that ``net.infer`` takes.
    """
    if is_dataset(X):
        return StreamedRows(X, net)
    if isinstance(X, Mapping):
        return NamedRows({name: on_device(net, part) for name, part in X.items()})
    if isinstance(X, np.ndarray) and not X.flags.writeable:
        X = X.copy()  # torch warns about memory it could overwrite
    return to_tensor(X, device=device_of(net))


def device_of(net):
    """Where a net takes its rows: with its weights, where accelerate has put those."""
    if net.device is not None:
        return net.device
    weight = next(net.module_.parameters(), None)
    return "cpu" if weight is None else weight.device


def off_device(X):
    """What skorch's callbacks are shown of the rows: tensors, a dict or the data set."""
    return getattr(X, "dataset", getattr(X, "parts", X))


def take(X, rows):
    """Rows on the host at integer positions: of an array, frame, mapping or data set."""
    if is_dataset(X):
        return Subset(X, np.asarray(rows).tolist())
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    if isinstance(X, Mapping):
        return {name: part[rows] for name, part in X.items()}
    return X[rows]


def at(X, rows):
    """Rows on the device at some positions; those of a data set are not fetched yet."""
    if isinstance(X, StreamedRows):
        return X.at(rows)
    return NamedRows(X[rows]) if isinstance(X, NamedRows) else X[rows]


def batches_of(X, positions):
    """Batches of rows, one for each of the given tensors of positions."""
    if isinstance(X, StreamedRows):
        return X.batches(positions)
    return (X[rows] for rows in positions)


def is_table(X):
    """Whether rows on the device are those of a table, rather than images or texts."""
    return X.ndim == 2 and X.dtype == torch.float32


def chunk_size(X):
    """How many rows a network takes easily at once: fewer of images and texts."""
    return TABLE_ROWS if is_table(X) else OTHER_ROWS


def chunks(X, size=None):
    """All rows in order, a chunk at a time."""
    size = chunk_size(X) if size is None else size
    if isinstance(X, torch.Tensor):
        return X.split(size)
    return batches_of(X, torch.arange(len(X), device=X.device).split(size))


def n_rows(batch):
    """How many rows a batch has: a tensor, or a mapping to tensors."""
    return len(next(iter(batch.values())) if isinstance(batch, Mapping) else batch)


def concatenate(parts):
    """Batches one behind the other: of tensors, or of mappings to them."""
    if isinstance(parts[0], Mapping):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return torch.cat(parts)
