"""What is chosen among scores and cut-offs, and what is claimed of it."""

import numpy as np
import pytest

from skfairaug._engine._selection import Goal, Selection
from skfairaug.metrics import CONSTRAINTS, bias, choose_threshold, threshold_curve

NAMES = [name for name in CONSTRAINTS if name != "demographic_parity"]


def scored(n_samples=300, n_groups=2, seed=0, signal=1.0):
    rng = np.random.RandomState(seed)
    groups = np.arange(n_samples) % n_groups
    y = rng.randint(0, 2, n_samples)
    score = signal * (y + 0.5 * groups) + rng.normal(size=n_samples)
    return y, groups, score


def selection(y, groups, constraint="statistical_parity", n_classes=2, **params):
    seen = params.pop("seen", None)
    goal = Goal(CONSTRAINTS[constraint], **{"tolerance": 0.1, "caution": 1.0, **params})
    return Selection(y, groups, n_classes, int(groups.max()) + 1, goal, seen=seen)


@pytest.mark.parametrize("confidence", [None, 0.8])
@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_choice_is_that_of_the_curve(name, n_groups, confidence):
    y, groups, score = scored(n_groups=n_groups)
    verdict = selection(y, groups, name, confidence=confidence).choose([score])
    curve = threshold_curve(y, score, groups, name)
    at = choose_threshold(curve, tolerance=0.1, confidence=confidence)
    np.testing.assert_array_equal(score > verdict.log_odds, score > curve.thresholds[at])
    assert verdict.apparent_bias == pytest.approx(curve.bias[at])
    inside = curve.probability_inside(0.1)[at]
    accuracy = curve.balanced_accuracy[at]
    if confidence is None:
        assert verdict.objective == pytest.approx(accuracy * inside)
        assert verdict.reached == (abs(curve.bias[at]) < 0.1)
    else:
        assert verdict.reached == (inside >= confidence)
        assert verdict.objective == pytest.approx(accuracy if verdict.reached else inside)


def test_candidate_and_threshold():
    y, groups, score = scored()
    noise = np.random.RandomState(1).normal(size=300)
    verdict = selection(y, groups, tolerance=1.0).choose([noise, score, noise[::-1]])
    assert verdict.candidate == 1
    assert verdict.threshold == pytest.approx(1 / (1 + np.exp(-verdict.log_odds)))


def test_noise_is_not_claimed_to_be_better_than_chance():
    claimed, apparent = [], []
    for seed in range(12):
        y, groups, _ = scored(n_samples=200, seed=seed)
        rng = np.random.RandomState(100 + seed)
        candidates = [rng.normal(size=200) for _ in range(10)]
        select = selection(y, groups, tolerance=0.5, caution=0.0)
        verdict = select.choose(candidates)
        claimed.append(verdict.balanced_accuracy)
        apparent.append(verdict.objective)
    assert np.mean(apparent) > 0.56  # the best of many, on the rows that chose it
    assert np.mean(claimed) == pytest.approx(0.5, abs=0.025)


def test_claims_are_those_of_choices_made_without_the_fold():
    """By hand: choose without each fold, decide on it, and measure all folds together."""
    y, groups, score = scored()
    select = selection(y, groups, "average_odds")
    fold = select.cell // 4
    assert set(fold) == set(range(5))
    predicted = np.empty(300, dtype=int)
    for i in range(5):
        out = fold == i
        kept = threshold_curve(y[~out], score[~out], groups[~out], "average_odds")
        at = choose_threshold(kept, tolerance=0.1)
        predicted[out] = score[out] > kept.thresholds[at]
    verdict = select.choose([score])
    result = bias(y, predicted, sensitive_features=groups, constraint="average_odds")
    # The curves' cut-offs lie between the scores of different rows.
    assert verdict.bias == pytest.approx(result, abs=0.02)
    recalls = [(predicted == y)[y == label].mean() for label in (0, 1)]
    assert verdict.balanced_accuracy == pytest.approx(np.mean(recalls), abs=0.02)
    assert 0 < verdict.standard_error < 0.1
    assert 0 < verdict.probability < 1


@pytest.mark.parametrize("n_groups", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_several_classes_are_measured_as_the_metric_does(name, n_groups):
    rng = np.random.RandomState(0)
    y, groups = rng.randint(0, 3, 400), np.arange(400) % n_groups
    scores = np.eye(3)[y] + rng.normal(size=(400, 3))
    scores[:, 2] += 0.5 * groups
    verdict = selection(y, groups, name, n_classes=3, tolerance=0.5).choose([scores])
    predicted = scores.argmax(1)
    expected = bias(y, predicted, sensitive_features=groups, constraint=name)
    assert verdict.apparent_bias == pytest.approx(expected)
    assert verdict.bias == pytest.approx(expected)  # there is one decision only
    recalls = [(predicted == y)[y == label].mean() for label in range(3)]
    assert verdict.balanced_accuracy == pytest.approx(np.mean(recalls))
    assert verdict.log_odds == 0


def test_rows_that_were_seen_choose_by_the_bias_alone():
    y, groups, score = scored(n_samples=400)
    seen = np.arange(400) // 2 % 4 != 0
    wrong = np.where(seen, 1 - y, y)  # labels of rows seen do not count for parity
    verdicts = [selection(labels, groups, seen=seen).choose([score]) for labels in (y, wrong)]
    assert verdicts[0].apparent_bias == pytest.approx(verdicts[1].apparent_bias)
    assert verdicts[0].log_odds == verdicts[1].log_odds
    chosen = score > verdicts[0].log_odds
    gap = chosen[groups == 0].mean() - chosen[groups == 1].mean()
    assert verdicts[0].apparent_bias == pytest.approx(gap)  # of all rows
    assert abs(gap) < 0.1


def test_no_claim_rests_on_rows_that_were_seen():
    y, groups, score = scored(n_samples=400)
    seen = np.arange(400) // 2 % 4 != 0
    verdict = selection(y, groups, seen=seen).choose([score])
    only = selection(y[~seen], groups[~seen]).choose([score[~seen]])
    assert verdict.standard_error == pytest.approx(only.standard_error, rel=0.1)


@pytest.mark.parametrize(("rate", "differs"), [(0.54, False), (0.8, True)])
def test_rows_that_were_seen_and_disagree_count_as_uncertainty(rate, differs):
    """Of 100 rows of a group half are chosen, and of 300 seen ones of group 0 another share."""
    held, other = np.full((2, 2, 2), 25), np.full((2, 2, 2), 75)
    other[0] = np.round([150 * (1 - rate), 150 * rate])
    y, groups, _ = scored()
    measured = selection(y, groups)._measures(np.stack([held, other])[None])
    hits, n = np.array([50 + 300 * rate, 200.0]), 400

    def variance(hits, n):
        smoothed = (hits + 1) / (n + 2)
        return smoothed * (1 - smoothed) / n

    beyond = (300 * rate - 150) ** 2 / 300**2
    beyond -= 2 * variance(50, 100) + variance(300 * rate, 300) + variance(150, 300)
    assert (beyond > 0) == differs
    expected = variance(hits, n).sum() + max(beyond, 0) * 0.75**2
    assert measured.standard_error == pytest.approx(np.sqrt(expected))
    assert (measured.errors**2).sum() == pytest.approx(expected)
    assert measured.bias == pytest.approx((hits[0] - hits[1]) / n)
