"""All thresholds at once against one at a time, and the rule of choice."""

import time

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from skfairaug.metrics._cells import cell_counts, prediction_rates
from skfairaug.metrics._constraints import CONSTRAINTS
from skfairaug.metrics._hard import bias
from skfairaug.metrics._inside import probability_inside
from skfairaug.metrics._phi import expected_phi
from skfairaug.metrics._threshold import ThresholdCurve, choose_threshold, threshold_curve

NAMES = [name for name in CONSTRAINTS if name != "demographic_parity"]


def random_case(n_samples=150, n_groups=2, seed=0, decimals=2):
    rng = np.random.default_rng(seed)
    groups = rng.integers(n_groups, size=n_samples)
    y = (rng.random(n_samples) < 0.3 + 0.1 * groups).astype(int)
    score = rng.normal(size=n_samples) + y + 0.5 * groups
    return y, score.round(decimals), groups


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_curve_is_brute_force(name, n_groups):
    y, score, groups = random_case(n_groups=n_groups)
    curve = threshold_curve(y, score, groups, name)
    assert len(curve.thresholds) == len(np.unique(score)) + 1  # with ties among scores
    counts = cell_counts(y, groups, 2, n_groups)
    for threshold, accuracy, gap, error in zip(*curve[:4], strict=True):
        y_pred = (score > threshold).astype(int)
        rates = prediction_rates(y_pred, y, groups, 2, n_groups)
        assert accuracy == pytest.approx(balanced_accuracy_score(y, y_pred), abs=1e-14)
        hard = bias(y, y_pred, sensitive_features=groups, constraint=name)
        assert gap == pytest.approx(hard, abs=1e-14)
        expected = CONSTRAINTS[name].standard_error(rates, counts)[0]
        assert error == pytest.approx(expected, abs=1e-14)


def test_ends_are_the_constant_predictions():
    y, score, groups = random_case()
    curve = threshold_curve(y, score, groups, CONSTRAINTS["average_odds"])
    assert curve.thresholds[[0, -1]].tolist() == [-np.inf, np.inf]
    np.testing.assert_array_equal(curve.balanced_accuracy[[0, -1]], 0.5)
    np.testing.assert_array_equal(curve.bias[[0, -1]], 0)
    assert (curve.standard_error > 0).all()
    assert (np.diff(curve.thresholds) > 0).all()


def test_monotone_change_of_score_changes_nothing():
    y, score, groups = random_case()
    curve = threshold_curve(y, score, groups, "statistical_parity")
    other = threshold_curve(y, np.exp(score), groups, "statistical_parity")
    for ours, theirs in zip(curve[1:], other[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_neighbouring_and_infinite_scores_are_split():
    small = np.nextafter(1.0, 2.0)
    score = np.array([1.0, small, -np.inf, np.inf])
    y, groups = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    curve = threshold_curve(y, score, groups, "average_odds")
    inner = curve.thresholds[1:-1]
    assert np.isfinite(inner).all()
    above = (score[:, None] > curve.thresholds[1:-1]).sum(0)
    np.testing.assert_array_equal(above, [3, 2, 1])


def test_one_distinct_score_leaves_the_constants():
    y, _, groups = random_case()
    curve = threshold_curve(y, np.ones(len(y)), groups, "average_odds")
    assert curve.thresholds.tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize("max_thresholds", [2, 3, 10, 150])
def test_subsample_is_part_of_the_curve(max_thresholds):
    y, score, groups = random_case(n_samples=400, decimals=12)
    whole = threshold_curve(y, score, groups, "statistical_parity")
    part = threshold_curve(
        y, score, groups, "statistical_parity", max_thresholds=max_thresholds
    )
    assert max_thresholds - 1 <= len(part.thresholds) <= max_thresholds
    kept = np.isin(whole.thresholds, part.thresholds)
    assert kept[0]
    assert kept[-1]
    assert kept.sum() == len(part.thresholds)
    for ours, theirs in zip(part, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs[kept])
    gaps = np.diff(np.flatnonzero(kept))
    assert gaps.max() <= 401 / max(max_thresholds - 1, 1) + 2  # equal steps of rank


def test_cost_is_near_linear():
    seconds = []
    for n_samples in (20_000, 400_000):
        y, score, groups = random_case(n_samples, decimals=12)
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            curve = threshold_curve(y, score, groups, "average_odds")
            runs.append(time.perf_counter() - start)
        seconds.append(min(runs))
        assert len(curve.thresholds) <= 1000
    assert seconds[1] < 20 * 4 * seconds[0]


def test_number_of_groups():
    y, score, groups = random_case()
    curve = threshold_curve(y, score, groups, "average_odds", 2)
    assert curve.bias.min() < 0
    with pytest.raises(ValueError, match="No rows in group '2'"):
        threshold_curve(y, score, groups, "average_odds", 3)


@pytest.mark.parametrize(
    ("y", "score", "groups", "message"),
    [
        ([0, 1], [0.1, np.nan], [0, 1], "score has 1 NaN among 2 values"),
        ([0, 1], [0.1, 0.2, 0.3], [0, 1], "score has 3 rows but y_true has 2"),
        ([0, 1], [0.1, 0.2], [0, 1, 1], "groups has 3 rows but y_true has 2"),
        ([0, 0], [0.1, 0.2], [0, 1], "No rows with label '1'; balanced accuracy"),
        ([0, 1], [0.1, 0.2], [0, 1], "No rows with label '0' in group '1', label '1' in gro"),
    ],
)
def test_curve_errors(y, score, groups, message):
    with pytest.raises(ValueError, match=message):
        threshold_curve(np.array(y), np.array(score), np.array(groups), "average_odds")


def curve_of(accuracy, gaps, errors=0.01):
    accuracy, gaps = np.asarray(accuracy, float), np.asarray(gaps, float)
    thresholds = np.arange(len(gaps), dtype=float)
    return ThresholdCurve(thresholds, accuracy, gaps, np.broadcast_to(errors, gaps.shape))


@pytest.mark.parametrize("caution", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_choice_is_the_best_inside(seed, caution):
    y, score, groups = random_case(seed=seed)
    curve = threshold_curve(y, score, groups, "statistical_parity")
    i = choose_threshold(curve, tolerance=0.05, caution=caution)
    assert isinstance(i, int)
    inside = np.abs(curve.bias) < 0.05
    phi = expected_phi(*curve[1:4], tolerance=0.05, caution=caution)
    assert inside[i]
    assert phi[i] == phi[inside].max()


def test_caution_gives_up_accuracy_for_safety():
    curve = curve_of([0.80, 0.78], [0.049, 0.0], 0.02)
    assert choose_threshold(curve, tolerance=0.05, caution=0) == 0
    assert choose_threshold(curve, tolerance=0.05, caution=1) == 1


def test_never_outside_if_any_is_inside():
    curve = curve_of([0.5, 0.95], [0.0, 0.051], 0.2)
    assert expected_phi(0.95, 0.051, 0.2, tolerance=0.05) > expected_phi(
        0.5, 0.0, 0.2, tolerance=0.05
    )
    assert choose_threshold(curve, tolerance=0.05) == 0


def test_ties_inside():
    curve = curve_of([0.6, 0.7, 0.7], [0.0, 0.04, -0.01])
    assert choose_threshold(curve, tolerance=0.05, caution=0) == 2
    # An expected Phi of zero everywhere: the larger balanced accuracy.
    assert choose_threshold(curve_of([0.0, 0.0, 0.0], [0.01, 0.0, 0.02]), tolerance=0.05) == 1


def test_least_biased_if_none_is_inside():
    curve = curve_of([0.9, 0.6, 0.7, 0.8], [0.4, -0.1, 0.1, -0.2])
    assert choose_threshold(curve, tolerance=0.05) == 2
    assert choose_threshold(curve, tolerance=0.05, caution=0) == 2


def test_choice_errors():
    with pytest.raises(ValueError, match="tolerance must be"):
        choose_threshold(curve_of([0.5], [0.0]), tolerance=0)


def test_slack_takes_the_least_biased_of_those_close_to_the_best():
    curve = ThresholdCurve(
        np.array([0.1, 0.2, 0.3, 0.4]),
        np.array([0.800, 0.798, 0.790, 0.5]),
        np.array([0.03, -0.01, 0.0, 0.0]),
        np.zeros(4),
    )
    chosen = [
        choose_threshold(curve, tolerance=0.05, caution=0.0, slack=slack)
        for slack in (0.0, 0.005, 0.02)
    ]
    assert chosen == [0, 1, 2]


# -- several groups, and a confidence -----------------------------------------


@pytest.mark.parametrize("n_groups", [2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_curve_says_how_surely_all_groups_are_inside(name, n_groups):
    y, score, groups = random_case(n_groups=n_groups)
    curve = threshold_curve(y, score, groups, name)
    result = curve.probability_inside(0.1, 0.5)
    expected = [
        probability_inside(statistics, errors, tolerance=0.1, caution=0.5)
        for statistics, errors in zip(curve.statistics, curve.errors, strict=True)
    ]
    np.testing.assert_allclose(result, expected)
    np.testing.assert_allclose(curve.probability_inside(0.1, 0.5, slice(3, 9)), result[3:9])
    pair = curve._replace(statistics=None, errors=None).probability_inside(0.1, 0.5)
    if n_groups == 2 and name != "equalized_odds":
        np.testing.assert_allclose(pair, result)
    else:
        ends = np.isclose(np.ptp(curve.statistics, axis=1).max(-1), 0)  # no two are extreme
        assert (result <= pair + 1e-4)[~ends].all()


@pytest.mark.parametrize("caution", [0, 1])
@pytest.mark.parametrize("n_groups", [3, 5])
@pytest.mark.parametrize("name", ["statistical_parity", "equalized_odds"])
def test_choice_among_several_groups_is_brute_force(name, n_groups, caution):
    y, score, groups = random_case(n_samples=400, n_groups=n_groups)
    curve = threshold_curve(y, score, groups, name)
    tolerance = 0.3
    phi = curve.balanced_accuracy * curve.probability_inside(tolerance, caution)
    inside = np.abs(curve.bias) < tolerance
    assert 2 < inside.sum() < len(inside)
    i = choose_threshold(curve, tolerance=tolerance, caution=caution)
    assert inside[i]
    assert phi[i] == phi[inside].max()


@pytest.mark.parametrize("confidence", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("n_groups", [2, 4])
def test_confidence_takes_the_most_accurate_that_is_sure(n_groups, confidence):
    y, score, groups = random_case(n_samples=400, n_groups=n_groups)
    curve = threshold_curve(y, score, groups, "statistical_parity")
    tolerance = 0.05 * n_groups
    sure = curve.probability_inside(tolerance) >= confidence
    assert sure.any()
    assert not sure.all()
    i = choose_threshold(curve, tolerance=tolerance, confidence=confidence)
    assert sure[i]
    assert curve.balanced_accuracy[i] == curve.balanced_accuracy[sure].max()


def test_confidence_that_none_reaches_takes_the_surest():
    curve = curve_of([0.9, 0.6, 0.7], [0.08, 0.02, 0.03], 0.05)
    assert choose_threshold(curve, tolerance=0.05, confidence=0.99) == 1
    assert choose_threshold(curve, tolerance=0.05, confidence=0.5) == 2
