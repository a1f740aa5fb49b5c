"""Which candidate of a search is taken, and which are on the front."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import norm
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV

from skfairaug.benchmark import ParetoSelector, pareto_front
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics import bias, make_fairness_scorer, phi_score, phi_scorer
from skfairaug.metrics import statistical_parity_difference as parity


def results(accuracy, bias, *, names=("balanced_accuracy", "bias")):
    """cv_results_ of candidates in rows and splits in columns."""
    scores = dict(zip(names, map(np.asarray, (accuracy, bias)), strict=True))
    found = {"params": [{"step__c": 0.5, "d": i} for i in range(len(accuracy))]}
    for name, values in scores.items():
        found |= {f"split{i}_test_{name}": column for i, column in enumerate(values.T)}
        found[f"mean_test_{name}"] = values.mean(1)
        found[f"std_test_{name}"] = values.std(1)
    return found


def dominated(accuracy, size):
    """The definition, pair by pair."""
    pairs = list(zip(accuracy, size, strict=True))
    return [
        any(a >= b and s <= t and (a > b or s < t) for a, s in pairs) or np.isnan(b + t)
        for b, t in pairs
    ]


@pytest.mark.parametrize("seed", range(20))
def test_front_is_what_nothing_dominates(seed):
    rng = np.random.RandomState(seed)
    accuracy = rng.randint(0, 6, 30) / 6  # ties on both
    size = rng.randint(0, 6, 30) / 6
    accuracy[rng.rand(30) < 0.1] = np.nan
    np.testing.assert_array_equal(
        pareto_front(accuracy, size), np.logical_not(dominated(accuracy, size))
    )


def test_front_of_nothing_is_nothing():
    assert pareto_front([], []).shape == (0,)
    assert pareto_front([np.nan], [0.1]).tolist() == [False]


def test_front_refuses_signs_and_lengths():
    with pytest.raises(ValueError, match=r"must not be negative; got -0\.1"):
        pareto_front([0.5], [-0.1])
    with pytest.raises(ValueError, match=r"shapes \(1,\) and \(2,\)"):
        pareto_front([0.5], [0.1, 0.2])


def test_choice_maximises_expected_phi():
    accuracy = [[0.80, 0.80], [0.78, 0.78], [0.70, 0.70]]
    gap = [[0.02, 0.06], [0.02, 0.03], [0.0, 0.0]]
    expected = []
    for high, values in zip(accuracy, gap, strict=True):
        error = max(np.std(values, ddof=1) / np.sqrt(2), 1e-12)
        law = norm(np.mean(values), error)
        expected.append(np.mean(high) * (law.cdf(0.05) - law.cdf(-0.05)))
    assert ParetoSelector()(results(accuracy, gap)) == np.argmax(expected) == 1
    assert ParetoSelector(caution=0)(results(accuracy, gap)) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_signed_and_negated_scores_choose_alike(sign):
    accuracy = np.array([[0.8, 0.8], [0.7, 0.7]])
    gap = sign * np.array([[0.09, 0.11], [-0.03, 0.03]])
    assert ParetoSelector()(results(accuracy, gap)) == 1
    assert ParetoSelector(bias="neg_bias")(
        results(accuracy, -gap, names=("balanced_accuracy", "neg_bias"))
    ) == (1)


def test_signs_that_cancel_count_as_no_bias():
    read = ParetoSelector().read(results([[0.8, 0.8]], [[-0.04, 0.04]]))
    assert read.bias[0] == 0
    assert read.bias_error[0] == pytest.approx(0.04)
    assert read.labels == ["c=0.5, d=0"]


def test_least_biased_with_a_warning_if_none_is_inside():
    found = results([[0.8, 0.8], [0.6, 0.6]], [[0.3, 0.3], [-0.2, -0.2]])
    with pytest.warns(FairnessNotReachedWarning, match=r"within 0.05.*number 1, has 0.200"):
        assert ParetoSelector()(found) == 1


def test_one_split_trusts_its_means():
    read = ParetoSelector().read(results([[0.8], [0.7]], [[0.04], [0.0]]))
    assert np.isnan(read.bias_error).all()
    assert ParetoSelector()(results([[0.8], [0.7]], [[0.04], [0.0]])) == 0


def test_failed_candidates_are_passed_over():
    found = results([[np.nan, 0.9], [0.7, 0.7]], [[0.0, 0.0], [0.01, 0.01]])
    assert ParetoSelector()(found) == 1
    assert ParetoSelector().front(found).tolist() == [False, True]
    with pytest.raises(ValueError, match="None of the 1 candidates has both scores"):
        ParetoSelector()(results([[np.nan, 0.9]], [[0.0, 0.0]]))


def test_wrong_results_are_explained():
    with pytest.raises(ValueError, match=r"no scorer 'spd'; the scorers are \['balanced_ac"):
        ParetoSelector(bias="spd")(results([[0.8]], [[0.0]]))
    with pytest.raises(ValueError, match=r"the larger the better; got -0\.2"):
        ParetoSelector()(results([[-0.2]], [[0.0]]))


@pytest.mark.parametrize(
    ("params", "message"),
    [({"tolerance": 0}, "tolerance must be"), ({"caution": -1}, "caution must be")],
)
def test_wrong_numbers_are_refused_at_once(params, message):
    with pytest.raises(ValueError, match=message):
        ParetoSelector(**params)


def test_table_of_a_comparison():
    frame = pd.DataFrame(
        {
            "method": ["a", "a", "b", "b", "c"],
            "balanced_accuracy": [0.8, 0.9, 0.7, 0.7, np.nan],
            "bias": [0.1, -0.1, 0.01, 0.01, np.nan],
            "error": ["", "", "", np.nan, "ValueError: no"],
        }
    )
    read = ParetoSelector().read(frame)
    assert read.labels == ["a", "b"]
    np.testing.assert_allclose(read.bias, [0.1, 0.01])  # sizes, as in the summary
    np.testing.assert_allclose(read.accuracy_error, [0.05, 0.0])
    assert ParetoSelector().front(frame).tolist() == [True, True]
    with pytest.raises(ValueError, match=r"results lack \['spd'\]"):
        ParetoSelector(bias="spd").read(frame)


def test_a_method_that_failed_on_most_splits_is_passed_over():
    lucky = pd.DataFrame(
        {
            "method": ["steady"] * 3 + ["lucky"] * 3,
            "balanced_accuracy": [0.8, 0.8, 0.8, 0.9, np.nan, np.nan],
            "bias": [0.01, 0.01, 0.01, 0.01, np.nan, np.nan],
            "error": ["", "", "", "", "ValueError: no", "ValueError: no"],
        }
    )
    selector = ParetoSelector()
    with pytest.warns(UserWarning, match=r"fewer splits than the 3 of others.*: lucky \(1\)"):
        candidates = selector.read(lucky)
    assert candidates.labels[selector.choose(candidates)] == "steady"
    assert candidates.judged.tolist() == [True, False]
    selector.read(lucky.assign(error=np.nan))  # all judged, none is warned about


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


SPACE = {"C": [1e-4, 1e-2, 1.0]}


def scoring():
    return {
        "balanced_accuracy": "balanced_accuracy",
        "bias": make_fairness_scorer(parity, absolute=False),
    }


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_searches_refit_the_choice(search, rows):
    extra = {"n_iter": 3, "random_state": 0} if search is RandomizedSearchCV else {}
    selector = ParetoSelector(tolerance=0.9)
    search = search(
        LogisticRegression(), SPACE, scoring=scoring(), refit=selector, cv=3, **extra
    )
    search = clone(search).fit(rows.X, rows.y, sensitive_features=rows.group)
    assert search.best_index_ == selector(search.cv_results_)
    assert selector(pd.DataFrame(search.cv_results_)) == search.best_index_
    assert search.best_params_["C"] == search.best_estimator_.C
    assert search.refit == selector == pickle.loads(pickle.dumps(selector))


@pytest.mark.usefixtures("routing")
def test_halving_by_phi_and_the_choice_afterwards(rows):
    """scikit-learn's halving ignores a callable refit; the documented ways work."""
    search = HalvingGridSearchCV(
        LogisticRegression(),
        SPACE,
        scoring=phi_scorer(tolerance=0.9),
        cv=3,
        min_resources=80,
        random_state=0,
    ).fit(rows.X, rows.y, sensitive_features=rows.group)
    assert 0.5 < search.best_score_ <= 1

    X = np.column_stack([rows.X, rows.group])

    def scores(estimator, X, y):
        y_pred, sensitive = estimator.predict(X), {"sensitive_features": X[:, -1]}
        return {
            "score": phi_score(y, y_pred, tolerance=0.9, **sensitive),
            "balanced_accuracy": balanced_accuracy_score(y, y_pred),
            "bias": bias(y, y_pred, **sensitive),
        }

    selector = ParetoSelector(tolerance=0.9)
    search = HalvingGridSearchCV(
        LogisticRegression(),
        SPACE,
        scoring=scores,
        refit=selector,
        cv=3,
        min_resources=80,
        random_state=0,
    ).fit(X, rows.y)
    last = search.cv_results_["iter"] == search.cv_results_["iter"].max()
    assert 0 < last.sum() < len(last)
    assert last[selector(search.cv_results_)]
    assert selector.front(search.cv_results_)[~last].sum() == 0
