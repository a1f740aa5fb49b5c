"""The adapters to fairlearn: as fairlearn does it, and aimed at balanced accuracy."""

import numpy as np
import pytest
from fairlearn import postprocessing, preprocessing
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import Bunch
from skorch import NeuralNetClassifier

from skfairaug.metrics import bias
from skfairaug.rivals import (
    CorrelationRemover,
    ExponentiatedGradient,
    GridSearch,
    ThresholdOptimizer,
)

CONSTRAINTS = ["statistical_parity", "equal_opportunity", "average_odds", "equalized_odds"]


@pytest.fixture
def many_rows():
    """Rows of which one in five has the favourable label, more often in group 1."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, 3000)
    X = np.column_stack([rng.normal(size=(3000, 3)) + group[:, None] * [0.8, 0, 0], group])
    y = (X[:, 0] + X[:, 1] + rng.normal(size=3000) > 1.8).astype(int)
    return Bunch(X=X, y=y, group=group)


def fit(rival, rows):
    return rival.fit(rows.X, rows.y, sensitive_features=rows.group)


def judge(y_pred, rows, constraint="statistical_parity"):
    gap = bias(rows.y, y_pred, sensitive_features=rows.group, constraint=constraint)
    return balanced_accuracy_score(rows.y, y_pred), abs(gap)


# -- reductions ---------------------------------------------------------------


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_mixture_is_within_the_tolerance_where_it_was_fitted(constraint, many_rows):
    fair = ExponentiatedGradient(constraint=constraint, tolerance=0.05, random_state=0)
    accuracy, gap = judge(fit(fair, many_rows).predict(many_rows.X), many_rows, constraint)
    # Labels are drawn: allow for two standard errors of the gap.
    error = 2 / np.sqrt(np.bincount(2 * many_rows.y + many_rows.group).min())
    assert gap < 0.05 + (0.03 if constraint == "statistical_parity" else error)
    assert accuracy > 0.7


@pytest.mark.parametrize("constraint", ["equal_opportunity", "average_odds", "equalized_odds"])
def test_bound_holds_where_the_groups_shares_differ_by_label(constraint):
    """One row in ten is of group 1, but half of those with the favourable label."""
    rng = np.random.RandomState(1)
    group = (rng.rand(4000) < 0.1).astype(int)
    y = (rng.rand(4000) < np.where(group, 0.9, 0.1)).astype(int)
    X = rng.normal(size=(4000, 2)) + np.column_stack([1.2 * y, 0.5 * y + 2 * group])
    fair = ExponentiatedGradient(
        constraint=constraint, tolerance=0.1, margin=0.0, random_state=0
    ).fit(X, y, sensitive_features=group)
    share = fair.weights_ @ np.array([one.predict(X) for one in fair.predictors_])
    gaps = [
        abs(
            share[(y == label) & (group == 0)].mean()
            - share[(y == label) & (group == 1)].mean()
        )
        for label in ((1,) if constraint == "equal_opportunity" else (0, 1))
    ]
    assert max(gaps) < 0.1 + 2e-3  # the game stops near its value


def test_reductions_aim_at_balanced_accuracy(many_rows):
    plain = LogisticRegression().fit(many_rows.X, many_rows.y).predict(many_rows.X)
    before = balanced_accuracy_score(many_rows.y, plain)
    for fair in (
        ExponentiatedGradient(tolerance=1.0, max_iter=10, random_state=0),
        GridSearch(tolerance=1.0, grid_size=5),
    ):
        after, _ = judge(fit(fair, many_rows).predict(many_rows.X), many_rows)
        assert after > before + 0.05


def test_a_smaller_tolerance_is_less_biased(many_rows):
    gaps = []
    for tolerance in (0.02, 0.15):
        fair = ExponentiatedGradient(tolerance=tolerance, random_state=0)
        gaps.append(judge(fit(fair, many_rows).predict(many_rows.X), many_rows)[1])
    assert gaps[0] < gaps[1]


def test_mixture_score_is_the_weighted_mean(many_rows):
    fair = fit(ExponentiatedGradient(tolerance=0.05, random_state=0), many_rows)
    assert len(fair.predictors_) == len(fair.weights_) > 1
    assert fair.weights_.sum() == pytest.approx(1)
    expected = sum(
        weight * one.predict_proba(many_rows.X)[:, 1]
        for weight, one in zip(fair.weights_, fair.predictors_, strict=True)
    )
    proba = fair.predict_proba(many_rows.X)
    np.testing.assert_allclose(proba[:, 1], expected)
    np.testing.assert_allclose(proba.sum(1), 1)
    fair.set_params(randomized=False)
    np.testing.assert_array_equal(fair.predict(many_rows.X), expected > 0.5)


def test_drawn_labels_follow_the_mixture(many_rows):
    fair = fit(ExponentiatedGradient(tolerance=0.05, randomized=True), many_rows)
    share = sum(
        weight * one.predict(many_rows.X)
        for weight, one in zip(fair.weights_, fair.predictors_, strict=True)
    )
    drawn = fair.predict(many_rows.X)
    np.testing.assert_array_equal(drawn[share > 1 - 1e-9], 1)
    np.testing.assert_array_equal(drawn[share < 1e-9], 0)
    assert drawn.mean() == pytest.approx(share.mean(), abs=0.02)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_grid_search_is_within_the_tolerance(constraint, many_rows):
    # Odds have two multipliers, so that the points of the grid are far apart.
    tolerance = 0.15 if constraint.endswith("odds") else 0.07
    fair = GridSearch(constraint=constraint, tolerance=tolerance, grid_size=30)
    accuracy, gap = judge(fit(fair, many_rows).predict(many_rows.X), many_rows, constraint)
    assert gap < tolerance
    assert accuracy > 0.65


def test_least_biased_point_where_none_is_inside(many_rows):
    fair = GridSearch(tolerance=1e-6, grid_size=4, grid_limit=0.05)
    _, gap = judge(fit(fair, many_rows).predict(many_rows.X), many_rows)
    wide = GridSearch(tolerance=1.0, grid_size=4, grid_limit=0.05)
    assert 0 < gap < judge(fit(wide, many_rows).predict(many_rows.X), many_rows)[1]


@pytest.mark.parametrize("rival", [ExponentiatedGradient, GridSearch])
def test_a_net_is_refused(rival, unfitted_net, rows):
    assert isinstance(unfitted_net, NeuralNetClassifier)
    with pytest.raises(TypeError, match="sample_weight"):
        fit(rival(unfitted_net), rows)


# -- threshold optimizer ------------------------------------------------------


class Score(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probability is the first column."""

    classes_ = np.array([0, 1])

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return (X[:, 0] > 0.5).astype(int)

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


@pytest.fixture
def scored(many_rows):
    score = 1 / (1 + np.exp(-many_rows.X[:, :2].sum(1)))
    return Bunch(X=score[:, None], y=many_rows.y, group=many_rows.group)


def test_it_draws_as_fairlearn_would(scored):
    fair = fit(ThresholdOptimizer(Score(), tolerance=0.05, random_state=0), scored)
    own = postprocessing.ThresholdOptimizer(
        estimator=Score(),
        constraints="demographic_parity",
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict_proba",
        tol=0.05,
    )
    own.fit(scored.X, scored.y, sensitive_features=scored.group)
    share = own._pmf_predict(scored.X, sensitive_features=scored.group)[:, 1]
    drawn = fair.predict(scored.X, sensitive_features=scored.group)
    sure = (share < 1e-12) | (share > 1 - 1e-12)
    np.testing.assert_array_equal(drawn[sure], share[sure] > 0.5)
    assert drawn.mean() == pytest.approx(share.mean(), abs=0.01)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("relaxed", [True, False])
def test_bias_of_threshold_optimizer(constraint, relaxed, scored):
    fair = ThresholdOptimizer(
        Score(), constraint=constraint, tolerance=0.1, relaxed=relaxed, random_state=0
    )
    y_pred = fit(fair, scored).predict(scored.X, sensitive_features=scored.group)
    accuracy, gap = judge(y_pred, scored, constraint)
    assert gap < (0.12 if relaxed else 0.04)
    assert accuracy > 0.7


def test_score_in_single_precision(scored):
    expected, single = (
        fit(ThresholdOptimizer(Score(), random_state=0), rows).predict(
            rows.X, sensitive_features=rows.group
        )
        for rows in (scored, Bunch(**(dict(scored) | {"X": scored.X.astype(np.float32)})))
    )
    assert np.mean(expected != single) < 0.01


def test_decision_function_serves_as_score(many_rows):
    class NoProba(LogisticRegression):
        predict_proba = property()

    biased = NoProba().fit(many_rows.X, many_rows.y)
    fair = fit(ThresholdOptimizer(biased, tolerance=0.05, random_state=0), many_rows)
    y_pred = fair.predict(many_rows.X, sensitive_features=many_rows.group)
    assert judge(y_pred, many_rows)[1] < 0.07


def test_a_row_gets_its_label_whoever_else_is_asked_about(many_rows):
    biased = LogisticRegression().fit(many_rows.X, many_rows.y)
    for relaxed in (True, False):
        fair = fit(ThresholdOptimizer(biased, relaxed=relaxed, random_state=0), many_rows)
        X, group = many_rows.X[:200], many_rows.group[:200]
        expected = fair.predict(X, sensitive_features=group)
        backwards = fair.predict(X[::-1], sensitive_features=group[::-1])
        np.testing.assert_array_equal(backwards[::-1], expected)
        alone = [
            fair.predict(X[i : i + 1], sensitive_features=group[i : i + 1])[0]
            for i in range(60)
        ]
        np.testing.assert_array_equal(alone, expected[:60])


# -- correlation remover ------------------------------------------------------


def test_columns_are_those_of_fairlearn(many_rows):
    fair = fit(CorrelationRemover(alpha=0.5), many_rows)
    own = preprocessing.CorrelationRemover(sensitive_feature_ids=[0], alpha=0.5)
    X = own.fit_transform(np.column_stack([many_rows.group, many_rows.X]))
    weights = 0.5 / np.where(many_rows.y == 1, many_rows.y.mean(), 1 - many_rows.y.mean())
    expected = LogisticRegression(max_iter=1000).fit(X, many_rows.y, sample_weight=weights)
    y_pred = fair.predict(many_rows.X, sensitive_features=many_rows.group)
    np.testing.assert_array_equal(y_pred, expected.predict(X))


def test_removing_correlation_lowers_the_bias(many_rows):
    gaps = []
    for alpha in (0.0, 1.0):
        fair = fit(CorrelationRemover(alpha=alpha), many_rows)
        y_pred = fair.predict(many_rows.X, sensitive_features=many_rows.group)
        gaps.append(judge(y_pred, many_rows)[1])
    assert gaps[1] < gaps[0] / 2


def test_every_group_has_a_column(many_rows):
    many_rows.group = np.array(["a", "b", "c"])[many_rows.group + (many_rows.X[:, 2] > 0)]
    fair = fit(CorrelationRemover(), many_rows)
    assert fair.remover_.beta_.shape == (2, 4)


# -- bad parameters -----------------------------------------------------------


@pytest.mark.parametrize(
    ("rival", "params"),
    [
        (ExponentiatedGradient, {"max_iter": 0}),
        (GridSearch, {"grid_size": 1}),
        (GridSearch, {"grid_limit": 0}),
        (GridSearch, {"caution": -1}),
        (ThresholdOptimizer, {"grid_size": 0}),
        (ThresholdOptimizer, {"debias_fraction": 1.0}),
        (CorrelationRemover, {"alpha": 1.5}),
    ],
)
def test_bad_parameters(rival, params, rows):
    (name,) = params
    with pytest.raises(ValueError, match=f"'{name}' parameter of {rival.__name__} must be"):
        fit(rival(**params), rows)
