"""Rows as a network takes them: tensors on its device, several by name, or a data set."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from skfairaug._inputs._given import take
from skfairaug._inputs._rows import (
    OTHER_ROWS,
    TABLE_ROWS,
    StreamedRows,
    TensorRows,
    concatenate,
    n_rows,
    on_device,
)
from skfairaug.modules import TensorBatches


class Ten(Dataset):
    """Ten rows of three numbers, the row's own number; bare or with a label."""

    def __init__(self, labelled=False):
        self.labelled = labelled

    def __len__(self):
        return 10

    def __getitem__(self, i):
        row = torch.full((3, 1), float(i))
        return (row, i % 2) if self.labelled else row


def make_net(**settings):
    return NeuralNetClassifier(nn.Linear(1, 2), **settings).initialize()


KINDS = {
    "tensor": torch.arange(10.0)[:, None, None].expand(10, 3, 1).contiguous(),
    "named": {"a": np.arange(10.0), "b": np.arange(20.0).reshape(10, 2)},
    "bare": Ten(),
    "labelled": Ten(labelled=True),
}


def number(batch):
    """The number of each row of a batch of any kind."""
    first = batch["a"] if isinstance(batch, dict) else batch[:, 0, 0]
    return first.tolist()


@pytest.fixture(params=KINDS)
def X(request):
    return on_device(make_net(), KINDS[request.param])


def test_indexing_gives_a_batch(X):
    assert len(X) == 10
    assert number(X[torch.tensor([3, 1, 1])]) == [3, 1, 1]


def test_some_rows_and_their_chunks(X):
    some = X.at(torch.tensor([4, 5, 9]))
    assert len(some) == 3
    assert [number(part) for part in some.chunks(2)] == [[4, 5], [9]]
    assert [i for part in X.chunks() for i in number(part)] == list(range(10))


def test_batches_follow_their_positions(X):
    positions = torch.tensor([[1, 2], [0, 0]])
    assert [number(batch) for batch in X.batches(positions)] == [[1, 2], [0, 0]]


def test_batches_can_be_joined(X):
    batch = concatenate([X[torch.tensor([1])], X[torch.tensor([7, 8])]])
    assert number(batch) == [1, 7, 8]
    assert n_rows(batch) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_positions_on_the_host(kind):
    part = on_device(make_net(), take(KINDS[kind], np.array([2, 3])))
    assert [i for batch in part.chunks() for i in number(batch)] == [2, 3]


def test_read_only_arrays_reach_the_device():
    values = np.ones((2, 4), dtype=np.float32)
    values.setflags(write=False)
    assert torch.equal(on_device(make_net(), values).tensor, torch.ones(2, 4))


def test_what_callbacks_are_shown():
    net, tensor, data = make_net(), torch.zeros(2, 1), Ten()
    assert on_device(net, tensor).shown is tensor
    assert on_device(net, data).shown is data
    assert on_device(net, {"a": tensor}).shown == {"a": tensor}


def test_tables_come_in_larger_chunks_than_images_and_tokens():
    assert TensorRows(torch.zeros(1, 4)).chunk_size == TABLE_ROWS
    assert TensorRows(torch.zeros(1, 3, 8, 8)).chunk_size == OTHER_ROWS
    assert TensorRows(torch.zeros(1, 4, dtype=torch.int64)).chunk_size == OTHER_ROWS
    assert StreamedRows(Ten(), make_net()).chunk_size == OTHER_ROWS


def test_what_can_be_done_with_each_kind():
    net = make_net()
    table, named, streamed = (
        on_device(net, X) for X in (torch.zeros(3, 2), {"a": torch.zeros(3, 2)}, Ten())
    )
    assert [X.is_table for X in (table, named, streamed)] == [True, False, False]
    assert [X.is_movable for X in (table, named, streamed)] == [True, False, True]
    assert [X.in_memory for X in (table, named, streamed)] == [True, True, False]
    assert [X.tensor is None for X in (table, named, streamed)] == [False, True, True]
    assert not TensorRows(torch.zeros(3, 2, dtype=torch.int64)).is_movable
    assert len(table.first(2)) == 2
    assert len(table.first(9)) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_floats_have_the_precision_of_the_weights(kind):
    net = NeuralNetClassifier(nn.Linear(1, 2, dtype=torch.float64)).initialize()
    batch = on_device(net, KINDS[kind])[torch.tensor([0, 1])]
    first = batch["a"] if isinstance(batch, dict) else batch
    assert first.dtype == torch.float64


def test_integers_keep_their_type():
    pixels = torch.zeros(2, 4, dtype=torch.uint8)
    assert on_device(make_net(), pixels).dtype == torch.uint8


def test_a_data_set_goes_through_the_workers_of_the_net():
    net = make_net(iterator_valid__num_workers=1)
    X = on_device(net, TensorDataset(torch.arange(6.0)[:, None]))
    assert [batch.ravel().tolist() for batch in X.batches([[5, 0], [1, 2]])] == [[5, 0], [1, 2]]


def test_the_iterator_of_the_net_is_used():
    made = []

    class Loader(torch.utils.data.DataLoader):
        def __init__(self, *args, **kwargs):
            made.append(kwargs)
            super().__init__(*args, **kwargs)

    on_device(make_net(iterator_valid=Loader, iterator_valid__pin_memory=False), Ten())
    assert made
    assert made[0]["pin_memory"] is False
    # One that holds tensors on the device cannot fetch.
    X = on_device(make_net(iterator_valid=TensorBatches), Ten())
    assert number(X[torch.tensor([6])]) == [6]
