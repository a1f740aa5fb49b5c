"""What the adapters to fairlearn and AIF360 add: margins, draws by row, known groups."""

import numpy as np
import pandas as pd
import pytest
from fairlearn import reductions
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

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


@pytest.mark.parametrize("name", TRAIN + POST)
def test_what_it_says_of_itself(name):
    kind = getattr(rivals, name)
    assert kind.fits_on == ("validation" if name in POST else "train")
    assert kind.needs_sensitive_features == (name in NEEDS)


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


@pytest.mark.parametrize(
    ("constraint", "kind"),
    [
        ("statistical_parity", reductions.DemographicParity),
        ("equal_opportunity", reductions.TruePositiveRateParity),
    ],
)
def test_exponentiated_gradient_bounds_the_gap(constraint, kind, data):
    """Predictors with a gap of the tolerance meet fairlearn's bound exactly."""
    X, y, groups, _ = data
    model = make("ExponentiatedGradient", constraint=constraint)
    rows = model._validate_rows(X, y, groups)
    moment = model._moment(rows, 0.1)
    with fairlearn_on_todays_pandas():
        moment.load_data(X, y, sensitive_features=groups)
    rate = np.where(groups == "f", 0.4, 0.5)
    assert moment.gamma(lambda X: rate).max() == pytest.approx(moment.bound().iloc[0])
    assert isinstance(moment, kind)


@pytest.mark.parametrize("name", POST)
def test_integers_stay_exact(name, data):
    """Single precision tells only every other number from here on."""
    X = (2**24 + np.arange(240) % 8).reshape(-1, 1)
    y, groups = X[:, 0] % 2, np.arange(240) // 8 % 2
    odd = make_pipeline(FunctionTransformer(lambda X: X % 2), LogisticRegression()).fit(X, y)
    model = make(name, odd).fit(X, y, sensitive_features=groups)
    np.testing.assert_array_equal(model.predict(X, sensitive_features=groups), y)


@pytest.mark.parametrize("name", POST)
def test_a_classifier_fitted_on_a_frame_is_given_one(name, data):
    X, y, groups, _ = data
    frame = pd.DataFrame(X, columns=list("abcde"))
    biased = LogisticRegression().fit(frame, y)
    model = make(name, biased).fit(frame, y, sensitive_features=groups)  # warnings are errors
    y_pred = model.predict(frame, sensitive_features=groups)
    arrays = make(name, biased).fit(X, y, sensitive_features=groups)
    np.testing.assert_array_equal(arrays.predict(X, sensitive_features=groups), y_pred)
    with pytest.raises(ValueError, match=r"columns of X are \['e', .*was fitted on \['a', 'b'"):
        make(name, biased).fit(frame[list("edcba")], y, sensitive_features=groups)


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


@pytest.mark.parametrize(
    ("constraint", "limit"), [("statistical_parity", 2.0), ("equalized_odds", 0.5)]
)
def test_default_grid_limit(data, constraint, limit):
    default = fitted("GridSearch", data, constraint=constraint)
    given = fitted("GridSearch", data, constraint=constraint, grid_limit=limit)
    np.testing.assert_array_equal(default.predict_proba(data[0]), given.predict_proba(data[0]))


def test_a_margin_keeps_away_from_the_bound(data):
    X, y, groups, _ = data
    sizes = [
        abs(
            bias(
                y,
                fitted("ThresholdOptimizer", data, tolerance=0.1, margin=margin).predict(
                    X, sensitive_features=groups
                ),
                sensitive_features=groups,
            )
        )
        for margin in (0.0, 0.9)
    ]
    assert sizes[1] < sizes[0]
