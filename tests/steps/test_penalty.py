"""The fine-tune loss: the hinge on the bias and the weighted cross-entropy of Eq. 11."""

import math

import pytest
import torch

from skfairaug.steps.penalty import bias_penalty, weighted_cross_entropy


@pytest.mark.parametrize(
    ("bias", "expected"),
    [(0.0, 0.0), (0.01, 0.0), (-0.009, 0.0), (0.03, 0.02), (-0.21, 0.2), (1.0, 0.99)],
)
def test_hinge_by_hand(bias, expected):
    assert bias_penalty(torch.tensor(bias)).item() == pytest.approx(expected, abs=1e-7)


def test_margin_wider_than_the_tolerance_aims_at_zero():
    penalty = bias_penalty(torch.tensor(0.02), tolerance=0.05, margin=0.5)
    assert penalty.item() == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("bias", "slope"), [(0.3, 1.0), (-0.3, -1.0), (0.005, 0.0), (-0.005, 0.0), (0.0, 0.0)]
)
def test_gradient_of_the_hinge(bias, slope):
    bias = torch.tensor(bias, requires_grad=True)
    bias_penalty(bias).backward()
    assert bias.grad.item() == slope


def test_cross_entropy_by_hand():
    log_proba = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]).log()
    y, weights = torch.tensor([1, 0, 0]), torch.tensor([1.0, 2.0, 5.0])
    losses = [math.log(2), -math.log(0.9), -math.log(0.2)]
    expected = (losses[0] + 2 * losses[1] + 5 * losses[2]) / 8
    assert weighted_cross_entropy(log_proba, y, weights).item() == pytest.approx(expected)
    # Only the ratios of the weights matter.
    same = weighted_cross_entropy(log_proba, y, 10 * weights)
    assert same.item() == pytest.approx(expected)


def test_importance_is_not_normalised():
    log_proba = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    y, weights = torch.tensor([1, 0]), torch.tensor([1.0, 3.0])
    plain = weighted_cross_entropy(log_proba, y, weights)
    ones = weighted_cross_entropy(log_proba, y, weights, torch.ones(2))
    twice = weighted_cross_entropy(log_proba, y, weights, torch.full((2,), 2.0))
    torch.testing.assert_close(ones, plain)
    torch.testing.assert_close(twice, 2 * plain)
    mixed = weighted_cross_entropy(log_proba, y, weights, torch.tensor([1.0, 4.0]))
    expected = (math.log(2) - 3 * 4 * math.log(0.9)) / 4
    assert mixed.item() == pytest.approx(expected)


def test_equal_weights_are_torch_cross_entropy():
    logits = torch.randn(20, 4, dtype=torch.float64)
    y = torch.randint(4, (20,))
    loss = weighted_cross_entropy(logits.log_softmax(1), y, torch.ones(20).double())
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, y))


def test_gradient_also_through_importance():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    weights = torch.rand(6, dtype=torch.float64, generator=generator)

    def loss(logits):
        proba = logits.softmax(1)
        return weighted_cross_entropy(logits.log_softmax(1), y, weights, 1 + proba[:, 0])

    assert torch.autograd.gradcheck(loss, logits)


def test_saturated_logits_keep_a_finite_gradient():
    logits = torch.tensor([[300.0, -300.0]], requires_grad=True)
    y = torch.tensor([1])
    weighted_cross_entropy(logits.log_softmax(1), y, torch.ones(1)).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, -1.0]]))
