"""The rivals from other libraries: the classifier inside, randomness, labels and errors."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skfairaug.rivals import (
    CalibratedEqOddsPostprocessing,
    CorrelationRemover,
    EqOddsPostprocessing,
    ExponentiatedGradient,
    GridSearch,
    OxonFair,
    OxonFairWithGroups,
    RejectOptionClassification,
    Reweighing,
    ThresholdOptimizer,
)

pytest.importorskip("aif360")
pytest.importorskip("oxonfair")

TRAIN = [ExponentiatedGradient, GridSearch, CorrelationRemover, Reweighing]
POST = [
    ThresholdOptimizer,
    RejectOptionClassification,
    EqOddsPostprocessing,
    CalibratedEqOddsPostprocessing,
    OxonFair,
    OxonFairWithGroups,
]
BOUNDED = [ExponentiatedGradient, GridSearch, ThresholdOptimizer, OxonFair, OxonFairWithGroups]
BRIEF = {
    ExponentiatedGradient: {"max_iter": 5},
    GridSearch: {"grid_size": 5},
    ThresholdOptimizer: {"grid_size": 100},
    RejectOptionClassification: {"n_thresholds": 8, "n_margins": 4},
}
every_rival = pytest.mark.parametrize("rival", TRAIN + POST)
every_post_processor = pytest.mark.parametrize("rival", POST)


def make(rival, estimator=None, **params):
    """A quick rival; parameters that it does not have are left out."""
    made = rival(estimator)
    given = {"random_state": 0, **BRIEF.get(rival, {}), **params}
    return made.set_params(**{k: v for k, v in given.items() if k in made.get_params()})


def fit(rival, rows):
    return rival.fit(rows.X, rows.y, sensitive_features=rows.group)


def predict(rival, rows):
    given = {"sensitive_features": rows.group} if rival.needs_sensitive_features else {}
    return rival.predict(rows.X, **given)


# -- the classifier inside ----------------------------------------------------


@every_post_processor
def test_fitted_net_is_kept_as_it_is(rival, net, rows):
    net.module_.train()
    weights = copy.deepcopy(net.module_.state_dict())
    made = make(rival, net)
    assert clone(made).estimator is net
    predict(fit(made, rows), rows)
    assert all(part.training for part in net.module_.modules())
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, weights[name])


@every_post_processor
def test_net_takes_rows_of_any_precision(rival, net, rows):
    expected = predict(fit(make(rival, net), rows), rows)
    rows.X = rows.X.astype(np.float64)
    np.testing.assert_array_equal(predict(fit(make(rival, net), rows), rows), expected)


@every_post_processor
def test_unfitted_net_is_trained_first(rival, unfitted_net, rows):
    rows.X = rows.X.astype(np.float64)
    made = fit(make(rival, unfitted_net, debias_fraction=0.5), rows)
    assert not unfitted_net.initialized_
    assert made.estimator_ is not unfitted_net
    assert predict(made, rows).shape == (240,)


@every_post_processor
def test_rows_that_debias_do_not_train(rival, rows):
    class Counting(LogisticRegression):
        sizes = []

        def fit(self, X, y):
            Counting.sizes.append(len(X))
            return super().fit(X, y)

    fit(make(rival, Counting(), debias_fraction=0.25), rows)
    assert Counting.sizes == [180]


@every_post_processor
def test_frozen_classifier_is_never_trained_again(rival, rows):
    biased = FrozenEstimator(LogisticRegression().fit(rows.X, rows.y))
    made = fit(clone(make(rival, biased)), rows)
    assert made.estimator_.estimator is biased.estimator


@every_post_processor
def test_a_classifier_without_score_is_refused(rival, rows):
    from sklearn.linear_model import Perceptron

    class NoScore(Perceptron):
        decision_function = property()

    with pytest.raises(TypeError, match="NoScore"):
        fit(make(rival, NoScore()), rows)


# -- randomness and copies ----------------------------------------------------


@every_rival
def test_same_seed_same_labels_and_the_callers_state_stays(rival, rows):
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    first = predict(fit(make(rival), rows), rows)
    assert all(map(np.array_equal, np.random.get_state(), numpy_state))
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.random.seed(5)
    made = fit(make(rival), rows)
    np.testing.assert_array_equal(predict(made, rows), first)
    np.testing.assert_array_equal(predict(made, rows), first)


@every_post_processor
def test_two_seeds_differ(rival, rows):
    noisy = np.where(np.random.RandomState(0).rand(240) < 0.3, 1 - rows.y, rows.y)
    rows.y = noisy
    results = [predict(fit(make(rival, random_state=seed), rows), rows) for seed in (0, 1, 2)]
    assert any(np.any(results[0] != other) for other in results[1:])


@every_rival
def test_pickle(rival, net, rows):
    made = fit(make(rival, net if rival in POST else None), rows)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(predict(again, rows), predict(made, rows))
    np.testing.assert_array_equal(predict(fit(again, rows), rows), predict(made, rows))


# -- groups and labels --------------------------------------------------------


@every_rival
def test_names_of_labels_and_groups(rival, rows):
    expected = predict(fit(make(rival), rows), rows)
    rows.y = np.array(["bad", "good"])[rows.y]
    rows.group = np.array(["f", "m"])[rows.group]
    made = fit(make(rival), rows)
    assert made.groups_ == ("f", "m")
    np.testing.assert_array_equal(predict(made, rows), np.array(["bad", "good"])[expected])


@every_rival
def test_groups_are_asked_for(rival, rows):
    with pytest.raises(ValueError, match=f"{rival.__name__} needs the group of every row"):
        make(rival).fit(rows.X, rows.y)


@every_rival
def test_two_classes_only(rival, rows):
    rows.y = rows.y + (rows.X[:, 3] > 1)
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        fit(make(rival), rows)


# -- constraint and tolerance -------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tolerance": 0}, r"tolerance must be a number in \(0, 1\].*got 0"),
        ({"constraint": "parity"}, "Unknown constraint 'parity'"),
    ],
)
@pytest.mark.parametrize("rival", [*BOUNDED, RejectOptionClassification])
def test_goal_is_checked_first(rival, params, message, rows):
    with pytest.raises(ValueError, match=message):
        fit(make(rival, **params), rows)


@pytest.mark.parametrize("constraint", ["equal_opportunity", "average_odds", "equalized_odds"])
@pytest.mark.parametrize("rival", BOUNDED)
def test_every_constraint(rival, constraint, rows):
    made = fit(make(rival, constraint=constraint), rows)
    assert predict(made, rows).shape == (240,)
