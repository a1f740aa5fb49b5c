"""Eq. 11-12: straight-through masks, the log-sparsity budget, the masked network."""

import math

import pytest
import torch
from torch import nn

from skfairaug.modules import TabularMLP
from skfairaug.steps.mask import (
    START_LOGIT,
    binary_mask,
    density,
    masked_forward,
    sparsity_penalty,
    start_mask,
)


def hard(logits):
    return {name: binary_mask(values) for name, values in logits.items()}


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(9, 2)
    ).eval()


def test_mask_is_one_where_sigmoid_exceeds_half():
    logits = torch.tensor([-9.0, -1e-3, 0.0, 1e-3, 9.0])
    assert binary_mask(logits).tolist() == [0, 0, 0, 1, 1]
    assert binary_mask(logits.double()).dtype == torch.float64


def test_straight_through_gradient_is_that_of_sigmoid():
    logits = torch.linspace(-4, 4, 9, requires_grad=True)
    upstream = torch.arange(9.0)
    (gradient,) = torch.autograd.grad(binary_mask(logits), logits, upstream)
    (soft,) = torch.autograd.grad(torch.sigmoid(logits), logits, upstream)
    torch.testing.assert_close(gradient, soft)


def test_extreme_logits_have_finite_gradients():
    logits = torch.tensor([-1e4, 1e4], requires_grad=True)
    binary_mask(logits).sum().backward()
    assert logits.grad.tolist() == [0, 0]


def test_start_mask_names_every_linear_and_convolutional_weight():
    net = nn.ModuleDict(
        {
            "conv": nn.Conv2d(1, 2, 3),
            "norm": nn.BatchNorm2d(2),
            "up": nn.ConvTranspose2d(2, 1, 3),
            "body": nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)),
        }
    )
    logits = start_mask(net)
    assert list(logits) == ["conv.weight", "up.weight", "body.0.weight"]
    parameters = dict(net.named_parameters())
    for name, values in logits.items():
        assert values.shape == parameters[name].shape
        assert values.requires_grad
        assert values.is_leaf
        assert values.eq(START_LOGIT).all()
    assert all(mask.eq(1).all() for mask in hard(logits).values())


def test_start_mask_of_a_single_layer():
    assert list(start_mask(nn.Linear(2, 1))) == ["weight"]


def test_start_mask_of_a_frozen_net_is_trainable():
    net = small_net().requires_grad_(False)
    assert all(values.requires_grad for values in start_mask(net).values())


def test_shared_weight_is_masked_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    net = nn.Sequential(first, second)
    logits = start_mask(net)
    assert list(logits) == ["0.weight"]
    X = torch.randn(2, 3)
    assert torch.equal(masked_forward(net, hard(logits), X), net(X))
    nothing = {"0.weight": torch.zeros(3, 3)}
    torch.testing.assert_close(masked_forward(net, nothing, X)[0], second.bias)


def test_net_without_maskable_layers():
    with pytest.raises(ValueError, match="no linear or convolutional layer"):
        start_mask(nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()))


def test_density_has_one_budget_for_all_layers():
    masks = {"a": torch.tensor([1.0, 0.0, 0.0]), "b": torch.ones(1)}
    assert density(masks).item() == 0.5  # the mean of the layers' densities is 2/3


@pytest.mark.parametrize(
    ("kept", "target", "expected"),
    [
        (10, 0.5, math.log(2)),
        (8, 0.5, math.log(1.6)),
        (5, 0.5, 0.0),
        (2, 0.5, 0.0),
        (10, 1.0, 0.0),
    ],
)
def test_sparsity_penalty_by_hand(kept, target, expected):
    mask = (torch.arange(10) < kept).float()
    assert sparsity_penalty({"m": mask}, target).item() == pytest.approx(expected, abs=1e-6)


def test_sparsity_gradient_by_hand_and_zero_below_the_target():
    # d/dM_i log(sum(M)/N) = 1/sum(M)
    mask = torch.tensor([1.0, 1.0, 1.0, 0.0], requires_grad=True)
    sparsity_penalty({"m": mask}, 0.5).backward()
    torch.testing.assert_close(mask.grad, torch.full((4,), 1 / 3))
    mask = torch.tensor([1.0, 0.0, 0.0, 0.0], requires_grad=True)
    sparsity_penalty({"m": mask}, 0.5).backward()
    assert mask.grad.eq(0).all()


def test_penalty_of_an_empty_mask_is_finite():
    logits = torch.full((4,), -1.0, requires_grad=True)
    penalty = sparsity_penalty({"m": binary_mask(logits)})
    penalty.backward()
    assert penalty.item() == 0
    assert logits.grad.eq(0).all()


@pytest.mark.parametrize("training", [False, True])
def test_ones_reproduce_the_net_bit_for_bit(training):
    net = TabularMLP(5, depth=3, width=8, dropout=0.0).train(training)
    X = torch.randn(16, 5)
    masks = hard(start_mask(net))
    assert torch.equal(masked_forward(net, masks, X), net(X))


def test_masked_forward_by_hand():
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, 3.0]]))
        layer.bias.fill_(5.0)
    masks = {"weight": torch.tensor([[0.0, 1.0]])}
    assert masked_forward(layer, masks, torch.tensor([[10.0, 100.0]])).item() == 305.0


def test_module_is_untouched_and_gradients_reach_only_the_masks():
    net = small_net().requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    logits = start_mask(net)
    masked_forward(net, hard(logits), torch.randn(4, 2, 4)).square().sum().backward()
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in net.parameters())
    for values in logits.values():
        assert torch.isfinite(values.grad).all()
        assert values.grad.abs().sum() > 0


def test_mask_gradient_by_hand():
    # f = w m x, so df/dm_logit = w x sigmoid'(m)
    layer = nn.Linear(1, 1, bias=False).requires_grad_(False)
    layer.weight.fill_(4.0)
    logits = {"weight": torch.full((1, 1), -0.5, requires_grad=True)}
    masked_forward(layer, hard(logits), torch.tensor([[3.0]])).backward()
    soft = 1 / (1 + math.exp(0.5))
    assert logits["weight"].grad.item() == pytest.approx(12 * soft * (1 - soft), rel=1e-6)
