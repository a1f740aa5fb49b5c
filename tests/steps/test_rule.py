"""The fair rule: its terms by hand, what its multipliers keep, and when they are zero."""

import numpy as np
import pytest

from skfairaug.metrics import CONSTRAINTS, get_constraint
from skfairaug.metrics._cells import cell_counts, prediction_rates
from skfairaug.steps import (
    cell_posterior,
    fit_multipliers,
    rule_scores,
    rule_terms,
)

NAMES = [name for name in CONSTRAINTS if name != "demographic_parity"]


def known_groups(n_samples=3000, n_groups=2, n_classes=2, seed=0):
    """Cell posterior of rows whose group is known, with labels drawn from it."""
    rng = np.random.RandomState(seed)
    group = np.arange(n_samples) % n_groups
    logits = rng.normal(size=(n_samples, n_classes))
    logits[:, -1] += group
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (rng.rand(n_samples, 1) > p.cumsum(1)).sum(1).clip(max=n_classes - 1)
    q = cell_posterior(p, np.eye(n_groups)[group][:, None].repeat(n_classes, 1))
    return q, y, group


def decide(q, constraint, tolerance):
    terms = rule_terms(q, q.mean(0), constraint)
    multipliers = fit_multipliers(terms, tolerance)
    return terms, multipliers, rule_scores(terms, multipliers)


# -- terms --------------------------------------------------------------------


def test_cell_posterior_by_hand():
    q = cell_posterior(np.array([[0.2, 0.8]]), np.array([[[1.0, 0.0], [0.25, 0.75]]]))
    np.testing.assert_allclose(q, [[[0.2, 0.0], [0.2, 0.6]]])


Q = np.array([[[0.1, 0.2], [0.3, 0.4]]])  # rows labels, columns groups
SHARES = np.array([[0.2, 0.4], [0.3, 0.1]])


@pytest.mark.parametrize(
    ("name", "statistics"),
    [
        # Group 0 is half of the rows: (0.1 + 0.3) / 0.5; group 1 the same: 0.6 / 0.5.
        ("statistical_parity", [[0.8, 1.2]]),
        ("equal_opportunity", [[0.3 / 0.3, 0.4 / 0.1]]),
        ("average_odds", [[(0.1 / 0.2 + 0.3 / 0.3) / 2, (0.2 / 0.4 + 0.4 / 0.1) / 2]]),
        ("equalized_odds", [[0.1 / 0.2, 0.2 / 0.4], [0.3 / 0.3, 0.4 / 0.1]]),
        # Labels count 0.6 and 0.4 in either group.
        ("bias_amplification", [[0.6 * 0.5 + 0.4 * 1, 0.6 * 0.5 + 0.4 * 4]]),
    ],
)
def test_terms_by_hand(name, statistics):
    terms = rule_terms(Q, SHARES, name)
    np.testing.assert_allclose(terms.gain, [[0.3 / (2 * 0.6), 0.7 / (2 * 0.4)]])
    statistics = np.array(statistics)
    expected = statistics - statistics.mean(1, keepdims=True)
    np.testing.assert_allclose(terms.statistics, expected[None, None], atol=1e-12)


def test_scores_by_hand():
    terms = rule_terms(Q, SHARES, "statistical_parity")
    scores = rule_scores(terms, np.array([[[0.5, -1.0]]]))
    price = 0.5 * -0.2 - 1.0 * 0.2
    np.testing.assert_allclose(scores, [[0.25, 0.875 - price]])


def test_gain_is_balanced_accuracy():
    q, _, _ = known_groups(n_classes=3)
    decision = np.eye(3)[np.arange(len(q)) % 3]
    gain = (decision * rule_terms(q, q.mean(0), "statistical_parity").gain).sum(1).mean()
    p = q.sum(2)
    recalls = (decision * p).sum(0) / p.sum(0)
    assert gain == pytest.approx(recalls.mean())


@pytest.mark.parametrize(("n_classes", "n_problems"), [(2, 1), (3, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_shapes(name, n_classes, n_problems):
    q, _, _ = known_groups(60, n_groups=4, n_classes=n_classes)
    terms = rule_terms(q, q.mean(0), name)
    n_statistics = 2 if name == "equalized_odds" else 1
    assert terms.gain.shape == (60, n_classes)
    assert terms.statistics.shape == (60, n_problems, n_statistics, 4)
    multipliers = fit_multipliers(terms, 0.05)
    assert multipliers.shape == (n_problems, n_statistics, 4)
    assert rule_scores(terms, multipliers).shape == (60, n_classes)


# -- multipliers --------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_multipliers_are_zero_where_everything_is_allowed(name):
    q, _, _ = known_groups(500)
    terms, multipliers, scores = decide(q, name, 10.0)
    assert not multipliers.any()
    np.testing.assert_array_equal(scores, terms.gain)


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("name", [name for name in NAMES if name in CONSTRAINTS])
def test_statistics_lie_within_the_tolerance(name, n_groups):
    tolerance = 0.04
    q, _, _ = known_groups(n_groups=n_groups)
    _, multipliers, scores = decide(q, name, tolerance)
    chosen = (scores[:, 1] > scores[:, 0]).astype(float)
    unbounded = q.sum(2)[:, 1] / q.mean((0, 2))[1] > q.sum(2)[:, 0] / q.mean((0, 2))[0]
    coefficients = get_constraint(name).coefficients(q.mean(0))[0]
    gaps = [
        np.ptp(np.einsum("n,syg,nyg->sg", decision, coefficients, q) / len(q), axis=-1).max()
        for decision in (chosen, unbounded.astype(float))
    ]
    assert gaps[0] < tolerance + 0.01  # the kink is smoothed
    assert gaps[1] > 3 * tolerance
    assert multipliers.any()


@pytest.mark.parametrize("name", ["statistical_parity", "equal_opportunity"])
def test_a_known_group_gives_a_cut_off_each(name):
    q, _, group = known_groups(n_groups=3)
    _, _, scores = decide(q, name, 0.02)
    chosen, p = scores[:, 1] > scores[:, 0], q.sum(2)[:, 1]
    cuts = []
    for g in range(3):
        taken, left = p[(group == g) & chosen], p[(group == g) & ~chosen]
        assert left.max() < taken.min()
        cuts.append((left.max() + taken.min()) / 2)
    assert cuts == sorted(cuts)
    assert cuts[0] < cuts[2] - 0.05


def test_best_pair_of_cut_offs_is_no_better():
    q, _, group = known_groups(n_samples=1000)
    terms, _, scores = decide(q, "statistical_parity", 0.05)
    chosen, p = scores[:, 1] > scores[:, 0], q.sum(2)[:, 1]

    def gain(chosen):
        return np.where(chosen, terms.gain[:, 1], terms.gain[:, 0]).mean()

    def rates(chosen):
        return chosen[group == 0].mean() - chosen[group == 1].mean()

    cuts = np.linspace(0.05, 0.95, 31)
    pairs = (p > np.where(group == 1, second, first) for first in cuts for second in cuts)
    best = max(gain(pair) for pair in pairs if abs(rates(pair)) <= 0.05)
    assert abs(rates(chosen)) < 0.06
    assert gain(chosen) > best - 0.003


def test_three_classes_are_each_within_the_tolerance():
    q, _, group = known_groups(n_classes=3)
    gaps = []
    for tolerance in (0.04, 10.0):
        scores = decide(q, "statistical_parity", tolerance)[2]
        chosen = np.eye(3)[scores.argmax(1)]
        gap = np.abs(chosen[group == 0].mean(0) - chosen[group == 1].mean(0)).max()
        gaps.append(gap)
    assert gaps[0] < 0.06
    assert gaps[1] > 0.12


def test_measured_bias_of_drawn_labels_is_inside_too():
    q, y, group = known_groups(n_samples=8000)
    scores = decide(q, "equalized_odds", 0.03)[2]
    rates = prediction_rates(scores.argmax(1), y, group, 2, 2)
    gap = get_constraint("equalized_odds").gap(rates, cell_counts(y, group, 2, 2))[0]
    assert gap < 0.03 + 3 * 0.017
