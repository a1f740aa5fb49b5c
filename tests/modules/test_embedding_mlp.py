"""EmbeddingMLP: its encoding, its bins, and the net that make_tabular_net makes."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from torch import nn

from skfairaug import FairAugmentFineTuner
from skfairaug.modules import EmbeddingMLP, bin_edges, make_tabular_net


@pytest.fixture
def spiky():
    """Rows whose label is a narrow band of the first column, one of them binary."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(600, 3)).astype(np.float32)
    X[:, 2] = X[:, 2] > 0
    y = (abs(X[:, 0] - 0.5) < 0.2).astype(int)
    return X, y


def test_encoding_by_hand():
    net = EmbeddingMLP(2, numeric_columns=[1], edges=[[0.0, 1.0, 3.0]])
    X = torch.tensor([[9.0, -1.0], [9.0, 0.25], [9.0, 2.0], [9.0, 5.0]])
    expected = [[0.0, 0.0], [0.25, 0.0], [1.0, 0.5], [1.0, 1.0]]
    assert net.encode(X).tolist() == expected


def test_encoding_keeps_columns_apart():
    net = EmbeddingMLP(3, numeric_columns=[2, 0], edges=[[0.0, 1.0], [0.0, 2.0, 4.0]])
    assert net.encode(torch.tensor([[3.0, 7.0, 0.5]])).tolist() == [[0.5, 1.0, 0.5]]


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_shape(n_classes, depth):
    net = EmbeddingMLP(4, n_classes=n_classes, width=6, depth=depth)
    assert net(torch.randn(7, 4)).shape == (7, n_classes)


def test_default_bins_need_no_data():
    net = EmbeddingMLP(3, n_bins=8)
    encoding = net.encode(torch.randn(10_000, 3))
    assert encoding.shape == (10_000, 24)
    # Each bin holds about a ninth of the rows: quantiles of the normal distribution.
    inside = ((encoding > 0) & (encoding < 1)).float().mean(0)
    assert_allclose(inside, 1 / 9, atol=0.02)


def test_no_numeric_column():
    net = EmbeddingMLP(3, numeric_columns=(), width=6)
    assert net.encode(torch.randn(7, 3)).shape == (7, 0)
    assert net(torch.randn(7, 3)).shape == (7, 2)


def test_gradients_reach_input_and_weights():
    net = EmbeddingMLP(4)
    X = torch.randn(64, 4, requires_grad=True)
    nn.functional.cross_entropy(net(X), torch.randint(2, (64,))).backward()
    for tensor in (X, *net.parameters()):
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


def test_far_values_are_clipped():
    net = EmbeddingMLP(2).eval()
    X = torch.tensor([[1e4, -1e4], [1e8, -1e8]])
    assert_allclose(*net(X).detach().numpy(), rtol=1e-3)


def test_buffers_follow_the_module_and_pickle():
    net = EmbeddingMLP(2, edges=[[0, 1], [0, 2, 3]]).eval()
    twin = pickle.loads(pickle.dumps(net))
    X = torch.randn(5, 2)
    assert torch.equal(net(X), twin(X))
    assert net.double().encode(X.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"numeric_columns": [3]}, "numeric_columns must hold indices from 0 to 2; got 3"),
        ({"numeric_columns": ["age"]}, "numeric_columns must hold .* got 'age'"),
        ({"edges": [[0, 1]]}, "one array per numeric column, 3; got 1"),
        ({"edges": [[0, 1], [0, 1], [1, 1]]}, "edges of column 2 must be two or more rising"),
        ({"edges": [[0], [0, 1], [0, 1]]}, r"edges of column 0 must .* got \[0.0\]"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingMLP(3, **params)


def test_bins_are_the_values_where_these_are_few():
    X = np.column_stack([[0, 1, 0, 1, 0], [5, 1, 3, 3, 1]])
    columns, edges = bin_edges(X)
    assert columns == (1,)
    assert edges[0].tolist() == [1, 3, 5]


def test_bins_of_a_heavy_value_leave_room_for_the_others():
    rare = np.arange(1, 101)
    X = np.concatenate([np.zeros(9900), rare])[:, None]
    _, (edges,) = bin_edges(X, max_bins=20)
    assert len(edges) <= 21
    assert edges[0] == 0
    assert edges[-1] == 100
    assert len(edges) > 8  # quantiles of the rows would all be zero


def test_bins_of_a_smooth_column_are_quantiles():
    X = np.random.RandomState(0).normal(size=(5000, 1))
    _, (edges,) = bin_edges(X, max_bins=10)
    counts = np.histogram(X, edges)[0]
    assert len(counts) == 10
    assert_allclose(counts, 500, atol=3)


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (np.zeros(3), {}, r"X must be a table .* got shape \(3,\)"),
        (np.zeros((0, 3)), {}, r"X must be a table .* got shape \(0, 3\)"),
        ([[np.nan, 1.0]], {}, "X holds NaN or infinite numbers"),
        ([[0.0, 1.0]], {"max_bins": 0}, "max_bins must be a positive integer; got 0"),
    ],
)
def test_bad_table(X, params, message):
    with pytest.raises(ValueError, match=message):
        bin_edges(X, **params)


def test_tabular_net_resolves_a_spike(spiky):
    X, y = spiky
    net = make_tabular_net(X, max_epochs=15, batch_size=32, module__width=32).fit(X, y)
    assert net.score(X, y) > 0.93
    assert net.module_.head.out_features == 2
    assert net.optimizer_.param_groups[0]["lr"] < 1e-4


def test_tabular_net_is_cloneable_and_repeats(spiky):
    X, y = spiky
    net = make_tabular_net(X, max_epochs=2, module__width=16)
    scores = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        scores.append(clone(net).fit(X, y).predict_proba(X))
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_parameters_given_win():
    net = make_tabular_net(np.eye(3), 4, lr=0.5, module__depth=1, max_epochs=7)
    assert (net.lr, net.max_epochs) == (0.5, 7)
    assert dict(net.callbacks)["schedule"].kwargs == {"T_max": 7}
    assert net.get_params()["module__n_classes"] == 4
    assert net.get_params()["module__depth"] == 1


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
@pytest.mark.parametrize("augmenter", [None, "default"])
def test_fine_tuner_takes_it(rows, quick, augmenter):
    net = make_tabular_net(rows.X, max_epochs=3, module__width=16, batch_size=64)
    net.fit(rows.X, rows.y)
    tuner = FairAugmentFineTuner(net, **quick)
    if augmenter is not None:
        tuner = FairAugmentFineTuner.paper(net, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    twin = pickle.loads(pickle.dumps(tuner))
    assert np.array_equal(twin.predict(rows.X), tuner.predict(rows.X))
    assert type(tuner.net_.module_) is EmbeddingMLP
