"""How a network learns of its fair teacher."""

import numpy as np
import pytest
import torch

from skfairaug.steps import distillation_loss


def two(targets):
    """Probabilities of two classes from log-odds."""
    return torch.stack([torch.sigmoid(-targets), torch.sigmoid(targets)], 1)


def test_loss_by_hand():
    log_proba = torch.tensor([[0.25, 0.75], [0.5, 0.5]], dtype=torch.float64).log()
    targets = torch.tensor([np.log(3.0), 0.0], dtype=torch.float64)  # q = 3/4, 1/2
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    expected = (entropy + np.log(2)) / 2
    loss = distillation_loss(log_proba, two(targets)).item()
    assert loss == pytest.approx(expected, rel=1e-12)


def test_importance_is_not_normalised():
    log_proba = torch.tensor([[0.3, 0.7], [0.6, 0.4]]).log()
    targets = torch.tensor([2.0, -1.0])
    weights = torch.tensor([3.0, 3.0])
    torch.testing.assert_close(
        distillation_loss(log_proba, two(targets), weights),
        3 * distillation_loss(log_proba, two(targets)),
    )


def test_loss_is_least_where_the_network_agrees_with_the_teacher():
    targets = torch.tensor([1.5, -0.5], dtype=torch.float64)
    logits = targets.clone().requires_grad_(True)

    def loss(logits):
        log_proba = torch.log_softmax(torch.stack([torch.zeros(2), logits], 1), 1)
        return distillation_loss(log_proba, two(targets))

    (gradient,) = torch.autograd.grad(loss(logits), logits)
    torch.testing.assert_close(gradient, torch.zeros(2, dtype=torch.float64))
    assert loss(logits + 0.1) > loss(logits)


def test_loss_has_a_finite_gradient_at_extreme_targets():
    logits = torch.tensor([30.0, -30.0], requires_grad=True)
    log_proba = torch.log_softmax(torch.stack([torch.zeros(2), logits], 1), 1)
    distillation_loss(log_proba, two(torch.tensor([-80.0, 80.0]))).backward()
    assert torch.isfinite(logits.grad).all()
