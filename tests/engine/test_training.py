"""Batches of equal cells, and the loop that drives a skorch net over them."""

import math

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import BatchScoring, Callback, EpochScoring, ProgressBar
from torch import nn
from torch.nn import functional as F

from skfairaug._engine._debiasing_task import Batch, DebiasingTask
from skfairaug._engine._selection import Goal
from skfairaug._engine._training import (
    CellSampler,
    check_finite,
    evaluate,
    fine_tune,
    hears_batches,
    own_loss,
)
from skfairaug._inputs._models import predict_log_proba
from skfairaug._inputs._rows import TensorRows
from skfairaug.metrics import CONSTRAINTS
from skfairaug.modules import TabularMLP


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# -- batches ------------------------------------------------------------------

CELLS = torch.tensor([0] * 50 + [1] * 5 + [3] * 1 + [0] * 10 + [1] * 10)


def sampler(rows=None, seed=0):
    rows = torch.arange(len(CELLS)) if rows is None else rows
    return CellSampler(CELLS, rows, generator(seed))


def test_every_cell_is_equally_frequent_in_every_batch():
    drawn = sampler().draw(7, 30)
    assert drawn.shape == (7, 30)
    assert drawn.dtype == torch.long
    for batch in drawn:
        assert torch.bincount(CELLS[batch]).tolist() == [10, 10, 0, 10]


@pytest.mark.parametrize(("batch_size", "expected"), [(2, 3), (31, 30), (32, 33), (1, 3)])
def test_batch_size_is_rounded_to_cells(batch_size, expected):
    assert sampler().draw(2, batch_size).shape == (2, expected)


def test_only_the_rows_given_are_drawn():
    rows = torch.tensor([2, 5, 52, 70])
    drawn = sampler(rows).draw(20, 30)
    assert set(drawn.ravel().tolist()) == set(rows.tolist())
    assert set(torch.unique(CELLS[drawn]).tolist()) == {0, 1}


def test_rows_of_a_cell_are_drawn_alike():
    drawn = sampler().draw(100, 90).ravel()
    counts = torch.bincount(drawn, minlength=len(CELLS)).double()
    members = CELLS == 1
    expected = 3000 / members.sum().item()
    assert (counts[members] - expected).abs().max() < 5 * math.sqrt(expected)


def test_rows_are_drawn_in_proportion_to_their_weights():
    weights = torch.ones(len(CELLS))
    weights[:50] = 0.0
    weights[60] = 11.0
    drawn = sampler().draw(100, 90, weights).ravel()
    counts = torch.bincount(drawn, minlength=len(CELLS))
    assert counts[:50].sum() == 0
    # Ten rows of cell 0 have weight: one of 11, nine of 1.
    share = counts[60].item() / counts[CELLS == 0].sum().item()
    assert share == pytest.approx(11 / 20, abs=0.04)
    # Weights move rows within cells, never between them.
    assert torch.bincount(CELLS[drawn]).tolist() == [3000, 3000, 0, 3000]


def test_equal_weights_are_no_weights():
    plain = sampler().draw(5, 30)
    weighted = sampler().draw(5, 30, torch.full((len(CELLS),), 2.0))
    assert torch.equal(plain, weighted)


def test_same_generator_same_batches():
    first, again, other = (sampler(seed=seed).draw(3, 30) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    drawing = sampler()
    assert not torch.equal(drawing.draw(3, 30), drawing.draw(3, 30))


# -- loss ---------------------------------------------------------------------


def make_net(criterion=nn.CrossEntropyLoss, cls=NeuralNetClassifier, **settings):
    torch.manual_seed(0)
    if issubclass(cls, NeuralNetClassifier):
        settings["classes"] = [0, 1]
    n_outputs = len(settings.get("classes", [1]))
    module = TabularMLP(3, n_classes=n_outputs, width=8, depth=1, dropout=0.5)
    return cls(module, criterion=criterion, verbose=0, **settings).initialize()


def make_data(n=40):
    X = torch.randn(n, 3, generator=generator())
    return X, (X[:, 0] > 0).long()


def test_own_loss_is_for_training_only():
    net, (X, y) = make_net(), make_data()
    output = net.infer(X)
    expected = F.cross_entropy(output, y)
    with own_loss(net, lambda output: output.sum() * 0 + 7, train_mode=True):
        assert net.get_loss(output, y, X=X, training=True) == 7
        torch.testing.assert_close(net.get_loss(output, y, X=X, training=False), expected)
    torch.testing.assert_close(net.get_loss(output, y, X=X, training=True), expected)


@pytest.mark.parametrize("train_mode", [False, True])
def test_own_loss_is_taken_back_after_an_error(train_mode):
    net = make_net()
    before = set(net.__dict__)

    def work():
        with own_loss(net, torch.sum, train_mode=train_mode):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert set(net.__dict__) == before


@pytest.mark.parametrize("train_mode", [False, True])
def test_own_loss_sets_the_mode_of_a_training_step(train_mode):
    net, (X, y) = make_net(), make_data()
    seen = []

    def loss(output):
        seen.append([module.training for module in net.module_.modules()])
        return output.square().sum()

    with own_loss(net, loss, train_mode=train_mode):
        net.train_step((X, y))
    assert seen
    assert all(set(modes) == {train_mode} for modes in seen)


def test_finite_losses_pass_and_others_name_the_epoch():
    check_finite([0.0, -1e30], 0)
    check_finite([], 0)
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(FloatingPointError, match=r"in epoch 3\. Standardise X"):
            check_finite([1.0, bad], 2)


# -- loop ---------------------------------------------------------------------


class Recorder(Callback):
    """Writes down what it is told."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, net, **kwargs):
        self.calls.append("train begins")

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.calls.append(("epoch begins", len(dataset_train), len(dataset_valid)))

    def on_batch_end(self, net, batch=None, training=None, loss=None, **kwargs):
        assert torch.isfinite(loss)
        self.calls.append(("batch", training, len(batch[0])))

    def on_epoch_end(self, net, **kwargs):
        self.calls.append(("epoch ends", sorted(net.history[-1])))

    def on_train_end(self, net, **kwargs):
        self.calls.append("train ends")


def make_task(net, X, y):
    """The first 16 rows train, the others choose."""
    nothing = torch.empty(0, dtype=torch.long)
    return DebiasingTask(
        net=net,
        X=TensorRows(X),
        y=y,
        groups=torch.arange(len(y)) % 2,
        n_classes=2,
        n_groups=2,
        train=torch.arange(16),
        select=torch.arange(16, len(y)),
        measure=nothing,
        goal=Goal(CONSTRAINTS["statistical_parity"], 0.9),
        columns=nothing,
        group_values=torch.empty(2, 0),
        generator=generator(),
    )


def train(net, X, y, *, epochs=2, steps=3, lr=0.01, loss=None, done=None):
    """Train on the first 16 rows, select on the others; what `fine_tune` returned."""
    task = make_task(net, X, y)

    def own(log_proba, batch):
        return -log_proba.gather(1, y[batch.rows][:, None]).mean()

    def make_epoch(epoch):
        for _ in range(steps):
            yield Batch(X[:16], task.train, 16)

    return fine_tune(
        task,
        make_epoch,
        loss or own,
        done=done,
        lr=lr,
        max_epochs=epochs,
        steps_per_epoch=steps,
        train_mode=True,
    )


def test_callbacks_hear_of_everything_in_order():
    recorder = Recorder()
    net, (X, y) = make_net(callbacks=[("recorder", recorder)]), make_data()
    assert train(net, X, y) is True
    calls = [call[0] if call[0] == "epoch ends" else call for call in recorder.calls]
    epoch = [("epoch begins", 40, 24), *3 * [("batch", True, 16)], ("batch", False, 24)]
    assert calls == ["train begins", *2 * [*epoch, "epoch ends"], "train ends"]


class Norms(Callback):
    def on_grad_computed(self, net, **kwargs):
        """Hears of every gradient."""


class Steps(NeuralNetClassifier):
    def train_step_single(self, batch, **params):
        return super().train_step_single(batch, **params)


@pytest.mark.parametrize(
    ("settings", "heard"),
    [
        ({}, False),
        ({"callbacks": [EpochScoring("accuracy", name="acc")]}, False),
        ({"callbacks": [BatchScoring("accuracy", name="acc")]}, False),
        ({"callbacks": [EpochScoring("accuracy", name="acc", on_train=True)]}, True),
        ({"callbacks": [ProgressBar()]}, True),
        ({"callbacks": [Norms()]}, True),
        ({"cls": Steps}, True),
    ],
)
def test_single_batches_are_told_to_those_who_want_to_hear(settings, heard):
    assert hears_batches(make_net(**settings)) == heard


def test_the_same_is_learned_whether_or_not_batches_are_heard():
    def trained(**settings):
        net, (X, y) = make_net(**settings), make_data()
        torch.manual_seed(0)
        train(net, X, y)
        rows = [{k: v for k, v in row.items() if k != "dur"} for row in net.history]
        return rows, net.module_.head.weight

    (quiet, weight), (heard, other) = trained(), trained(callbacks=[Norms()])
    assert quiet == heard
    assert torch.equal(weight, other)


def test_history_holds_what_skorch_itself_would_record():
    X, y = make_data()
    net, other = make_net(), make_net()
    other.partial_fit(X.numpy(), y.numpy(), epochs=2)
    train(net, X, y)
    assert len(net.history) == 2
    assert set(other.history[-1]) - set(net.history[-1]) == set()
    for epoch in net.history:
        assert epoch["train_batch_count"] == 3
        assert epoch["valid_batch_count"] == 1
        assert epoch["train_loss"] == pytest.approx(
            np.mean([batch["train_loss"] for batch in epoch["batches"][:3]])
        )
        assert [batch["train_batch_size"] for batch in epoch["batches"][:3]] == [16] * 3
    assert net.history[:, "epoch"] == [1, 2]


def test_history_of_earlier_training_is_continued():
    net, (X, y) = make_net(), make_data()
    net.partial_fit(X.numpy(), y.numpy(), epochs=2)
    before = net.history[:, "train_loss"]
    train(net, X, y, epochs=3)
    assert net.history[:, "epoch"] == [1, 2, 3, 4, 5]
    assert net.history[:2, "train_loss"] == before
    assert all(math.isfinite(loss) for loss in net.history[:, "train_loss"])


def test_validation_loss_is_the_criterion_of_the_net():
    net, (X, y) = make_net(), make_data()
    seen = []
    train(net, X, y, epochs=1, done=lambda log_proba, verdict: seen.append(log_proba))
    (log_proba,) = seen
    torch.testing.assert_close(log_proba, predict_log_proba(net, TensorRows(X[16:])))
    expected = F.nll_loss(log_proba, y[16:]).item()
    assert net.history[-1, "valid_loss"] == pytest.approx(expected)


def test_training_lowers_the_loss():
    net, (X, y) = make_net(), make_data()
    train(net, X, y, epochs=4, steps=20, lr=0.05)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_binary_net_gets_float_targets():
    net = make_net(nn.BCEWithLogitsLoss, NeuralNetBinaryClassifier)
    X, y = make_data()
    assert train(net, X, y)
    log_proba = predict_log_proba(net, TensorRows(X[16:]))
    expected = F.nll_loss(log_proba, y[16:]).item()
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_learning_rate_rises_to_its_peak_and_falls():
    rates = []

    class Rates(Callback):
        def on_batch_begin(self, net, training=None, **kwargs):
            if training:
                rates.append(net.optimizer_.param_groups[0]["lr"])

    net, (X, y) = make_net(callbacks=[("rates", Rates())]), make_data()
    train(net, X, y, epochs=2, steps=20, lr=0.01)
    assert len(rates) == 40
    assert max(rates) == pytest.approx(0.01, rel=0.02)
    peak = int(np.argmax(rates))
    assert 0 < peak < 39
    assert rates[-1] < rates[0] < 0.001


class Stop(Callback):
    """Early stopping, as skorch does it."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_stopped_training_ends_in_order():
    recorder = Recorder()
    net = make_net(callbacks=[("recorder", recorder), ("stop", Stop())])
    assert train(net, *make_data()) is False
    assert len(net.history) == 1
    assert recorder.calls[-1] == "train ends"


def test_loss_that_is_not_finite_is_an_error():
    net, (X, y) = make_net(), make_data()
    with pytest.raises(FloatingPointError, match="non-finite in epoch 1"):
        train(net, X, y, loss=lambda log_proba, batch: log_proba.sum() * math.nan)
    assert "get_loss" not in net.__dict__


def test_same_seed_same_weights():
    def trained(seed):
        net, (X, y) = make_net(), make_data()
        torch.manual_seed(seed)
        train(net, X, y)
        return net.module_.head.weight

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


def test_evaluate_records_by_batch():
    net, (X, y) = make_net(), make_data()
    net.module_.train()
    net.history.new_epoch()
    log_proba = evaluate(net, TensorRows(X), y)
    torch.testing.assert_close(log_proba, predict_log_proba(net, TensorRows(X)))
    assert not log_proba.requires_grad
    (batch,) = net.history[-1, "batches"]
    assert batch["valid_batch_size"] == 40
    assert batch["valid_loss"] == pytest.approx(F.nll_loss(log_proba, y).item())
