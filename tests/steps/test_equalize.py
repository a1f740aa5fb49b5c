import numpy as np
import pytest
import torch

from skfairaug.steps import distillation_loss, teacher_log_odds


def test_teacher_subtracts_the_threshold_of_the_group():
    log_odds = torch.tensor([1.0, 1.0, -2.0])
    groups = torch.tensor([0, 1, 1])
    targets = teacher_log_odds(log_odds, groups, torch.tensor([0.5, -1.0]))
    torch.testing.assert_close(targets, torch.tensor([0.5, 2.0, -1.0]))


def test_loss_by_hand():
    log_proba = torch.tensor([[0.25, 0.75], [0.5, 0.5]], dtype=torch.float64).log()
    targets = torch.tensor([np.log(3.0), 0.0], dtype=torch.float64)  # q = 3/4, 1/2
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    expected = (entropy + np.log(2)) / 2
    assert distillation_loss(log_proba, targets).item() == pytest.approx(expected, rel=1e-12)


def test_importance_is_not_normalised():
    log_proba = torch.tensor([[0.3, 0.7], [0.6, 0.4]]).log()
    targets = torch.tensor([2.0, -1.0])
    weights = torch.tensor([3.0, 3.0])
    torch.testing.assert_close(
        distillation_loss(log_proba, targets, weights),
        3 * distillation_loss(log_proba, targets),
    )


def test_loss_is_least_where_the_network_agrees_with_the_teacher():
    targets = torch.tensor([1.5, -0.5], dtype=torch.float64)
    logits = targets.clone().requires_grad_(True)

    def loss(logits):
        log_proba = torch.log_softmax(torch.stack([torch.zeros(2), logits], 1), 1)
        return distillation_loss(log_proba, targets)

    (gradient,) = torch.autograd.grad(loss(logits), logits)
    torch.testing.assert_close(gradient, torch.zeros(2, dtype=torch.float64))
    assert loss(logits + 0.1) > loss(logits)


def test_loss_has_a_finite_gradient_at_extreme_targets():
    logits = torch.tensor([30.0, -30.0], requires_grad=True)
    log_proba = torch.log_softmax(torch.stack([torch.zeros(2), logits], 1), 1)
    distillation_loss(log_proba, torch.tensor([-80.0, 80.0])).backward()
    assert torch.isfinite(logits.grad).all()
