"""The adapters to fairlearn and AIF360: what they add, and that they do what theirs do."""

import builtins
import pickle

import numpy as np
import pytest
from fairlearn import postprocessing, reductions
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from skfairaug import rivals
from skfairaug.metrics import bias
from skfairaug.rivals._reductions import fairlearn_on_todays_pandas, uniform_by_row

TRAIN = ["ExponentiatedGradient", "GridSearch", "CorrelationRemover", "Reweighing"]
POST = [
    "ThresholdOptimizer",
    "RejectOptionClassification",
    "EqOddsPostprocessing",
    "CalibratedEqOddsPostprocessing",
]
NEEDS = ["CorrelationRemover", *POST]
QUICK = {
    "ExponentiatedGradient": {"max_iter": 10},
    "GridSearch": {"grid_size": 9},
    "RejectOptionClassification": {"n_thresholds": 20, "n_margins": 10},
}


def make(name, estimator=None, **params):
    kind = getattr(rivals, name)
    return kind(estimator, **QUICK.get(name, {}) | {"random_state": 0} | params)


@pytest.fixture
def data(rows):
    """Rows that show the group, the group's names, and a classifier that is biased."""
    X = np.column_stack([rows.X, rows.group]).astype(np.float32)
    groups = np.where(rows.group, "m", "f")
    return X, rows.y, groups, LogisticRegression().fit(X[::2], rows.y[::2])


def fitted(name, data, **params):
    X, y, groups, biased = data
    model = make(name, biased if name in POST else None, **params)
    return model.fit(X, y, sensitive_features=groups)


def predicted(model, data):
    X, _, groups, _ = data
    if model.needs_sensitive_features:
        return model.predict(X, sensitive_features=groups)
    return model.predict(X)


@pytest.mark.parametrize("name", TRAIN + POST)
def test_what_it_says_of_itself(name):
    kind = getattr(rivals, name)
    assert kind.fits_on == ("validation" if name in POST else "train")
    assert kind.needs_sensitive_features == (name in NEEDS)


@pytest.mark.parametrize("name", TRAIN + POST)
def test_same_seed_same_labels_also_after_pickle(name, data):
    model = fitted(name, data)
    expected = predicted(model, data)
    np.testing.assert_array_equal(predicted(model, data), expected)
    np.testing.assert_array_equal(predicted(fitted(name, data), data), expected)
    np.testing.assert_array_equal(predicted(pickle.loads(pickle.dumps(model)), data), expected)
    assert balanced_accuracy_score(data[1], expected) > 0.5


@pytest.mark.parametrize("name", ["ExponentiatedGradient", "CalibratedEqOddsPostprocessing"])
def test_another_seed_other_labels(name, data):
    one, other = (fitted(name, data, random_state=seed) for seed in (0, 1))
    assert (predicted(one, data) != predicted(other, data)).any()


@pytest.mark.parametrize("name", TRAIN + POST)
def test_the_global_random_state_is_as_before(name, data):
    before = np.random.get_state()[1].copy()
    predicted(fitted(name, data), data)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("name", ["ExponentiatedGradient", "GridSearch", "ThresholdOptimizer"])
def test_the_bias_is_smaller(name, data):
    X, y, groups, biased = data
    before = bias(y, biased.predict(X), sensitive_features=groups)
    after = bias(y, predicted(fitted(name, data), data), sensitive_features=groups)
    assert abs(after) < 0.6 * abs(before)


@pytest.mark.parametrize("name", NEEDS)
def test_without_groups_it_does_not_predict(name, data):
    model = fitted(name, data)
    with pytest.raises(ValueError, match=f"{name} needs the group of every row to predict"):
        model.predict(data[0])
    with pytest.raises(ValueError, match=r"\['x'\] that fit has not seen; it saw \['f', 'm'\]"):
        model.predict(data[0][:2], sensitive_features=["x", "f"])


@pytest.mark.parametrize("name", NEEDS)
def test_rows_of_one_group_can_be_predicted(name, data):
    X, _, groups, _ = data
    women = groups == "f"
    model = fitted(name, data)
    assert model.predict(X[women], sensitive_features=groups[women]).shape == (women.sum(),)


@pytest.mark.parametrize("name", [*POST[1:], "Reweighing"])
def test_three_groups_are_refused_where_two_are_meant(name, data):
    X, y, _, biased = data
    model = make(name, biased if name in POST else None)
    with pytest.raises(ValueError, match=f"{name} is defined for two groups.*holds 3"):
        model.fit(X, y, sensitive_features=np.arange(len(y)) % 3)


@pytest.mark.parametrize("name", ["ExponentiatedGradient", "GridSearch", "CorrelationRemover"])
def test_three_groups_where_more_are_meant(name, data):
    X, y, _, _ = data
    groups = np.arange(len(y)) % 3
    model = make(name).fit(X, y, sensitive_features=groups)
    told = {"sensitive_features": groups} if model.needs_sensitive_features else {}
    assert set(model.predict(X, **told)) == {0, 1}


@pytest.mark.parametrize("name", TRAIN)
def test_a_classifier_without_sample_weights_is_refused(name, data):
    X, y, groups, _ = data
    with pytest.raises(TypeError, match="sample_weight in fit; KNeighborsClassifier does not"):
        make(name, KNeighborsClassifier()).fit(X, y, sensitive_features=groups)


def test_threshold_optimizer_is_fairlearns(data):
    X, y, groups, biased = data
    ours = fitted("ThresholdOptimizer", data, tolerance=0.02)
    theirs = postprocessing.ThresholdOptimizer(
        estimator=biased,
        constraints="demographic_parity",
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict_proba",
        tol=0.02,
    ).fit(X.astype(float), y, sensitive_features=groups)
    expected = theirs.predict(
        X.astype(float), sensitive_features=groups, random_state=ours._seed
    )
    assert np.mean(predicted(ours, data) == expected) > 0.99  # scores of float32 rows


def test_reweighing_weighs_as_it_says(data):
    X, y, groups, _ = data
    weights = np.empty(len(y))
    for label in (0, 1):
        for group in ("f", "m"):
            cell = (y == label) & (groups == group)
            independent = np.mean(y == label) * np.mean(groups == group)
            weights[cell] = independent / cell.mean() / (2 * np.mean(y == label))
    expected = LogisticRegression(max_iter=1000).fit(X, y, sample_weight=weights)
    ours = fitted("Reweighing", data)
    np.testing.assert_allclose(ours.predict_proba(X), expected.predict_proba(X), atol=1e-4)


def test_correlation_remover_removes_correlation(data):
    X, _, groups, _ = data
    model = fitted("CorrelationRemover", data)
    codes = (groups == "m").astype(int)
    left = model.remover_.transform(model._with_groups(X, codes))
    assert np.abs(np.corrcoef(left[:, 0], codes)[0, 1]) < 1e-5


def test_reject_option_finds_the_disadvantaged_group(data):
    X, y, groups, biased = data
    flipped = np.where(groups == "f", "z", "m")  # now the second in order
    for names in (groups, flipped):
        model = make("RejectOptionClassification", biased, tolerance=0.1)
        model.fit(X, y, sensitive_features=names)
        y_pred = model.predict(X, sensitive_features=names)
        assert abs(bias(y, y_pred, sensitive_features=names)) < 0.1
        assert balanced_accuracy_score(y, y_pred) > 0.7


def test_reject_option_knows_three_constraints(data):
    with pytest.raises(ValueError, match="no constraint 'equalized_odds'; it has"):
        fitted("RejectOptionClassification", data, constraint="equalized_odds")


def test_exponentiated_gradient_costs_are_balanced_accuracy(data):
    X, y, groups, _ = data
    model = make("ExponentiatedGradient")
    rows = model._validate_rows(X, y, groups)
    moment = model._moment(rows, 0.1)
    objective = moment.default_objective()
    objective.load_data(X, y, sensitive_features=groups)
    y_pred = X[:, 0] > 0
    error = objective.gamma(lambda X: y_pred.astype(int)).iloc[0]
    assert error == pytest.approx(1 - balanced_accuracy_score(y, y_pred))


def test_exponentiated_gradient_bounds_the_gap(data):
    """Predictors with a gap of the tolerance meet fairlearn's bound exactly."""
    X, y, groups, _ = data
    model = make("ExponentiatedGradient")
    rows = model._validate_rows(X, y, groups)
    moment = model._moment(rows, 0.1)
    with fairlearn_on_todays_pandas():
        moment.load_data(X, y, sensitive_features=groups)
    rate = np.where(groups == "f", 0.4, 0.5)
    assert moment.gamma(lambda X: rate).max() == pytest.approx(moment.bound().iloc[0])
    assert isinstance(moment, reductions.DemographicParity)


def test_draws_depend_on_the_row_alone(data):
    X = data[0]
    model = fitted("ExponentiatedGradient", data)
    order = np.random.RandomState(0).permutation(len(X))
    np.testing.assert_array_equal(model.predict(X)[order], model.predict(X[order]))
    uniform = uniform_by_row(np.random.RandomState(0).normal(size=(5000, 3)), seed=3)
    assert 0 <= uniform.min() < uniform.max() < 1
    np.testing.assert_allclose(
        np.quantile(uniform, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.03
    )
    assert (uniform_by_row(X, 1) != uniform_by_row(X, 2)).all()


def test_the_mean_score_of_a_mixture(data):
    model = fitted("ExponentiatedGradient", data, randomized=False)
    X = data[0]
    expected = sum(
        weight * one.predict_proba(X)[:, 1]
        for weight, one in zip(model.weights_, model.predictors_, strict=True)
    )
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected)
    np.testing.assert_array_equal(model.predict(X), (expected > 0.5).astype(int))
    assert model.weights_.sum() == pytest.approx(1)


def test_without_aif360_there_is_advice(data, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("aif360"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "skfairaug\[rivals\]"'):
        fitted("Reweighing", data)


@pytest.mark.parametrize("name", TRAIN + POST)
def test_clone_keeps_parameters(name):
    model = make(name, LogisticRegression(C=3.0))
    assert clone(model).get_params()["estimator__C"] == 3.0
