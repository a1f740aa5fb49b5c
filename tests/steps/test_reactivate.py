"""Reactivation: kept weights stay, masked ones start anew, BatchNorm sees the data."""

import math

import pytest
import torch
from torch import nn

from skfairaug.steps.reactivate import reactivate, reestimate_batchnorm


def random_masks(net, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (torch.rand(value.shape, generator=generator) > 0.5).float()
        for name, value in net.named_parameters()
        if name.endswith("weight") and value.ndim > 1
    }


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0])
def test_kept_weights_and_everything_else_stay_bit_for_bit(scale):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    masks = random_masks(net)
    assert reactivate(net, masks, scale=scale) is net
    for name, value in net.state_dict().items():
        kept = masks[name] > 0 if name in masks else torch.ones_like(value, dtype=torch.bool)
        assert torch.equal(value[kept], before[name][kept])
        if name in masks:
            assert not torch.equal(value[~kept], before[name][~kept])


def test_zero_scale_gives_zeros():
    net = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2))
    masks = random_masks(net)
    reactivate(net, masks)
    assert net[0].weight[masks["0.weight"] == 0].eq(0).all()
    assert net[1].weight[masks["1.weight"] == 0].eq(0).all()


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_redraw_follows_the_initialiser_of_the_layer(scale):
    torch.manual_seed(0)
    layer = nn.Linear(100, 200)
    with torch.no_grad():
        layer.weight.fill_(7.0)
    reactivate(layer, {"weight": torch.zeros(200, 100)}, scale=scale)
    bound = scale / math.sqrt(100)  # nn.Linear draws from U(-1/sqrt(n), 1/sqrt(n))
    assert layer.weight.abs().max() <= bound
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.02 * bound)
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_redraw_obeys_the_seed():
    def redrawn(seed):
        torch.manual_seed(0)
        layer = nn.Linear(3, 3)
        torch.manual_seed(seed)
        return reactivate(layer, {"weight": torch.zeros(3, 3)}, scale=1.0).weight

    assert torch.equal(redrawn(1), redrawn(1))
    assert not torch.equal(redrawn(1), redrawn(2))


def test_bool_masks_and_nested_layers():
    net = nn.ModuleDict({"body": nn.Sequential(nn.ReLU(), nn.Linear(2, 2))})
    mask = torch.tensor([[True, False], [False, True]])
    reactivate(net, {"body.1.weight": mask})
    assert net["body"][1].weight.ne(0).equal(mask)


def test_weights_stay_trainable():
    layer = nn.Linear(2, 2)
    reactivate(layer, {"weight": torch.zeros(2, 2)}, scale=1.0)
    assert layer.weight.requires_grad
    layer(torch.ones(1, 2)).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()


class Bare(nn.Module):
    """A layer with a weight and no initialiser."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2))


def test_layer_without_initialiser():
    net = nn.ModuleDict({"bare": Bare()})
    masks = {"bare.weight": torch.zeros(2, 2)}
    message = r"layer 'bare.*' has no reset_parameters\(\).*use reinit_scale=0"
    with pytest.raises(ValueError, match=message):
        reactivate(net, masks, scale=0.5)
    assert net["bare"].weight.eq(1).all()
    assert reactivate(net, masks)["bare"].weight.eq(0).all()


# -- BatchNorm ----------------------------------------------------------------


def test_one_batch_gives_mean_and_variance_of_the_data():
    X = 3 + 2 * torch.randn(50, 4)
    norm = nn.BatchNorm1d(4).eval()
    reestimate_batchnorm(norm, norm, [X])
    torch.testing.assert_close(norm.running_mean, X.mean(0))
    torch.testing.assert_close(norm.running_var, X.var(0))


def test_equal_batches_give_the_mean_of_the_data():
    X = torch.randn(60, 4)
    norm = nn.BatchNorm1d(4).eval()
    parts = X.split(20)
    reestimate_batchnorm(norm, norm, parts)
    torch.testing.assert_close(norm.running_mean, X.mean(0))
    within = torch.stack([part.var(0) for part in parts]).mean(0)
    torch.testing.assert_close(norm.running_var, within)


def test_batches_count_by_their_rows():
    X = torch.randn(52, 4)
    X[50:] += 100  # two rows must not weigh as much as fifty
    norm = nn.BatchNorm1d(4).eval()
    reestimate_batchnorm(norm, norm, X.split(25))
    torch.testing.assert_close(norm.running_mean, X.mean(0))


def test_old_statistics_are_forgotten():
    X = torch.randn(30, 2)
    norm = nn.BatchNorm1d(2)
    norm(1000 + torch.randn(30, 2))
    reestimate_batchnorm(norm, norm, [X])
    torch.testing.assert_close(norm.running_mean, X.mean(0))


def modes(net):
    return [module.training for module in net.modules()]


def mixed_net():
    net = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.3), nn.Dropout(0.5),
        nn.BatchNorm1d(4, track_running_stats=False), nn.BatchNorm1d(4, momentum=None),
    )  # fmt: skip
    net.eval()
    net[4].train()
    return net


def test_modes_and_momentum_are_restored():
    net = mixed_net()
    before = modes(net)
    seen = []

    def forward(batch):
        seen.append(modes(net))
        net(batch)

    reestimate_batchnorm(net, forward, [torch.randn(8, 3)])
    # Only BatchNorm layers with statistics train: dropout stays off.
    assert seen == [[False, False, True, False, False, True]]
    assert modes(net) == before
    assert [net[1].momentum, net[4].momentum] == [0.3, None]


def test_modes_and_momentum_are_restored_after_an_error():
    net = mixed_net()
    before = modes(net)
    with pytest.raises(ZeroDivisionError):
        reestimate_batchnorm(net, lambda batch: 1 / 0, [torch.randn(8, 3)])
    assert modes(net) == before
    assert [net[1].momentum, net[4].momentum] == [0.3, None]


def test_parameters_stay_and_get_no_gradient():
    net = mixed_net()
    before = [parameter.clone() for parameter in net.parameters()]
    reestimate_batchnorm(net, net, [torch.randn(8, 3)])
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
        assert parameter.grad is None


def test_net_without_batchnorm_is_not_run():
    net = nn.Linear(2, 2)
    assert reestimate_batchnorm(net, lambda batch: 1 / 0, [torch.ones(2, 2)]) is net
