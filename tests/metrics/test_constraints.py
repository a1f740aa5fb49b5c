"""Cells and constraints: one definition for NumPy and torch, with batch dimensions."""

import pickle

import numpy as np
import pytest
import torch

from skfairaug.metrics._cells import cell_counts, cell_rates, prediction_rates
from skfairaug.metrics._constraints import CONSTRAINTS, get_constraint

NAMES = [name for name in CONSTRAINTS if name != "demographic_parity"]
RATES = np.array([[0.2, 0.6], [0.3, 0.9]])  # rows groups, columns labels
COUNTS = np.array([[10, 30], [40, 10]])
GAPS = {
    "statistical_parity": 20 / 40 - 21 / 50,
    "equal_opportunity": 0.6 - 0.9,
    "average_odds": (0.2 - 0.3 + 0.6 - 0.9) / 2,
    "equalized_odds": 0.3,
    # Labels weigh 5/9 and 4/9 in either group: rates of 3.4/9 and 5.1/9.
    "bias_amplification": ((5.1 / 8.5 - 0.5) + (5.6 / 9.5 - 0.5)) / 2,
}


def variance(rate, count):
    smoothed = (rate * count + 1) / (count + 2)
    return smoothed * (1 - smoothed) / count


VARIANCES = {
    "statistical_parity": variance(0.5, 40) + variance(0.42, 50),
    "equal_opportunity": variance(0.6, 30) + variance(0.9, 10),
    "average_odds": (
        variance(0.2, 10) + variance(0.3, 40) + variance(0.6, 30) + variance(0.9, 10)
    )
    / 4,
    "equalized_odds": variance(0.6, 30) + variance(0.9, 10),
    "bias_amplification": (
        (5.1 / 8.5**2 + 3.9 / 9.5**2) ** 2 * (25 * variance(0.2, 10) + 16 * variance(0.6, 30))
        + (3.4 / 8.5**2 + 5.6 / 9.5**2) ** 2 * (25 * variance(0.3, 40) + 16 * variance(0.9, 10))
    )
    / 4,
}


@pytest.mark.parametrize("name", NAMES)
def test_two_groups_by_hand(name):
    constraint = get_constraint(name)
    assert constraint.gap(RATES, COUNTS) == pytest.approx(GAPS[name])
    assert constraint.standard_error(RATES, COUNTS) ** 2 == pytest.approx(VARIANCES[name])


def test_equalized_odds_binds_where_the_gap_is_larger():
    rates = RATES[:, ::-1]
    constraint = CONSTRAINTS["equalized_odds"]
    assert constraint.gap(rates, COUNTS) == pytest.approx(0.3)
    expected = variance(0.6, 10) + variance(0.9, 40)
    assert constraint.standard_error(rates, COUNTS) ** 2 == pytest.approx(expected)


def test_more_groups_take_the_extremes():
    rates = np.array([[0.5, 0.5], [0.1, 0.9], [0.9, 0.4]])
    counts = np.array([[5, 5], [10, 20], [30, 40]])
    constraint = CONSTRAINTS["equal_opportunity"]
    assert constraint.gap(rates, counts) == pytest.approx(0.5)
    expected = variance(0.9, 20) + variance(0.4, 40)
    assert constraint.standard_error(rates, counts) ** 2 == pytest.approx(expected)
    assert CONSTRAINTS["equalized_odds"].gap(rates, counts) == pytest.approx(0.8)


@pytest.mark.parametrize("n_groups", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_torch_and_batches_agree_with_numpy(name, n_groups):
    rng = np.random.default_rng(0)
    rates, counts = rng.random((5, 3, n_groups, 2)), rng.integers(1, 50, (n_groups, 2))
    constraint = get_constraint(name)
    for method in (constraint.gap, constraint.standard_error):
        expected = method(rates, counts)
        assert expected.shape == (5, 3)
        tensor = method(torch.from_numpy(rates), torch.from_numpy(counts))
        np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-15)
        single = [method(rates[i, j], counts) for i, j in np.ndindex(5, 3)]
        np.testing.assert_allclose(np.ravel(expected), single, atol=1e-15)


@pytest.mark.parametrize("n_groups", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_gradients(name, n_groups):
    generator = torch.Generator().manual_seed(0)
    rates = torch.rand(3, n_groups, 2, dtype=torch.float64, generator=generator)
    counts = torch.arange(1, 2 * n_groups + 1).reshape(n_groups, 2)
    constraint = get_constraint(name)
    rates.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: constraint.gap(p, counts), rates)
    assert torch.autograd.gradcheck(lambda p: constraint.standard_error(p, counts), rates)


@pytest.mark.parametrize("name", NAMES)
def test_standard_error_is_positive_at_the_ends_and_shrinks(name):
    constraint = get_constraint(name)
    for rate in (0.0, 1.0):
        rates = np.full((2, 2), rate)
        few, many = (constraint.standard_error(rates, np.full((2, 2), n)) for n in (10, 1000))
        assert 0 < many < few < 0.2


@pytest.mark.parametrize("name", ["statistical_parity", "equal_opportunity", "average_odds"])
def test_standard_error_agrees_with_simulation(name):
    rng = np.random.default_rng(0)
    counts = np.array([[200, 100], [150, 300]])
    rates = np.array([[0.3, 0.35], [0.5, 0.55]])  # rates close to the group's: see Notes
    draws = rng.binomial(counts, rates, size=(4000, 2, 2)) / counts
    constraint = get_constraint(name)
    spread = constraint.gap(draws, counts).std()
    assert constraint.standard_error(rates, counts) == pytest.approx(spread, rel=0.05)


def test_names():
    assert CONSTRAINTS["demographic_parity"] is CONSTRAINTS["statistical_parity"]
    for name in NAMES:
        constraint = get_constraint(name)
        assert constraint.name == name
        assert get_constraint(constraint) is constraint
        assert pickle.loads(pickle.dumps(constraint)) == constraint


@pytest.mark.parametrize("name", ["parity", None, 3, ["average_odds"]])
def test_unknown_constraint_lists_the_known(name):
    with pytest.raises(ValueError, match="Unknown constraint") as error:
        get_constraint(name)
    assert repr(name) in str(error.value)
    assert all(f"'{known}'" in str(error.value) for known in CONSTRAINTS)


def test_counts_by_hand():
    y, groups = np.array([0, 1, 2, 2, 0, 1]), np.array([0, 0, 0, 1, 1, 1])
    counts = cell_counts(y, groups, 3, 2)
    assert counts.tolist() == [[[2, 1], [2, 1]], [[2, 1], [2, 1]], [[2, 1], [2, 1]]]
    binary = cell_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2, 3)
    assert binary.tolist() == [[[1, 1], [0, 1], [0, 0]]]
    tensor = cell_counts(torch.from_numpy(y), torch.from_numpy(groups), 3, 2)
    np.testing.assert_array_equal(tensor.numpy(), counts)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_rates_by_definition(n_classes):
    rng = np.random.default_rng(0)
    y, groups = rng.integers(n_classes, size=200), rng.integers(3, size=200)
    hits = rng.dirichlet(np.ones(n_classes), size=200)
    rates = cell_rates(hits, y, groups, n_classes, 3)
    problems = [1] if n_classes == 2 else range(n_classes)
    for rate, c in zip(rates, problems, strict=True):
        for g in range(3):
            assert rate[g, 1] == pytest.approx(hits[(y == c) & (groups == g), c].mean())
            assert rate[g, 0] == pytest.approx(hits[(y != c) & (groups == g), c].mean())
    tensors = (torch.from_numpy(a) for a in (hits, y, groups))
    np.testing.assert_allclose(cell_rates(*tensors, n_classes, 3).numpy(), rates)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_rates_of_predictions_are_those_of_one_hot(n_classes):
    rng = np.random.default_rng(0)
    y, y_pred = rng.integers(n_classes, size=(2, 200))
    groups = rng.integers(3, size=200)
    one_hot = np.eye(n_classes)[y_pred]
    np.testing.assert_allclose(
        prediction_rates(y_pred, y, groups, n_classes, 3),
        cell_rates(one_hot, y, groups, n_classes, 3),
        atol=1e-15,
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_absent_cell_takes_the_rate_of_its_label(n_classes):
    y, groups = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 0])
    hits = np.zeros((4, n_classes))
    hits[:, 1] = [0.2, 0.4, 0.6, 0.8]
    rates = cell_rates(hits, y, groups, n_classes, 2)[-1 if n_classes == 2 else 1]
    np.testing.assert_allclose(rates, [[0.2, 0.7], [0.4, 0.7]])


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_coefficients_make_the_statistics_linear_in_the_decision(name, n_classes, n_groups):
    rng = np.random.default_rng(0)
    y, y_pred = rng.integers(n_classes, size=(2, 400))
    groups = rng.integers(n_groups, size=400)
    constraint = get_constraint(name)
    q = np.eye(n_classes)[y][:, :, None] * np.eye(n_groups)[groups][:, None]
    coefficients = constraint.coefficients(q.mean(0))
    decisions = np.eye(n_classes)[y_pred][:, 1 if n_classes == 2 else 0 :]
    result = np.einsum("nc,csyg,nyg->cgs", decisions, coefficients, q) / 400
    counts = cell_counts(y, groups, n_classes, n_groups)
    rates = prediction_rates(
        y_pred, y, groups, n_classes, n_groups, counts=constraint.mix(counts)
    )
    np.testing.assert_allclose(result, constraint.statistics(rates, counts))


@pytest.mark.parametrize("name", NAMES)
def test_statistics_and_errors_make_gap_and_error(name):
    constraint = get_constraint(name)
    statistics, errors = constraint.statistics_and_errors(RATES, COUNTS)
    gaps = statistics[0] - statistics[1]
    binds = np.abs(gaps).argmax()
    assert abs(gaps[binds]) == pytest.approx(abs(GAPS[name]))
    assert np.hypot(*errors[:, binds]) ** 2 == pytest.approx(VARIANCES[name])


def test_labels_that_have_to_be_there():
    expected = {
        "statistical_parity": (),
        "equal_opportunity": (1,),
        "average_odds": (0, 1),
        "equalized_odds": (0, 1),
        "bias_amplification": (0, 1),
    }
    assert {name: CONSTRAINTS[name].labels for name in NAMES} == expected


def test_tolerance_of_a_gap():
    assert CONSTRAINTS["average_odds"].gap_tolerance(0.05, 3, 4) == 0.05
    # Two groups, two classes: rates of 0.55 and 0.45 have an amplification of 0.05.
    assert CONSTRAINTS["bias_amplification"].gap_tolerance(0.05, 2, 2) == pytest.approx(0.1)
