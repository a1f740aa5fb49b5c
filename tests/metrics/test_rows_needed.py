"""How many rows a bound asks for."""

import numpy as np
import pytest
from scipy.stats import norm

from skfairaug.metrics import get_constraint, probability_inside, rows_needed


@pytest.mark.parametrize("probability", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.1, 0.9], [0.03, 0.97]])
def test_formula_of_two_groups(shares, probability):
    needed = rows_needed(shares, [0.3, 0.3], tolerance=0.02, probability=probability)
    z = norm.ppf((1 + probability) / 2)
    expected = (z / 0.02) ** 2 * sum(0.3 * 0.7 / share for share in shares)
    assert needed == pytest.approx(expected, rel=0.01)


def test_formula_of_a_measure_that_looks_at_labels():
    # True positive rates of 0.8, of the 10% and the 30% of the rows that have label 1.
    shares, rates = [[0.2, 0.1], [0.4, 0.3]], [[0.1, 0.8], [0.1, 0.8]]
    needed = rows_needed(shares, rates, constraint="equal_opportunity", tolerance=0.02)
    expected = (1.96 / 0.02) ** 2 * 0.8 * 0.2 * (1 / 0.1 + 1 / 0.3)
    assert needed == pytest.approx(expected, rel=0.01)


def test_fewest_rows_that_are_enough():
    shares, rates = np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.31, 0.32])
    needed = rows_needed(shares, rates)
    constraint = get_constraint("statistical_parity")
    cells = np.stack([shares, shares], -1) / 2, np.stack([rates, rates], -1)

    def sure(n_rows):
        measured = constraint.statistics_and_errors(cells[1], n_rows * cells[0])
        return probability_inside(*measured, tolerance=0.05)

    assert sure(needed) >= 0.95 > sure(needed - 1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("probability", [0.5, 0.9, 0.95, 0.999]),
        ("tolerance", [0.2, 0.1, 0.05, 0.03]),
        ("smallest", [0.5, 0.2, 0.1, 0.01]),
    ],
)
def test_more_is_asked_more_rows_are_needed(name, values):
    def needed(smallest=0.3, **params):
        return rows_needed([smallest, 1 - smallest], [0.25, 0.27], **params)

    numbers = [needed(**{name: value}) for value in values]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("shares", "rates", "params", "message"),
    [
        ([0.5, 0.5], [0.2, 0.3], {}, r"no number of rows .* a bias of -0.100, .* is 0.05"),
        (
            [0.5, 0.5],
            [0.2, 0.2],
            {"probability": 1},
            r"probability must be a number in \(0, 1\); got 1",
        ),
        ([0.5, 0.5], [0.2, 0.2], {"tolerance": 0}, "tolerance must be a number"),
        ([1.0], [0.2], {}, r"each of two groups or more.*got shapes \(1,\) and \(1,\)"),
        ([0.5, 0.5], [0.2], {}, r"got shapes \(2,\) and \(1,\)"),
        ([0.5, 0.5], [0.2, 0.2], {"constraint": "average_odds"}, "average_odds looks at lab"),
        ([0.0, 1.0], [0.2, 0.2], {}, "shares must be above 0 and sum to 1 at most"),
        ([0.7, 0.7], [0.2, 0.2], {}, "shares must be above 0 and sum to 1 at most"),
        ([0.5, 0.5], [0.2, 1.2], {}, r"rates must hold numbers in \[0, 1\]; got 1.2"),
        ([0.5, 0.5], [0.2, 0.2], {"constraint": "parity"}, "Unknown constraint 'parity'"),
    ],
)
def test_errors(shares, rates, params, message):
    with pytest.raises(ValueError, match=message):
        rows_needed(shares, rates, **params)
