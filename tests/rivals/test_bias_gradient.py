"""BiasGradientFineTuning: the way it goes, where it stops, and what it prunes."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skfairaug._inputs._encoder import weight_layers
from skfairaug.metrics import soft_bias
from skfairaug.modules import TabularMLP
from skfairaug.rivals import BiasGradientFineTuning
from skfairaug.rivals._bias_gradient import hidden_layers, switch_off, unit_influence


@pytest.fixture
def deep_net(rows):
    return NeuralNetClassifier(
        TabularMLP(4, width=16, depth=2, dropout=0.0),
        criterion=nn.CrossEntropyLoss,
        max_epochs=8,
        lr=0.1,
        verbose=0,
    ).fit(rows.X, rows.y)


def fit(rival, rows, group=None):
    group = rows.group if group is None else group
    return rival.fit(rows.X, rows.y, sensitive_features=group)


def proxy(net, rows, group):
    return soft_bias(
        torch.as_tensor(net.predict_proba(rows.X)),
        torch.as_tensor(rows.y),
        torch.as_tensor(group),
        "statistical_parity",
    ).item()


METHODS = {
    "gradient": {"lr": 1e-3, "steps_per_epoch": 1},
    "pruning": {"method": "pruning", "prune_fraction": 0.05},
}


@pytest.mark.parametrize("flipped", [False, True], ids=["as it is", "flipped"])
@pytest.mark.parametrize("method", METHODS)
def test_the_bias_shrinks_from_either_side(method, flipped, deep_net, rows, monkeypatch):
    group = 1 - rows.group if flipped else rows.group
    before = proxy(deep_net, rows, group)
    assert (before > 0.05) if flipped else (before < -0.05)
    seen = []
    original = BiasGradientFineTuning._proxy
    monkeypatch.setattr(
        BiasGradientFineTuning,
        "_proxy",
        lambda *args: seen.append(original(*args)) or seen[-1],
    )
    settings = {**METHODS[method], "max_epochs": 6, "tolerance": 0.3, "random_state": 0}
    fit(BiasGradientFineTuning(deep_net, **settings), rows, group)
    sizes = [value.item() * np.sign(before) for value in seen]
    assert sizes[0] == pytest.approx(abs(before), abs=1e-5)
    assert len(sizes) > 2
    assert sizes[-1] < sizes[0]
    assert all(size > 0 for size in sizes[:-1])


@pytest.mark.parametrize(
    "settings",
    [{"lr": 0.05}, {"method": "pruning", "prune_fraction": 0.3}],
    ids=["gradient", "pruning"],
)
def test_it_stops_where_the_bias_changes_its_sign(settings, deep_net, rows):
    rival = BiasGradientFineTuning(
        deep_net, max_epochs=40, tolerance=0.3, random_state=0, **settings
    )
    fit(rival, rows)
    rounds = [row for row in rival.history_ if "expected_phi" in row]
    assert 0 < len(rounds) < 40
    assert rival.objective_ >= max(row["expected_phi"] for row in rounds)


def test_methods_differ_and_leave_their_own_attributes(deep_net, rows):
    rival = BiasGradientFineTuning(deep_net, tolerance=0.3, max_epochs=3, random_state=0)
    assert not hasattr(fit(rival, rows), "n_pruned_")
    assert {row.get("phase") for row in rival.history_} == {None, "fine-tune"}
    fit(rival.set_params(method="pruning"), rows)
    assert rival.n_pruned_ >= 0
    assert {row.get("phase") for row in rival.history_} == {None, "prune"}
    assert not hasattr(fit(rival.set_params(method="gradient"), rows), "n_pruned_")


# -- pruning ------------------------------------------------------------------


def test_influence_is_the_slope_of_the_bias_along_the_unit():
    layers = [nn.Linear(3, 2), nn.Conv1d(2, 3, 2)]
    gradients = [torch.randn_like(p) for layer in layers for p in layer.parameters()]
    result = unit_influence(layers, gradients).tolist()
    expected = [
        sum((p[j] * g[j]).sum().item() for p, g in zip(layer.parameters(), pair, strict=True))
        for layer, pair in zip(layers, (gradients[:2], gradients[2:]), strict=True)
        for j in range(len(layer.weight))
    ]
    assert result == pytest.approx(expected, rel=1e-5)


def test_the_most_influential_units_go_and_only_those_that_raise_the_bias():
    layers = [nn.Linear(3, 2), nn.Linear(2, 3)]
    kept = [layer.weight.detach().clone() for layer in layers]
    influence = torch.tensor([0.5, -1.0, 0.1, 0.2, 0.0])
    assert switch_off(layers, influence, 2) == 2
    assert layers[0].weight[0].abs().sum() == layers[0].bias[0] == 0
    assert layers[1].weight[1].abs().sum() == layers[1].bias[1] == 0
    assert torch.equal(layers[0].weight[1], kept[0][1])
    assert torch.equal(layers[1].weight[[0, 2]], kept[1][[0, 2]])
    assert switch_off(layers, -influence.abs(), 5) == 0
    assert switch_off(layers, influence, 99) == 3


def test_a_frozen_bias_stays():
    layer = nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    before = layer.bias.clone()
    switch_off([layer], torch.tensor([1.0, -1.0]), 1)
    assert layer.weight[0].abs().sum() == 0
    assert torch.equal(layer.bias, before)


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
def test_the_network_kept_has_so_many_units_off(deep_net, rows):
    rival = BiasGradientFineTuning(
        deep_net, method="pruning", tolerance=0.15, prune_fraction=0.1, random_state=0
    )
    fit(rival, rows)
    off = [
        (layer.weight.flatten(1).abs().sum(1) == 0).sum().item()
        for layer in weight_layers(rival.net_.module_)
    ]
    assert sum(off) == rival.n_pruned_ > 0
    assert off[-1] == 0, "the output layer"


def test_transposed_convolutions_and_the_head_are_not_hidden_units():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(2, 3, 2)
            self.conv = nn.Conv1d(3, 4, 1)
            self.head = nn.Linear(4, 2)

    module = Net()
    net = type("Fitted", (), {"module_": module})
    assert hidden_layers(net, module.head) == [module.conv]


def test_pruning_needs_a_hidden_layer(rows):
    net = NeuralNetClassifier(
        TabularMLP(4, depth=0), criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0
    ).fit(rows.X, rows.y)
    with pytest.raises(ValueError, match="'pruning' needs a hidden linear or convolutional"):
        fit(BiasGradientFineTuning(net, method="pruning"), rows)
    fit(BiasGradientFineTuning(net, max_epochs=1, tolerance=0.9), rows)


def test_unknown_method(net, rows):
    with pytest.raises(ValueError, match="'method' parameter of BiasGradientFineTuning must"):
        fit(BiasGradientFineTuning(net, method="ascent"), rows)
