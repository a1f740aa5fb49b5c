"""The adapter to OxonFair: the best cut-offs, for groups that are guessed or given."""

import itertools
import pickle
import sys

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import Bunch
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_common import SINGLE_ROW, AnyClasses

from skfairaug.metrics import bias
from skfairaug.rivals import OxonFair, OxonFairWithGroups

pytest.importorskip("oxonfair")
CONSTRAINTS = ["statistical_parity", "equal_opportunity", "average_odds", "equalized_odds"]


class CheckedOxonFair(AnyClasses, OxonFair):
    pass


class CheckedOxonFairWithGroups(AnyClasses, OxonFairWithGroups):
    """The checks give `predict` no groups either: a row's first feature says it."""

    def predict(self, X, *, sensitive_features=None):
        X = self._checked(X)
        return self.classes_[self._favourable(X, (X[:, 0] > 0).astype(int)).astype(int)]


@parametrize_with_checks(
    [CheckedOxonFair(), CheckedOxonFairWithGroups()],
    expected_failed_checks=lambda estimator: {"check_fit2d_1feature": SINGLE_ROW},
    xfail_strict=True,
)
def test_estimator_check(estimator, check):
    check(estimator)


class Score(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose log-odds are the first column."""

    classes_ = np.array([0, 1])

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        proba = expit(X[:, 0])
        return np.column_stack([1 - proba, proba])


@pytest.fixture
def scored():
    """Scores that are higher in group 1, and a column that says the group."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, 800)
    score = rng.normal(size=800) + 0.8 * group
    y = (score + rng.normal(size=800) > 1).astype(int)
    return Bunch(X=np.column_stack([score, group]), y=y, group=group)


def fit(rival, rows):
    return rival.fit(rows.X, rows.y, sensitive_features=rows.group)


def judge(y_pred, rows, constraint="statistical_parity"):
    gap = bias(rows.y, y_pred, sensitive_features=rows.group, constraint=constraint)
    return balanced_accuracy_score(rows.y, y_pred), abs(gap)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_about_the_best_pair_of_cut_offs(constraint, scored):
    fair = fit(OxonFairWithGroups(Score(), constraint=constraint, tolerance=0.05), scored)
    y_pred = fair.predict(scored.X, sensitive_features=scored.group)
    accuracy, gap = judge(y_pred, scored, constraint)
    assert gap <= 0.05
    cuts = np.quantile(scored.X[:, 0], np.linspace(0, 1, 16))
    results = [
        judge((scored.X[:, 0] > np.where(scored.group, b, a)).astype(int), scored, constraint)
        for a, b in itertools.product(cuts, cuts)
    ]
    assert accuracy > max(accuracy for accuracy, gap in results if gap <= 0.05) - 0.02


def test_offsets_are_cut_offs_of_the_log_odds(scored):
    fair = fit(OxonFairWithGroups(Score()), scored)
    y_pred = fair.predict(scored.X, sensitive_features=scored.group)
    np.testing.assert_array_equal(y_pred, scored.X[:, 0] > -fair.offsets_[scored.group])
    assert fair.offsets_[0] > fair.offsets_[1]


def test_a_group_that_a_column_says_is_guessed(scored):
    guessed = fit(OxonFair(Score()), scored)
    given = fit(OxonFairWithGroups(Score()), scored)
    np.testing.assert_allclose(guessed.offsets_, given.offsets_)
    y_pred = guessed.predict(scored.X)
    np.testing.assert_array_equal(
        y_pred, given.predict(scored.X, sensitive_features=scored.group)
    )
    np.testing.assert_array_equal(y_pred, guessed.decision_function(scored.X) > 0)


def test_rows_of_an_unknown_group_share_a_cut_off(scored):
    scored.X[:100, 1] = 0.5
    fair = fit(OxonFair(Score(), certainty=0.9), scored)
    assert fair.offsets_.shape == (3,)
    unknown = fair.group_estimator_.predict_proba(scored.X).max(1) < 0.9
    assert 0 < unknown.sum() < 200
    shift = fair.decision_function(scored.X) - scored.X[:, 0]
    np.testing.assert_allclose(shift[unknown], fair.offsets_[2])
    assert fit(OxonFair(Score(), certainty=0), scored).offsets_.shape == (2,)


def test_a_guess_that_fit_never_saw(scored):
    """All rows of fit are of an unknown group; one to be predicted is surely of one."""
    constant = DummyClassifier(strategy="prior")
    fair = fit(OxonFair(Score(), group_estimator=constant), scored)
    assert fair.offsets_.shape == (1,)
    fair.group_estimator_.class_prior_ = np.array([0.0, 1.0])
    assert fair.decision_function(scored.X[:3]).shape == (3,)


def test_decision_function_serves_as_score(scored):
    class NoProba(LogisticRegression):
        predict_proba = property()

    biased = NoProba().fit(scored.X, scored.y)
    fair = fit(OxonFairWithGroups(biased), scored)
    y_pred = fair.predict(scored.X, sensitive_features=scored.group)
    assert judge(y_pred, scored)[1] <= 0.05


def test_saturated_probabilities(scored):
    """Probabilities of exactly 0 and 1 stay apart from what lies between."""

    class Saturated(Score):
        def predict_proba(self, X):
            proba = expit(20 * X[:, 0])
            return np.column_stack([1 - proba, proba])

    assert np.isinf(logit(Saturated().predict_proba(scored.X)[:, 1])).any()
    fair = fit(OxonFairWithGroups(Saturated(), tolerance=0.1), scored)
    y_pred = fair.predict(scored.X, sensitive_features=scored.group)
    accuracy, gap = judge(y_pred, scored)
    assert gap <= 0.1
    assert accuracy > 0.6


@pytest.mark.parametrize("rival", [OxonFair, OxonFairWithGroups])
def test_groups(rival, scored):
    scored.group = np.array(["a", "b", "c"])[scored.group + (scored.X[:, 0] > 0.5)]
    fair = fit(rival(Score(), tolerance=0.3), scored)
    assert fair.groups_ == ("a", "b", "c")
    assert pickle.loads(pickle.dumps(fair)).offsets_.shape == fair.offsets_.shape
    scored.group = np.arange(800) % 5
    scored.X[:, 1] = scored.group
    columns = np.eye(5)[scored.group]
    rows = Bunch(X=np.column_stack([scored.X, columns]), y=scored.y, group=scored.group)
    with pytest.raises(ValueError, match=f"{rival.__name__} .* at most 4 groups; got 5"):
        fit(rival(Score()), rows)


def test_groups_at_prediction(scored):
    fair = fit(OxonFairWithGroups(Score()), scored)
    with pytest.raises(ValueError, match=r"OxonFairWithGroups needs the group .* to predict"):
        fair.predict(scored.X)
    with pytest.raises(ValueError, match=r"\['7'\]"):
        fair.predict(scored.X[:2], sensitive_features=[7, 0])
    assert fair.predict(scored.X[:5], sensitive_features=[1] * 5).shape == (5,)


@pytest.mark.parametrize("params", [{"certainty": 1.5}, {"debias_fraction": 0.0}])
def test_bad_parameters(params, scored):
    (name,) = params
    with pytest.raises(ValueError, match=f"'{name}' parameter of OxonFair must be"):
        fit(OxonFair(Score(), **params), scored)


@pytest.mark.parametrize("rival", [OxonFair, OxonFairWithGroups])
def test_without_oxonfair(rival, scored, monkeypatch):
    monkeypatch.setitem(sys.modules, "oxonfair", None)
    with pytest.raises(ImportError, match=r'pip install "skfairaug\[rivals\]"'):
        fit(rival(Score()), scored)
