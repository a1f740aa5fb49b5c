"""What the three estimators share: cloning, copies, randomness, and bad input."""

import copy
import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug._engine._estimator import split_cells
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics import bias
from skfairaug.modules import TabularMLP

CLASSES = [FairAugmentFineTuner, AdversarialAugmenter, MaskReactivator]
BRIEF = {
    FairAugmentFineTuner: {"max_epochs": 2, "steps_per_epoch": 3, "batch_size": 64},
    AdversarialAugmenter: {"n_steps": 2},
    MaskReactivator: {"max_epochs": 2, "steps_per_epoch": 3, "batch_size": 64},
}


def make(cls, net, **params):
    """A quick estimator; every network is fair enough for it."""
    return cls(net, **{"tolerance": 0.9, "random_state": 0, **BRIEF[cls], **params})


def fit(estimator, rows, **params):
    return estimator.fit(rows.X, rows.y, sensitive_features=rows.group, **params)


def outputs(estimator, X):
    """What a fitted estimator, and the net it holds, make of X."""
    method = getattr(estimator, "predict_proba", None) or estimator.transform
    return np.hstack([method(X), estimator.net_.predict_proba(np.array(X))])


class Raise(Callback):
    """Raises once armed, at the end of the second epoch's first batch."""

    def __init__(self, error):
        self.error = error
        self.armed = False
        self.batches = 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.batches += self.armed and training
        if self.batches == 4:
            raise self.error


def snapshot(net):
    """All that an estimator might change in the caller's net."""
    module = net.module_
    return copy.deepcopy(
        {
            "weights": {k: v.numpy() for k, v in module.state_dict().items()},
            "modes": [part.training for part in module.modules()],
            "hooks": [len(part._forward_pre_hooks) for part in module.modules()],
            "trainable": [p.requires_grad for p in module.parameters()],
            "gradients": [p.grad.numpy() for p in module.parameters()],
            "optimizer": repr(net.optimizer_.state_dict()),
            "history": list(net.history),
            "attributes": sorted(vars(net)),
            "parameters": {k: repr(v) for k, v in net.get_params(deep=False).items()},
        }
    )


# -- the caller's things ------------------------------------------------------


@pytest.mark.parametrize("ending", ["regular", "error", "ctrl-c"])
@pytest.mark.parametrize("cls", CLASSES)
def test_net_data_and_random_state_are_untouched(cls, ending, unfitted_net, rows):
    callback = Raise(KeyboardInterrupt() if ending == "ctrl-c" else RuntimeError("mine"))
    net = unfitted_net.set_params(callbacks=[callback]).fit(rows.X, rows.y)
    callback.armed = ending != "regular"
    net.module_.train()
    net.module_.head.bias.requires_grad_(False)
    kept = copy.deepcopy(rows)
    for array in rows.values():
        array.flags.writeable = False
    before, numpy_state, torch_state = (
        snapshot(net),
        np.random.get_state(),
        torch.get_rng_state(),
    )

    estimator = make(cls, net)
    trains = cls is not AdversarialAugmenter
    if trains and (ending == "error" or (ending == "ctrl-c" and cls is MaskReactivator)):
        # A mask cut short is no step to go on from.
        with pytest.raises(type(callback.error)):
            fit(estimator, rows)
        with pytest.raises(NotFittedError):
            outputs(estimator, rows.X)
    elif ending == "ctrl-c" and cls is FairAugmentFineTuner:
        with pytest.warns(ConvergenceWarning, match="the training was interrupted"):
            fit(estimator, rows)
    else:
        fit(estimator, rows)

    np.testing.assert_equal(snapshot(net), before)
    assert all(np.array_equal(rows[k], kept[k]) for k in rows)
    assert all(map(np.array_equal, np.random.get_state(), numpy_state))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert callback.batches == 0


def test_fitted_estimator_shares_nothing_with_the_net(net, rows):
    tuner = fit(make(FairAugmentFineTuner, net), rows)
    before = tuner.predict_proba(rows.X)
    with torch.no_grad():
        for parameter in net.module_.parameters():
            parameter.zero_()
    net.history.new_epoch()
    np.testing.assert_array_equal(tuner.predict_proba(rows.X), before)
    assert len(tuner.history_) == 5


# -- randomness ---------------------------------------------------------------


@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize("cls", CLASSES)
def test_one_seed_agrees_and_two_differ(cls, fitted, net, unfitted_net, rows):
    def result(seed):
        estimator = make(cls, net if fitted else clone(unfitted_net), random_state=seed)
        if cls is AdversarialAugmenter:
            return estimator.fit_transform(rows.X, rows.y, sensitive_features=rows.group)
        return outputs(fit(estimator, rows), rows.X)

    first = result(0)
    torch.manual_seed(9)
    np.random.seed(9)
    np.testing.assert_array_equal(result(0), first)
    assert not np.array_equal(result(1), first)


def test_random_state_may_be_a_generator_or_none(net, rows):
    generator = np.random.RandomState(0)
    first, second, seeded = (
        fit(make(FairAugmentFineTuner, net, random_state=state), rows).predict_proba(rows.X)
        for state in (generator, generator, 0)
    )
    np.testing.assert_array_equal(first, seeded)
    assert not np.array_equal(first, second)
    fit(make(FairAugmentFineTuner, net, random_state=None), rows)


# -- parameters and clones ----------------------------------------------------


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("cls", CLASSES)
def test_clone_keeps_a_fitted_net(cls, frozen, net, rows):
    given = FrozenEstimator(net) if frozen else net
    estimator = make(cls, given, tolerance=0.7)
    twin = clone(estimator)
    assert twin is not estimator
    assert twin.estimator is given
    assert twin.tolerance == 0.7
    assert not hasattr(clone(fit(estimator, rows)), "net_")


@pytest.mark.parametrize("cls", CLASSES)
def test_clone_of_an_unfitted_net_is_a_new_one(cls, unfitted_net):
    twin = clone(make(cls, unfitted_net))
    assert twin.estimator is not unfitted_net
    assert not twin.estimator.initialized_


@pytest.mark.parametrize("cls", CLASSES)
def test_parameters_of_a_fitted_net_cannot_be_set(cls, net, unfitted_net):
    message = r"\['estimator__lr'\] would change a fitted net.*Pass an unfitted net"
    with pytest.raises(ValueError, match=message):
        make(cls, net).set_params(estimator__lr=0.5)
    with pytest.raises(ValueError, match=message):
        make(cls, None).set_params(estimator=net, estimator__lr=0.5)
    assert net.lr == 0.1
    fresh = clone(unfitted_net)
    assert make(cls, net).set_params(estimator=fresh, estimator__lr=0.5).estimator.lr == 0.5
    assert make(cls, fresh).set_params(estimator__module__width=3).estimator is fresh


def test_nested_parameters_of_the_steps(net):
    tuner = FairAugmentFineTuner(
        net, augmenter=AdversarialAugmenter(radius=0.3), reactivator=MaskReactivator()
    )
    assert tuner.get_params()["augmenter__radius"] == 0.3
    tuner.set_params(augmenter__radius=0.4, reactivator__density=0.5)
    assert tuner.augmenter.radius == 0.4
    assert clone(tuner).reactivator.density == 0.5
    assert clone(tuner).reactivator is not tuner.reactivator


ROUND_TRIPS = {
    "deepcopy": lambda estimator, path: copy.deepcopy(estimator),
    "pickle": lambda estimator, path: pickle.loads(pickle.dumps(estimator)),
    "joblib": lambda estimator, path: joblib.load(joblib.dump(estimator, path)[0]),
}


@pytest.mark.parametrize("kind", ["fitted net", "frozen net", "unfitted net"])
@pytest.mark.parametrize("way", ROUND_TRIPS)
@pytest.mark.parametrize("cls", CLASSES)
def test_round_trip(cls, way, kind, net, unfitted_net, rows, tmp_path):
    given = {
        "fitted net": net,
        "frozen net": FrozenEstimator(net),
        "unfitted net": clone(unfitted_net),
    }[kind]

    def round_trip(estimator):
        return ROUND_TRIPS[way](estimator, tmp_path / "estimator.joblib")

    estimator = make(cls, given)
    twin = round_trip(estimator)
    expected = outputs(fit(estimator, rows), rows.X)
    np.testing.assert_array_equal(outputs(fit(twin, rows), rows.X), expected)
    twin = round_trip(estimator)
    np.testing.assert_array_equal(outputs(twin, rows.X), expected)
    assert isinstance(twin.estimator, type(given))
    if kind != "unfitted net":
        np.testing.assert_array_equal(twin.estimator.predict(rows.X), net.predict(rows.X))
        assert len(twin.estimator.history if kind == "fitted net" else net.history) == 3


def test_attributes_that_pickle_refuses_do_not_stop_a_deep_copy(unfitted_net, rows):
    class Local(TabularMLP):
        def __init__(self, n_features):
            super().__init__(n_features, width=8, depth=1)
            self.activation = lambda X: X.tanh()

        def forward(self, X):
            return super().forward(self.activation(X))

    net = NeuralNetClassifier(
        Local, module__n_features=4, criterion=nn.CrossEntropyLoss, verbose=0, max_epochs=1
    )
    tuner = fit(make(FairAugmentFineTuner, net.fit(rows.X, rows.y)), rows)
    twin = copy.deepcopy(tuner)
    np.testing.assert_array_equal(twin.predict(rows.X), tuner.predict(rows.X))


# -- predictions --------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_three_ways_to_predict_agree(n_classes, rows):
    y = np.array(["a", "b", "c"])[rows.y + (n_classes == 3) * (rows.X[:, 2] > 0)]
    net = NeuralNetClassifier(
        TabularMLP(4, n_classes=n_classes, width=8, depth=1),
        criterion=nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.1,
        verbose=0,
    ).fit(rows.X, np.unique(y, return_inverse=True)[1])
    tuner = make(FairAugmentFineTuner, net).fit(rows.X, y, sensitive_features=rows.group)
    predicted, proba = tuner.predict(rows.X), tuner.predict_proba(rows.X)
    scores = tuner.decision_function(rows.X)
    assert tuner.classes_.tolist() == ["a", "b", "c"][:n_classes]
    assert proba.shape == (240, n_classes)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(tuner.classes_[proba.argmax(1)], predicted)
    if n_classes == 2:
        np.testing.assert_array_equal(tuner.classes_[(scores > 0).astype(int)], predicted)
        above = tuner.net_.predict_proba(rows.X)[:, 1] > tuner.threshold_
        np.testing.assert_array_equal(predicted == "b", above)
    else:
        np.testing.assert_array_equal(tuner.classes_[scores.argmax(1)], predicted)
        np.testing.assert_allclose(tuner.net_.predict_proba(rows.X), proba, rtol=1e-5)
        assert tuner.threshold_ == 0.5


def test_scores_are_finite_where_a_constant_prediction_is_all_that_is_fair(net, rows):
    tuner = make(FairAugmentFineTuner, net, tolerance=1e-4, max_epochs=0)
    message = (
        r"within 0.0001 was not reached .*bias \+0.000 \(standard error 0.0\d\d\) at balanced "
        r"accuracy 0.500 .* inside with probability 0.01. Even a fair classifier would need "
        r"about \d+ validation rows"
    )
    with pytest.warns(FairnessNotReachedWarning, match=message) as caught:
        fit(tuner, rows)
    assert caught[0].filename == __file__
    assert len(np.unique(tuner.predict(rows.X))) == 1
    assert np.isfinite(tuner.decision_function(rows.X)).all()
    assert np.isfinite(tuner.predict_proba(rows.X)).all()


def test_warning_gives_the_bias_where_no_network_is_inside_the_tolerance(rows):
    y = rows.y + (rows.X[:, 2] > 0)
    net = NeuralNetClassifier(
        TabularMLP(4, n_classes=3, width=8, depth=1),
        criterion=nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.1,
        verbose=0,
    ).fit(rows.X, y)
    tuner = make(FairAugmentFineTuner, net, tolerance=1e-4)
    message = (
        r"statistical_parity within 0.0001 was not reached on the validation data: the best "
        r"result has bias [+-]0\.\d{3} \(standard error 0\.\d{3}\) at balanced accuracy "
        r"0\.\d{3} \(chance is 0.333\), and is inside with probability 0.00. Otherwise give"
    )
    with pytest.warns(FairnessNotReachedWarning, match=message):
        tuner.fit(rows.X, y, sensitive_features=rows.group)
    before, after = (
        abs(bias(y, model.predict(rows.X), sensitive_features=rows.group))
        for model in (net, tuner)
    )
    assert after <= before  # on the rows that chose


@pytest.mark.parametrize("cls", CLASSES)
def test_not_fitted(cls, net, rows):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        outputs(make(cls, net), rows.X)


# -- sensitive features -------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_groups_may_come_from_named_columns(cls, unfitted_net, rows):
    X = np.column_stack([rows.X[:, :3], rows.group]).astype(np.float32)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "sex"])
    net = unfitted_net.fit(X, rows.y)
    given = make(cls, net).fit(X, rows.y, sensitive_features=rows.group)
    by_name = make(cls, net, sensitive_columns=["sex"]).fit(frame, rows.y)
    by_index = make(cls, net, sensitive_columns=[3]).fit(X, rows.y)
    assert given.groups_ == ("0", "1")
    assert by_name.groups_ == by_index.groups_ == ("0", "1")
    for estimator, data in ((by_name, frame), (by_index, X)):
        np.testing.assert_array_equal(outputs(estimator, data), outputs(given, X))


@pytest.mark.parametrize("cls", CLASSES)
def test_several_sensitive_features_make_intersections(cls, net, rows):
    frame = pd.DataFrame({"sex": rows.group, "old": rows.X[:, 3] > 0}, index=range(240, 480))
    estimator = make(cls, net).fit(rows.X, rows.y, sensitive_features=frame)
    assert estimator.groups_ == ("0, False", "0, True", "1, False", "1, True")


# -- bad input: nothing is trained, the message says what to do ----------------


class Untrainable(NeuralNetClassifier):
    """Fails the test that trains it."""

    armed = False

    def train_step(self, batch, **fit_params):
        assert not self.armed, "trained before the input was checked"
        return super().train_step(batch, **fit_params)


@pytest.fixture
def untrainable(rows, monkeypatch):
    net = Untrainable(
        TabularMLP(4, width=8, depth=1), criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0
    ).fit(rows.X, rows.y)
    monkeypatch.setattr(Untrainable, "armed", True)
    return net


BAD = pd.DataFrame.from_records(
    [
        ("one class", {"y": lambda r: 0 * r.y}, "y holds one class, 0; at least two"),
        ("one group", {"group": lambda r: 0 * r.group}, "sensitive_features holds one group"),
        (
            "an empty cell",
            {"group": lambda r: np.where((r.y == 1) & (r.group == 1), 0, r.group)},
            "No rows with label '1' in group '1'; every (label, group) cell",
        ),
        ("short y", {"y": lambda r: r.y[1:]}, "inconsistent numbers of samples: [240, 239]"),
        (
            "short groups",
            {"group": lambda r: r.group[1:]},
            "sensitive_features has 239 rows but 240 were expected",
        ),
        ("NaN", {"X": lambda r: np.where(r.X > 1, np.nan, r.X)}, "Input X contains NaN"),
        ("infinity", {"X": lambda r: np.where(r.X > 1, np.inf, r.X)}, "X contains infinity"),
        (
            "missing group",
            {"group": lambda r: np.where(r.X[:, 0] > 3, np.nan, r.group)},
            "missing value(s) (NaN or None). Drop those rows, or make 'unknown' a group",
        ),
        (
            "continuous group",
            {"group": lambda r: r.X[:, 0]},
            "sensitive_features looks continuous: 240 distinct numbers in 240 rows",
        ),
        ("no group", {"group": lambda r: None}, "fit needs to know the groups: pass sensitive"),
        (
            "other features",
            {"X": lambda r: r.X[:, :3]},
            "its first layer expects other features than the (3,) of each row",
        ),
        (
            "more classes",
            {"y": lambda r: r.y + (r.X[:, 2] > 0)},
            "y has 3 classes but the net predicts (2,) outputs per row",
        ),
        ("scores", {"y": lambda r: r.X[:, 0]}, "Unknown label type"),
    ],
    columns=["name", "changes", "message"],
)


@pytest.mark.parametrize(
    ("changes", "message"), BAD[["changes", "message"]].values, ids=BAD["name"]
)
@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "unfitted"])
@pytest.mark.parametrize("cls", CLASSES)
def test_bad_data(cls, fitted, changes, message, untrainable, rows):
    """By a measure that looks at labels, of which every group needs some of each."""
    net = untrainable if fitted else clone(untrainable)
    data = {**rows, **{name: change(rows) for name, change in changes.items()}}
    with pytest.raises(ValueError, match=re.escape(message)):
        make(cls, net, constraint="average_odds").fit(
            data["X"], data["y"], sensitive_features=data["group"]
        )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"constraint": "parity"},
            "Unknown constraint 'parity'; expected one of 'statistical_parity', .*'average_",
        ),
        ({"tolerance": 0}, r"tolerance must be a number in \(0, 1\].*got 0"),
        ({"tolerance": 1.5}, r"tolerance must be a number in \(0, 1\].*got 1.5"),
        (
            {"sensitive_columns": ["sex"]},
            "sensitive_columns: 'sex' is not a column of X, which",
        ),
        ({"sensitive_columns": 4}, "sensitive_columns: 4 is not a column of X, which has 4"),
        ({"random_state": "x"}, "'random_state' parameter of .* must be"),
    ],
)
@pytest.mark.parametrize("cls", CLASSES)
def test_bad_parameters(cls, params, message, untrainable, rows):
    with pytest.raises(ValueError, match=message):
        fit(make(cls, untrainable, **params), rows)


@pytest.mark.parametrize("given", [None, LogisticRegression(), TabularMLP])
@pytest.mark.parametrize("cls", CLASSES)
def test_other_estimators_are_refused(cls, given, rows):
    message = "estimator must be a skorch classifier .* got (NoneType|Logistic|the class)"
    with pytest.raises(TypeError, match=message):
        fit(make(cls, given), rows)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"augmenter": AdversarialAugmenter(radius=-1)}, "'radius' parameter of Adversarial"),
        ({"reactivator": MaskReactivator(density=5)}, "'density' parameter of MaskReactivator"),
        ({"augmenter": "none"}, "'augmenter' parameter of FairAugmentFineTuner must be"),
        ({"reactivator": LogisticRegression()}, "'reactivator' parameter of FairAugment"),
    ],
)
def test_bad_steps(step, message, untrainable, rows):
    with pytest.raises(ValueError, match=message):
        fit(make(FairAugmentFineTuner, untrainable, **step), rows)


class NotReached(Callback):
    def on_train_begin(self, net, **kwargs):
        raise AssertionError("trained before the input was checked")


class NoLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(1, 3, 2), nn.ReLU(), nn.Flatten())
        self.head = nn.Bilinear(9, 9, 2)

    def forward(self, X):
        Z = self.body(X[:, None])
        return self.head(Z, Z)


READS_REPRESENTATION = [
    (AdversarialAugmenter, {}),
    (MaskReactivator, {}),
    (FairAugmentFineTuner, {"augmenter": AdversarialAugmenter(n_steps=2)}),
]


@pytest.fixture
def net_without_linear(rows):
    net = NeuralNetClassifier(NoLinear, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0)
    return net.fit(rows.X, rows.y)


@pytest.mark.parametrize(("cls", "params"), READS_REPRESENTATION)
def test_net_without_a_linear_layer(cls, params, net_without_linear, rows):
    """Its last layer is found all the same."""
    estimator = fit(make(cls, net_without_linear, **params), rows)
    if cls is MaskReactivator:
        assert estimator.transform(rows.X).shape == (240, 9)


def test_fine_tuning_alone_needs_no_linear_layer(net_without_linear, rows):
    fit(make(FairAugmentFineTuner, net_without_linear), rows)


def test_unfitted_net_needs_enough_rows(unfitted_net, rows):
    cells = 2 * rows.y + rows.group
    few = np.concatenate([np.flatnonzero(cells == cell)[: 1 + cell] for cell in range(4)])
    message = (
        r"The estimator is not fitted, and 10 rows are too few to train it and debias it on "
        r"different rows: \d rows to train it miss 1 of the 4"
    )
    tuner = make(FairAugmentFineTuner, unfitted_net)
    with pytest.raises(ValueError, match=message):
        tuner.fit(rows.X[few], rows.y[few], sensitive_features=rows.group[few])


# -- rows that the net has seen -----------------------------------------------


@pytest.mark.parametrize("given", [[1, 0], "x", np.full(240, 0.5), np.zeros(240)])
def test_bad_held_out(given, untrainable, rows):
    with pytest.raises(ValueError, match=r"held_out (must hold True or False|marks no row)"):
        fit(make(FairAugmentFineTuner, untrainable), rows, held_out=given)


def test_held_out_rows_must_fill_every_cell(untrainable, rows):
    held_out = (rows.y == 0) | (rows.group == 0)
    message = "No rows with label '1' in group '1'"
    tuner = make(FairAugmentFineTuner, untrainable, constraint="average_odds")
    with pytest.raises(ValueError, match=message):
        fit(tuner, rows, held_out=held_out)


# -- a loss that is not finite ------------------------------------------------


class Fails(TabularMLP):
    """Returns NaN from its k-th call on, counted from when it is armed."""

    calls = None

    def forward(self, X):
        logits = super().forward(X)
        if self.calls is not None:
            self.calls -= 1
            if self.calls < 0:
                return logits * torch.nan
        return logits


NON_FINITE = r"the loss became non-finite in epoch {}\. Standardise X, or lower lr"


@pytest.mark.parametrize("cls", [FairAugmentFineTuner, MaskReactivator])
def test_loss_that_is_not_finite(cls, rows):
    net = NeuralNetClassifier(
        Fails(4, width=8, depth=1), criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0
    ).fit(rows.X, rows.y)
    net.module_.calls = 10
    before = snapshot(net)
    with pytest.raises(FloatingPointError, match=NON_FINITE.format(r"\d")):
        fit(make(cls, net, max_epochs=9), rows)
    np.testing.assert_equal(snapshot(net), before)


@pytest.mark.parametrize("steps_per_epoch", [1, 3])
def test_rate_that_is_too_high(steps_per_epoch, net, rows):
    tuner = make(FairAugmentFineTuner, net, lr=1e30, steps_per_epoch=steps_per_epoch)
    with pytest.raises(FloatingPointError, match=NON_FINITE.format("1")):
        fit(tuner, rows)


def test_net_that_is_not_finite_from_the_start(net, rows):
    with torch.no_grad():
        net.module_.head.bias.fill_(torch.nan)
    for cls in CLASSES:
        with pytest.raises(ValueError, match="the net predicts NaN"):
            fit(make(cls, net), rows)


# -- splits -------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_split_takes_its_share_of_every_cell(fraction):
    cells = np.repeat([0, 1, 3], [50, 10, 1])
    first, second = split_cells(cells, fraction, seed=0)
    assert sorted([*first, *second]) == list(range(61))
    expected = {0.0: [1, 1, 0, 1], 0.3: [15, 3, 0, 1], 1.0: [50, 10, 0, 1]}[fraction]
    assert np.bincount(cells[first], minlength=4).tolist() == expected
    again, _ = split_cells(cells, fraction, seed=0)
    np.testing.assert_array_equal(again, first)
    if fraction == 0.3:
        assert not np.array_equal(split_cells(cells, fraction, seed=1)[0], first)


# -- a fit that fails ---------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_a_fit_that_fails_leaves_nothing_half_written(cls, net, rows):
    """Neither at first nor after one that went well."""
    estimator = make(cls, net)
    read = estimator.predict if cls is FairAugmentFineTuner else estimator.transform
    for start in (lambda: None, lambda: fit(estimator, rows)):
        start()
        with pytest.raises(ValueError, match="the net predicts"):
            estimator.fit(rows.X, np.arange(240) % 3, sensitive_features=rows.group)
        with pytest.raises(NotFittedError):
            read(rows.X)
        assert not [name for name in vars(estimator) if name in ("mask_", "history_", "net_")]


# -- parameters that would do nothing -----------------------------------------


@pytest.mark.parametrize(
    ("cls", "params", "message"),
    [
        (MaskReactivator, {"penalty": 0.0, "margin": 0.5}, r"\(margin=0\.5\) .* penalty=0"),
        (AdversarialAugmenter, {"joint": True}, r"\(joint=True\) has no effect outside Fair"),
        (
            AdversarialAugmenter,
            {"weighting": None},
            r"\(weighting=None\) has no effect",
        ),
        (
            AdversarialAugmenter,
            {"n_steps": 0, "radius": 0.3, "direction": "away"},
            r"\(radius=0\.3, direction='away'\) has no effect with n_steps=0",
        ),
        (AdversarialAugmenter, {"input_layer": "body", "perturb": "all"}, "with input_layer"),
        (FairAugmentFineTuner, {"margin": 0.5}, r"\(margin=0\.5\) .* without a bias term"),
        (
            FairAugmentFineTuner,
            {"distillation": 0.0, "group_estimator": LogisticRegression()},
            "without the fair rule as teacher",
        ),
        (FairAugmentFineTuner, {"debias_fraction": 0.5}, "where the net is fitted"),
        (
            FairAugmentFineTuner,
            {"mixing": True, "augmenter": AdversarialAugmenter()},
            r"\(mixing=True\) has no effect with an augmenter",
        ),
        (
            FairAugmentFineTuner,
            {"augmenter": AdversarialAugmenter(weighting=None, gap_scale=1.0)},
            r"AdversarialAugmenter\(gap_scale=1\.0\) .* with weighting=None",
        ),
    ],
)
def test_what_has_no_effect_is_an_error(cls, params, message, net, rows):
    with pytest.raises(ValueError, match=message):
        fit(make(cls, net, **params), rows)


#: Parameters of the steps that the tuner's stand for, and others than the defaults.
OVERRULED = {
    "pos_label": 1,
    "estimator": "another",
    "constraint": "equal_opportunity",
    "tolerance": 0.1,
    "caution": 0.0,
    "penalty": 1.0,
    "margin": 0.5,
    "sensitive_columns": [0],
}


@pytest.mark.parametrize("step", [AdversarialAugmenter, MaskReactivator])
def test_every_parameter_of_a_step_acts_inside_the_tuner_or_is_refused(step, net, rows):
    name = {"AdversarialAugmenter": "augmenter", "MaskReactivator": "reactivator"}[
        step.__name__
    ]
    given = OVERRULED.keys() & step().get_params().keys()
    assert given >= {"estimator", "constraint", "tolerance", "sensitive_columns"}
    for parameter in given:
        tuner = make(
            FairAugmentFineTuner, net, **{name: step(**{parameter: OVERRULED[parameter]})}
        )
        with pytest.raises(ValueError, match=rf"\({parameter}=.*\) has no effect inside Fair"):
            fit(tuner, rows)


ACTING = {
    "augmenter": {
        "norm": "l2",
        "radius": 0.4,
        "step_size": 0.01,
        "n_steps": 1,
        "direction": "away",
        "n_partners": 1,
        "flip_probability": None,
        "perturb": [0],
        "clip": (-0.5, 0.5),
        "input_layer": "body.0",
        "joint": True,
        "counterfactual": torch.neg,
        "weighting": "loss",
        "weight_scale": 400.0,
        "gap_scale": 9.0,
        "random_state": 3,
    },
    "reactivator": {
        "density": 0.3,
        "sparsity_weight": 90.0,
        "lr": 2.0,
        "max_epochs": 4,
        "steps_per_epoch": 9,
        "batch_size": 12,
        "reinit_scale": 1.0,
        "random_state": 3,
    },
}


@pytest.mark.parametrize("step", ACTING)
def test_all_other_parameters_of_a_step_act_inside_the_tuner(step, unfitted_net, rows):
    """Group and label share a column: the weights of Eq. 10 have something to weigh."""
    X = np.column_stack([rows.X[:, :3], rows.group]).astype(np.float32)
    net = unfitted_net.set_params(max_epochs=15).fit(X, rows.y)
    start = {
        "augmenter": AdversarialAugmenter(n_steps=2),
        "reactivator": MaskReactivator(
            max_epochs=2, steps_per_epoch=6, batch_size=64, lr=1.0, reinit_scale=0.5
        ),
    }[step]
    own = start.get_params().keys() - OVERRULED.keys()
    assert own == ACTING[step].keys()

    def result(**params):
        given = {step: clone(start).set_params(**params), "tolerance": 0.05}
        tuner = make(FairAugmentFineTuner, net, distillation=0.0, caution=0.0, **given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FairnessNotReachedWarning)
            tuner.fit(X, rows.y, sensitive_features=rows.group)
        return [row["train_loss"] for row in tuner.history_[15:]]

    plain = result()
    without_effect = [
        name for name, value in ACTING[step].items() if result(**{name: value}) == plain
    ]
    assert not without_effect


@pytest.mark.parametrize("step", [None, "passthrough"])
def test_parameters_of_a_step_that_is_not_there(step, net):
    tuner = FairAugmentFineTuner(net, augmenter=step)
    message = (
        rf"augmenter__radius cannot be set: augmenter is {step!r}, which has no radius\. Give "
        r"augmenter=AdversarialAugmenter\(\) first"
    )
    with pytest.raises(ValueError, match=message):
        tuner.set_params(augmenter__radius=0.2)
    tuner.set_params(augmenter=AdversarialAugmenter(), augmenter__radius=0.2)
    assert tuner.augmenter.radius == 0.2
    with pytest.raises(ValueError, match="cannot be set: augmenter is None"):
        tuner.set_params(augmenter=None, augmenter__radius=0.2)
