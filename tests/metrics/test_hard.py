"""Hard measures: by hand, against fairlearn and aif360, and their errors."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skfairaug.metrics._constraints import CONSTRAINTS
from skfairaug.metrics._hard import (
    average_odds_difference,
    bias,
    equal_opportunity_difference,
    equalized_odds_difference,
    statistical_parity_difference,
)

METRICS = {
    "statistical_parity": statistical_parity_difference,
    "equal_opportunity": equal_opportunity_difference,
    "average_odds": average_odds_difference,
    "equalized_odds": equalized_odds_difference,
}

# Women: selected 2/5, TPR 1/2, FPR 1/3. Men: selected 4/5, TPR 3/4, FPR 1.
Y_TRUE = np.array([1, 1, 0, 0, 0, 1, 1, 1, 1, 0])
Y_PRED = np.array([1, 0, 1, 0, 0, 1, 1, 1, 0, 1])
SEX = np.array(["f"] * 5 + ["m"] * 5)
BY_HAND = {
    "statistical_parity": 2 / 5 - 4 / 5,
    "equal_opportunity": 1 / 2 - 3 / 4,
    "average_odds": ((1 / 3 - 1) + (1 / 2 - 3 / 4)) / 2,
    "equalized_odds": 2 / 3,
}


def random_case(seed, n_groups=2, n_classes=2, n_samples=300):
    rng = np.random.default_rng(seed)
    groups = rng.integers(n_groups, size=n_samples)
    y_true = rng.integers(n_classes, size=n_samples)
    noise = rng.integers(n_classes, size=n_samples)
    y_pred = np.where(rng.random(n_samples) < 0.5 + 0.1 * groups, y_true, noise)
    return y_true, y_pred, groups


@pytest.mark.parametrize("name", METRICS)
def test_by_hand(name):
    value = METRICS[name](Y_TRUE, Y_PRED, sensitive_features=SEX)
    assert isinstance(value, float)
    assert value == pytest.approx(BY_HAND[name], abs=1e-15)
    assert value == bias(Y_TRUE, Y_PRED, sensitive_features=SEX, constraint=name)
    constraint = CONSTRAINTS[name]
    assert value == bias(Y_TRUE, Y_PRED, sensitive_features=SEX, constraint=constraint)


def test_default_and_alias():
    expected = BY_HAND["statistical_parity"]
    assert bias(Y_TRUE, Y_PRED, sensitive_features=SEX) == pytest.approx(expected)
    alias = bias(Y_TRUE, Y_PRED, sensitive_features=SEX, constraint="demographic_parity")
    assert alias == pytest.approx(expected)


@pytest.mark.parametrize("name", METRICS)
def test_perfect_prediction_leaves_only_parity(name):
    value = METRICS[name](Y_TRUE, Y_TRUE, sensitive_features=SEX)
    assert value == pytest.approx(2 / 5 - 4 / 5 if name == "statistical_parity" else 0)


@pytest.mark.parametrize("name", METRICS)
def test_swapping_groups_flips_the_sign(name):
    swapped = np.where(SEX == "f", "m", "f")
    sign = 1 if name == "equalized_odds" else -1
    value = METRICS[name](Y_TRUE, Y_PRED, sensitive_features=swapped)
    assert value == pytest.approx(sign * BY_HAND[name])


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    "labels", [["no", "yes"], [-1, 1], [False, True], [1.0, 2.0], [10, 200]]
)
def test_larger_label_is_positive(name, labels):
    labels = np.array(labels)
    value = METRICS[name](labels[Y_TRUE], labels[Y_PRED], sensitive_features=SEX)
    assert value == pytest.approx(BY_HAND[name])
    value = METRICS[name](
        pd.Series(labels[Y_TRUE][::-1]),
        labels[Y_PRED][::-1].tolist(),
        sensitive_features=SEX[::-1],
        pos_label=labels[1],
    )
    assert value == pytest.approx(BY_HAND[name])


def test_pos_label():
    value = statistical_parity_difference(Y_TRUE, Y_PRED, sensitive_features=SEX, pos_label=0)
    assert value == pytest.approx(3 / 5 - 1 / 5)
    value = equal_opportunity_difference(Y_TRUE, Y_PRED, sensitive_features=SEX, pos_label=0)
    assert value == pytest.approx(2 / 3 - 0)
    y_true, y_pred, groups = random_case(0, n_classes=3)
    for label in range(3):
        value = average_odds_difference(
            y_true, y_pred, sensitive_features=groups, pos_label=label
        )
        expected = average_odds_difference(
            y_true == label, y_pred == label, sensitive_features=groups
        )
        assert value == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("n_groups", [2, 3])
def test_many_classes_take_the_worst_against_the_rest(name, n_groups):
    y_true, y_pred, groups = random_case(1, n_groups, n_classes=4)
    each = [
        METRICS[name](y_true == c, y_pred == c, sensitive_features=groups) for c in range(4)
    ]
    value = METRICS[name](y_true, y_pred, sensitive_features=groups)
    assert value == pytest.approx(max(each, key=abs), abs=1e-14)


@pytest.mark.parametrize("name", METRICS)
def test_two_columns_make_intersectional_groups(name):
    y_true, y_pred, groups = random_case(2, n_groups=4)
    columns = pd.DataFrame({"a": groups // 2, "b": groups % 2})
    value = METRICS[name](y_true, y_pred, sensitive_features=columns)
    assert value == METRICS[name](y_true, y_pred, sensitive_features=groups)
    assert value > 0


@pytest.mark.parametrize("n_groups", [2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_fairlearn(seed, n_groups):
    metrics = pytest.importorskip("fairlearn.metrics")
    y_true, y_pred, groups = random_case(seed, n_groups)
    theirs = {
        "statistical_parity": metrics.demographic_parity_difference,
        "equal_opportunity": metrics.equal_opportunity_difference,
        "equalized_odds": metrics.equalized_odds_difference,
    }
    for name, metric in theirs.items():
        expected = metric(y_true, y_pred, sensitive_features=groups)
        value = METRICS[name](y_true, y_pred, sensitive_features=groups)
        assert abs(value) == pytest.approx(expected, abs=1e-12), name


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_aif360(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = pytest.importorskip("aif360.datasets")
        metrics = pytest.importorskip("aif360.metrics")
        y_true, y_pred, groups = random_case(seed)
        data = [
            datasets.BinaryLabelDataset(
                df=pd.DataFrame({"a": groups, "y": y}, dtype=float),
                label_names=["y"],
                protected_attribute_names=["a"],
            )
            for y in (y_true, y_pred)
        ]
        theirs = metrics.ClassificationMetric(
            *data, unprivileged_groups=[{"a": 0}], privileged_groups=[{"a": 1}]
        )
        expected = {
            "statistical_parity": theirs.statistical_parity_difference(),
            "equal_opportunity": theirs.equal_opportunity_difference(),
            "average_odds": theirs.average_odds_difference(),
        }
    for name, value in expected.items():
        ours = METRICS[name](y_true, y_pred, sensitive_features=groups)
        assert ours == pytest.approx(value, abs=1e-12), name


def test_empty_cell_is_an_error_only_where_it_is_needed():
    y_true = np.where(SEX == "m", 1, Y_TRUE)  # no negative man
    kwargs = {"sensitive_features": SEX}
    assert statistical_parity_difference(y_true, Y_PRED, **kwargs) == pytest.approx(-0.4)
    assert equal_opportunity_difference(y_true, Y_PRED, **kwargs) == pytest.approx(-0.3)
    for metric in (average_odds_difference, equalized_odds_difference):
        with pytest.raises(ValueError, match="No rows with label '0' in group 'm'"):
            metric(y_true, Y_PRED, **kwargs)


def test_empty_cell_with_names_of_labels():
    y_true = np.array(["no", "yes", "maybe", "no", "yes", "no"])
    groups = ["a", "a", "a", "b", "b", "b"]
    with pytest.raises(ValueError, match="No rows with label 'maybe' in group 'b'"):
        equal_opportunity_difference(y_true, y_true, sensitive_features=groups)
    with pytest.raises(ValueError, match="No rows with label 'maybe' in group 'b'"):
        equal_opportunity_difference(
            y_true, y_true, sensitive_features=groups, pos_label="maybe"
        )
    value = statistical_parity_difference(y_true, y_true, sensitive_features=groups)
    assert abs(value) == pytest.approx(1 / 3)


def test_labels_are_not_needed_for_parity():
    value = statistical_parity_difference(
        np.ones(10), Y_PRED, sensitive_features=SEX, pos_label=1
    )
    assert value == pytest.approx(-0.4)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "groups", "message"),
    [
        ([0, 1, 1], [0, 1], ["a", "b", "a"], "y_pred has 2 rows but y_true has 3"),
        ([0, 1], [0, 1], ["a", "b", "a"], "has 3 rows but 2 were expected"),
        ([0, 1], [0, 1], ["a", "a"], "sensitive_features holds one group, 'a'"),
        ([0, 1], [0, np.nan], ["a", "b"], "y_pred has 1 missing value"),
        ([0, 1], [0.2, 0.7], ["a", "b"], "y_pred is continuous.*not probabilities"),
        ([0, 0], [0, 0], ["a", "b"], "hold one label, '0'; pass pos_label"),
        ([0, 1], ["a", "b"], ["a", "b"], "Mix of label input types"),
    ],
)
def test_errors(y_true, y_pred, groups, message):
    for metric in METRICS.values():
        with pytest.raises(ValueError, match=message):
            metric(y_true, y_pred, sensitive_features=groups)


def test_unknown_names():
    with pytest.raises(ValueError, match="Unknown constraint 'parity'; expected one of 'sta"):
        bias(Y_TRUE, Y_PRED, sensitive_features=SEX, constraint="parity")
    with pytest.raises(ValueError, match=r"pos_label=7 is not a label; expected one of \[0, 1"):
        bias(Y_TRUE, Y_PRED, sensitive_features=SEX, pos_label=7)
