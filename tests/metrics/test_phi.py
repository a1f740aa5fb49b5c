"""Phi (Eq. 1) and its expectation."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from skfairaug.metrics._hard import bias
from skfairaug.metrics._phi import expected_phi, phi_score

Y_TRUE = np.array([1, 1, 0, 0, 0, 1, 1, 1, 1, 0])
Y_PRED = np.array([1, 0, 1, 0, 0, 1, 1, 1, 0, 1])
SEX = ["f"] * 5 + ["m"] * 5


def test_phi_by_hand():
    accuracy = (4 / 6 + 2 / 4) / 2  # recall of 1 and of 0
    kwargs = {"sensitive_features": SEX, "constraint": "equal_opportunity"}  # -0.25
    assert phi_score(Y_TRUE, Y_PRED, **kwargs, tolerance=0.3) == pytest.approx(accuracy)
    assert phi_score(Y_TRUE, Y_PRED, **kwargs, tolerance=0.2) == 0
    assert phi_score(Y_TRUE, Y_PRED, **kwargs) == 0
    assert phi_score(Y_TRUE, Y_TRUE, **kwargs) == 1


def test_phi_is_strict_at_the_tolerance():
    kwargs = {"sensitive_features": SEX, "constraint": "equal_opportunity"}
    assert bias(Y_TRUE, Y_PRED, **kwargs) == -0.25
    assert phi_score(Y_TRUE, Y_PRED, **kwargs, tolerance=0.25) == 0
    assert phi_score(Y_TRUE, Y_PRED, **kwargs, tolerance=np.nextafter(0.25, 1)) > 0


def test_phi_of_many_classes():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.choice(list("abc"), size=(2, 200))
    groups = rng.integers(2, size=200)
    score = phi_score(y_true, y_pred, sensitive_features=groups, tolerance=1)
    assert score == pytest.approx(balanced_accuracy_score(y_true, y_pred))


def test_phi_errors():
    with pytest.raises(ValueError, match=r"tolerance must be a number in \(0, 1\]"):
        phi_score(Y_TRUE, Y_PRED, sensitive_features=SEX, tolerance=0)
    with pytest.raises(ValueError, match="Unknown constraint 'x'"):
        phi_score(Y_TRUE, Y_PRED, sensitive_features=SEX, constraint="x")


def test_expected_phi_by_hand():
    # One standard error to both sides of zero: P = 0.6827.
    value = expected_phi(0.5, 0.0, 0.05, tolerance=0.05)
    assert value == pytest.approx(0.5 * 0.682689492137)
    # On the bound, a normal distribution lies half inside.
    assert expected_phi(0.8, -0.05, 0.001, tolerance=0.05) == pytest.approx(0.4)
    # Twice the caution is half the tolerance and half the bias.
    twice = expected_phi(0.8, 0.03, 0.02, tolerance=0.05, caution=2)
    assert twice == pytest.approx(expected_phi(0.8, 0.015, 0.01, tolerance=0.025, caution=2))


def test_no_caution_is_phi():
    gaps = np.array([-0.06, -0.05, -0.04, 0.0, 0.04, 0.05, 0.06])
    value = expected_phi(0.7, gaps, 0.02, tolerance=0.05, caution=0)
    np.testing.assert_array_equal(value, [0, 0, 0.7, 0.7, 0.7, 0, 0])
    value = expected_phi(0.7, gaps, 0.0, tolerance=0.05)
    np.testing.assert_array_equal(value, [0, 0, 0.7, 0.7, 0.7, 0, 0])


def test_expected_phi_is_even_falls_and_broadcasts():
    gaps = np.linspace(0, 0.5, 51)
    value = expected_phi(1.0, gaps, np.array([[0.01], [0.1]]), tolerance=0.05)
    assert value.shape == (2, 51)
    assert np.isfinite(value).all()
    assert (value >= 0).all()
    assert (np.diff(value, axis=1) <= 0).all()
    np.testing.assert_array_equal(
        value, expected_phi(1.0, -gaps, np.array([[0.01], [0.1]]), tolerance=0.05)
    )


def test_expected_phi_agrees_with_simulation():
    draws = np.random.default_rng(0).normal(0.03, 0.5 * 0.04, size=200_000)
    inside = np.mean(np.abs(draws) < 0.05)
    value = expected_phi(0.9, 0.03, 0.04, tolerance=0.05, caution=0.5)
    assert value == pytest.approx(0.9 * inside, abs=3e-3)


def test_expected_phi_errors():
    with pytest.raises(ValueError, match="tolerance must be"):
        expected_phi(0.5, 0, 0.1, tolerance=2)
    with pytest.raises(ValueError, match="caution must be"):
        expected_phi(0.5, 0, 0.1, tolerance=0.05, caution=-1)
