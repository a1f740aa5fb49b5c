import numpy as np
import pytest

from skfairaug.metrics import CONSTRAINTS, bias, group_thresholds, threshold_curve


def scores(n_groups=2, n=4000, seed=0):
    rng = np.random.RandomState(seed)
    groups = rng.randint(0, n_groups, n)
    y = (rng.uniform(size=n) < 0.3 + 0.15 * groups).astype(int)
    return y, 2.0 * y + 0.8 * groups + rng.normal(size=n), groups


@pytest.mark.parametrize("name", ["statistical_parity", "equal_opportunity", "average_odds"])
@pytest.mark.parametrize("n_groups", [2, 3])
def test_cuts_close_the_gap_on_the_rows_they_come_from(name, n_groups):
    y, score, groups = scores(n_groups)
    cuts = group_thresholds(y, score, groups, name)
    y_pred = (score > cuts[groups]).astype(int)
    gap = bias(y, y_pred, sensitive_features=groups, constraint=name)
    assert abs(gap) < 0.01  # a level lies within a row's weight of each group's cut-offs


def test_equalized_odds_takes_the_mean_of_its_two_rates():
    y, score, groups = scores()
    np.testing.assert_array_equal(
        group_thresholds(y, score, groups, "equalized_odds"),
        group_thresholds(y, score, groups, "average_odds"),
    )


def test_best_common_level_by_brute_force():
    y, score, groups = scores(n=300)
    cuts = group_thresholds(y, score, groups, "statistical_parity")

    def accuracy(cuts):
        y_pred = score > cuts[groups]
        return (y_pred[y == 1].mean() + 1 - y_pred[y == 0].mean()) / 2

    best = 0.0
    for level in np.linspace(0.05, 0.95, 91):
        pair = np.array([np.quantile(score[groups == g], 1 - level) for g in (0, 1)])
        best = max(best, accuracy(pair))
    assert accuracy(cuts) >= best - 0.01


def test_a_gap_is_used_and_kept():
    y, score, groups = scores()
    accuracies, gaps = [], []
    for gap in (0.0, 0.1, 1.0):
        cuts = group_thresholds(y, score, groups, "statistical_parity", gap=gap)
        y_pred = (score > cuts[groups]).astype(int)
        gaps.append(abs(bias(y, y_pred, sensitive_features=groups)))
        accuracies.append((y_pred[y == 1].mean() + 1 - y_pred[y == 0].mean()) / 2)
    assert gaps[0] < 0.01
    assert gaps[1] < 0.11
    assert accuracies[0] <= accuracies[1] + 1e-3
    # A gap of 1 binds nothing: the best common cut-off is as good as it gets.
    curve = threshold_curve(y, score, groups, "statistical_parity")
    assert accuracies[2] >= curve.balanced_accuracy.max() - 5e-3


def test_order_of_groups_with_names():
    y, score, groups = scores()
    both = group_thresholds(y, score, groups, CONSTRAINTS["statistical_parity"])
    swapped = group_thresholds(y, score, 1 - groups, "statistical_parity")
    np.testing.assert_array_equal(both, swapped[::-1])
