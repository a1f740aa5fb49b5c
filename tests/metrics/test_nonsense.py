"""Numbers that are none, or mean nothing, are refused by name, never reckoned with."""

import numpy as np
import pytest
import torch

from skfairaug.metrics import (
    cell_counts,
    choose_threshold,
    expected_phi,
    holm,
    probability_inside,
    rows_needed,
    soft_bias,
    threshold_curve,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("p_values", "message"),
    [
        ([-0.1, 0.5], r"p_values must hold numbers in \[0, 1\]; got -0.1"),
        ([0.1, 1.5], "got 1.5"),
        ([0.1, INF], "got inf"),
        (["0.1", "0.2"], r"p_values must hold numbers; got \['0.1', '0.2'\]"),
        ([True, False], "must hold numbers"),
        (None, "must hold numbers; got None"),
        ([[0.1], [0.2, 0.3]], "must hold numbers"),
        (0.1, r"must be 1-D; got shape \(\)"),
    ],
)
def test_holm(p_values, message):
    with pytest.raises(ValueError, match=message):
        holm(p_values)


def test_holm_still_takes_what_was_not_tested():
    assert holm([NAN, 0.5])[1] == 0.5
    assert holm([]).size == 0


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0.8, NAN, 0.02), r"bias must hold numbers in \[-1, 1\]; got nan"),
        ((NAN, 0.0, 0.02), "balanced_accuracy must hold numbers"),
        ((0.8, 0.0, NAN), "standard_error must hold numbers"),
        ((80, 0.0, 0.02), r"balanced_accuracy must hold numbers in \[0, 1\]; got 80"),
        ((0.8, 0.0, -0.02), "standard_error must hold numbers.*got -0.02"),
        ((0.8, 2.0, 0.02), "bias must hold numbers.*got 2"),
        (([0.8, 0.7], [0.0] * 3, 0.02), r"shapes do not fit.*\(2,\), bias \(3,\)"),
        (("high", 0.0, 0.02), "balanced_accuracy must hold numbers; got 'high'"),
    ],
)
def test_expected_phi(numbers, message):
    with pytest.raises(ValueError, match=message):
        expected_phi(*numbers, tolerance=0.05)


@pytest.mark.parametrize(
    ("statistics", "errors", "message"),
    [
        ([[NAN], [0.2]], [[0.1]] * 2, "statistics must hold numbers; got nan"),
        ([[0.1], [0.2]], [[-0.1]] * 2, "errors must hold numbers.*got -0.1"),
        ([0.1, 0.2], [0.1, 0.1], r"must have shape \(..., n_groups, n_statistics\)"),
        ([[0.1]], [[0.1]], r"of two groups or more; got \(1, 1\)"),
        ([[0.1]] * 3, [[0.1]] * 2, "shapes do not fit each other: statistics"),
    ],
)
def test_probability_inside(statistics, errors, message):
    with pytest.raises(ValueError, match=message):
        probability_inside(statistics, errors, tolerance=0.05)


CURVE = threshold_curve([0, 1, 0, 1], [0.2, 0.9, 0.3, 0.8], [0, 0, 1, 1], "statistical_parity")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"slack": NAN}, r"slack must be a number in \[0, 1\]; got nan"),
        ({"slack": -0.1}, "slack must be"),
        ({"slack": True}, "slack must be"),
        ({"caution": NAN}, "caution must be a number of standard errors"),
        ({"confidence": NAN}, r"confidence must be a number in \(0, 1\); got nan"),
        ({"confidence": 95}, "confidence must be.*got 95"),
        ({"tolerance": NAN}, "tolerance must be a number"),
        ({"curve": CURVE._replace(bias=CURVE.bias * NAN)}, "curve.bias must hold numbers"),
        ({"curve": CURVE._replace(bias=CURVE.bias[:0])}, "curve.bias is empty"),
    ],
)
def test_choose_threshold(params, message):
    with pytest.raises(ValueError, match=message):
        choose_threshold(**({"curve": CURVE, "tolerance": 0.05} | params))


def test_what_is_no_curve():
    with pytest.raises(TypeError, match="curve must be a ThresholdCurve"):
        choose_threshold([0.1, 0.2], tolerance=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_true": [0, 1, 2, 1]}, "y_true must hold whole numbers from 0 to 1; got 2"),
        ({"y_true": ["n", "y", "n", "y"]}, "y_true must hold a whole number, from 0 to 1"),
        ({"groups": [0.0, 0.0, 1.0, 1.0]}, "groups must hold a whole number"),
        ({"groups": [-1, 0, 1, 1]}, "groups must hold whole numbers from 0; got -1"),
        ({"groups": [0, 0, 1, 2], "n_groups": 2}, "groups must hold whole numbers from 0 to 1"),
        ({"score": ["a"] * 4}, "score must hold numbers"),
        ({"score": [[0.1]] * 4}, "score must be 1-D"),
        ({"n_groups": True}, "n_groups must be a whole number"),
        ({"max_thresholds": 1}, "max_thresholds must be a whole number, 2 or more; got 1"),
    ],
)
def test_threshold_curve(changes, message):
    good = {"y_true": [0, 1, 0, 1], "score": [0.2, 0.9, 0.3, 0.8], "groups": [0, 0, 1, 1]}
    with pytest.raises(ValueError, match=message):
        threshold_curve(**(good | {"constraint": "statistical_parity"} | changes))


@pytest.mark.parametrize(
    ("shares", "rates", "params", "message"),
    [
        ([0.5, NAN], [0.2, 0.2], {}, r"shares must hold numbers in \[0, 1\]; got nan"),
        ([0.5, 0.5], [0.2, NAN], {}, r"rates must hold numbers in \[0, 1\]; got nan"),
        ([0.5, 0.5], [0.2, 0.2], {"probability": NAN}, "probability must be"),
        ([0.5, 0.5], [0.2, 0.2], {"probability": True}, "probability must be"),
    ],
)
def test_rows_needed(shares, rates, params, message):
    with pytest.raises(ValueError, match=message):
        rows_needed(shares, rates, **params)


def test_cells_of_lists_are_those_of_arrays():
    y, groups = [0, 1, 1, 1], [0, 0, 1, 1]
    assert cell_counts(y, groups, 2, 2).tolist() == [[[1, 1], [0, 2]]]
    tensors = torch.tensor(y), torch.tensor(groups)
    assert cell_counts(*tensors, 2, 2).tolist() == [[[1, 1], [0, 2]]]


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
@pytest.mark.parametrize(
    ("y", "groups", "shape", "message"),
    [
        ([0, 2], [0, 1], (2, 2), "y must hold whole numbers from 0 to 1; got 2"),
        ([0, -1], [0, 1], (2, 2), "y must hold whole numbers from 0 to 1; got -1"),
        ([0, 1], [0, 3], (2, 2), "groups must hold whole numbers from 0 to 1; got 3"),
        ([0.0, 1.0], [0, 1], (2, 2), "y must hold a whole number, from 0 to 1, for each row"),
        ([0, 1], [0, 1, 1], (2, 2), "groups has 3 rows but y has 2"),
        ([0, 1], [0, 1], (1, 2), "n_classes must be a whole number, 2 or more; got 1"),
        ([0, 1], [0, 1], (2, True), "n_groups must be a whole number, 1 or more; got True"),
    ],
)
def test_cell_counts(kind, y, groups, shape, message):
    with pytest.raises(ValueError, match=message):
        cell_counts(kind(y), kind(groups), *shape)


PROBA = torch.tensor([[0.4, 0.6], [0.9, 0.1]])
Y = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((PROBA.numpy(), Y, Y), TypeError, "proba must be a tensor of floats; got ndarray"),
        ((PROBA.long(), Y, Y), TypeError, "proba must be a tensor of floats; got torch.int64"),
        ((PROBA, Y.float(), Y), TypeError, "y must be a tensor of integers; got torch.float32"),
        ((PROBA, Y, [0, 1]), TypeError, "groups must be a tensor of integers; got list"),
        ((PROBA[:, 0], Y, Y), ValueError, r"proba must have shape \(n_samples, n_classes\)"),
        ((PROBA, Y[:1], Y), ValueError, r"got \(2, 2\), \(1,\) and \(2,\)"),
        ((PROBA, Y, Y[:1]), ValueError, r"got \(2, 2\), \(2,\) and \(1,\)"),
        (
            (PROBA * 9, Y, Y),
            ValueError,
            "proba must hold probabilities.*Of logits take the sof",
        ),
        ((PROBA, Y + 1, Y), ValueError, "y must hold whole numbers from 0 to 1; got 2"),
    ],
)
def test_soft_bias(arguments, error, message):
    with pytest.raises(error, match=message):
        soft_bias(*arguments, "statistical_parity")
