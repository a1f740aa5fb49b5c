"""Rivals of the image tables: what they train, how they infer; and the others on images."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetBinaryClassifier
from test_common import AnyClasses
from test_common import net as checked_net
from torch import nn

from skfairaug.datasets import make_skewed_digits
from skfairaug.metrics import bias_amplification
from skfairaug.modules import SmallConvNet, TabularMLP, make_image_net
from skfairaug.rivals import (
    AdversarialDebiasing,
    AdversarialFineTuning,
    BiasGradientFineTuning,
    DomainDiscriminative,
    DomainIndependent,
    LayerwiseOptimization,
    PlainFineTuning,
    RandomPerturbation,
    UniformConfusion,
)
from skfairaug.rivals._domain_discriminative import OverGroups
from skfairaug.rivals._domain_heads import DomainHeads
from skfairaug.rivals._domain_independent import SumOfGroups

pytestmark = pytest.mark.filterwarnings(
    "ignore::skfairaug.exceptions.FairnessNotReachedWarning"
)

RIVALS = {
    "confusion": (UniformConfusion, {}),
    "discriminative": (DomainDiscriminative, {}),
    "discriminative, max": (DomainDiscriminative, {"inference": "max"}),
    "independent": (DomainIndependent, {}),
}
every_rival = pytest.mark.parametrize("kind", RIVALS)
QUICK = {"max_epochs": 2, "batch_size": 32, "tolerance": 0.9, "random_state": 0}


def make(kind, net, **params):
    cls, own = RIVALS[kind]
    return cls(net, **(own | QUICK | params))


def fit(rival, rows, **changes):
    given = {"X": rows.X, "y": rows.y, "group": rows.group} | changes
    return rival.fit(given["X"], given["y"], sensitive_features=given["group"])


@pytest.fixture(scope="module")
def digits():
    return make_skewed_digits(random_state=0)


@pytest.fixture(scope="module")
def image_net(digits):
    """A biased network, ten classes of images of uint8."""
    torch.manual_seed(0)
    net = make_image_net(len(digits.train.data), SmallConvNet, batch_size=64, lr=0.1)
    return net.fit(digits.train.data, digits.train.target)


# -- inference ----------------------------------------------------------------


def test_pairs_are_summed_with_their_prior_taken_back():
    pairs = torch.tensor([[[0.5, 0.1], [0.1, 0.3]]])  # groups, classes
    prior = torch.tensor([[0.5, 0.1], [0.2, 0.2]])
    summed = OverGroups("sum", prior.log())(pairs.log()).exp()
    torch.testing.assert_close(summed, torch.tensor([[1.0 + 0.5, 1.0 + 1.5]]))
    largest = OverGroups("max", prior.log())(pairs.log()).exp()
    torch.testing.assert_close(largest, torch.tensor([[1.0, 1.5]]))


def test_outputs_of_the_groups_are_added():
    logits = torch.tensor([[[1.0, 2.0], [5.0, -1.0]]])
    assert SumOfGroups()(logits).tolist() == [[6.0, 1.0]]


def test_all_outputs_in_training_and_classes_otherwise():
    module = DomainHeads(nn.Linear(3, 6), 2, SumOfGroups())
    X = torch.randn(4, 3)
    assert module(X).shape == (4, 6)
    assert module.eval()(X).shape == (4, 3)
    torch.testing.assert_close(module(X), module.module(X)[:, :3] + module.module(X)[:, 3:])


def test_prior_is_that_of_the_training_rows(rows, unfitted_net):
    rival = fit(make("discriminative", unfitted_net), rows)
    shares = np.array(
        [[((rows.group == g) & (rows.y == c)).mean() for c in (0, 1)] for g in (0, 1)]
    )
    assert_allclose(rival.net_.module_.combine.log_prior.exp(), shares, rtol=1e-5)
    plain = fit(make("discriminative", unfitted_net, prior_shift=False), rows)
    assert (plain.net_.module_.combine.log_prior == 0).all()


def test_conditional_inference_asks_the_head_of_the_group(rows, unfitted_net):
    rival = fit(make("independent", unfitted_net, inference="conditional"), rows)
    assert rival.needs_sensitive_features
    proba = rival.predict_proba(rows.X, sensitive_features=rows.group)
    for group in (0, 1):
        of_group = np.full(len(rows.X), group)
        every = rival.predict_proba(rows.X, sensitive_features=of_group)
        assert_array_equal(proba[rows.group == group], every[rows.group == group])
    other = rival.predict_proba(rows.X, sensitive_features=1 - rows.group)
    assert not np.allclose(proba, other)
    assert isinstance(rival.net_.module_.combine, SumOfGroups)


def test_conditional_inference_without_the_groups(rows, unfitted_net):
    rival = fit(make("independent", unfitted_net, inference="conditional"), rows)
    with pytest.raises(ValueError, match="needs the group of every row"):
        rival.predict(rows.X)
    with pytest.raises(ValueError, match=r"groups \['7'\] that fit has not seen"):
        rival.predict(rows.X, sensitive_features=np.full(len(rows.X), 7))
    with pytest.raises(ValueError, match="sensitive_features has 3 rows"):
        rival.predict(rows.X, sensitive_features=rows.group[:3])


# -- training -----------------------------------------------------------------


@every_rival
def test_seeds_pickles_and_the_net_of_the_caller(kind, rows, unfitted_net):
    before = torch.get_rng_state()
    one, again = (fit(make(kind, unfitted_net), rows) for _ in range(2))
    other = fit(make(kind, unfitted_net, random_state=1), rows)
    proba = one.predict_proba(rows.X)
    assert_array_equal(proba, again.predict_proba(rows.X))
    assert not np.allclose(proba, other.predict_proba(rows.X))
    assert_array_equal(proba, pickle.loads(pickle.dumps(one)).predict_proba(rows.X))
    assert torch.equal(before, torch.get_rng_state())
    assert not unfitted_net.__sklearn_is_fitted__()
    assert_array_equal(proba, fit(clone(one), rows).predict_proba(rows.X))


@every_rival
def test_three_classes_and_three_groups(kind, rows, unfitted_net):
    y, group = np.arange(len(rows.X)) % 3, np.arange(len(rows.X)) // 3 % 3
    net = clone(unfitted_net).set_params(module__n_classes=3)
    rival = fit(make(kind, net), rows, y=y, group=group)
    assert rival.predict_proba(rows.X).shape == (len(rows.X), 3)


@every_rival
def test_skewed_images_are_learned(kind, digits):
    net = make_image_net(len(digits.train.data), SmallConvNet)
    rival = make(kind, net, max_epochs=12, batch_size=64, tolerance=None, lr=5e-3)
    train, test = digits.train, digits.test
    rival.fit(train.data, train.target, sensitive_features=train.sensitive_features)
    assert (rival.predict(test.data) == test.target).mean() > 0.75


@every_rival
def test_wrong_nets(kind, rows, unfitted_net):
    with pytest.raises(TypeError, match="trains the network from new weights"):
        fit(make(kind, FrozenEstimator(unfitted_net)), rows)
    if kind != "confusion":
        binary = NeuralNetBinaryClassifier(
            TabularMLP, module__n_features=rows.X.shape[1], module__n_classes=1
        )
        with pytest.raises(ValueError, match="needs the criterion CrossEntropyLoss"):
            fit(make(kind, binary), rows)


@pytest.mark.parametrize("tolerance", [0, "wide"])
def test_wrong_tolerance(tolerance, rows, unfitted_net):
    with pytest.raises(ValueError, match="tolerance must be a number"):
        fit(make("confusion", unfitted_net, tolerance=tolerance), rows)


def test_confusion_leaves_less_of_the_group(rows, unfitted_net):
    """A column that says the group is of less use to a linear probe."""
    from sklearn.linear_model import LogisticRegression

    from skfairaug._inputs._contexts import evaluating
    from skfairaug._inputs._encoder import Encoder, find_head
    from skfairaug._inputs._rows import on_device

    X = rows.X.copy()
    X[:, 0] = 3 * rows.group

    def probe(weight):
        training = {"max_epochs": 30, "lr": 3e-3, "validation_fraction": 0.0}
        rival = make("confusion", unfitted_net, confusion_weight=weight, **training)
        net = fit(rival, rows, X=X).net_
        X_t = on_device(net, X)
        with evaluating(net.module_):
            Z = Encoder(net, find_head(net, X_t)).all_rows(X_t).numpy()
        return LogisticRegression(C=0.1).fit(Z, rows.group).score(Z, rows.group)

    assert probe(1.0) < probe(0.0) - 0.05


class Confusion(AnyClasses, UniformConfusion):
    pass


@parametrize_with_checks(
    [Confusion(checked_net(), tolerance=1.0, max_epochs=8, batch_size=32, lr=0.1)],
    expected_failed_checks=lambda estimator: {},
)
def test_estimator_check(estimator, check):
    check(estimator)


# -- the others on images -----------------------------------------------------

ON_IMAGES = {
    "plain": PlainFineTuning(None, max_epochs=2, steps_per_epoch=5, batch_size=100),
    "random": RandomPerturbation(None, n_perturbations=3),
    "layerwise": LayerwiseOptimization(
        None, n_layers=2, n_calls=4, n_initial=3, n_candidates=20, n_trees=5
    ),
    "adversarial": AdversarialFineTuning(None, max_epochs=2, critic_steps=3, steps_per_epoch=5),
    "gradient": BiasGradientFineTuning(None, max_epochs=2, batch_size=100),
    "debiasing": AdversarialDebiasing(None, max_epochs=2, steps_per_epoch=5, batch_size=100),
}


@pytest.mark.parametrize("kind", ON_IMAGES)
def test_other_rivals_take_images_of_many_classes(kind, digits, image_net):
    rival = clone(ON_IMAGES[kind]).set_params(
        estimator=image_net, constraint="bias_amplification", tolerance=0.9, random_state=0
    )
    part, test = digits.validation, digits.test
    rival.fit(part.data, part.target, sensitive_features=part.sensitive_features)
    y_pred = rival.predict(test.data)
    accuracy = (y_pred == test.target).mean()
    assert accuracy > (0.1 if kind == "debiasing" else 0.85)
    value = bias_amplification(test.target, y_pred, sensitive_features=test.sensitive_features)
    assert 0 <= value <= 0.5
