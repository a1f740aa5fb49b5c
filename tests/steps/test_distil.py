"""How a network learns of its fair teacher."""

import numpy as np
import pytest
import torch

from skfairaug.steps import distillation_loss, group_offsets


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


def test_offsets_take_back_the_frequencies_of_the_training():
    """A network that is right but for the frequencies of classes in groups."""
    generator = torch.Generator().manual_seed(0)
    n, n_classes = 40_000, 4
    y = torch.randint(n_classes, (n,), generator=generator)
    groups = torch.randint(2, (n,), generator=generator)
    centres = 2 * torch.eye(n_classes)
    X = centres[y] + torch.randn(n, n_classes, generator=generator)
    fair = (X @ centres.T).log_softmax(1)  # centres are equally far from zero
    prior = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]]).log()
    biased = (fair + prior[groups]).log_softmax(1)
    scales, offsets = group_offsets(biased, y, groups, 2)
    torch.testing.assert_close(scales, torch.ones(2, 1), atol=0.05, rtol=0)
    centred = offsets + prior
    centred = centred - centred.mean(1, keepdim=True)
    torch.testing.assert_close(centred, torch.zeros(2, n_classes), atol=0.1, rtol=0)


def test_offsets_do_not_depend_on_the_sizes_of_cells():
    generator = torch.Generator().manual_seed(0)
    log_proba = torch.randn(60, 3, generator=generator, dtype=torch.float64).log_softmax(1)
    y, groups = torch.arange(60) % 3, torch.arange(60) // 3 % 2
    once = group_offsets(log_proba, y, groups, 2)
    cell = torch.nonzero((y == 1) & (groups == 0)).ravel()
    rows = torch.cat([torch.arange(60), cell, cell])
    again = group_offsets(log_proba[rows], y[rows], groups[rows], 2)
    for one, other in zip(once, again, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_teacher_of_many_classes_under_no_grad():
    with torch.no_grad():
        scales, offsets = group_offsets(
            torch.randn(8, 3).log_softmax(1), torch.arange(8) % 3, torch.arange(8) % 2, 2
        )
    assert (scales > 0).all()
    assert not offsets.requires_grad
