"""The three methods of Savani et al.: what each changes, tries and keeps."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingRegressor
from skorch import NeuralNetClassifier

from skfairaug._engine._debiasing_task import DebiasingTask
from skfairaug._inputs._encoder import find_head, weight_layers
from skfairaug._inputs._rows import on_device
from skfairaug.metrics import bias
from skfairaug.modules import TabularMLP
from skfairaug.rivals import AdversarialFineTuning, LayerwiseOptimization, RandomPerturbation
from skfairaug.rivals._adversarial_fine_tuning import batch_biases, make_critic, watched_input
from skfairaug.rivals._layerwise import Box, expected_improvement

#: Every network is fair enough for it.
QUICK = {"tolerance": 0.9, "random_state": 0}
QUICK_CRITIC = {"max_epochs": 2, "critic_steps": 3, "steps_per_epoch": 3, "random_state": 0}


@pytest.fixture
def deep_net(rows):
    """A network with three layers to search."""
    return NeuralNetClassifier(
        TabularMLP(4, width=8, depth=2),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.1,
        verbose=0,
    ).fit(rows.X, rows.y)


@pytest.fixture
def tried(monkeypatch):
    """Parameters of every network that is tried, without the one that fit starts from."""
    found, offer_net = [], DebiasingTask.offer_net

    def spy(self, phase=None):
        module = self.net.module_
        if phase is not None:
            found.append({k: p.detach().clone() for k, p in module.named_parameters()})
        return offer_net(self, phase)

    monkeypatch.setattr(DebiasingTask, "offer_net", spy)
    return found


def fit(rival, rows):
    return rival.fit(rows.X, rows.y, sensitive_features=rows.group)


def own(net):
    return dict(net.module_.named_parameters())


def weights(parameters):
    return torch.cat([p.detach().flatten() for p in parameters.values()])


# -- random perturbation ------------------------------------------------------


def test_factors_are_normal_around_one(deep_net, rows, tried):
    fit(RandomPerturbation(deep_net, n_perturbations=200, scale=0.1, **QUICK), rows)
    assert len(tried) == 200
    origin = weights(own(deep_net))
    factors = torch.stack([weights(parameters) for parameters in tried])[:, origin != 0]
    factors /= origin[origin != 0]
    # Each of the network's own weights, not of the network tried before.
    assert factors.mean().item() == pytest.approx(1.0, abs=2e-3)
    assert factors.std().item() == pytest.approx(0.1, abs=2e-3)
    assert factors[:20].std().item() == pytest.approx(factors[-20:].std().item(), rel=0.1)
    assert len(torch.unique(factors[0])) > 0.9 * factors.shape[1]


def test_no_scale_keeps_the_network(net, rows):
    rival = fit(RandomPerturbation(net, n_perturbations=2, scale=0.0, tolerance=0.3), rows)
    np.testing.assert_array_equal(rival.net_.predict_proba(rows.X), net.predict_proba(rows.X))


@pytest.mark.parametrize("cls", [RandomPerturbation, LayerwiseOptimization])
def test_the_network_kept_is_a_copy_of_the_best_one_tried(cls, deep_net, rows, tried):
    rival = cls(deep_net, tolerance=0.3, random_state=0)
    brief = {"n_layers": 2, "n_calls": 9, "n_initial": 4, "random_state": 1}
    rival.set_params(**({"n_perturbations": 30} if cls is RandomPerturbation else brief))
    fit(rival, rows)
    values = [row["expected_phi"] for row in rival.history_ if "expected_phi" in row]
    assert len(values) == len(tried)
    assert max(values) == rival.objective_
    assert values.index(max(values)) < len(values) - 1, "or a reference would do as well"
    best = tried[int(np.argmax(values))]
    assert all(torch.equal(p, best[name]) for name, p in own(rival.net_).items())
    phases = {row.get("phase") for row in rival.history_}
    assert phases == {None, "perturb" if cls is RandomPerturbation else "search"}


# -- layerwise optimisation ---------------------------------------------------


def changed(parameters, net):
    return {k for k, p in own(net).items() if not torch.equal(p, parameters[k])}


def test_one_layer_at_a_time_from_the_last(deep_net, rows, tried):
    rival = LayerwiseOptimization(deep_net, n_layers=2, n_calls=3, n_initial=2, **QUICK)
    fit(rival, rows)
    layers = [{"head.weight", "head.bias"}, {"body.4.weight", "body.4.bias"}]
    assert [changed(parameters, deep_net) for parameters in tried] == 3 * layers[:1] + (
        3 * layers[1:]
    )


def test_more_layers_than_there_are(deep_net, rows, tried):
    fit(LayerwiseOptimization(deep_net, n_layers=9, n_calls=1, **QUICK), rows)
    assert len(tried) == len(weight_layers(deep_net.module_)) == 3


def test_weights_stay_in_the_box_and_only_so_many_move(deep_net, rows, tried):
    rival = LayerwiseOptimization(
        deep_net, n_layers=1, n_calls=4, n_initial=2, max_entries=5, radius=0.3, **QUICK
    )
    fit(rival, rows)
    head = {k: p for k, p in own(deep_net).items() if k.startswith("head")}
    origin = weights(head)
    reach = 0.3 * origin.square().mean().sqrt()
    moves = torch.stack([weights({k: p[k] for k in head}) for p in tried]) - origin
    assert moves.abs().max() <= reach * 1.0001
    assert moves.abs().max() > reach / 2
    assert len({tuple(row.nonzero().flatten().tolist()) for row in moves}) == 1
    assert (moves[0] != 0).sum() == 5


def test_layer_is_as_it_was_at_the_origin():
    layer = torch.nn.Linear(3, 2)
    before = [p.detach().clone() for p in layer.parameters()]
    search = LayerwiseOptimization(None, max_entries=4, radius=1.0)
    with torch.no_grad():
        box = Box(layer, search, np.random.RandomState(0))
        box.write(np.ones(4))
        assert not torch.equal(layer.weight, before[0])
        box.write(np.zeros(4))
    assert all(map(torch.equal, layer.parameters(), before))


def test_the_surrogate_finds_what_raises_the_objective():
    # The objective rises with the first coordinate: the sign must not be lost.
    random_state = np.random.RandomState(0)
    points = random_state.uniform(-1, 1, (60, 3))
    surrogates = LayerwiseOptimization(None)._fit_surrogates(points, points[:, 0], random_state)
    assert [type(s) for s in surrogates] == 3 * [GradientBoostingRegressor]
    candidates = np.array([[-0.9, 0.9, 0.9], [0.0, 0.0, 0.0], [0.9, -0.9, -0.9]])
    assert expected_improvement(surrogates, candidates, best=0.5) == 2


class Constant:
    def __init__(self, values):
        self.values = np.array(values)

    def predict(self, points):
        return self.values


def test_expected_improvement_weighs_gain_and_doubt():
    # Means .5 and .4, best .5: z = 0 and -1; .1 * phi(0) = .040, .4 * (phi - cdf) .
    surrogates = [Constant([0.4, 0.0]), Constant([0.5, 0.4]), Constant([0.6, 0.8])]
    assert expected_improvement(surrogates, np.zeros((2, 1)), best=0.5) == 1
    sure = [Constant([0.5, 0.6])] * 3
    assert expected_improvement(sure, np.zeros((2, 1)), best=0.55) == 1


def test_net_without_a_layer_to_search(rows):
    class Scale(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(1))

        def forward(self, X):
            return self.w * X[:, :2]

    net = NeuralNetClassifier(Scale, criterion=torch.nn.CrossEntropyLoss, verbose=0)
    net.fit(rows.X, rows.y)
    with pytest.raises(ValueError, match="no linear or convolutional layer with a trainable"):
        fit(LayerwiseOptimization(net), rows)


# -- adversarial fine-tuning --------------------------------------------------


def make_task(net, rows, **params):
    rival = AdversarialFineTuning(net, **params)
    return rival._whole_task(rival._validate_rows(rows.X, rows.y, rows.group), 0)


@pytest.mark.parametrize("constraint", ["equal_opportunity", "average_odds"])
def test_target_of_the_critic_is_the_bias_of_the_batch(constraint, net, rows):
    task = make_task(net, rows, constraint=constraint)
    predicted = net.predict(rows.X)
    hits = torch.nn.functional.one_hot(torch.as_tensor(predicted), 2).float()
    batches = torch.arange(240).view(3, 80)
    expected = [
        bias(rows.y[i], predicted[i], sensitive_features=rows.group[i], constraint=constraint)
        for i in batches.numpy()
    ]
    result = batch_biases(task, hits, batches)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    # A batch without a cell opens no gap there.
    assert batch_biases(task, hits, batches[:, :1]).isfinite().all()


def test_the_critic_learns_the_bias_of_a_batch(net, rows):
    predicted = net.predict(rows.X)
    group = np.where(np.arange(240) % 10, predicted, 1 - predicted)
    rival = AdversarialFineTuning(
        net, max_epochs=3, critic_steps=60, steps_per_epoch=1, lr=1e-6, **QUICK
    ).fit(rows.X, rows.y, sensitive_features=group)
    losses = rival.history_[3:, "critic_loss"]
    assert losses[0] > 0.02
    assert losses[-1] < losses[0] / 2


def test_batches_are_drawn_as_rows_occur(net, rows):
    task = make_task(net, rows)
    task.train = torch.arange(0, 240, 3)
    drawn = AdversarialFineTuning(net, batch_size=64)._draw(task, 100)
    assert drawn.shape == (100, 64)
    counts = torch.bincount(drawn.flatten(), minlength=240)
    assert (counts[::3] > 40).all()
    assert counts.sum() == counts[::3].sum()


def test_loss_is_weighted_by_the_excess_of_the_predicted_bias(net, rows, monkeypatch):
    class Says(torch.nn.Linear):
        """A critic that predicts a bias of -.85 whatever it sees."""

        def forward(self, X):
            return super().forward(X) * 0 - 0.85

    monkeypatch.setattr(
        "skfairaug.rivals._adversarial_fine_tuning.make_critic",
        lambda n_inputs, width, depth: Says(n_inputs, 1),
    )
    losses = {}
    for weight in (0.0, 10.0):
        rival = AdversarialFineTuning(
            net, weight=weight, margin=0.01, tolerance=0.5, train_mode=False, **QUICK_CRITIC
        )
        losses[weight] = fit(rival, rows).history_[3, "batches", 0, "train_loss"]
    assert losses[10.0] / losses[0.0] == pytest.approx(10 * (0.85 - 0.5 + 0.01) + 1)


def test_the_loss_reaches_the_network_through_the_critic(net):
    X = on_device(net, np.random.RandomState(0).normal(size=(6, 4)).astype(np.float32))
    head = find_head(net, X)
    critic = make_critic(6 * head.in_features, 5, 1).eval().requires_grad_(False)
    with watched_input(head) as representation:
        net.infer(X.tensor)
        Z = representation()
        critic(Z.flatten()).sum().backward()
    assert Z.shape == (6, head.in_features)
    assert net.module_.body[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in critic.parameters())
    assert not head._forward_pre_hooks


def test_networks_are_judged_in_evaluation_mode(rows):
    net = NeuralNetClassifier(
        TabularMLP(4, width=8, depth=1, dropout=0.5),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.1,
        verbose=0,
    ).fit(rows.X, rows.y)
    rival = AdversarialFineTuning(net, tolerance=0.3, **QUICK_CRITIC)
    judged = []

    def judge(log_proba):
        assert not rival_task.net.module_.training
        judged.append(log_proba)
        return original(log_proba)

    make_task = rival._make_task

    def spy(*args):
        nonlocal rival_task, original
        rival_task = make_task(*args)
        original, rival_task.best.judge = rival_task.best.judge, judge
        return rival_task

    rival_task = original = None
    rival._make_task = spy
    fit(rival, rows)
    assert len(judged) == 3


def test_settings_of_the_critic(net, rows):
    critic = make_critic(12, width=7, depth=2)
    linear = [m for m in critic if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [
        (12, 7),
        (7, 7),
        (7, 7),
        (7, 1),
    ]
    for params in ({"critic_depth": 0}, {"critic_width": 1}, {"batch_size": 2}):
        rival = AdversarialFineTuning(net, tolerance=0.9, **QUICK_CRITIC, **params)
        assert fit(rival, rows).predict(rows.X).shape == (240,)
