"""FairRule: over any classifier and any rows, what it needs, says and leaves alone."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.utils import Bunch
from skorch import NeuralNetClassifier
from torch import nn

from skfairaug import FairRule
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics import CONSTRAINTS, bias

NAMES = [name for name in CONSTRAINTS if name != "demographic_parity"]


def table(n_samples=1200, n_groups=2, seed=0):
    """Labels that lean to the last group, which the second column hints at."""
    rng = np.random.RandomState(seed)
    group = rng.randint(0, n_groups, n_samples)
    X = rng.normal(size=(n_samples, 3))
    X[:, 0] += 1.2 * group / (n_groups - 1)
    X[:, 1] += 2.0 * group
    y = (X[:, 0] + 0.5 * rng.normal(size=n_samples) > 0.6).astype(int)
    return Bunch(X=X, y=y, group=group)


@pytest.fixture(scope="module")
def data():
    return table()


@pytest.fixture(scope="module")
def biased():
    """Frozen, so that a clone of the estimator around it keeps it."""
    rows = table(seed=1)
    return FrozenEstimator(LogisticRegression().fit(rows.X, rows.y))


def fit(fair, data, **changes):
    given = {"X": data.X, "y": data.y, "sensitive_features": data.group, **changes}
    return fair.fit(given.pop("X"), given.pop("y"), **given)


def gap(fair, data, X=None, **params):
    predicted = fair.predict(data.X if X is None else X)
    return abs(bias(data.y, predicted, sensitive_features=data.group, **params))


# -- what it does -------------------------------------------------------------


@pytest.mark.parametrize("constraint", NAMES)
def test_bound_holds_on_rows_and_on_new_ones(constraint, biased, data):
    fair = fit(FairRule(biased, constraint=constraint, tolerance=0.1, random_state=0), data)
    assert gap(fair, data, constraint=constraint) < 0.1
    new = table(4000, seed=2)
    before = abs(
        bias(
            new.y,
            biased.predict(new.X),
            constraint=constraint,
            sensitive_features=new.group,
        )
    )
    after = gap(fair, new, constraint=constraint)
    assert after < 0.12
    assert after < before
    assert fair.score(new.X, new.y) > 0.6


def test_claims_are_in_range_and_near_the_truth(biased, data):
    fair = fit(FairRule(biased, tolerance=0.1, random_state=0), data)
    new = table(20_000, seed=2)
    truth = bias(new.y, fair.predict(new.X), sensitive_features=new.group)
    assert 0 < fair.bias_standard_error_ < 0.05
    assert abs(fair.bias_ - truth) < 3 * fair.bias_standard_error_
    recalls = [(fair.predict(new.X) == new.y)[new.y == label].mean() for label in (0, 1)]
    assert fair.balanced_accuracy_ == pytest.approx(np.mean(recalls), abs=0.04)
    assert 0.5 < fair.probability_inside_ <= 1
    assert 0 < fair.objective_ <= 1
    assert 0 <= fair.threshold_ <= 1
    assert fair.multipliers_.shape == (1, 1, 2)
    assert fair.groups_ == ("0", "1")
    assert fair.n_features_in_ == 3


def test_the_ways_to_predict_agree(biased, data):
    fair = fit(FairRule(biased, tolerance=0.1, random_state=0), data)
    scores, proba = fair.decision_function(data.X), fair.predict_proba(data.X)
    predicted = fair.predict(data.X)
    np.testing.assert_array_equal(predicted, scores > 0)
    np.testing.assert_array_equal(predicted, proba.argmax(1))
    np.testing.assert_allclose(proba.sum(1), 1)
    odds = biased.decision_function(data.X)
    assert 0.3 < scores.std() / odds.std() < 3


def test_a_constraint_that_is_never_broken_changes_little(biased, data):
    fair = fit(FairRule(biased, tolerance=1.0, random_state=0), data)
    order = np.argsort(biased.decision_function(data.X))
    predicted = fair.predict(data.X)[order]
    assert (np.diff(predicted) != 0).mean() < 0.05  # nearly a cut-off on the scores


def test_more_confidence_is_surer_and_no_more_accurate(biased, data):
    sure, unsure = (
        fit(FairRule(biased, tolerance=0.1, confidence=one, random_state=0), data)
        for one in (0.9, 0.55)
    )
    assert sure.probability_inside_ > unsure.probability_inside_
    assert gap(sure, data) < 0.1
    assert sure.balanced_accuracy_ < unsure.balanced_accuracy_ + 0.01


# -- classifiers and rows -----------------------------------------------------


@pytest.mark.parametrize(
    "classifier",
    [
        None,
        GaussianNB(),
        RandomForestClassifier(5, max_depth=4, random_state=0),
        LinearSVC(),
    ],
    ids=str,
)
def test_unfitted_classifiers_are_trained_first(classifier, data):
    fair = fit(FairRule(classifier, tolerance=0.2, debias_fraction=0.5, random_state=0), data)
    assert gap(fair, data) < 0.2
    assert fair.score(data.X, data.y) > 0.6
    assert fair.estimator is classifier
    assert fair.estimator_ is not classifier


def test_string_labels(biased, data):
    y = np.array(["no", "yes"])[data.y]
    expected = fit(FairRule(biased, tolerance=0.2, random_state=0), data)
    fair = fit(FairRule(biased, tolerance=0.2, random_state=0), data, y=y)
    assert fair.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(fair.predict(data.X) == "yes", expected.predict(data.X))


def test_three_classes(data):
    y = np.array(["a", "b", "c"])[data.y + (data.X[:, 2] > 0.5)]
    model = LogisticRegression().fit(data.X, y)
    fair = fit(FairRule(model, tolerance=0.2, random_state=0), data, y=y)
    scores = fair.decision_function(data.X)
    assert scores.shape == (1200, 3)
    assert fair.multipliers_.shape == (3, 1, 2)
    np.testing.assert_array_equal(fair.predict(data.X), fair.classes_[scores.argmax(1)])
    np.testing.assert_allclose(fair.predict_proba(data.X).sum(1), 1)
    before, after = (
        abs(bias(y, one.predict(data.X), sensitive_features=data.group))
        for one in (model, fair)
    )
    assert after < 0.2 < before


def test_four_groups_that_no_column_says():
    rows = table(4000, n_groups=4)
    model = LogisticRegression().fit(rows.X[:1000], rows.y[:1000])
    late = Bunch(X=rows.X[1000:], y=rows.y[1000:], group=rows.group[1000:])
    fair = fit(FairRule(model, tolerance=0.15, random_state=0), late)
    assert fair.multipliers_.shape == (1, 1, 4)
    assert gap(fair, late) < 0.15
    assert abs(bias(late.y, model.predict(late.X), sensitive_features=late.group)) > 0.3


def test_pipeline_on_a_raw_frame(data):
    frame = pd.DataFrame(data.X[:, :2], columns=["a", "b"])
    frame["city"] = np.where(data.X[:, 2] > 0, "x", "y")
    frame.loc[::7, "a"] = np.nan
    frame.loc[3::11, "city"] = None
    model = make_pipeline(
        make_column_transformer(
            (SimpleImputer(), ["a", "b"]),
            (OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ),
        LogisticRegression(),
    ).fit(frame[:400], data.y[:400])
    fair = fit(FairRule(model, tolerance=0.2, random_state=0), data, X=frame)
    assert fair.feature_names_in_.tolist() == ["a", "b", "city"]
    assert gap(fair, data, X=frame) < 0.2
    new = frame[:4].assign(city="z")
    assert fair.predict(new).shape == (4,)
    assert fair.predict(frame[:1]).tolist() == fair.predict(frame)[:1].tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        fair.predict(frame[["b", "a", "city"]])


def neural(module, X, y):
    settings = {"max_epochs": 3, "lr": 0.1, "batch_size": 32, "verbose": 0}
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, **settings)
    return net.fit(X, y)


class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, first, second):
        return self.head(torch.cat([first, second], 1))


class Listed(torch.utils.data.Dataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], int(self.y[i])


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize("kind", ["table", "images", "names", "Dataset"])
def test_net(kind, rows):
    X, module = rows.X, linear
    if kind == "images":
        X = X.reshape(240, 1, 2, 2)
    elif kind == "names":
        X, module = {"first": X[:, :2], "second": X[:, 2:]}, Halves
    net = neural(module, X, rows.y)
    if kind == "Dataset":
        X = Listed(rows.X, rows.y)
    before = {k: v.clone() for k, v in net.module_.state_dict().items()}
    fair = FairRule(net, tolerance=0.4, random_state=0)
    fair.fit(X, rows.y, sensitive_features=rows.group)
    assert gap(fair, rows, X=X) < 0.4
    assert fair.score(X, rows.y) > 0.7
    assert fair.predict_proba(X).shape == (240, 2)
    assert all(torch.equal(before[k], v) for k, v in net.module_.state_dict().items())
    twin = pickle.loads(pickle.dumps(fair))
    np.testing.assert_array_equal(twin.predict_proba(X), fair.predict_proba(X))


def test_rows_by_name_need_a_fitted_net(biased, data):
    with pytest.raises(TypeError, match="X is a dict, and this FairRule takes a table"):
        fit(FairRule(biased), data, X={"a": data.X})


# -- groups -------------------------------------------------------------------


def test_missing_groups(biased, data):
    group = np.where(np.arange(1200) % 3 == 0, np.nan, data.group)
    with pytest.raises(ValueError, match=r"400 missing value\(s\)"):
        fit(FairRule(biased), data, sensitive_features=group)
    fair = FairRule(biased, tolerance=0.1, missing_groups="infer", random_state=0)
    fit(fair, data, sensitive_features=group)
    assert fair.groups_ == ("0", "1")
    assert gap(fair, data) < 0.12
    whole = fit(clone(fair), data)
    assert fair.bias_standard_error_ > 0
    assert fair.bias_standard_error_ > whole.bias_standard_error_  # fewer rows measure
    with pytest.raises(ValueError, match="only be inferred from rows that have one"):
        fit(fair, data, sensitive_features=np.full(1200, np.nan))
    with pytest.raises(ValueError, match="FairRule needs the group of every row"):
        fit(fair, data, sensitive_features=None)


def test_a_group_of_one_row(biased, data):
    group = data.group.copy()
    group[5] = 2
    message = r"sensitive_features has one row in group '2'; every group needs at least two"
    with pytest.raises(ValueError, match=message):
        fit(FairRule(biased), data, sensitive_features=group)


def test_only_what_the_measure_reads_has_to_be_there(biased, data):
    group = data.group.copy()
    group[np.flatnonzero(data.y == 0)[:40]] = 2
    fair = FairRule(biased, tolerance=0.8, caution=0.0, random_state=0)
    fit(fair, data, sensitive_features=group)
    assert fair.groups_ == ("0", "1", "2")
    fair.set_params(constraint="equal_opportunity")
    with pytest.raises(ValueError, match="No rows with label '1' in group '2'"):
        fit(fair, data, sensitive_features=group)


def test_group_estimator(biased, data):
    forest = RandomForestClassifier(5, max_depth=3)
    fair = FairRule(biased, tolerance=0.2, group_estimator=forest, random_state=0)
    fit(fair, data)
    assert isinstance(fair.group_estimator_, RandomForestClassifier)
    assert not hasattr(forest, "estimators_")
    assert forest.random_state is None
    again = fit(clone(fair), data)
    np.testing.assert_array_equal(fair.predict_proba(data.X), again.predict_proba(data.X))


def test_group_estimator_of_a_measure_of_labels_sees_the_label(biased, data):
    for constraint, columns in (("statistical_parity", 3), ("average_odds", 4)):
        fair = FairRule(
            biased, constraint=constraint, tolerance=0.3, group_estimator=GaussianNB()
        )
        assert fit(fair, data).group_estimator_.n_features_in_ == columns


class KernelDensityLike(BaseEstimator):
    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (LogisticRegression, "must be an instance, not the class LogisticRegression"),
        (LinearRegression(), "LinearRegression has no predict_proba"),
        (LinearSVC(), "LinearSVC has no predict_proba"),
        (KernelDensityLike(), "KernelDensityLike is no classifier"),
        ("logistic", "str has no fit and no predict_proba and no get_params"),
    ],
)
def test_bad_group_estimator(given, message, biased, data):
    with pytest.raises(TypeError, match=message):
        fit(FairRule(biased, group_estimator=given), data)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tolerance": 0}, "tolerance must be a number"),
        ({"constraint": "parity"}, "Unknown constraint 'parity'"),
        ({"confidence": 1.0}, "'confidence' parameter of FairRule must be"),
        ({"caution": -1}, "'caution' parameter of FairRule must be"),
        ({"missing_groups": "guess"}, "'missing_groups' parameter of FairRule must be"),
        ({"debias_fraction": 0.0}, "'debias_fraction' parameter of FairRule must be"),
    ],
)
def test_bad_parameters(params, message, biased, data):
    with pytest.raises(ValueError, match=message):
        fit(FairRule(biased, **params), data)


# -- rows that the classifier has seen ----------------------------------------


def test_rows_that_are_not_held_out_do_not_calibrate(biased, data):
    """Their labels may as well be wrong."""
    held_out = np.arange(1200) % 3 != 0
    fair = FairRule(biased, tolerance=0.15, random_state=0)
    fit(fair, data, held_out=held_out)
    upside_down = np.where(held_out, data.y, 1 - data.y)
    other = fit(clone(fair), data, y=upside_down, held_out=held_out)
    assert other.score(data.X, data.y) > fair.score(data.X, data.y) - 0.05
    spoilt = FairRule(biased, tolerance=0.15, random_state=0)
    with pytest.warns(UserWarning, match="below chance"):
        spoilt.fit(data.X, 1 - data.y, sensitive_features=data.group)
    assert spoilt.score(data.X, data.y) < 0.5


@pytest.mark.parametrize("given", [[True], np.zeros(1200), np.full(1200, 0.5)])
def test_bad_held_out(given, biased, data):
    with pytest.raises(ValueError, match=r"held_out (must hold True or False|marks no row)"):
        fit(FairRule(biased), data, held_out=given)


# -- what it leaves alone -----------------------------------------------------


def test_randomness_and_the_classifier(biased, data):
    kept, state = pickle.dumps(biased), np.random.get_state()
    torch_state = torch.get_rng_state()
    first, again, other = (
        fit(FairRule(biased, tolerance=0.1, random_state=seed), data) for seed in (0, 0, 1)
    )
    assert pickle.dumps(biased) == kept
    assert first.estimator_ is biased
    assert all(map(np.array_equal, np.random.get_state(), state))
    assert torch.equal(torch.get_rng_state(), torch_state)
    scores = [one.decision_function(data.X) for one in (first, again, other)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_pickle_and_clone(biased, data):
    fair = fit(FairRule(biased, tolerance=0.1, random_state=0), data)
    twin = pickle.loads(pickle.dumps(fair))
    np.testing.assert_array_equal(twin.predict_proba(data.X), fair.predict_proba(data.X))
    fresh = clone(fair)
    assert not hasattr(fresh, "multipliers_")
    assert fresh.get_params()["tolerance"] == 0.1


# -- warnings -----------------------------------------------------------------


def test_a_bound_that_few_rows_cannot_show(biased, data):
    few = Bunch(X=data.X[:150], y=data.y[:150], group=data.group[:150])
    message = (
        r"statistical_parity within 0.01 was not reached .*on the validation data: .* inside "
        r"with probability 0\.[0-4]\d\. Even a fair classifier would need about \d{5} "
        r"validation rows .* probability 0\.95, \d+ of them in the smallest cell, which has "
        r"\d\d\. Otherwise give it a larger tolerance or a smaller caution"
    )
    with pytest.warns(FairnessNotReachedWarning, match=message) as caught:
        fair = fit(FairRule(biased, tolerance=0.01, random_state=0), few)
    assert caught[0].filename == __file__
    assert fair.probability_inside_ < 0.5


def test_a_confidence_that_is_not_reached(biased, data):
    few = Bunch(X=data.X[:150], y=data.y[:150], group=data.group[:150])
    message = r"within 0.01 with probability 0.999 was not reached .* probability 0\.999, \d+"
    with pytest.warns(FairnessNotReachedWarning, match=message):
        fit(FairRule(biased, tolerance=0.01, confidence=0.999, random_state=0), few)
