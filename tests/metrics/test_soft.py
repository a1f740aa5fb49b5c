"""Soft bias: equal to the hard one at the corners, natural on resampled batches."""

import numpy as np
import pytest
import torch

from skfairaug.metrics._cells import cell_counts
from skfairaug.metrics._constraints import CONSTRAINTS
from skfairaug.metrics._hard import bias
from skfairaug.metrics._soft import soft_bias

NAMES = [name for name in CONSTRAINTS if name != "demographic_parity"]


def random_case(n_classes=2, n_groups=2, n_samples=120, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(n_classes, (n_samples,), generator=generator)
    groups = torch.randint(n_groups, (n_samples,), generator=generator)
    logits = torch.randn(n_samples, n_classes, dtype=torch.float64, generator=generator)
    logits[:, 0] += groups
    return logits, y, groups


def test_by_hand():
    p = torch.tensor([0.1, 0.5, 0.9, 0.4, 0.8], dtype=torch.float64)
    proba = torch.stack([1 - p, p], 1)
    y, groups = torch.tensor([0, 0, 1, 0, 1]), torch.tensor([0, 0, 0, 1, 1])
    expected = {
        "statistical_parity": 0.5 - 0.6,
        "equal_opportunity": 0.9 - 0.8,
        "average_odds": ((0.3 - 0.4) + (0.9 - 0.8)) / 2,
        "equalized_odds": 0.1,
    }
    for name, value in expected.items():
        assert soft_bias(proba, y, groups, name).item() == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_one_hot_gives_the_hard_measure(name, n_classes, n_groups):
    logits, y, groups = random_case(n_classes, n_groups)
    y_pred = logits.argmax(1)
    proba = torch.nn.functional.one_hot(y_pred, n_classes).double()
    hard = bias(y.numpy(), y_pred.numpy(), sensitive_features=groups.numpy(), constraint=name)
    soft = soft_bias(proba, y, groups, CONSTRAINTS[name])
    assert soft.shape == ()
    assert soft.item() == pytest.approx(hard, abs=1e-12)


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_gradient(name, n_classes, n_groups):
    logits, y, groups = random_case(n_classes, n_groups, n_samples=20)
    counts = cell_counts(y, groups, n_classes, n_groups) + 3

    def loss(logits):
        return soft_bias(logits.softmax(1), y, groups, name, counts=counts)

    assert torch.autograd.gradcheck(loss, logits.requires_grad_())


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_resampled_batch_with_natural_counts_gives_natural_bias(name, n_classes):
    logits, y, groups = random_case(n_classes, seed=1)
    proba = logits.softmax(1)
    cells = y * 2 + groups
    counts = cell_counts(y, groups, n_classes, 2)
    # Repeat every cell a different number of times: means of cells stay, sizes do not.
    rows = torch.repeat_interleave(torch.arange(len(y)), cells**2 + 1)
    natural = soft_bias(proba, y, groups, name)
    resampled = soft_bias(proba[rows], y[rows], groups[rows], name, counts=counts)
    assert resampled.item() == pytest.approx(natural.item(), abs=1e-12)
    if name == "statistical_parity":  # without counts it is another quantity
        unweighted = soft_bias(proba[rows], y[rows], groups[rows], name)
        assert abs(unweighted - natural) > 1e-3


@pytest.mark.parametrize("counts", [None, torch.tensor([[[50, 50], [50, 50]]])])
@pytest.mark.parametrize("name", NAMES)
def test_absent_cell_gives_no_nan(name, counts):
    logits, y, groups = random_case(n_samples=30)
    keep = (y == 0) | (groups == 0)
    logits, y, groups = logits[keep].requires_grad_(), y[keep], groups[keep]
    value = soft_bias(logits.softmax(1), y, groups, name, counts=counts, n_groups=2)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


def test_absent_cell_opens_no_gap():
    logits, y, groups = random_case(n_samples=30)
    keep = (y == 0) | (groups == 0)
    proba = logits[keep].softmax(1)
    value = soft_bias(proba, y[keep], groups[keep], "equal_opportunity", n_groups=2)
    assert value.item() == 0


@pytest.mark.parametrize("name", NAMES)
def test_absent_group_and_single_row(name):
    proba = torch.tensor([[0.25, 0.75]], requires_grad=True)
    value = soft_bias(proba, torch.tensor([1]), torch.tensor([0]), name, n_groups=3)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(proba.grad).all()


def test_keeps_the_type_and_needs_no_number_of_groups():
    logits, y, groups = random_case()
    for dtype in (torch.float32, torch.float64):
        value = soft_bias(logits.softmax(1).to(dtype), y, groups, "average_odds")
        assert value.dtype == dtype
    counts = cell_counts(y, groups, 2, 2)
    assert soft_bias(logits.softmax(1), y, groups, "average_odds", counts=counts) == value
    as_numpy = soft_bias(
        logits.softmax(1), y, groups, "average_odds", counts=np.asarray(counts)
    )
    assert as_numpy == value


def test_descent_removes_the_bias():
    logits, y, groups = random_case()
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.05)
    start = soft_bias(logits.softmax(1), y, groups, "statistical_parity").abs().item()
    for _ in range(50):
        loss = soft_bias(logits.softmax(1), y, groups, "statistical_parity").abs()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert start > 0.1 > 0.02 > loss.item()


def test_unknown_constraint():
    logits, y, groups = random_case()
    with pytest.raises(ValueError, match="Unknown constraint 'fair'"):
        soft_bias(logits.softmax(1), y, groups, "fair")
