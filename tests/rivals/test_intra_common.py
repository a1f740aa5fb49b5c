"""What the rivals that debias a trained net have in common: checks, copies, randomness."""

import copy
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Callback
from test_common import SINGLE_ROW, AnyClasses
from test_common import net as checked_net
from torch import nn

from skfairaug._engine._estimator import BaseIntraProcessor
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics import bias
from skfairaug.modules import TabularMLP
from skfairaug.rivals import (
    AdversarialFineTuning,
    BiasGradientFineTuning,
    LayerwiseOptimization,
    PlainFineTuning,
    RandomPerturbation,
)

BRIEF = {
    "plain": (PlainFineTuning, {"max_epochs": 2, "steps_per_epoch": 3, "batch_size": 64}),
    "random": (RandomPerturbation, {"n_perturbations": 4}),
    "layerwise": (
        LayerwiseOptimization,
        {"n_layers": 2, "n_calls": 3, "n_initial": 2, "n_candidates": 10, "n_trees": 3},
    ),
    "adversarial": (
        AdversarialFineTuning,
        {"max_epochs": 2, "critic_steps": 2, "steps_per_epoch": 3, "lr": 0.01},
    ),
    "gradient": (BiasGradientFineTuning, {"max_epochs": 2, "batch_size": 64, "lr": 0.01}),
    "pruning": (
        BiasGradientFineTuning,
        {"method": "pruning", "max_epochs": 2, "prune_fraction": 0.1},
    ),
}
TRAINED = ["plain", "adversarial", "gradient"]
every_rival = pytest.mark.parametrize("kind", BRIEF)


def make(kind, net, **params):
    """A quick rival; every network is fair enough for it."""
    cls, brief = BRIEF[kind]
    return cls(net, **{"tolerance": 0.9, "random_state": 0, **brief, **params})


def fit(rival, rows, **params):
    return rival.fit(rows.X, rows.y, sensitive_features=rows.group, **params)


# -- scikit-learn's checks ----------------------------------------------------


class Plain(AnyClasses, PlainFineTuning):
    pass


class Perturbation(AnyClasses, RandomPerturbation):
    pass


class Layerwise(AnyClasses, LayerwiseOptimization):
    pass


class Adversarial(AnyClasses, AdversarialFineTuning):
    pass


class BiasGradient(AnyClasses, BiasGradientFineTuning):
    pass


CHECKED = [Plain, Perturbation, Layerwise, Adversarial, BiasGradient]
KINDS = ["plain", "random", "layerwise", "adversarial", "gradient"]


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
@parametrize_with_checks(
    [
        cls(checked_net(), **{**BRIEF[kind][1], "tolerance": 1.0})
        for cls, kind in zip(CHECKED, KINDS, strict=True)
    ],
    expected_failed_checks=lambda estimator: {"check_fit2d_1feature": SINGLE_ROW},
    xfail_strict=True,
)
def test_estimator_check(estimator, check):
    check(estimator)


@every_rival
def test_what_compare_reads(kind):
    cls, _ = BRIEF[kind]
    assert issubclass(cls, BaseIntraProcessor)
    assert cls.fits_on == "validation"
    assert cls.needs_sensitive_features is False


# -- nets and labels ----------------------------------------------------------


class Softmax(TabularMLP):
    def forward(self, X):
        return super().forward(X).softmax(1)


class OneLogit(TabularMLP):
    def forward(self, X):
        return super().forward(X).squeeze(1)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)

    def forward(self, X):
        return self.head(self.body(X).relu().mean((2, 3)))


TRAINING = {"max_epochs": 6, "batch_size": 32, "lr": 0.1, "verbose": 0}
NETS = {
    "probabilities": lambda: NeuralNetClassifier(
        Softmax(4, width=8, depth=1), criterion=nn.NLLLoss, **TRAINING
    ),
    "one logit": lambda: NeuralNetBinaryClassifier(
        OneLogit(4, n_classes=1, width=8, depth=1), **TRAINING
    ),
}


@pytest.mark.parametrize("name", NETS)
@every_rival
def test_every_kind_of_net(kind, name, rows):
    net = NETS[name]()
    net.fit(rows.X, rows.y.astype(np.float32 if name == "one logit" else np.int64))
    rival = fit(make(kind, net), rows)
    assert rival.score(rows.X, rows.y) > 0.5


@every_rival
def test_images(kind, rows):
    X = rows.X[:, [0]].repeat(9, axis=1).reshape(240, 1, 3, 3)
    net = NeuralNetClassifier(ConvNet, criterion=nn.CrossEntropyLoss, **TRAINING)
    rival = make(kind, net.fit(X, rows.y)).fit(X, rows.y, sensitive_features=rows.group)
    assert rival.score(X, rows.y) > 0.5


@every_rival
def test_three_classes_and_three_groups(kind, rows):
    y = np.array(["low", "middle", "high"])[rows.y + (rows.X[:, 2] > 0)]
    net = NeuralNetClassifier(
        TabularMLP(4, n_classes=3, width=8, depth=1),
        criterion=nn.CrossEntropyLoss,
        **TRAINING,
    ).fit(rows.X, np.unique(y, return_inverse=True)[1])
    group = np.array(["a", "b", "c"])[rows.group + (rows.X[:, 3] > 0)]
    rival = make(kind, net, tolerance=1.0).fit(rows.X, y, sensitive_features=group)
    assert set(rival.predict(rows.X)) <= {"low", "middle", "high"}
    assert rival.groups_ == ("a", "b", "c")


@every_rival
def test_unfitted_net_is_trained_first(kind, unfitted_net, rows):
    rival = fit(make(kind, unfitted_net), rows)
    assert not unfitted_net.initialized_
    assert rival.predict(rows.X).shape == (240,)


@every_rival
def test_rows_that_the_net_has_seen_say_nothing_of_accuracy(kind, net, rows):
    """Labels that are turned round would not be missed."""
    held_out = np.arange(240) % 3 == 0
    y = np.where(held_out, rows.y, 1 - rows.y)
    accuracy = [
        make(kind, net, **untouched(kind))
        .fit(rows.X, labels, sensitive_features=rows.group, held_out=held_out)
        .balanced_accuracy_
        for labels in (rows.y, y)
    ]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=0.1)
    assert min(accuracy) > 0.6


# -- what it finds ------------------------------------------------------------


def untouched(kind):
    """Parameters that leave the network as it is."""
    off = {"random": {"n_perturbations": 0}, "layerwise": {"n_calls": 0}}
    return off.get(kind, {"max_epochs": 0})


@pytest.mark.parametrize("constraint", ["equal_opportunity", "equalized_odds"])
@every_rival
def test_bound_is_kept_on_the_rows_that_chose(kind, constraint, net, rows):
    rival = fit(make(kind, net, tolerance=0.4, constraint=constraint), rows)
    predicted = rival.predict(rows.X)
    result = bias(rows.y, predicted, sensitive_features=rows.group, constraint=constraint)
    assert abs(result) < 0.4
    assert abs(rival.bias_ - result) < 4 * rival.bias_standard_error_
    assert rival.probability_inside_ > 0.5
    chosen = [row["expected_phi"] for row in rival.history_ if "expected_phi" in row]
    assert chosen
    assert rival.objective_ >= max(chosen)


@pytest.mark.parametrize("caution", [0.0, 1.0])
@every_rival
def test_never_worse_than_the_trained_network_at_its_best_threshold(kind, caution, net, rows):
    settings = {"tolerance": 0.4, "caution": caution}
    floor = fit(make(kind, net, **settings, **untouched(kind)), rows)
    for name, value in net.module_.state_dict().items():
        assert torch.equal(floor.net_.module_.state_dict()[name], value)
    assert fit(make(kind, net, **settings), rows).objective_ >= floor.objective_


@every_rival
def test_warns_where_only_a_constant_prediction_is_fair(kind, net, rows):
    rival = make(kind, net, tolerance=1e-4, **untouched(kind))
    with pytest.warns(FairnessNotReachedWarning, match=r"within 0.0001 was not reached"):
        fit(rival, rows)


# -- the caller's things ------------------------------------------------------


class Raise(Callback):
    """Raises, once armed, after the first training batch."""

    def __init__(self, error):
        self.error = error
        self.armed = False

    def on_batch_end(self, net, training=False, **kwargs):
        if self.armed and training:
            raise self.error


def snapshot(net):
    module = net.module_
    return copy.deepcopy(
        {
            "weights": {k: v.numpy() for k, v in module.state_dict().items()},
            "modes": [part.training for part in module.modules()],
            "hooks": [len(part._forward_pre_hooks) for part in module.modules()],
            "trainable": [p.requires_grad for p in module.parameters()],
            "gradients": [p.grad.numpy() for p in module.parameters()],
            "history": list(net.history),
            "attributes": sorted(vars(net)),
        }
    )


def interrupted():
    """What is said where Ctrl-C ended a training."""
    return pytest.warns(ConvergenceWarning, match="the training was interrupted")


@pytest.mark.parametrize("ending", ["regular", "error", "ctrl-c"])
@every_rival
def test_net_and_random_state_are_untouched(kind, ending, unfitted_net, rows):
    callback = Raise(KeyboardInterrupt() if ending == "ctrl-c" else RuntimeError("mine"))
    net = unfitted_net.set_params(callbacks=[callback]).fit(rows.X, rows.y)
    callback.armed = ending != "regular"
    net.module_.train()
    net.module_.body[0].bias.requires_grad_(False)
    before = snapshot(net)
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()

    rival = make(kind, net)
    if ending == "error" and kind in TRAINED:
        with pytest.raises(RuntimeError, match="mine"):
            fit(rival, rows)
        with pytest.raises(NotFittedError):
            rival.predict(rows.X)
    else:
        with interrupted() if ending == "ctrl-c" and kind in TRAINED else nullcontext():
            fit(rival, rows)
        hooks = [part._forward_pre_hooks for part in rival.net_.module_.modules()]
        assert not any(hooks)
        assert not any(part.training for part in rival.net_.module_.modules())
        kept = rival.net_.module_.body[0].bias
        assert torch.equal(kept, net.module_.body[0].bias), "frozen by the user"

    np.testing.assert_equal(snapshot(net), before)
    assert all(map(np.array_equal, np.random.get_state(), numpy_state))
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("kind", ["random", "layerwise", "pruning"])
def test_ctrl_c_keeps_the_best_network_so_far(kind, net, rows, monkeypatch):
    from skfairaug._engine._debiasing_task import DebiasingTask

    offer, calls = DebiasingTask.offer_net, []

    def stop(self, phase=None):
        calls.append(phase)
        if len(calls) == 3:  # of which the first is the network as it was trained
            raise KeyboardInterrupt
        return offer(self, phase)

    monkeypatch.setattr(DebiasingTask, "offer_net", stop)
    with interrupted():
        rival = fit(make(kind, net), rows)
    assert len(calls) == 3
    assert rival.predict(rows.X).shape == (240,)


@every_rival
def test_one_seed_agrees_and_two_differ(kind, net, rows):
    def result(seed):
        rival = fit(make(kind, net, random_state=seed), rows)
        history = [row["expected_phi"] for row in rival.history_ if "expected_phi" in row]
        return rival.predict_proba(rows.X), history

    first = result(0)
    torch.manual_seed(9)
    np.random.seed(9)
    np.testing.assert_equal(result(0), first)
    if kind != "pruning":  # which units weigh most hardly depends on the batches
        assert any(result(seed)[1] != first[1] for seed in (1, 2, 3))


@every_rival
def test_clone_and_pickle(kind, net, rows):
    rival = make(kind, net, tolerance=0.7)
    twin = clone(rival)
    assert twin.estimator is net
    assert twin.tolerance == 0.7
    expected = fit(rival, rows).predict_proba(rows.X)
    again = pickle.loads(pickle.dumps(rival))
    np.testing.assert_array_equal(again.predict_proba(rows.X), expected)
    np.testing.assert_array_equal(fit(again, rows).predict_proba(rows.X), expected)


# -- bad input ----------------------------------------------------------------


class NotReached(Callback):
    def on_train_begin(self, net, **kwargs):
        raise AssertionError("trained before the input was checked")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tolerance": 0}, r"tolerance must be a number in \(0, 1\].*got 0"),
        ({"caution": -1}, "'caution' parameter of .* must be"),
        ({"constraint": "parity"}, "Unknown constraint 'parity'"),
        ({"debias_fraction": 1.0}, "'debias_fraction' parameter of .* must be"),
    ],
)
@every_rival
def test_bad_parameters(kind, params, message, unfitted_net, rows):
    net = unfitted_net.set_params(callbacks=[NotReached])
    with pytest.raises(ValueError, match=message):
        fit(make(kind, net, **params), rows)


@every_rival
def test_groups_are_asked_for(kind, unfitted_net, rows):
    net = unfitted_net.set_params(callbacks=[NotReached])
    with pytest.raises(ValueError, match="fit needs to know the groups"):
        make(kind, net).fit(rows.X, rows.y)


@pytest.mark.parametrize("kind", TRAINED)
def test_loss_that_is_not_finite(kind, net, rows):
    with pytest.raises(FloatingPointError, match="the loss became non-finite in epoch"):
        fit(make(kind, net, lr=1e30), rows)
