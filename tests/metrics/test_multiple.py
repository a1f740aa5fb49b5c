"""Holm's correction."""

import numpy as np
import pytest

from skfairaug.metrics import holm


def test_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_one_test_is_not_corrected_and_none_exceeds_one():
    assert holm([0.2]) == pytest.approx(0.2)
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])


def test_what_was_not_tested_does_not_count():
    adjusted = holm([0.01, np.nan, 0.02])
    np.testing.assert_allclose(adjusted, [0.02, np.nan, 0.02])


def test_order_is_kept():
    p_values = np.random.default_rng(0).uniform(size=20)
    adjusted = holm(p_values)
    assert (np.diff(adjusted[np.argsort(p_values)]) >= 0).all()
    assert (adjusted >= p_values).all()
