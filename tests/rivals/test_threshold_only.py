"""ThresholdOnly: the cut-off and nothing else, over any classifier."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import LinearSVC

from skfairaug.metrics import bias
from skfairaug.rivals import ThresholdOnly


@pytest.fixture
def groups(rows):
    return np.where(rows.group, "m", "f")


def test_it_moves_the_cut_off_of_the_same_score(rows, groups, net):
    fair = ThresholdOnly(net, tolerance=0.1).fit(rows.X, rows.y, sensitive_features=groups)
    y_pred = fair.predict(rows.X)
    gap = bias(rows.y, y_pred, sensitive_features=groups)
    assert fair.bias_ == pytest.approx(gap)
    assert abs(gap) < 0.1
    assert fair.balanced_accuracy_ == balanced_accuracy_score(rows.y, y_pred)
    score = net.predict_proba(rows.X)[:, 1].astype(float)
    cut = 1 / (1 + np.exp(-fair.threshold_))
    np.testing.assert_array_equal(y_pred, (score > cut).astype(int))


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC()])
def test_scores_of_any_kind(rows, groups, model):
    model.fit(rows.X, rows.y)
    fair = ThresholdOnly(model, tolerance=0.2).fit(rows.X, rows.y, sensitive_features=groups)
    y_pred = fair.predict(rows.X)
    np.testing.assert_array_equal(fair.decision_function(rows.X) > 0, y_pred == 1)
    proba = fair.predict_proba(rows.X)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(proba.argmax(1), y_pred)


def test_without_a_constraint_it_is_the_most_accurate_cut_off(rows, groups):
    model = LogisticRegression().fit(rows.X, rows.y)
    fair = ThresholdOnly(model, constraint=None)
    fair.fit(rows.X, rows.y, sensitive_features=groups)
    score = model.predict_proba(rows.X)[:, 1]
    best = max(balanced_accuracy_score(rows.y, score > cut) for cut in score)
    assert fair.balanced_accuracy_ == pytest.approx(best)
    assert abs(fair.bias_) > 0.05


def test_caution_stays_further_inside(rows, groups):
    model = LogisticRegression().fit(rows.X, rows.y)
    trusting, cautious = (
        ThresholdOnly(model, tolerance=0.15, caution=caution).fit(
            rows.X, rows.y, sensitive_features=groups
        )
        for caution in (0.0, 1.0)
    )
    assert abs(cautious.bias_) < abs(trusting.bias_)


def test_one_that_is_not_fitted_is_trained_on_other_rows(rows, groups):
    model = LogisticRegression()
    one = ThresholdOnly(model, tolerance=0.3, random_state=0)
    one.fit(rows.X, rows.y, sensitive_features=groups)
    assert not hasattr(model, "coef_")
    again = clone(one).fit(rows.X, rows.y, sensitive_features=groups)
    other = clone(one).set_params(random_state=1).fit(rows.X, rows.y, sensitive_features=groups)
    assert one.threshold_ == again.threshold_ != other.threshold_


def test_a_fitted_classifier_is_kept_as_it_is(rows, groups, net):
    for fitted in (net, FrozenEstimator(LogisticRegression().fit(rows.X, rows.y))):
        fair = clone(ThresholdOnly(fitted)).fit(rows.X, rows.y, sensitive_features=groups)
        thawed = pickle.loads(pickle.dumps(fair))
        np.testing.assert_array_equal(thawed.predict(rows.X), fair.predict(rows.X))
        expected = fitted.predict_proba(rows.X)
        np.testing.assert_allclose(fair.estimator_.predict_proba(rows.X), expected)


def test_labels_of_any_kind(rows, groups):
    y = np.where(rows.y, "yes", "no")
    model = LogisticRegression().fit(rows.X, y)
    fair = ThresholdOnly(model, tolerance=0.2).fit(rows.X, y, sensitive_features=groups)
    assert set(fair.predict(rows.X)) == {"no", "yes"}


def test_a_constant_score_gives_a_constant(rows, groups):
    model = DummyClassifier().fit(rows.X, rows.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fair = ThresholdOnly(model).fit(rows.X, rows.y, sensitive_features=groups)
        assert len(set(fair.predict(rows.X))) == 1
        assert np.isfinite(fair.decision_function(rows.X)).all()


@pytest.mark.parametrize(
    ("params", "fit", "message"),
    [
        ({"constraint": "luck"}, {}, "Unknown constraint 'luck'"),
        ({"tolerance": 0}, {}, "tolerance"),
        ({"caution": -1}, {}, "caution"),
        ({}, {"sensitive_features": None}, "ThresholdOnly needs the group of every row"),
        ({}, {"sensitive_features": ["f"] * 240}, "one group"),
        ({}, {"y": np.zeros(240)}, "one class"),
    ],
)
def test_bad_input(rows, groups, params, fit, message):
    arguments = {"X": rows.X, "y": rows.y, "sensitive_features": groups} | fit
    with pytest.raises(ValueError, match=message):
        ThresholdOnly(**params).fit(**arguments)
