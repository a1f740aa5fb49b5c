"""Bias amplification: the published formula, its error and its gradient."""

import numpy as np
import pytest
import torch

from skfairaug.metrics import bias, bias_amplification, bias_by_class, get_constraint, soft_bias
from skfairaug.metrics._cells import cell_counts, prediction_rates

AMPLIFICATION = get_constraint("bias_amplification")


def draw(n, n_classes=5, n_groups=2, seed=0):
    rng = np.random.default_rng(seed)
    y, groups = rng.integers(n_classes, size=n), rng.integers(n_groups, size=n)
    y_pred = np.where(rng.random(n) < 0.6, y, (y + groups) % n_classes)
    return y, y_pred, groups


def printed(y_pred, groups):
    """The formula in counts, as printed: gray and colour images predicted as each class."""
    total = 0.0
    classes = np.unique(y_pred)
    for c in classes:
        gray, colour = ((y_pred[groups == g] == c).sum() for g in (0, 1))
        total += max(gray, colour) / (gray + colour) - 0.5
    return total / len(classes)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_two_equal_copies_give_the_printed_formula(n_classes):
    y, y_pred, _ = draw(600, n_classes)
    y = np.tile(y[:300], 2)
    groups = np.repeat([0, 1], 300)
    value = bias_amplification(y, y_pred, sensitive_features=groups)
    assert value == pytest.approx(printed(y_pred, groups), abs=1e-12)
    assert value > 0


@pytest.mark.parametrize("n_classes", [2, 5])
def test_sizes_of_the_groups_do_not_count(n_classes):
    y, y_pred, _ = draw(400, n_classes)
    y, groups = np.tile(y[:200], 2), np.repeat([0, 1], 200)
    rows = np.r_[np.arange(400), np.flatnonzero(groups == 1), np.flatnonzero(groups == 1)]
    once = bias_amplification(y, y_pred, sensitive_features=groups)
    again = bias_amplification(y[rows], y_pred[rows], sensitive_features=groups[rows])
    assert again == pytest.approx(once, abs=1e-12)


def test_a_skew_of_the_data_does_not_count():
    """Rows that are predicted alike whatever their group, on classes that are not."""
    y, groups = np.repeat([0, 1, 0, 1], [90, 10, 10, 90]), np.repeat([0, 1], 100)
    assert bias_amplification(y, y, sensitive_features=groups) == pytest.approx(0, abs=1e-12)


def test_an_empty_cell_is_named():
    with pytest.raises(ValueError, match="No rows with label '2' in group '0'"):
        bias_amplification([0, 1, 0, 1, 2], [0, 1, 0, 1, 2], sensitive_features=[0, 0, 1, 1, 1])


def test_several_groups_by_hand():
    groups = np.repeat([0, 1, 2], 4)
    y = np.tile([0, 0, 1, 2], 3)
    y_pred = np.array([0, 0, 0, 1] + [0, 1, 1, 1] + [1, 1, 2, 2])
    rates = np.array([[3, 1, 0], [1, 3, 2], [0, 0, 2]]) / 4
    expected = np.mean(rates.max(1) / rates.sum(1) - 1 / 3)
    value = bias_amplification(y, y_pred, sensitive_features=groups)
    assert value == pytest.approx(expected, abs=1e-12)


def test_a_class_that_is_never_predicted_counts_as_zero():
    y = np.array([0, 1, 2] * 4)
    groups = np.arange(12) // 3 % 2
    y_pred = np.where(y == 2, 0, y)
    assert bias_amplification(y, y_pred, sensitive_features=groups) == 0
    y_pred = np.where(groups == 0, 0, 1)
    value = bias_amplification(y, y_pred, sensitive_features=groups)
    assert value == pytest.approx((0.5 + 0.5 + 0) / 3)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("n_groups", [2, 3])
def test_soft_equals_hard_on_certain_predictions(n_classes, n_groups):
    y, y_pred, groups = draw(300, n_classes, n_groups)
    hard = bias_amplification(y, y_pred, sensitive_features=groups)
    proba = torch.from_numpy(np.eye(n_classes)[y_pred])
    y, groups = torch.from_numpy(y), torch.from_numpy(groups)
    assert soft_bias(proba, y, groups, AMPLIFICATION).item() == pytest.approx(hard, abs=1e-12)


def test_gradient_is_finite_at_ties_and_for_absent_classes():
    logits = torch.zeros(12, 3, requires_grad=True)
    with torch.no_grad():
        logits[:, 2] = -torch.inf
    y, groups = torch.arange(12) % 3, torch.arange(12) // 3 % 2
    soft_bias(logits.softmax(1), y, groups, AMPLIFICATION).backward()
    assert torch.isfinite(logits.grad[:, :2]).all()


def test_the_soft_measure_can_be_descended():
    y, y_pred, groups = draw(400)
    values = []
    logits = torch.from_numpy(2 * np.eye(5)[y_pred]).requires_grad_()
    y_t, g_t = torch.from_numpy(y), torch.from_numpy(groups)
    for _ in range(50):
        value = soft_bias(logits.softmax(1), y_t, g_t, AMPLIFICATION)
        values.append(value.item())
        (gradient,) = torch.autograd.grad(value, logits)
        logits = (logits - 200 * gradient).detach().requires_grad_()
    assert values[-1] < 0.6 * values[0]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_standard_error_is_the_spread_of_repeated_samples(n_classes):
    rng = np.random.default_rng(0)
    y = np.arange(2000) % n_classes
    groups = np.arange(2000) // n_classes % 2
    chance = np.where(groups == 0, 0.8, 0.4)  # far from a tie, where the slope jumps
    shape = n_classes, 2
    values, errors = [], []
    for _ in range(300):
        y_pred = np.where(rng.random(2000) < chance, 0, y)
        rates = prediction_rates(y_pred, y, groups, *shape)
        counts = cell_counts(y, groups, *shape)
        gaps, each = AMPLIFICATION.class_gaps(rates, counts), AMPLIFICATION.class_errors
        if n_classes == 2:
            values.append(AMPLIFICATION.gap(rates, counts)[0])
            errors.append(AMPLIFICATION.standard_error(rates, counts)[0])
        else:
            values.append(AMPLIFICATION.over_classes(gaps))
            errors.append(AMPLIFICATION.over_classes(gaps, each(rates, counts)))
    # Rates that mix cells are taken as one sample each, and classes as independent.
    assert 0.5 < np.std(values) / np.mean(errors) < 2


@pytest.mark.parametrize("constraint", ["statistical_parity", "equal_opportunity"])
def test_bias_is_that_of_the_worst_class(constraint):
    y, y_pred, groups = draw(500)
    table = bias_by_class(y, y_pred, sensitive_features=groups, constraint=constraint)
    worst = table.iloc[np.abs(table).argmax()]
    value = bias(y, y_pred, sensitive_features=groups, constraint=constraint)
    assert value == pytest.approx(worst, abs=1e-12)
    for label in table.index:
        expected = bias(
            y, y_pred, sensitive_features=groups, constraint=constraint, pos_label=label
        )
        assert table[label] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_amplification_is_the_mean_over_classes(n_classes):
    y, y_pred, groups = draw(500, n_classes)
    table = bias_by_class(y, y_pred, sensitive_features=groups, constraint="bias_amplification")
    value = bias_amplification(y, y_pred, sensitive_features=groups)
    assert value == pytest.approx(table.mean(), abs=1e-12)
