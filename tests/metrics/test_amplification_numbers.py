"""Bias amplification against plain loops, against simulation, and in single precision."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skfairaug.metrics import (
    CONSTRAINTS,
    bias_amplification,
    bias_by_class,
    get_constraint,
    soft_bias,
)
from skfairaug.metrics._cells import cell_counts, prediction_rates

AMPLIFICATION = get_constraint("bias_amplification")


def looped(proba, y, groups, n_classes, n_groups):
    """Amplification of class probabilities, cell by cell."""
    terms = []
    for c in range(n_classes):
        rates = [
            sum(
                np.mean(y == label) * proba[(y == label) & (groups == g), c].mean()
                for label in range(n_classes)
            )
            for g in range(n_groups)
        ]
        terms.append(max(rates) / sum(rates) - 1 / n_groups if sum(rates) else 0.0)
    return np.array(terms)


def draw(n, n_classes, n_groups, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(n_classes, size=n, p=rng.dirichlet(np.full(n_classes, 20.0)))
    return rng, y, rng.choice(n_groups, size=n, p=rng.dirichlet(np.full(n_groups, 20.0)))


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("n_groups", [2, 3])
def test_hard_measures_are_those_of_a_loop(n_classes, n_groups):
    rng, y, groups = draw(900, n_classes, n_groups)
    y_pred = np.where(rng.random(900) < 0.7, y, (y + groups) % n_classes)
    expected = looped(np.eye(n_classes)[y_pred], y, groups, n_classes, n_groups)
    value = bias_amplification(y, y_pred, sensitive_features=groups)
    assert value == pytest.approx(expected.mean(), abs=1e-12)
    table = bias_by_class(y, y_pred, sensitive_features=groups, constraint="bias_amplification")
    np.testing.assert_allclose(table, expected, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("n_groups", [2, 3])
def test_soft_measure_is_that_of_a_loop(n_classes, n_groups):
    rng, y, groups = draw(900, n_classes, n_groups)
    proba = rng.dirichlet(np.full(n_classes, 0.3), size=900)
    proba = 0.7 * proba + 0.3 * np.eye(n_classes)[groups % n_classes]
    expected = looped(proba, y, groups, n_classes, n_groups).mean()
    value = soft_bias(*(torch.from_numpy(a) for a in (proba, y, groups)), AMPLIFICATION)
    assert value.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_p", [-60.0, -95.0, -300.0, -720.0, -800.0])
def test_a_class_with_hardly_any_probability_has_a_finite_gradient(n_classes, dtype, log_p):
    """Rates down to the smallest numbers there are, of which 1 / rate overflows."""
    logits = torch.zeros(24, n_classes, dtype=dtype)
    logits[:, -1] = log_p
    logits.requires_grad_()
    y, groups = torch.arange(24) % n_classes, torch.arange(24) // n_classes % 2
    value = soft_bias(logits.softmax(1), y, groups, AMPLIFICATION)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("n_classes", "n_groups"), [(2, 2), (2, 3)])
def test_standard_error_of_two_classes_is_the_spread_of_binomial_draws(n_classes, n_groups):
    rng = np.random.default_rng(0)
    counts = np.array([[300, 500], [600, 400], [500, 500]])[:n_groups]
    rates = np.array([[0.2, 0.5], [0.4, 0.9], [0.1, 0.3]])[:n_groups]  # far from a tie
    drawn = rng.binomial(counts, rates, size=(4000, n_groups, 2)) / counts
    errors = AMPLIFICATION.standard_error(drawn, counts)
    # 4,000 draws know a standard deviation to 1.1%, and the rates are smoothed.
    assert np.std(AMPLIFICATION.gap(drawn, counts)) == pytest.approx(errors.mean(), rel=0.05)


def test_standard_error_of_several_classes_is_the_spread_of_multinomial_draws():
    """Images of each class and group are right by 70%; the group bends the mistakes."""
    n_classes, n_groups, n, n_draws = 4, 2, 200, 1000
    one = np.eye(n_classes)[:, None]
    bent = (1 - one) * np.where(np.arange(n_classes) % 2 == np.arange(2)[:, None], 3.0, 1.0)
    confusion = 0.7 * one + 0.3 * bent / bent.sum(-1, keepdims=True)

    rng = np.random.default_rng(0)
    y, groups = np.divmod(np.repeat(np.arange(n_classes * n_groups), n), n_groups)
    counts = cell_counts(y, groups, n_classes, n_groups)
    values, errors = [], []
    for _ in range(n_draws):
        hits = rng.multinomial(n, confusion).reshape(-1, n_classes)
        y_pred = np.concatenate([np.repeat(np.arange(n_classes), row) for row in hits])
        rates = prediction_rates(
            y_pred, y, groups, n_classes, n_groups, counts=AMPLIFICATION.mix(counts)
        )
        values.append(AMPLIFICATION.class_gaps(rates, counts))
        errors.append(AMPLIFICATION.class_errors(rates, counts))
    # 1,000 draws know a standard deviation to 2.2%.
    np.testing.assert_allclose(np.mean(errors, 0), np.std(values, 0), rtol=0.08)
    # Their mean: classes are not independent, as it takes them to be.
    means = [AMPLIFICATION.over_classes(gaps) for gaps in values]
    error = AMPLIFICATION.over_classes(np.mean(values, 0), np.mean(errors, 0))
    assert error == pytest.approx(np.std(means), rel=0.25)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_the_soft_measure_reads_no_value(name, n_classes):
    """Tensors on "meta" have none, so whatever waits for a device fails there."""
    proba = torch.rand(20, n_classes, device="meta", requires_grad=True)
    y = torch.zeros(20, dtype=torch.int64, device="meta")
    counts = torch.ones(1 if n_classes == 2 else n_classes, 3, 2, device="meta")
    with NoCopies():
        value = soft_bias(proba, y, y, name, counts=counts, n_groups=3)
    value.backward()
    assert value.shape == ()


class NoCopies(TorchDispatchMode):
    """Fails where a tensor is copied to another device, which waits for it too."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default:
            assert result.device == args[0].device
        return result
