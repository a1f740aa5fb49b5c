"""How surely all groups lie within a tolerance: against simulation and by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from skfairaug.metrics import probability_inside


@pytest.mark.parametrize("n_statistics", [1, 2])
@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_agrees_with_simulation(n_groups, n_statistics):
    rng = np.random.default_rng(n_groups)
    values = rng.uniform(0.30, 0.33, (n_groups, n_statistics))
    errors = rng.uniform(0.002, 0.02, (n_groups, n_statistics))
    draws = values + 1.5 * errors * rng.normal(size=(100_000, n_groups, n_statistics))
    expected = (np.ptp(draws, axis=1) < 0.05).all(-1).mean()
    result = probability_inside(values, errors, tolerance=0.05, caution=1.5)
    assert 0.2 < expected < 0.98
    assert result == pytest.approx(expected, abs=0.006)


def test_two_groups_by_hand():
    # A gap of 0.02 with a standard error of 0.05 = sqrt(0.03^2 + 0.04^2).
    result = probability_inside([[0.52], [0.5]], [[0.03], [0.04]], tolerance=0.07)
    assert result == pytest.approx(norm.cdf(1.0) - norm.cdf(-1.8), abs=1e-12)


def test_several_statistics_are_independent():
    values, errors = np.array([[0.5, 0.2], [0.48, 0.23]]), np.full((2, 2), 0.02)
    both = probability_inside(values, errors, tolerance=0.05)
    each = [probability_inside(values[:, [i]], errors[:, [i]], tolerance=0.05) for i in (0, 1)]
    assert both == pytest.approx(each[0] * each[1])


@pytest.mark.parametrize("caution", [0, 1e-6])
def test_without_doubt_it_is_whether_the_range_is_inside(caution):
    values = np.array([[0.10, 0.12, 0.149], [0.10, 0.12, 0.151], [0.3, 0.3, 0.3]])[..., None]
    inside = probability_inside(values, 0.1, tolerance=0.05, caution=caution)
    np.testing.assert_allclose(inside, [1, 0, 1], atol=1e-6)
    pair = probability_inside(values[:, ::2], 0.1, tolerance=0.05, caution=caution)
    np.testing.assert_allclose(pair, [1, 0, 1], atol=1e-6)


def test_a_group_more_is_never_surer():
    values, errors = np.full((4, 1), 0.3), np.full((4, 1), 0.015)
    sure = [
        float(probability_inside(values[:n], errors[:n], tolerance=0.05)) for n in (2, 3, 4)
    ]
    assert sure[0] > sure[1] > sure[2] > 0


def test_order_of_the_groups_does_not_count():
    values = np.array([[0.30], [0.33], [0.31]])
    errors = np.array([[0.02], [0.001], [0.01]])
    turned = probability_inside(values[[2, 0, 1]], errors[[2, 0, 1]], tolerance=0.05)
    assert turned == pytest.approx(
        float(probability_inside(values, errors, tolerance=0.05)), abs=1e-6
    )


def test_leading_dimensions():
    rng = np.random.default_rng(0)
    values, errors = rng.uniform(0.2, 0.3, (2, 4, 3, 2)), rng.uniform(0.01, 0.03, (3, 2))
    result = probability_inside(values, errors, tolerance=0.1)
    assert result.shape == (2, 4)
    single = probability_inside(values[1, 2], errors, tolerance=0.1)
    assert result[1, 2] == pytest.approx(float(single))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tolerance": 0}, r"tolerance must be a number in \(0, 1\]"),
        ({"tolerance": 0.1, "caution": -1}, "caution must be a number of standard errors"),
    ],
)
def test_errors(params, message):
    with pytest.raises(ValueError, match=message):
        probability_inside([[0.1], [0.2]], [[0.1], [0.1]], **params)
