"""FairAugmentFineTuner: nets, data, callbacks and what it leaves behind."""

import pickle
import warnings
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import Bunch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LoadInitState,
    LRScheduler,
    ProgressBar,
    TensorBoard,
    TrainEndCheckpoint,
)
from torch import nn

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug._engine._debiasing_task import DebiasingTask
from skfairaug._inputs._models import predict_log_proba
from skfairaug._inputs._rows import TensorRows
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics import CONSTRAINTS, bias
from skfairaug.modules import TabularMLP


class Softmax(TabularMLP):
    def forward(self, X):
        return super().forward(X).softmax(1)


class OneLogit(TabularMLP):
    def forward(self, X):
        return super().forward(X).squeeze(1)


class ConvNet(nn.Module):
    def __init__(self, act=torch.relu):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)
        self.act = act

    def forward(self, X):
        return self.head(self.act(self.body(X)).mean((2, 3)))


TRAINING = {"max_epochs": 6, "batch_size": 32, "lr": 0.1, "verbose": 0}


def logits(n_classes=2, module=TabularMLP, criterion=nn.CrossEntropyLoss, **settings):
    module = module(4, n_classes=n_classes, width=8, depth=1)
    return NeuralNetClassifier(module, criterion=criterion, **TRAINING, **settings)


def binary(module):
    return NeuralNetBinaryClassifier(module(4, n_classes=1, width=8, depth=1), **TRAINING)


NETS = {
    "logits": logits,
    "probabilities": lambda: logits(module=Softmax, criterion=nn.NLLLoss),
    "one logit": lambda: binary(OneLogit),
    "column of logits": lambda: binary(TabularMLP),
}
STEPS = {
    "fine-tuning": {},
    "augmenter": {"augmenter": AdversarialAugmenter(n_steps=2)},
    "reactivator": {"reactivator": MaskReactivator(max_epochs=1, steps_per_epoch=2)},
    "both, joint": {
        "augmenter": AdversarialAugmenter(norm=("linf", "l2"), n_steps=2, joint=True),
        "reactivator": MaskReactivator(max_epochs=1, steps_per_epoch=2),
    },
}


def state(net):
    return {k: v.clone() for k, v in net.module_.state_dict().items()}


# -- nets ---------------------------------------------------------------------


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "unfitted"])
@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_every_kind_of_net(make, fitted, steps, rows, quick):
    net = make()
    if fitted:
        y = rows.y.astype(np.float32 if "Binary" in type(net).__name__ else np.int64)
        net.fit(rows.X, y)
    tuner = FairAugmentFineTuner(net, **quick, **steps)
    trained = "not initialised, so it is trained first, for 6 epochs"
    with nullcontext() if fitted else pytest.warns(UserWarning, match=trained):
        tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert net.initialized_ == fitted
    assert abs(tuner.bias_) < 0.5
    assert tuner.score(rows.X, rows.y) > 0.5


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_three_classes(steps, rows, quick):
    y = np.array(["low", "middle", "high"])[rows.y + (rows.X[:, 2] > 0)]
    net = logits(3).fit(rows.X, np.unique(y, return_inverse=True)[1])
    tuner = FairAugmentFineTuner(net, **{**quick, "tolerance": 1.0}, **steps)
    tuner.fit(rows.X, y, sensitive_features=rows.group)
    assert tuner.classes_.tolist() == ["high", "low", "middle"]
    assert set(tuner.predict(rows.X)) <= set(tuner.classes_)


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_images(steps, rows, quick):
    X = rows.X[:, [0, 1, 2]].repeat(12, axis=1).reshape(240, 1, 6, 6)
    net = NeuralNetClassifier(ConvNet, criterion=nn.CrossEntropyLoss, **TRAINING)
    net.fit(X, rows.y)
    tuner = FairAugmentFineTuner(net, **quick, **steps)
    tuner.fit(X, rows.y, sensitive_features=rows.group)
    assert tuner.predict(X).shape == (240,)
    with pytest.raises(ValueError, match="its first layer expects other features"):
        tuner.fit(X[:, :, 0], rows.y, sensitive_features=rows.group)


def test_frozen_net_is_the_same_as_the_net(net, rows, quick):
    plain, frozen = (
        FairAugmentFineTuner(given, **quick)
        .fit(rows.X, rows.y, sensitive_features=rows.group)
        .predict_proba(rows.X)
        for given in (net, FrozenEstimator(net))
    )
    np.testing.assert_array_equal(plain, frozen)


def test_unfitted_net_is_trained_on_other_rows(unfitted_net, rows, quick):
    seen = []

    class Spy(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            seen.append({tuple(row) for row in np.asarray(X)})

    net = unfitted_net.set_params(callbacks=[Spy()])
    tuner = FairAugmentFineTuner(net, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    trained, debiased = seen
    assert len(trained) == pytest.approx(180, abs=2)
    assert trained | debiased == {tuple(row) for row in rows.X}
    assert not trained & debiased
    phases = [row.get("phase", "training") for row in tuner.history_]
    assert phases == ["training"] * 3 + ["fine-tune"] * 2


def test_weights_that_were_loaded(net, rows, quick, tmp_path):
    net.save_params(f_params=tmp_path / "weights.pt")
    loaded = logits().initialize()
    loaded.load_params(f_params=tmp_path / "weights.pt")
    expected, result = (
        FairAugmentFineTuner(given, **quick)
        .fit(rows.X, rows.y, sensitive_features=rows.group)
        .predict_proba(rows.X)
        for given in (net, loaded)
    )
    np.testing.assert_array_equal(result, expected)


def test_module_with_a_lambda_of_a_local_class(rows, quick):
    class Local(ConvNet):
        pass

    X = rows.X[:, [0]].repeat(9, axis=1).reshape(240, 1, 3, 3)
    module = Local(act=lambda X: X.tanh())
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, **TRAINING)
    tuner = FairAugmentFineTuner(net.fit(X, rows.y), **quick)
    tuner.fit(X, rows.y, sensitive_features=rows.group)
    assert isinstance(tuner.net_.module_, Local)


@pytest.mark.parametrize("variant", ["proposed", "joint", "unif", "ind"])
def test_paper(variant, net, rows, quick):
    tuner = FairAugmentFineTuner.paper(net, variant, **quick)
    tuner.set_params(reactivator__max_epochs=1, reactivator__steps_per_epoch=2)
    assert tuner.augmenter.joint == (variant == "joint")
    assert tuner.augmenter.direction == "away"
    assert (tuner.augmenter.weighting is None) == (variant == "unif")
    assert (tuner.augmenter.flip_probability is None) == (variant == "ind")
    assert tuner.penalty == tuner.caution == 0
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    np.testing.assert_allclose(tuner.attack_probabilities_.sum(), 1, rtol=1e-6)


def test_unknown_variant(net):
    with pytest.raises(ValueError, match=r"variant must be one of .* got 'propsed'"):
        FairAugmentFineTuner.paper(net, "propsed")


# -- data ---------------------------------------------------------------------


def same_data(rows):
    """The same rows in other containers."""
    yield "tensors", torch.from_numpy(rows.X), torch.from_numpy(rows.y), rows.group
    yield "float64", rows.X.astype(np.float64), rows.y.astype(float), rows.group
    yield "lists", rows.X.tolist(), rows.y.tolist(), rows.group.tolist()
    index = np.arange(240)[::-1] * 3
    frame = pd.DataFrame(rows.X, columns=list("abcd"), index=index)
    yield "frames", frame, pd.Series(rows.y, index=index), pd.DataFrame({"sex": rows.group})
    yield "Fortran", np.asfortranarray(rows.X), rows.y.astype(bool), rows.group.astype(str)


@pytest.mark.parametrize("kind", range(5))
def test_containers(kind, net, rows, quick):
    tuner = FairAugmentFineTuner(net, **quick)
    expected = tuner.fit(rows.X, rows.y, sensitive_features=rows.group).decision_function(
        rows.X
    )
    _, X, y, groups = list(same_data(rows))[kind]
    result = tuner.fit(X, y, sensitive_features=groups).decision_function(X)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_feature_names(net, rows, quick):
    frame = pd.DataFrame(rows.X, columns=list("abcd"))
    tuner = FairAugmentFineTuner(net, **quick)
    tuner.fit(frame, rows.y, sensitive_features=rows.group)
    assert tuner.feature_names_in_.tolist() == list("abcd")
    assert tuner.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        tuner.predict(frame[list("badc")])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        tuner.predict(rows.X)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert not hasattr(tuner, "feature_names_in_")


# -- what it leaves behind ----------------------------------------------------


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_bound_is_kept_on_the_rows_that_chose(constraint, net, rows, quick):
    tuner = FairAugmentFineTuner(net, **quick, constraint=constraint)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    predicted = tuner.predict(rows.X)
    result = bias(rows.y, predicted, constraint=constraint, sensitive_features=rows.group)
    accuracy = balanced_accuracy_score(rows.y, predicted)
    assert abs(result) < tuner.tolerance
    assert 0 < tuner.objective_ <= accuracy
    assert 0 <= tuner.threshold_ <= 1


@pytest.mark.parametrize("constraint", ["statistical_parity", "equalized_odds"])
def test_what_is_claimed_is_an_estimate_for_new_rows(constraint, net, rows, quick):
    tuner = FairAugmentFineTuner(net, **quick, constraint=constraint)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    predicted = tuner.predict(rows.X)
    result = bias(rows.y, predicted, constraint=constraint, sensitive_features=rows.group)
    assert 0 < tuner.bias_standard_error_ < 0.2
    assert abs(tuner.bias_ - result) < 3 * tuner.bias_standard_error_
    assert tuner.balanced_accuracy_ == pytest.approx(
        balanced_accuracy_score(rows.y, predicted), abs=0.1
    )
    assert 0.5 < tuner.probability_inside_ <= 1
    assert tuner.rule_.probability > 0.5


def test_rows_that_the_net_has_seen_say_nothing_of_accuracy(net, rows, quick):
    """Without epochs the cut-off is all there is to choose: turned labels are not missed."""
    held_out = np.arange(240) % 3 == 0
    turned = np.where(held_out, rows.y, 1 - rows.y)
    accuracy = [
        FairAugmentFineTuner(net, **{**quick, "max_epochs": 0})
        .fit(rows.X, y, sensitive_features=rows.group, held_out=held_out)
        .balanced_accuracy_
        for y in (rows.y, turned)
    ]
    assert min(accuracy) > 0.6
    assert accuracy[0] == pytest.approx(accuracy[1], abs=0.1)


def test_rows_that_the_net_has_seen_help_to_fine_tune(net, rows, quick):
    held_out = np.arange(240) % 3 == 0
    chose = [values[held_out] for values in (rows.X, rows.y, rows.group)]
    tuner = FairAugmentFineTuner(net, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group, held_out=held_out)
    only = FairAugmentFineTuner(net, **quick).fit(*chose[:2], sensitive_features=chose[2])
    assert not np.array_equal(only.predict_proba(rows.X), tuner.predict_proba(rows.X))


def test_history(net, rows, quick):
    tuner = FairAugmentFineTuner(net, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert tuner.history_ is tuner.net_.history
    assert len(net.history) == 3
    assert tuner.history_[:, "epoch"] == [1, 2, 3, 4, 5]
    tuned = tuner.history_[3:]
    for name in ("train_loss", "valid_loss", "bias", "balanced_accuracy", "expected_phi"):
        assert np.isfinite([row[name] for row in tuned]).all()
    assert tuner.objective_ >= max(row["expected_phi"] for row in tuned) - 1e-12


def test_attributes_of_the_steps(net, rows, quick):
    tuner = FairAugmentFineTuner(net, **quick, **STEPS["both, joint"])
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    weights = {k: v for k, v in net.module_.named_parameters() if v.ndim > 1}
    assert tuner.mask_.keys() == weights.keys()
    kept = total = 0
    for name, mask in tuner.mask_.items():
        assert mask.dtype == bool
        assert mask.shape == weights[name].shape
        kept, total = kept + mask.sum(), total + mask.size
    assert tuner.density_ == pytest.approx(kept / total)
    assert tuner.attack_probabilities_.shape == (2,)
    assert {row.get("phase") for row in tuner.history_} == {None, "mask", "fine-tune"}

    tuner.set_params(augmenter=None, reactivator="passthrough")
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    for name in ("mask_", "density_", "attack_probabilities_"):
        assert not hasattr(tuner, name)


def test_steps_that_are_given_stay_unfitted(net, rows, quick):
    augmenter, reactivator = AdversarialAugmenter(n_steps=1), MaskReactivator(max_epochs=1)
    tuner = FairAugmentFineTuner(net, **quick, augmenter=augmenter, reactivator=reactivator)
    before = [repr(augmenter.get_params()), repr(reactivator.get_params())]
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert [repr(augmenter.get_params()), repr(reactivator.get_params())] == before
    assert not hasattr(augmenter, "net_")
    assert not hasattr(reactivator, "mask_")


def test_without_epochs_only_the_threshold_is_chosen(net, rows, quick):
    tuner = FairAugmentFineTuner(net, **{**quick, "max_epochs": 0})
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    for name, value in state(net).items():
        assert torch.equal(state(tuner.net_)[name], value)
    assert len(tuner.history_) == 3


def test_passthrough_is_none(net, rows, quick):
    results = [
        FairAugmentFineTuner(net, **quick, augmenter=step, reactivator=step)
        .fit(rows.X, rows.y, sensitive_features=rows.group)
        .predict_proba(rows.X)
        for step in (None, "passthrough")
    ]
    np.testing.assert_array_equal(*results)


# -- the fair rule as teacher -------------------------------------------------


@pytest.fixture(scope="module")
def hinted():
    """Rows that say the group by no column, each of four groups leaning further; and a net."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 4, 1500)
    X = rng.normal(size=(1500, 4)).astype(np.float32)
    X[:, 0] += 0.5 * group
    X[:, 3] += 1.5 * group
    y = (X[:, 0] + X[:, 1] > 0.8).astype(int)
    torch.manual_seed(0)
    return Bunch(X=X, y=y, group=group, net=logits().fit(X[:500], y[:500]))


def test_four_groups_that_no_column_says(hinted):
    tuner = FairAugmentFineTuner(hinted.net, tolerance=0.2, steps_per_epoch=10, random_state=0)
    X, y, group = (hinted[name][500:] for name in ("X", "y", "group"))
    tuner.fit(X, y, sensitive_features=group)
    before, after = (
        bias(y, model.predict(X), sensitive_features=group) for model in (hinted.net, tuner)
    )
    assert before > 0.4
    assert after < 0.2
    assert 0.5 < tuner.probability_inside_ < 1
    assert tuner.balanced_accuracy_ > 0.6


def test_groups_that_are_missing_are_inferred(hinted):
    known = np.arange(1500) % 2 == 0
    group = np.where(known, hinted.group == 3, np.nan)
    settings = {"steps_per_epoch": 5, "max_epochs": 3, "tolerance": 0.6, "random_state": 0}
    tuner = FairAugmentFineTuner(hinted.net, missing_groups="infer", **settings)
    tuner.fit(hinted.X, hinted.y, sensitive_features=group)
    assert tuner.groups_ == ("0", "1")
    assert tuner.predict(hinted.X).shape == (1500,)
    # Rows of unknown groups choose nothing, and train.
    off, only = (
        FairAugmentFineTuner(
            hinted.net, missing_groups=missing, **{**settings, "max_epochs": 0}
        )
        for missing in ("infer", "error")
    )
    off.fit(hinted.X, hinted.y, sensitive_features=group)
    only.fit(hinted.X[known], hinted.y[known], sensitive_features=group[known])
    assert (off.threshold_, off.bias_) == (only.threshold_, only.bias_)
    trained = FairAugmentFineTuner(hinted.net, **settings)
    trained.fit(hinted.X[known], hinted.y[known], sensitive_features=group[known])
    differ = tuner.net_.predict_proba(hinted.X) != trained.net_.predict_proba(hinted.X)
    assert differ.any()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"missing_groups": "error"}, r"120 missing value\(s\)"),
        ({"missing_groups": "infer", "distillation": 0.0}, "needs the fair rule as teacher"),
        ({"missing_groups": "guess"}, "'missing_groups' parameter of FairAugment"),
    ],
)
def test_missing_groups_that_cannot_be_inferred(params, message, net, rows, quick):
    group = np.where(np.arange(240) % 2, rows.group, np.nan)
    with pytest.raises(ValueError, match=message):
        FairAugmentFineTuner(net, **quick, **params).fit(
            rows.X, rows.y, sensitive_features=group
        )


def test_confidence_is_asked_of_network_and_teacher(net, rows, quick):
    sure, unsure = (
        FairAugmentFineTuner(net, **{**quick, "tolerance": 0.2, "confidence": one}).fit(
            rows.X, rows.y, sensitive_features=rows.group
        )
        for one in (0.95, 0.55)
    )
    result = bias(rows.y, sure.predict(rows.X), sensitive_features=rows.group)
    assert abs(result) + sure.bias_standard_error_ < 0.2  # as sure as that, and surer
    # With a confidence the objective is the accuracy of what is sure enough.
    for tuner in (sure, unsure):
        accuracy = balanced_accuracy_score(rows.y, tuner.predict(rows.X))
        assert tuner.objective_ == pytest.approx(accuracy)
    assert sure.objective_ < unsure.objective_
    assert sure.rule_.objective < unsure.rule_.objective


def test_confidence_that_is_not_reached(net, rows, quick):
    tuner = FairAugmentFineTuner(net, **{**quick, "tolerance": 0.05, "confidence": 0.999})
    with pytest.warns(FairnessNotReachedWarning, match=r"probability 0.999, \d+ of them"):
        tuner.fit(rows.X, rows.y, sensitive_features=rows.group)


def test_mixing_learns_from_other_rows(net, rows, quick):
    given = {**quick, "max_epochs": 3}
    mixed, again, real = (
        FairAugmentFineTuner(net, mixing=mixing, **given)
        .fit(rows.X, rows.y, sensitive_features=rows.group)
        .history_[3:, "train_loss"]
        for mixing in (True, True, False)
    )
    assert mixed == again != real


def test_mixing_needs_a_table_and_a_teacher(net, rows, quick):
    with pytest.raises(ValueError, match=r"mixing=True .* needs a table .* a distillation"):
        FairAugmentFineTuner(net, mixing=True, distillation=0.0, **quick).fit(
            rows.X, rows.y, sensitive_features=rows.group
        )
    X = rows.X[:, [0]].repeat(9, axis=1).reshape(240, 1, 3, 3)
    images = NeuralNetClassifier(ConvNet, criterion=nn.CrossEntropyLoss, **TRAINING)
    with pytest.raises(ValueError, match=r"mixing=True .* needs a table of numbers as X"):
        FairAugmentFineTuner(images.fit(X, rows.y), mixing=True, **quick).fit(
            X, rows.y, sensitive_features=rows.group
        )


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
def test_group_estimator_guesses_for_the_teacher(net, rows, quick):
    constant = DummyClassifier()
    rules = [
        FairAugmentFineTuner(net, group_estimator=one, **{**quick, "tolerance": 0.1})
        .fit(rows.X, rows.y, sensitive_features=rows.group)
        .rule_
        for one in (None, constant)
    ]
    assert not hasattr(constant, "classes_")
    # Who guesses the same for every row has nothing but the cut-off to correct with.
    assert rules[0].objective > rules[1].objective
    with pytest.raises(TypeError, match="group_estimator must be an instance, not the class"):
        FairAugmentFineTuner(net, group_estimator=DummyClassifier, **quick).fit(
            rows.X, rows.y, sensitive_features=rows.group
        )
    with pytest.raises(TypeError, match="LinearRegression has no predict_proba"):
        FairAugmentFineTuner(net, group_estimator=LinearRegression(), **quick).fit(
            rows.X, rows.y, sensitive_features=rows.group
        )


def test_no_teacher_without_distillation(net, rows, quick):
    tuner = FairAugmentFineTuner(net, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert hasattr(tuner, "rule_")
    tuner.set_params(distillation=0.0)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert not hasattr(tuner, "rule_")


# -- what predicts ------------------------------------------------------------


def test_the_rule_predicts_over_the_network_as_given(net, rows, quick):
    tuner = FairAugmentFineTuner(
        net, result="rule", tolerance=quick["tolerance"], random_state=0
    )
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert tuner.result_ == "rule"
    for name, value in state(net).items():
        assert torch.equal(state(tuner.net_)[name], value)
    assert len(tuner.history_) == 3  # nothing was trained
    assert (tuner.objective_, tuner.bias_) == (tuner.rule_.objective, tuner.rule_.bias)
    assert tuner.threshold_ == 0.5
    # The scores are the teacher's, which a network can only come near to.
    scores = tuner.decision_function(rows.X)
    log_proba = predict_log_proba(net, TensorRows(torch.from_numpy(rows.X))).double().numpy()
    expected = tuner._predictor.scores(log_proba, rows.X.astype(float))
    np.testing.assert_allclose(scores, expected, atol=1e-9)
    np.testing.assert_array_equal(tuner.predict(rows.X), (scores > 0).astype(int))
    again = pickle.loads(pickle.dumps(tuner))
    np.testing.assert_array_equal(again.decision_function(rows.X), scores)


def test_the_rule_of_several_classes(rows, quick):
    y = rows.y + (rows.X[:, 2] > 0)
    net = logits(3).fit(rows.X, y)
    tuner = FairAugmentFineTuner(net, result="rule", tolerance=0.9, random_state=0)
    tuner.fit(rows.X, y, sensitive_features=rows.group)
    proba = tuner.predict_proba(rows.X)
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(tuner.predict(rows.X), proba.argmax(1))


@pytest.mark.parametrize(("network", "kept"), [(0.899, "network"), (0.896, "rule")])
def test_the_best_is_the_network_unless_it_is_behind(
    network, kept, net, rows, quick, monkeypatch
):
    """No warning of a network far behind, which is not what predicts."""
    tuner = FairAugmentFineTuner(net, result="best", **quick)
    teach(tuner, rows, monkeypatch, 0.9, [network, network])
    assert tuner.result_ == kept
    assert tuner.objective_ == (0.9 if kept == "rule" else network)
    assert (tuner._predictor is None) == (kept == "network")
    assert tuner.predict(rows.X).shape == (240,)


def test_the_rule_needs_a_teacher_and_no_training(net, rows, quick):
    fit = {"X": rows.X, "y": rows.y, "sensitive_features": rows.group}
    for result in ("rule", "best"):
        with pytest.raises(ValueError, match=rf"result='{result}' needs the fair rule"):
            FairAugmentFineTuner(net, result=result, distillation=0.0).fit(**fit)
    with pytest.raises(ValueError, match=r"\(lr=0\.1\) has no effect with result='rule'"):
        FairAugmentFineTuner(net, result="rule", lr=0.1).fit(**fit)
    tuner = FairAugmentFineTuner(net, **quick)
    assert tuner.fit(**fit).result_ == "network"


# -- rounds of fine-tuning ----------------------------------------------------


def teach(tuner, rows, monkeypatch, teacher, networks):
    """Fit with the teacher's objective and those after each round as given; epochs run."""
    ran = []

    def fine_tune(task, make_epoch, loss, *, max_epochs, **params):
        ran.append(max_epochs)
        task.best.verdict = replace(task.best.verdict, objective=networks[len(ran) - 1])
        task.rule.verdict = replace(task.rule.verdict, objective=teacher)
        return True

    def offer_net(self):
        result = offer(self)
        self.best.verdict = replace(self.best.verdict, objective=0.6)  # the biased network's
        return result

    offer = DebiasingTask.offer_net
    monkeypatch.setattr(DebiasingTask, "offer_net", offer_net)
    monkeypatch.setattr("skfairaug._finetuner.fine_tune", fine_tune)
    tuner.set_params(max_epochs=None)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    return ran


@pytest.mark.parametrize(
    ("networks", "epochs"),
    [
        ([0.899], [10]),  # level with the teacher
        ([0.91], [10]),
        ([0.88, 0.899], [10, 20]),
        ([0.88, 0.881], [10, 20]),  # behind, and no longer growing
        ([0.8, 0.85, 0.89], [10, 20, 40]),
    ],
)
def test_rounds_until_it_has_caught_up(networks, epochs, net, rows, quick, monkeypatch):
    tuner = FairAugmentFineTuner(net, **quick)
    assert teach(tuner, rows, monkeypatch, 0.9, networks) == epochs


@pytest.mark.parametrize("networks", [[0.8, 0.801], [0.7, 0.75, 0.85]])
def test_a_network_far_behind_its_teacher_is_told(networks, net, rows, quick, monkeypatch):
    message = rf"not learned its teacher: expected Phi {networks[-1]:.3f}, .* has 0\.900"
    tuner = FairAugmentFineTuner(net, **quick)
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        teach(tuner, rows, monkeypatch, 0.9, networks)
    assert caught[0].filename == __file__


def test_rounds_are_trained(net, rows, quick):
    tuner = FairAugmentFineTuner(net, **{**quick, "max_epochs": None, "steps_per_epoch": 1})
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert len(tuner.history_) - 3 in (10, 30, 70)


# -- callbacks and Ctrl-C -----------------------------------------------------

CALLBACKS = {
    "early stopping": lambda: EarlyStopping(patience=1, threshold=10.0),
    "schedule": lambda: LRScheduler("StepLR", step_size=1),
    "schedule per batch": lambda: LRScheduler("CosineAnnealingLR", T_max=9, step_every="batch"),
    "scoring": lambda: EpochScoring("balanced_accuracy", lower_is_better=False),
    "scoring of training": lambda: EpochScoring(
        "accuracy", on_train=True, lower_is_better=False, name="train_acc"
    ),
    "progress": lambda: ProgressBar(),
    "clipping": lambda: GradientNormClipping(1.0),
}


@pytest.mark.parametrize("make", CALLBACKS.values(), ids=CALLBACKS)
def test_callbacks(make, rows, quick):
    callback = make()
    net = logits(callbacks=[("mine", callback)])
    net.fit(rows.X, rows.y)
    n_epochs = len(net.history)
    tuner = FairAugmentFineTuner(net, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    tuned = tuner.history_[n_epochs:]
    assert len(tuned) == 2
    if isinstance(callback, EpochScoring):
        assert all(0 <= row[callback.name or "balanced_accuracy"] <= 1 for row in tuned)


def test_nothing_is_written_to_what_is_the_callers(rows, quick, tmp_path):
    """Nor is the net read from a file in the middle of it."""
    checkpoint = Checkpoint(dirname=tmp_path, monitor=None)
    written = []
    writer = Bunch(add_scalar=lambda *args, **kwargs: written.append(args), close=list)
    net = logits(
        callbacks=[
            checkpoint,
            TrainEndCheckpoint(dirname=tmp_path / "end"),
            LoadInitState(checkpoint),
            TensorBoard(writer),
        ]
    ).fit(rows.X, rows.y)
    assert written
    written.clear()
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(files) > 4
    tuner = FairAugmentFineTuner(net, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == files
    assert not written


class Interrupt(Callback):
    """Ctrl-C in the middle of an epoch of fine-tuning."""

    armed = False

    def on_batch_end(self, net, training=False, **kwargs):
        done = [row for row in net.history if row.get("phase") == "fine-tune"]
        if self.armed and training and len(done) == 1:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_the_best_network_so_far(rows, quick):
    callback = Interrupt()
    net = logits(callbacks=[callback]).fit(rows.X, rows.y)
    callback.armed = True
    tuner = FairAugmentFineTuner(net, **quick)
    with pytest.warns(ConvergenceWarning, match="the training was interrupted") as caught:
        tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert caught[0].filename == __file__
    done = [row for row in tuner.history_ if row.get("phase") == "fine-tune"]
    assert len(done) == 1
    assert tuner.objective_ >= done[0]["expected_phi"]
    assert tuner.predict(rows.X).shape == (240,)


def test_ctrl_c_while_the_mask_is_learnt(net, rows, quick, monkeypatch):
    calls = []

    def interrupt(*args, **kwargs):
        calls.append(args)
        raise KeyboardInterrupt

    monkeypatch.setattr("skfairaug._reactivator.record", interrupt)
    tuner = FairAugmentFineTuner(net, **quick, reactivator=MaskReactivator(steps_per_epoch=2))
    with pytest.warns(ConvergenceWarning, match="the training was interrupted"):
        tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert len(calls) == 1
    assert {row.get("phase") for row in tuner.history_} == {None}
    assert tuner.predict(rows.X).shape == (240,)
    with pytest.raises(KeyboardInterrupt):
        MaskReactivator(net, steps_per_epoch=2).fit(
            rows.X, rows.y, sensitive_features=rows.group
        )


def test_nothing_is_printed_and_nothing_warns(net, rows, quick, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FairAugmentFineTuner(net, **quick).fit(rows.X, rows.y, sensitive_features=rows.group)
    assert capsys.readouterr().out == ""


def test_progress_is_printed_under_its_own_heading(rows, quick, capsys):
    net = logits().set_params(verbose=1).fit(rows.X, rows.y)
    capsys.readouterr()
    FairAugmentFineTuner(net, **quick).fit(rows.X, rows.y, sensitive_features=rows.group)
    heading, _, *lines = capsys.readouterr().out.splitlines()
    for name in ("balanced_accuracy", "bias", "expected_phi", "phase", "train_loss"):
        assert name in heading.split()
    assert len(lines) == 2
    assert all("fine-tune" in line for line in lines)
