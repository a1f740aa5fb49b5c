"""TabularMLP: its layers, its shapes, its split into body and head."""

import pytest
import torch
from torch import nn

from skfairaug.modules import TabularMLP


def test_default_is_the_network_of_the_paper():
    net = TabularMLP(98)
    layers = list(net.body)
    assert [type(layer) for layer in layers] == 11 * [
        nn.Linear,
        nn.ReLU,
        nn.Dropout,
        nn.BatchNorm1d,
    ]
    linear = [(layer.in_features, layer.out_features) for layer in layers[::4]]
    assert linear == [(98, 32)] + 10 * [(32, 32)]
    assert {layer.p for layer in layers[2::4]} == {0.2}
    assert (net.head.in_features, net.head.out_features) == (32, 2)


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_shape(n_classes, depth):
    net = TabularMLP(4, n_classes=n_classes, width=6, depth=depth)
    assert net(torch.randn(7, 4)).shape == (7, n_classes)
    assert net.body(torch.randn(7, 4)).shape == (7, 6 if depth else 4)


def test_head_of_the_body_is_the_net():
    net = TabularMLP(4, width=6, depth=2).eval()
    X = torch.randn(7, 4)
    assert torch.equal(net.head(net.body(X)), net(X))


def test_dropout_only_in_training():
    net = TabularMLP(4, width=6, depth=2, dropout=0.5)
    X = torch.randn(7, 4)
    assert not torch.equal(net(X), net(X))
    net.eval()
    assert torch.equal(net(X), net(X))


def test_gradients_are_finite_at_full_depth():
    net = TabularMLP(10)
    X = torch.randn(64, 10, requires_grad=True)
    nn.functional.cross_entropy(net(X), torch.randint(2, (64,))).backward()
    for tensor in (X, *net.parameters()):
        assert torch.isfinite(tensor.grad).all()
    assert X.grad.abs().sum() > 0
