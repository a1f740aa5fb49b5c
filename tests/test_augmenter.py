"""AdversarialAugmenter: rows that move, rows that stay, and how much each counts."""

import numpy as np
import pandas as pd
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner
from skfairaug._engine._attack_point import TABLE_RADIUS
from skfairaug._engine._attacker import Attacker
from skfairaug._engine._debiasing_task import DebiasingTask


@pytest.fixture
def augmenter(net):
    return AdversarialAugmenter(net, n_steps=3, random_state=0)


def moved(augmenter, rows, **params):
    augmenter.set_params(**params)
    X_adv = augmenter.fit_transform(rows.X, rows.y, sensitive_features=rows.group)
    assert X_adv.shape == rows.X.shape
    assert X_adv.dtype == np.float32
    return X_adv - rows.X


SIZES = {
    "linf": lambda change: np.abs(change).max(1),
    "l2": lambda change: np.linalg.norm(change, axis=1),
}


@pytest.mark.parametrize("radius", [None, 0.03])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("direction", ["towards", "away"])
def test_rows_move_inside_their_ball(norm, radius, direction, augmenter, rows):
    change = moved(augmenter, rows, norm=norm, radius=radius, direction=direction)
    bound = TABLE_RADIUS[norm] if radius is None else radius
    sizes = SIZES[norm](change)
    assert (sizes <= bound + 1e-6).all()
    assert (sizes > bound / 10).mean() > 0.9


def test_each_row_gets_one_of_several_norms(augmenter, rows):
    change = moved(augmenter, rows, norm=("linf", "l2"), radius=0.5)
    by_linf = SIZES["linf"](change) <= 0.05 + 1e-6
    assert 0.3 < by_linf.mean() < 0.7
    assert (SIZES["l2"](change)[~by_linf] <= 0.25 + 1e-6).all()


@pytest.mark.parametrize("params", [{"n_steps": 0}, {"radius": 0.0}])
def test_rows_that_stay(params, augmenter, rows):
    change = moved(augmenter, rows, **params)
    np.testing.assert_allclose(change, 0, atol=1e-7)


def test_columns_that_say_the_group_stay(unfitted_net, rows):
    group = np.where(rows.X[:, 3] > 0.5, 2, rows.group)  # three values: not a binary column
    X = np.column_stack([rows.X[:, :3], group / 2]).astype(np.float32)
    augmenter = AdversarialAugmenter(unfitted_net.fit(X, rows.y), n_steps=2, random_state=0)
    X_adv = augmenter.fit_transform(X, rows.y, sensitive_features=group)
    np.testing.assert_array_equal(X_adv[:, 3], X[:, 3])
    assert (X_adv[:, :3] != X[:, :3]).any(0).all()
    augmenter.set_params(perturb="all")
    X_adv = augmenter.fit_transform(X, rows.y, sensitive_features=group)
    assert (X_adv[:, 3] != X[:, 3]).any()


def test_binary_columns_stay_and_others_may_be_named(augmenter, rows):
    rows.X[:, 1] = rows.X[:, 1] > 0
    assert (moved(augmenter, rows) != 0).any(0).tolist() == [True, False, True, True]
    change = moved(augmenter, rows, perturb=[1, 3])
    assert (change != 0).any(0).tolist() == [False, True, False, True]


def test_clip(augmenter, rows):
    rows.X[:] = np.clip(rows.X, -1, 1)
    change = moved(augmenter, rows, radius=0.5, clip=(-1, 1))
    assert np.abs(rows.X + change).max() <= 1
    assert np.abs(rows.X + moved(augmenter, rows, clip=None)).max() > 1


def test_prediction_sees_real_rows(augmenter, rows):
    frame = pd.DataFrame(rows.X, columns=list("abcd"))
    augmenter.fit(frame, rows.y, sensitive_features=rows.group)
    np.testing.assert_array_equal(augmenter.transform(frame), rows.X)
    assert augmenter.get_feature_names_out().tolist() == list("abcd")


@pytest.mark.parametrize("method", ["fit_transform", "transform"])
def test_pandas_output(method, augmenter, rows):
    frame = pd.DataFrame(rows.X, columns=list("abcd"), index=np.arange(240) * 2)
    augmenter.set_output(transform="pandas")
    result = augmenter.fit_transform(frame, rows.y, sensitive_features=rows.group)
    if method == "transform":
        result = augmenter.transform(frame)
    assert isinstance(result, pd.DataFrame)
    assert result.columns.tolist() == list("abcd")
    assert result.index.equals(frame.index)
    assert result.equals(frame) == (method == "transform")


def test_augment_says_what_each_row_was_made_from(augmenter, rows):
    y = np.array(["no", "yes"])[rows.y]
    group = np.array(["f", "m"])[rows.group]
    made = augmenter.augment(rows.X, y, sensitive_features=group)
    np.testing.assert_array_equal(made.indices, np.arange(240))
    np.testing.assert_array_equal(made.y, y)
    np.testing.assert_array_equal(made.sensitive_features, group)
    assert (made.weights >= 1).all()
    np.testing.assert_array_equal(
        made.X, augmenter.fit_transform(rows.X, y, sensitive_features=group)
    )


def test_weights_grow_with_the_bias_and_its_scale(augmenter, rows):
    def weights(**params):
        augmenter.set_params(**params)
        return augmenter.augment(rows.X, rows.y, sensitive_features=rows.group).weights

    strict = weights(tolerance=0.01)
    np.testing.assert_allclose(weights(tolerance=0.02), strict - 20 * 0.01, rtol=1e-4)
    np.testing.assert_allclose(weights(tolerance=1.0), 1)
    np.testing.assert_allclose(weights(weight_scale=0.0), 1)


@pytest.mark.filterwarnings("ignore:the classifier's balanced accuracy on these rows")
def test_images_move_everywhere(rows):
    X = rows.X[:, [0]].repeat(9, axis=1).reshape(240, 1, 3, 3)
    module = nn.Sequential(nn.Conv2d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, verbose=0, max_epochs=1)
    net.fit(X, rows.y)
    augmenter = AdversarialAugmenter(net, n_steps=2, random_state=0)
    X_adv = augmenter.fit_transform(X, rows.y, sensitive_features=rows.group)
    assert X_adv.shape == X.shape
    assert (X_adv != X).any(0).all()


# -- inside the fine-tuner ----------------------------------------------------


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "sequential"])
@pytest.mark.parametrize("weighting", ["sampling", "loss", "gradient", None])
def test_every_weighting(weighting, joint, net, rows, quick):
    augmenter = AdversarialAugmenter(
        norm=("linf", "l2"), weighting=weighting, n_steps=2, joint=joint
    )
    tuner = FairAugmentFineTuner(net, augmenter=augmenter, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    probabilities = tuner.attack_probabilities_
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-6)
    assert (probabilities[0] != probabilities[1]) == joint


@pytest.fixture
def task(augmenter, rows):
    augmenter.set_params(tolerance=0.01)
    return augmenter._whole_task(augmenter._validate_rows(rows.X, rows.y, rows.group), 0)


def test_batches_hold_real_rows_first(augmenter, task):
    attacker = Attacker(augmenter.set_params(weighting=None), task)
    batches = list(attacker.batches(3, 64, X_adv=task.X.tensor + 100))
    assert len(batches) == 3
    for batch in batches:
        assert len(batch.X) == len(batch.rows) == 64
        assert batch.n_real == 32
        assert batch.importance is None
        torch.testing.assert_close(batch.X[:32], task.X[batch.rows[:32]])
        torch.testing.assert_close(batch.X[32:], task.X[batch.rows[32:]] + 100)
        assert torch.bincount(task.cells[batch.rows]).tolist() == [16] * 4


def test_sampling_draws_more_adversarial_rows_the_more_they_weigh(augmenter, task):
    attacker = Attacker(augmenter, task)
    batch = next(attacker.batches(1, 64, X_adv=task.X.tensor))
    mean = attacker.weights(task.train).mean()
    assert mean > 1
    assert 1 - batch.n_real / 64 == pytest.approx(float(mean / (1 + mean)), abs=0.05)


@pytest.mark.parametrize("weighting", ["loss", "gradient"])
def test_weights_of_the_loss(weighting, augmenter, task):
    attacker = Attacker(augmenter.set_params(weighting=weighting), task)
    batch = next(attacker.batches(1, 64, X_adv=task.X.tensor))
    log_proba = task.predict_proba(batch.X).log()
    weights = batch.importance(log_proba)
    assert weights.requires_grad == (weighting == "gradient")
    np.testing.assert_array_equal(weights[:32].detach(), 1)
    assert (weights[32:] > 1).all()


def test_attack_mixes_the_groups(augmenter, task):
    """Towards partners of both groups, what the network sees of the group fades."""
    attacker = Attacker(augmenter.set_params(radius=0.5, n_steps=10), task)

    def distance(X):
        seen = attacker.encoder(X)
        return (seen - attacker.targets).square().sum(1).mean()

    attacker.refresh()
    rows = task.train
    attacked = attacker.attack(task.X[rows], rows, "linf")
    assert distance(attacked) < 0.9 * distance(task.X.tensor)
    assert (attacked - task.X.tensor).abs().max() <= 0.5 + 1e-6
    augmenter.set_params(direction="away")
    assert distance(attacker.attack(task.X[rows], rows, "linf")) > distance(task.X.tensor)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"norm": "l1"}, "'norm' parameter of AdversarialAugmenter must be"),
        ({"norm": ("l1", "l2")}, r"norm must be one or several of \['l2', 'linf'\]; got"),
        ({"norm": ()}, r"norm must be one or several of .* got \(\)"),
        ({"clip": (1, 0)}, r"clip must be \(lowest, highest\) or None; got \(1, 0\)"),
        ({"perturb": [4]}, "perturb: 4 is not a column of X, which has 4 columns"),
        ({"radius": -0.1}, "'radius' parameter"),
        ({"n_partners": 0}, "'n_partners' parameter"),
        ({"flip_probability": 1.5}, "'flip_probability' parameter"),
        ({"weighting": "rows"}, "'weighting' parameter"),
    ],
)
def test_bad_parameters(params, message, augmenter, rows):
    augmenter.set_params(**params)
    with pytest.raises(ValueError, match=message):
        augmenter.fit(rows.X, rows.y, sensitive_features=rows.group)


def test_fit_attacks_nothing(augmenter, rows, monkeypatch):
    """Who wants the attacked rows asks for them."""

    def attack_all(self):
        raise AssertionError("attacked")

    monkeypatch.setattr(Attacker, "attack_all", attack_all)
    augmenter.fit(rows.X, rows.y, sensitive_features=rows.group)
    np.testing.assert_array_equal(augmenter.transform(rows.X), rows.X)
    with pytest.raises(AssertionError, match="attacked"):
        augmenter.fit_transform(rows.X, rows.y, sensitive_features=rows.group)


def test_the_rule_teaches_attacked_rows_for_what_they_are(net, rows, quick, monkeypatch):
    """A teacher's targets are a function of the row alone, not of what it was made from."""
    seen = []
    loss = DebiasingTask.loss

    def spy(task, log_proba, batch):
        seen.append((task, batch))
        return loss(task, log_proba, batch)

    monkeypatch.setattr(DebiasingTask, "loss", spy)
    augmenter = AdversarialAugmenter(radius=1.0, n_steps=2)
    tuner = FairAugmentFineTuner(net, augmenter=augmenter, **quick)
    tuner.fit(rows.X, rows.y, sensitive_features=rows.group)
    task, batch = seen[0]
    made, n_real = batch.X[batch.n_real :], batch.n_real
    as_rows = net.predict_proba(made.numpy())
    # The task's net has moved on: its rule is asked of the biased one.
    scores = task.rule.scores(np.log(as_rows), made.double().numpy())
    taught = torch.from_numpy(scores).sigmoid().float()
    torch.testing.assert_close(batch.targets[n_real:, 1], taught, atol=1e-4, rtol=1e-3)
    assert torch.equal(batch.targets[:n_real], task.teacher[batch.rows[:n_real]])
    sources = task.teacher[batch.rows[n_real:]]
    assert (batch.targets[n_real:] - sources).abs().mean() > 0.01


@pytest.mark.parametrize(
    "params",
    [
        {"distillation": 0.0, "augmenter": AdversarialAugmenter(n_steps=2)},
        {"augmenter": AdversarialAugmenter(n_steps=2, joint=True)},
        {"augmenter": AdversarialAugmenter(n_steps=2, input_layer="body.0")},
    ],
)
def test_other_attacked_rows_keep_the_targets_of_their_source(
    params, net, rows, quick, monkeypatch
):
    seen = []
    loss = DebiasingTask.loss

    def spy(task, log_proba, batch):
        seen.append(batch.targets)
        return loss(task, log_proba, batch)

    monkeypatch.setattr(DebiasingTask, "loss", spy)
    FairAugmentFineTuner(net, **quick, **params).fit(
        rows.X, rows.y, sensitive_features=rows.group
    )
    assert seen == [None] * 6
