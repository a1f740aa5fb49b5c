"""Rows as a network takes them: a tensor on its device, several by name, or a data set.

What fits lies on the device as it came and is indexed there, a batch at a time.  What
does not is fetched through the net's own iterator, with its workers.  The three kinds
have one interface, :class:`DeviceRows`; nobody else asks of which kind rows are.
"""

from collections.abc import Mapping

import numpy as np
import torch
from skorch.utils import to_device as move
from skorch.utils import to_tensor
from torch.utils.data import DataLoader, Subset

from skfairaug._inputs._given import is_dataset, is_named, writable

#: Rows of a table, and of images or texts, that are run through a network at once.
TABLE_ROWS, OTHER_ROWS = 8192, 512


class DeviceRows:
    """All rows of a task, ready for a net: what the three kinds have in common.

    ``rows[positions]`` is a batch, which ``net.infer`` takes; positions are numbers of
    rows, in a tensor on `device` or a slice.

    Attributes
    ----------
    device : torch.device
        Where batches are.
    ndim : int or None
        Axes of a batch; None where a row is several arrays.
    dtype : torch.dtype or None
        Type of its numbers; None where a row is several arrays.
    tensor : Tensor or None
        All rows in one tensor; None where there is none.
    shown : object
        What skorch's callbacks are shown of the rows: a tensor, a dict or a data set.
    in_memory : bool
        Whether the rows stay, so that what is made of all of them can be kept beside them.
    """

    tensor = None
    in_memory = True

    @property
    def is_table(self):
        """Whether the rows are one table of numbers, rather than images or texts."""
        return self.tensor is not None and self.ndim == 2 and self.dtype.is_floating_point

    @property
    def columns(self):
        """Tensor (n_samples, n_columns) of what the group is read from.

        None of images and texts: there it is read from what the network makes of them.
        """
        return self.tensor if self.is_table else None

    @property
    def is_movable(self):
        """Whether a row is numbers that a small step changes: floats, or pixels."""
        return self.dtype is not None and (
            self.dtype.is_floating_point or self.dtype == torch.uint8
        )

    @property
    def chunk_size(self):
        """How many rows a network takes easily at once: fewer of images and texts."""
        return TABLE_ROWS if self.is_table else OTHER_ROWS

    def chunks(self, size=None):
        """All rows in order, a batch of `size` at a time."""
        positions = torch.arange(len(self), device=self.device)
        return self.batches(positions.split(size or self.chunk_size))

    def first(self, n):
        """The first `n` rows, or as many as there are."""
        return self.at(torch.arange(min(n, len(self)), device=self.device))

    def at(self, rows):
        """The rows at some positions, of the same kind; streamed ones are not fetched yet."""
        raise NotImplementedError

    def batches(self, positions):
        """Batches of rows, one for each of the given tensors of positions."""
        return (self[rows] for rows in positions)


class TensorRows(DeviceRows):
    """Rows in one tensor on the device."""

    def __init__(self, tensor):
        self.tensor = tensor
        self.device, self.ndim, self.dtype = tensor.device, tensor.ndim, tensor.dtype

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, rows):
        return self.tensor[rows]

    def at(self, rows):
        """The rows at some positions."""
        return TensorRows(self.tensor[rows])

    def chunks(self, size=None):
        """All rows in order, a view of `size` of them at a time."""
        return self.tensor.split(size or self.chunk_size)

    @property
    def shown(self):
        """The tensor."""
        return self.tensor


class NamedRows(DeviceRows):
    """Several tensors with a row each, that a module takes as keyword arguments."""

    ndim = None
    dtype = None

    def __init__(self, parts):
        self.parts = parts
        self.device = next(iter(parts.values())).device

    def __len__(self):
        return n_rows(self.parts)

    def __getitem__(self, rows):
        return {name: part[rows] for name, part in self.parts.items()}

    def at(self, rows):
        """The rows at some positions."""
        return NamedRows(self[rows])

    @property
    def columns(self):
        """All parts side by side, if they are single columns or tables of floats."""
        parts = [part[:, None] if part.ndim == 1 else part for part in self.parts.values()]
        if any(part.ndim > 2 for part in parts):
            return None
        if any(part.shape[1] > 1 and not part.is_floating_point() for part in parts):
            return None  # tokens, which are no measurements
        return torch.cat(parts, dim=1)

    @property
    def shown(self):
        """The tensors by name."""
        return self.parts


class StreamedRows(DeviceRows):
    """Rows of a torch Dataset, fetched through the net's own iterator.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Gives a row, or a pair of a row and anything.
    net : skorch.NeuralNet
        Its ``iterator_valid`` with its parameters (``num_workers``, ``pin_memory``)
        fetches the rows; its device receives them.
    """

    in_memory = False

    def __init__(self, dataset, net):
        self.shown = dataset
        self.net = net
        self.device = torch.device(device_of(net))
        one = next(self.batches([[0]]))
        self.ndim, self.dtype = getattr(one, "ndim", None), getattr(one, "dtype", None)

    def __len__(self):
        return len(self.shown)

    def __getitem__(self, rows):
        rows = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        return next(self.batches([rows]))

    def at(self, rows):
        """The rows at some positions, not fetched yet."""
        rows = rows.tolist() if isinstance(rows, torch.Tensor) else rows
        return StreamedRows(Subset(self.shown, rows), self.net)

    def batches(self, positions):
        """Fetch batches, each of the rows at given positions, workers running ahead."""
        given = self.net.get_params_for("iterator_valid")
        for fixed in ("batch_size", "shuffle", "drop_last", "sampler", "device"):
            given.pop(fixed, None)
        sampler = [rows.tolist() if hasattr(rows, "tolist") else rows for rows in positions]
        # A net with an iterator for tensors on the device has none for data sets.
        loader = DataLoader
        if issubclass(self.net.iterator_valid, loader):
            loader = self.net.iterator_valid
        for batch in loader(self.shown, batch_sampler=sampler, **given):
            batch = batch[0] if isinstance(batch, (tuple, list)) else batch
            yield as_floats_of(self.net, move(batch, self.device))


def on_device(net, X):
    """Rows ready for the net: moved to its device once, or to be fetched.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its device is where they go, and its module's precision that of their floats.
    X : ndarray, Tensor, mapping of str to them, or torch Dataset
        Rows on the host.

    Returns
    -------
    X : DeviceRows
        Indexed by positions, they give a batch that ``net.infer`` takes.
    """
    if is_dataset(X):
        return StreamedRows(X, net)
    if is_named(X):
        return NamedRows({name: _moved(net, part) for name, part in X.items()})
    return TensorRows(_moved(net, X))


def _moved(net, X):
    return as_floats_of(net, to_tensor(writable(X), device=device_of(net)))


def as_floats_of(net, batch):
    """A batch whose floats have the precision of the net's own weights."""
    if isinstance(batch, Mapping):
        return {name: as_floats_of(net, part) for name, part in batch.items()}
    return batch.to(float_type(net.module_)) if batch.is_floating_point() else batch


def float_type(module):
    """Precision of a module's weights; float32 where it has none."""
    types = (one.dtype for one in module.parameters() if one.is_floating_point())
    return next(types, torch.float32)


def device_of(net):
    """Where a net takes its rows: with its weights, where accelerate has put those."""
    if net.device is not None:
        return net.device
    weight = next(net.module_.parameters(), None)
    return "cpu" if weight is None else weight.device


def n_rows(batch):
    """How many rows a batch has: a tensor, or a mapping to tensors."""
    return len(next(iter(batch.values())) if isinstance(batch, Mapping) else batch)


def rows_of_batch(batch, share):
    """Part of a batch, as a slice says."""
    if isinstance(batch, Mapping):
        return {name: part[share] for name, part in batch.items()}
    return batch[share]


def concatenate(parts):
    """Batches one behind the other: of tensors, or of mappings to them."""
    if isinstance(parts[0], Mapping):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return torch.cat(parts)
