"""Scorers in cross_validate and GridSearchCV, with metadata routing."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, cross_validate

from skfairaug.metrics._hard import average_odds_difference, bias
from skfairaug.metrics._phi import phi_score
from skfairaug.metrics._scorers import make_fairness_scorer, phi_scorer


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def loans():
    rng = np.random.default_rng(0)
    sex = pd.Series(rng.choice(["f", "m"], size=400))
    X = rng.normal(size=(400, 3))
    y = np.where(X[:, 0] + 0.8 * (sex == "m") + rng.normal(size=400) > 0, "yes", "no")
    X[:, 1] = 0.3 * X[:, 1] + (sex == "m")  # a strong proxy
    return X, y, sex


@pytest.mark.parametrize("make", [phi_scorer, lambda: make_fairness_scorer(bias)])
def test_routing_off_is_an_error_that_says_what_to_switch_on(make):
    with pytest.raises(
        RuntimeError, match=r"set_config\(enable_metadata_routing=True\) before"
    ):
        make()


def test_a_scorer_without_groups_says_what_to_do(routing, loans):
    X, y, _ = loans
    scorer = make_fairness_scorer(bias)
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match=r"no sensitive_features. Pass them to what scores"):
        scorer(model, X, y)
    off = sklearn.config_context(enable_metadata_routing=False)
    with off, pytest.raises(ValueError, match=r"enable_metadata_routing=True.*leave it on"):
        cross_validate(model, X, y, scoring=scorer, error_score="raise")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"metric": "bias"}, "metric must be callable.*got 'bias'"),
        ({"metric": bias, "absolute": "no"}, "absolute must be True or False; got 'no'"),
        ({"metric": bias, "greater_is_better": 0}, "greater_is_better must be True or False"),
    ],
)
def test_what_makes_no_scorer(params, message):
    with pytest.raises(TypeError, match=message):
        make_fairness_scorer(**params)


def test_scorer_values(routing, loans):
    X, y, sex = loans
    model = LogisticRegression().fit(X, y)
    y_pred = model.predict(X)
    gap = average_odds_difference(y, y_pred, sensitive_features=sex)
    assert gap < 0
    score = {
        "default": make_fairness_scorer(average_odds_difference),
        "signed": make_fairness_scorer(average_odds_difference, absolute=False),
        "better": make_fairness_scorer(average_odds_difference, greater_is_better=True),
        "kwargs": make_fairness_scorer(bias, constraint="average_odds", pos_label="no"),
        "phi": phi_scorer("average_odds", tolerance=1),
    }
    score = {key: s(model, X, y, sensitive_features=sex) for key, s in score.items()}
    flipped = bias(y, y_pred, sensitive_features=sex, constraint="average_odds", pos_label="no")
    assert score == {
        "default": gap,
        "signed": -gap,
        "better": -gap,
        "kwargs": -abs(flipped),
        "phi": balanced_accuracy_score(y, y_pred),
    }
    assert phi_scorer("average_odds", 0.01)(model, X, y, sensitive_features=sex) == 0


def test_cross_validate(routing, loans):
    X, y, sex = loans
    scoring = {
        "accuracy": "balanced_accuracy",
        "gap": make_fairness_scorer(bias, constraint="equal_opportunity"),
        "phi": phi_scorer("equal_opportunity", tolerance=0.3),
    }
    result = cross_validate(
        LogisticRegression(),
        X,
        y,
        scoring=scoring,
        params={"sensitive_features": sex},
        return_estimator=True,
        return_indices=True,
    )
    tests = zip(result["estimator"], result["indices"]["test"], strict=True)
    for i, (model, rows) in enumerate(tests):
        labels, predicted = y[rows], model.predict(X[rows])
        kwargs = {"sensitive_features": sex.iloc[rows], "constraint": "equal_opportunity"}
        assert result["test_gap"][i] == -abs(bias(labels, predicted, **kwargs))
        phi = phi_score(labels, predicted, **kwargs, tolerance=0.3)
        assert result["test_phi"][i] == phi


def test_multi_metric_grid_search_with_callable_refit(routing, loans):
    X, y, sex = loans

    def refit(results):
        phi = results["mean_test_phi"]
        return int(np.argmax(phi + 1e-3 * results["mean_test_gap"]))

    scoring = {
        "gap": make_fairness_scorer(average_odds_difference).set_score_request(
            sensitive_features=True
        ),
        "phi": phi_scorer(tolerance=0.3),
    }
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring=scoring, refit=refit)
    search.fit(X, y, sensitive_features=sex)
    assert search.best_params_["C"] in (0.1, 1.0)
    assert np.isfinite(search.cv_results_["mean_test_gap"]).all()
    assert (search.cv_results_["mean_test_gap"] < 0).all()


def test_pickle_and_repr(routing, loans):
    X, y, sex = loans
    model = LogisticRegression().fit(X, y)
    for scorer in (make_fairness_scorer(bias, constraint="average_odds"), phi_scorer()):
        copy = pickle.loads(pickle.dumps(scorer))
        ours, theirs = (s(model, X, y, sensitive_features=sex) for s in (scorer, copy))
        assert ours == theirs
        assert repr(scorer).startswith("make_scorer(")


def test_errors_at_once():
    with pytest.raises(ValueError, match="Unknown constraint 'x'"):
        phi_scorer("x")
    with pytest.raises(ValueError, match="tolerance must be"):
        phi_scorer(tolerance=-1)
