"""AdversarialDebiasing: its gradient rule, its adversary, its training."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skfairaug.modules import TabularMLP
from skfairaug.rivals import AdversarialDebiasing
from skfairaug.rivals._adversary import Adversary, opposed_gradient

pytestmark = pytest.mark.filterwarnings(
    "ignore::skfairaug.exceptions.FairnessNotReachedWarning"
)


@pytest.fixture
def short(quick):
    return quick | {"adversary_units": 4}


def test_gradient_rule_by_hand():
    predictor, adversary = torch.tensor([3.0, 4.0]), torch.tensor([2.0, 0.0])
    # The part along the adversary's gradient goes; then alpha times that gradient.
    assert opposed_gradient(predictor, adversary, 0.0).tolist() == [0.0, 4.0]
    assert opposed_gradient(predictor, adversary, 0.5).tolist() == [-1.0, 4.0]


def test_gradient_rule_without_weight_is_orthogonal():
    predictor, adversary = torch.randn(2, 5, 7)
    left = opposed_gradient(predictor, adversary, 0.0)
    assert abs(float((left * adversary).sum())) < 1e-5


def test_gradient_rule_of_a_vanished_adversary():
    predictor = torch.randn(3, 2)
    for size in (0.0, 1e-30):
        adversary = torch.full((3, 2), size)
        assert torch.equal(opposed_gradient(predictor, adversary, 1.0), predictor)


@pytest.fixture
def make_adversary(rows, unfitted_net):
    def make(constraint, units=0, y=None):
        y = rows.y if y is None else y
        net = clone(unfitted_net).set_params(module__n_classes=int(y.max()) + 1)
        rival = AdversarialDebiasing(net, constraint=constraint)
        checked = rival._validate_rows(rows.X, y, rows.group)
        task = rival._start(checked, np.ones(len(y), bool), 0)
        return Adversary(task, units=units, lr=0.05, n_steps=3)

    return make


@pytest.mark.parametrize(
    ("constraint", "n_inputs"),
    [
        ("statistical_parity", 1),
        ("demographic_parity", 1),
        ("equal_opportunity", 1),
        ("average_odds", 4),
        ("equalized_odds", 4),
    ],
)
def test_what_the_adversary_sees(make_adversary, constraint, n_inputs):
    adversary = make_adversary(constraint)
    assert adversary.module[0].in_features == n_inputs
    weighs = adversary.row_weights > 0
    if constraint == "equal_opportunity":
        assert torch.equal(weighs, adversary.task.y == 1)
    else:
        assert weighs.all()


def test_adversary_of_parity_weighs_labels_as_they_occur(make_adversary):
    adversary = make_adversary("statistical_parity")
    task = adversary.task
    for cell in range(4):
        of_cell = task.cells == cell
        share = of_cell.sum() / (task.groups == cell % 2).sum()
        assert_allclose(adversary.row_weights[of_cell], share)


@pytest.mark.parametrize("units", [0, 8])
def test_adversary_learns_what_the_predictions_say(make_adversary, units):
    adversary = make_adversary("statistical_parity", units)
    task = adversary.task
    every = torch.arange(len(task.y))
    told = torch.log_softmax(4.0 * nn.functional.one_hot(task.groups, 2), dim=1)
    told.requires_grad_()
    before = adversary.loss(told, every).item()
    for _ in range(40):
        adversary.learn(told, every)
    assert adversary.loss(told, every).item() < 0.5 * before
    assert told.grad is None


def test_adversary_told_the_label_finds_nothing_in_it(make_adversary):
    adversary = make_adversary("average_odds")
    task = adversary.task
    log_proba = torch.log_softmax(4.0 * nn.functional.one_hot(task.y, 2), dim=1)
    rows = torch.arange(len(task.y))
    # Equal cells: given the label, both groups are as likely.
    sizes = torch.bincount(task.cells)
    adversary.row_weights = 1.0 / sizes[task.cells]
    for _ in range(100):
        adversary.learn(log_proba, rows)
    assert_allclose(adversary.loss(log_proba, rows).item(), np.log(2), atol=0.01)


def test_bias_falls_at_the_cut_of_one_half(rows, unfitted_net):
    # One epoch and every network inside: the adversary decides, and no choice after it.
    rival = AdversarialDebiasing(
        unfitted_net,
        tolerance=1.0,
        caution=0.0,
        validation_fraction=0.0,
        adversary_weight=10.0,
        max_epochs=1,
        steps_per_epoch=100,
        batch_size=128,
        lr=0.01,
        random_state=0,
    ).fit(rows.X, rows.y, sensitive_features=rows.group)
    plain = unfitted_net.set_params(optimizer=torch.optim.Adam, lr=0.01, max_epochs=50)
    gaps = []
    for model in (plain.fit(rows.X, rows.y), rival.net_):
        score = model.predict_proba(rows.X)[:, 1]
        gaps.append(abs(score[rows.group == 0].mean() - score[rows.group == 1].mean()))
    assert gaps[0] > 0.15
    assert gaps[1] < 0.5 * gaps[0]
    assert rival.balanced_accuracy_ > 0.85


def test_rows_set_aside_choose_and_do_not_train(rows, unfitted_net):
    rival = AdversarialDebiasing(unfitted_net, validation_fraction=0.25)
    checked = rival._validate_rows(rows.X, rows.y, rows.group)
    task = rival._start(checked, np.ones(240, bool), 0)
    assert np.intersect1d(task.train, task.select).size == 0
    assert len(task.train) + len(task.select) == 240
    assert abs(len(task.select) - 60) <= 4


def test_a_lone_row_trains_and_chooses(rows, unfitted_net):
    y, group = np.zeros(240, int), np.arange(240) % 2
    y[:31] = 1
    group[:30], group[30] = 0, 1
    rival = AdversarialDebiasing(unfitted_net)
    task = rival._start(rival._validate_rows(rows.X, y, group), np.ones(240, bool), 0)
    assert 30 in task.train
    assert 30 in task.select


def test_history_and_attributes(rows, unfitted_net, short):
    rival = AdversarialDebiasing(unfitted_net, **short)
    rival.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert len(rival.history_) == 2
    for key in ("train_loss", "adversary_loss", "bias", "expected_phi"):
        assert all(np.isfinite(rival.history_[:, key]))
    assert rival.groups_ == ("0", "1")
    assert 0 < rival.threshold_ < 1
    assert [name for name, _ in rival.net_.callbacks_].count("opponent") == 0


def test_same_seed_same_predictions_and_global_state(rows, unfitted_net, short):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    probas = []
    for seed in (0, 0, 1):
        rival = AdversarialDebiasing(unfitted_net, **short | {"random_state": seed})
        rival.fit(rows.X, rows.y, sensitive_features=rows.group)
        probas.append(rival.predict_proba(rows.X))
    assert np.array_equal(probas[0], probas[1])
    assert not np.array_equal(probas[0], probas[2])
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_a_fitted_net_is_trained_anew_and_kept(rows, net, short):
    before = {k: v.clone() for k, v in net.module_.state_dict().items()}
    rival = AdversarialDebiasing(net, **short)
    rival.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert all(torch.equal(v, before[k]) for k, v in net.module_.state_dict().items())
    fresh = AdversarialDebiasing(clone(net), **short)
    fresh.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert np.array_equal(rival.predict_proba(rows.X), fresh.predict_proba(rows.X))


def test_pickle(rows, unfitted_net, short):
    rival = AdversarialDebiasing(unfitted_net, **short)
    rival.fit(rows.X, rows.y, sensitive_features=rows.group)
    twin = pickle.loads(pickle.dumps(rival))
    assert np.array_equal(twin.predict_proba(rows.X), rival.predict_proba(rows.X))


def test_binary_net(rows, short):
    net = NeuralNetBinaryClassifier(
        TabularMLP, module__n_features=4, module__n_classes=1, module__depth=1, verbose=0
    )
    rival = AdversarialDebiasing(net, constraint="equal_opportunity", **short)
    rival.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert set(rival.predict(rows.X)) <= {0, 1}


@pytest.mark.parametrize("constraint", ["equal_opportunity", "equalized_odds"])
def test_three_classes_and_three_groups(rows, unfitted_net, short, constraint):
    rng = np.random.RandomState(0)
    y, group = rng.randint(0, 3, 240), rng.choice(["a", "b", "c"], 240)
    net = clone(unfitted_net).set_params(module__n_classes=3)
    rival = AdversarialDebiasing(net, constraint=constraint, **short)
    rival.fit(rows.X, y, sensitive_features=group)
    assert rival.predict_proba(rows.X).shape == (240, 3)
    assert rival.groups_ == ("a", "b", "c")


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(4, 2)

    def forward(self, X):
        return self.head(self.conv(X).relu().mean((2, 3)))


def test_images_and_a_layer_that_is_not_used(short):
    X = np.random.RandomState(0).normal(size=(80, 3, 6, 6)).astype(np.float32)
    y, group = np.arange(80) % 2, np.arange(80) // 2 % 2
    net = NeuralNetClassifier(ConvNet, criterion=nn.CrossEntropyLoss, verbose=0)
    rival = AdversarialDebiasing(net, **short).fit(X, y, sensitive_features=group)
    assert rival.predict(X).shape == (80,)


class Norms(Callback):
    """Counts the gradients that a callback of the user's sees."""

    seen = 0

    def on_grad_computed(self, net, named_parameters, **kwargs):
        Norms.seen += 1


class Broken(Callback):
    def on_batch_end(self, net, **kwargs):
        raise RuntimeError("broken callback")


def test_callbacks_run_and_an_exception_leaves_the_rest_alone(rows, unfitted_net, short):
    net = clone(unfitted_net).set_params(callbacks=[Norms])
    AdversarialDebiasing(net, **short).fit(rows.X, rows.y, sensitive_features=rows.group)
    assert Norms.seen == short["max_epochs"] * short["steps_per_epoch"]

    state = torch.get_rng_state()
    net = clone(unfitted_net).set_params(callbacks=[Broken])
    with pytest.raises(RuntimeError, match="broken callback"):
        AdversarialDebiasing(net, **short).fit(rows.X, rows.y, sensitive_features=rows.group)
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_input(rows, unfitted_net, net):
    fit = {"X": rows.X, "y": rows.y}
    with pytest.raises(TypeError, match=r"from new weights.*got a FrozenEstimator"):
        AdversarialDebiasing(FrozenEstimator(net)).fit(**fit, sensitive_features=rows.group)
    with pytest.raises(ValueError, match="fit needs to know the groups"):
        AdversarialDebiasing(unfitted_net).fit(**fit)
    with pytest.raises(ValueError, match=r"'adversary_steps' parameter.*Got 0"):
        AdversarialDebiasing(unfitted_net, adversary_steps=0).fit(
            **fit, sensitive_features=rows.group
        )
    with pytest.raises(NotFittedError):
        AdversarialDebiasing(unfitted_net).predict(rows.X)


def test_what_compare_reads():
    assert AdversarialDebiasing.fits_on == "train"
    assert AdversarialDebiasing.needs_sensitive_features is False


class Module(nn.Module):
    """Takes any number of features; float64, as the checks compare digits of batches."""

    n_classes = 2

    def __init__(self):
        super().__init__()
        self.body = nn.LazyLinear(8, dtype=torch.float64)
        self.head = nn.Linear(8, Module.n_classes, dtype=torch.float64)

    def forward(self, X):
        return self.head(torch.relu(self.body(X.double())))


class Checked(AdversarialDebiasing):
    """Puts the rows of a label in two groups by turns; the checks pass no groups."""

    def _validate_rows(self, X, y, sensitive_features):
        if sensitive_features is None and y is not None:
            label = pd.Series(np.asarray(y).ravel())
            sensitive_features = (label.groupby(label).cumcount() % 2).to_numpy()
        rows = super()._validate_rows(X, y, sensitive_features)
        Module.n_classes = len(self.classes_)
        return rows


@parametrize_with_checks(
    [
        Checked(
            NeuralNetClassifier(Module, criterion=nn.CrossEntropyLoss, verbose=0),
            tolerance=1.0,
            adversary_weight=0.1,
            max_epochs=2,
            steps_per_epoch=15,
            batch_size=64,
            lr=0.03,
        )
    ]
)
def test_estimator_check(estimator, check):
    check(estimator)
