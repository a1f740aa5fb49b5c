"""Fitted skorch nets: copied, split at the head, run, read, pickled."""

import pickle
import re
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skfairaug._inputs._contexts import evaluating, frozen, isolated_random_state, overriding
from skfairaug._inputs._copies import PortableNet, copy_net, portable_state, restored_state
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._models import (
    check_net,
    check_output,
    is_fitted_net,
    log_probabilities,
    net_targets,
    predict_log_proba,
    train_net,
    unwrap,
)
from skfairaug._inputs._rows import TensorRows
from skfairaug.modules import TabularMLP


def rows(n=12, seed=0):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def make_net(module=None, criterion=nn.CrossEntropyLoss, cls=NeuralNetClassifier, **settings):
    """An initialised net, which skorch counts as fitted."""
    torch.manual_seed(0)
    if module is None:
        module = TabularMLP(4, width=5, depth=2, dropout=0.5)
    settings = {"verbose": 0, "train_split": None, **settings}
    return cls(module, criterion=criterion, **settings).initialize()


# -- what is a net ------------------------------------------------------------


def test_frozen_estimator_is_unwrapped():
    net = make_net()
    assert unwrap(FrozenEstimator(net)) is net
    assert unwrap(net) is net
    assert check_net(FrozenEstimator(net)) is net


def test_fitted_nets():
    assert is_fitted_net(make_net())
    assert is_fitted_net(FrozenEstimator(make_net()))
    assert not is_fitted_net(NeuralNetClassifier(TabularMLP))
    assert not is_fitted_net(LogisticRegression())


def test_other_estimators_are_refused():
    message = r"must be a skorch classifier .*; got LogisticRegression\."
    with pytest.raises(TypeError, match=message):
        check_net(LogisticRegression())
    with pytest.raises(TypeError, match=r"got NoneType\."):
        check_net(None)


# -- copies -------------------------------------------------------------------


class Locked(Callback):
    """A callback that cannot be copied."""

    def __init__(self):
        self.lock = threading.Lock()


def test_copy_shares_nothing():
    net = make_net(callbacks=[("own", Callback())], callbacks__own=Callback())
    net.history.new_epoch()
    net.history.record("epoch", 1)
    twin = copy_net(net)
    assert type(twin) is type(net)
    ours = {tensor.data_ptr() for tensor in net.module_.state_dict().values()}
    theirs = {tensor.data_ptr() for tensor in twin.module_.state_dict().values()}
    assert not ours & theirs
    assert twin.criterion_ is not net.criterion_
    twin.history.new_epoch()
    assert (len(net.history), len(twin.history)) == (1, 2)
    for (_, first), (_, second) in zip(net.callbacks_, twin.callbacks_, strict=True):
        assert first is not second


def test_copy_predicts_alike_until_it_changes():
    net, X = make_net(), rows()
    before = net.predict_proba(X)
    twin = copy_net(net)
    np.testing.assert_array_equal(twin.predict_proba(X), before)
    with torch.no_grad():
        for parameter in twin.module_.parameters():
            parameter.add_(1)
    np.testing.assert_array_equal(net.predict_proba(X), before)
    assert not np.allclose(twin.predict_proba(X), before)


def test_copy_is_trainable_and_evaluating():
    net = make_net()
    net.module_.requires_grad_(False)
    net.module_.train()
    twin = copy_net(net)
    assert all(parameter.requires_grad for parameter in twin.module_.parameters())
    assert not any(module.training for module in twin.module_.modules())
    assert not any(parameter.requires_grad for parameter in net.module_.parameters())
    assert net.module_.training
    optimised = {id(p) for group in twin.optimizer_.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in twin.module_.parameters()}


def test_copy_of_a_local_class_with_a_lambda():
    class Local(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)
            self.scale = lambda x: 2 * x

        def forward(self, X):
            return self.scale(self.head(X))

    net, X = make_net(Local), rows()
    np.testing.assert_array_equal(copy_net(net).predict_proba(X), net.predict_proba(X))


def test_callback_that_cannot_be_copied_is_shared():
    locked = Locked()
    net = make_net(callbacks=[("locked", locked), ("own", Callback())])
    twin = copy_net(net)
    assert dict(twin.callbacks_)["locked"] is locked
    assert dict(twin.callbacks_)["own"] is not dict(net.callbacks_)["own"]


def test_copy_trains_on_its_own():
    net, X = make_net(), rows()
    before = [value.clone() for value in net.module_.state_dict().values()]
    y = np.arange(len(X)) % 2
    copy_net(net).partial_fit(X.numpy(), y)
    for value, old in zip(net.module_.state_dict().values(), before, strict=True):
        assert torch.equal(value, old)


# -- pickles ------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda net: net, FrozenEstimator])
def test_portable_net_predicts_alike(wrap):
    net, X = make_net(), rows()
    portable = pickle.loads(pickle.dumps(PortableNet(wrap(net))))
    restored = portable.restore()
    assert type(restored) is type(wrap(net))
    np.testing.assert_array_equal(restored.predict_proba(X), net.predict_proba(X))
    assert unwrap(restored).optimizer_.param_groups[0]["params"]


def test_portable_net_shows_local_classes_to_cloudpickle():
    cloudpickle = pytest.importorskip("cloudpickle")

    class Local(nn.Linear):
        pass

    net, X = make_net(Local(4, 2)), rows()
    portable = cloudpickle.loads(cloudpickle.dumps(PortableNet(net)))
    np.testing.assert_array_equal(portable.restore().predict_proba(X), net.predict_proba(X))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_net_of_an_absent_device_comes_back_on_the_cpu():
    net, X = make_net(), rows()
    portable = PortableNet(net)
    portable.attributes["device"] = "cuda"
    restored = portable.restore()
    assert restored.device == "cpu"
    np.testing.assert_array_equal(restored.predict_proba(X), net.predict_proba(X))
    assert net.device == "cpu"


def test_state_of_an_estimator():
    net = make_net()
    state = {"estimator": FrozenEstimator(net), "net_": net, "lr": 0.1}
    portable = portable_state(state)
    assert isinstance(portable["estimator"], PortableNet)
    assert isinstance(portable["net_"], PortableNet)
    restored = restored_state(portable)
    assert isinstance(restored["estimator"], FrozenEstimator)
    assert isinstance(restored["net_"], NeuralNetClassifier)
    assert restored["lr"] == 0.1
    assert state["net_"] is net


# -- probabilities ------------------------------------------------------------


class Flat(nn.Module):
    """One output per row, of shape (n,) or (n, 1), or in a tuple."""

    def __init__(self, column=False, pair=False, sigmoid=False):
        super().__init__()
        self.head = nn.Linear(4, 1)
        self.column, self.pair, self.sigmoid = column, pair, sigmoid

    def forward(self, X):
        output = self.head(X)
        output = torch.sigmoid(output) if self.sigmoid else output
        output = output if self.column else output.squeeze(1)
        return (output, X) if self.pair else output


def softmax_net(n_classes=3):
    return nn.Sequential(nn.Linear(4, n_classes), nn.Softmax(-1))


NETS = {
    "cross-entropy": lambda: make_net(),
    "cross-entropy, 3": lambda: make_net(TabularMLP(4, n_classes=3, width=5, depth=1)),
    "softmax and NLL": lambda: make_net(softmax_net(), nn.NLLLoss),
    "logit": lambda: make_net(Flat, nn.BCEWithLogitsLoss, NeuralNetBinaryClassifier),
    "logit column": lambda: make_net(
        Flat(column=True), nn.BCEWithLogitsLoss, NeuralNetBinaryClassifier
    ),
    "logit pair": lambda: make_net(
        Flat(pair=True), nn.BCEWithLogitsLoss, NeuralNetBinaryClassifier
    ),
    "probability": lambda: make_net(Flat(sigmoid=True), nn.BCELoss, NeuralNetBinaryClassifier),
    "probability column": lambda: make_net(
        Flat(sigmoid=True, column=True), nn.BCELoss, NeuralNetBinaryClassifier
    ),
    "own nonlinearity": lambda: make_net(
        TabularMLP(4, width=5, depth=1), predict_nonlinearity=lambda x: (2 * x).softmax(1)
    ),
    "no nonlinearity": lambda: make_net(softmax_net(), nn.NLLLoss, predict_nonlinearity=None),
}


@pytest.mark.parametrize("name", list(NETS))
def test_log_probabilities_are_those_of_skorch(name):
    net, X = NETS[name](), 3 * rows(20)
    expected = net.predict_proba(X)
    net.module_.eval()
    log_proba = log_probabilities(net, net.infer(X))
    assert log_proba.shape == expected.shape
    np.testing.assert_allclose(log_proba.exp().detach(), expected, atol=1e-6)
    torch.testing.assert_close(predict_log_proba(net, TensorRows(X)), log_proba.detach())


@pytest.mark.parametrize("name", list(NETS))
def test_gradients_are_finite(name):
    net = NETS[name]()
    X = (50 * rows(20)).requires_grad_(True)
    log_probabilities(net, net.infer(X)).sum().backward()
    assert torch.isfinite(X.grad).all()
    for parameter in net.module_.parameters():
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", ["cross-entropy", "logit"])
def test_saturated_logits_keep_their_gradient(name):
    net = NETS[name]()
    output = {
        "cross-entropy": torch.tensor([[500.0, -500.0]]),
        "logit": torch.tensor([-500.0]),
    }[name].requires_grad_(True)
    log_probabilities(net, output)[0, 1].backward()
    assert output.grad.ravel()[-1].item() == pytest.approx(1)


def test_impossible_class_has_a_finite_log_probability():
    net = NETS["softmax and NLL"]()
    log_proba = log_probabilities(net, torch.tensor([[0.0, 1.0, 0.0]]))
    assert torch.isfinite(log_proba).all()
    assert log_proba[0, 0] < -80


def test_half_precision_outputs_are_read_in_single():
    net = make_net()
    assert log_probabilities(net, torch.randn(3, 2).half()).dtype == torch.float32


def test_prediction_in_parts_and_modes(monkeypatch):
    net, X = make_net(), rows()
    net.module_.train()
    net.module_.body[0].eval()
    before = [module.training for module in net.module_.modules()]
    whole = predict_log_proba(net, TensorRows(X))
    monkeypatch.setattr("skfairaug._inputs._rows.TABLE_ROWS", 5)
    torch.testing.assert_close(predict_log_proba(net, TensorRows(X)), whole)
    assert not whole.requires_grad
    assert [module.training for module in net.module_.modules()] == before


def test_targets_in_the_dtype_of_the_criterion():
    y = torch.tensor([0, 1])
    assert net_targets(NETS["cross-entropy"](), y).dtype == torch.int64
    assert net_targets(NETS["softmax and NLL"](), y).dtype == torch.int64
    assert net_targets(NETS["logit"](), y).dtype == torch.float32
    assert net_targets(NETS["probability"](), y).dtype == torch.float32


def test_output_is_compared_with_the_labels():
    net = make_net()
    check_output(net, TensorRows(rows()), 2)
    message = "y has 3 classes but the net predicts (2,)"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_output(net, TensorRows(rows()), 3)
    message = "cannot take X of shape (12, 3): its first layer expects other features"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_output(net, TensorRows(rows()[:, :3]), 2)


@pytest.mark.parametrize("name", ["cross-entropy", "logit"])
def test_train_net_trains_a_clone(name):
    fitted = NETS[name]()
    kind, settings = type(fitted), fitted.get_params(deep=False)
    net = kind(**{key: settings[key] for key in ("module", "criterion", "train_split")})
    net.set_params(max_epochs=2, verbose=0)
    message = "is not initialised, so it is trained first, for 2 epochs.*net.initialize()"
    given = isinstance(net.module, nn.Module)
    with pytest.warns(UserWarning, match=message) if given else nullcontext():
        trained = train_net(net, rows().numpy(), np.arange(12) % 2)
    assert is_fitted_net(trained)
    assert len(trained.history) == 2
    assert not trained.module_.training
    assert not is_fitted_net(net)


# -- body and head ------------------------------------------------------------


class Shuffled(nn.Module):
    """Layers registered in another order than they run."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(5, 2)
        self.unused = nn.Linear(7, 7)
        self.first = nn.Linear(4, 5)
        self.after = nn.Softmax(1)

    def forward(self, X):
        return self.after(self.last(torch.relu(self.first(X))))


class Picture(nn.Module):
    """A fully convolutional net: no linear layer."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv1d(1, 3, 2)
        self.head = nn.Conv1d(3, 2, 3)

    def forward(self, X):
        return self.head(self.body(X[:, None])).squeeze(2)


class Scaled(nn.Module):
    """A weight for each column, and no matrix of them."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, X):
        return (self.scale * X)[:, :2]


def test_head_is_the_linear_layer_that_runs_last():
    net = make_net(Shuffled, nn.NLLLoss)
    assert find_head(net, TensorRows(rows())) is net.module_.last
    net = make_net()
    assert find_head(net, TensorRows(rows())) is net.module_.head


def test_net_without_linear_layer():
    net = make_net(Picture)
    assert find_head(net, TensorRows(rows())) is net.module_.head
    with pytest.raises(ValueError, match=r"no layer with a matrix of weights.*'Scaled'"):
        find_head(make_net(Scaled), TensorRows(rows()))


def hooks_left(net):
    return sum(len(module._forward_pre_hooks) for module in net.module_.modules())


def test_encoder_is_the_input_of_the_head(monkeypatch):
    net, X = make_net(), rows()
    encoder = Encoder(net, find_head(net, TensorRows(X)))
    with evaluating(net.module_):
        expected = net.module_.body(X)
        assert torch.equal(encoder(X), expected)
        assert torch.equal(encoder.all_rows(TensorRows(X)), expected)
        monkeypatch.setattr("skfairaug._inputs._rows.TABLE_ROWS", 5)
        torch.testing.assert_close(encoder.all_rows(TensorRows(X)), expected)
        assert not encoder.all_rows(TensorRows(X)).requires_grad
    assert hooks_left(net) == 0


def test_encoder_stops_at_the_head():
    net, X = make_net(Shuffled, nn.NLLLoss), rows()
    ran = []
    for name in ("first", "last", "after"):
        module = getattr(net.module_, name)
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    encoder = Encoder(net, net.module_.last)
    torch.testing.assert_close(encoder(X), torch.relu(net.module_.first(X)))
    assert ran == ["first", "first"]


def test_encoder_flattens_and_passes_gradients():
    net = make_net(Picture)
    X = rows().requires_grad_(True)
    representation = Encoder(net, net.module_.head)(X)
    assert representation.shape == (12, 9)
    representation.sum().backward()
    assert torch.isfinite(X.grad).all()
    assert X.grad.abs().sum() > 0


def test_encoder_removes_its_hook_after_an_error():
    net = make_net()
    encoder = Encoder(net, net.module_.head)
    with pytest.raises(RuntimeError):
        encoder(rows()[:, :2])
    assert hooks_left(net) == 0
    with pytest.raises(RuntimeError):
        find_head(net, TensorRows(rows()[:, :2]))
    assert hooks_left(net) == 0


def test_net_works_as_before_after_encoding():
    net, X = make_net(), rows()
    before = net.predict_proba(X)
    Encoder(net, find_head(net, TensorRows(X))).all_rows(TensorRows(X))
    np.testing.assert_array_equal(net.predict_proba(X), before)


# -- what is restored ---------------------------------------------------------


def mixed_module():
    module = make_net().module_
    module.train()
    module.body[0].eval()
    module.body[0].weight.requires_grad_(False)
    return module


def state_of(module):
    modes = [part.training for part in module.modules()]
    return modes, [parameter.requires_grad for parameter in module.parameters()]


@pytest.mark.parametrize("context", [evaluating, frozen])
@pytest.mark.parametrize("fails", [False, True])
def test_modes_and_flags_are_restored(context, fails):
    module = mixed_module()
    before = state_of(module)

    def work():
        with context(module) as inside:
            assert inside is module
            modes, flags = state_of(module)
            assert not any(modes)
            assert any(flags) == (context is evaluating)
            if fails:
                raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            work()
    else:
        work()
    assert state_of(module) == before


def test_frozen_lets_gradients_reach_the_rows():
    net, X = make_net(), rows().requires_grad_(True)
    with frozen(net.module_):
        net.infer(X).sum().backward()
    assert X.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in net.module_.parameters())


def test_overriding_replaces_a_method_for_a_while():
    net, X = make_net(), rows()
    before = net.predict_proba(X)

    def uniform():
        with overriding(net, infer=lambda X: torch.zeros(len(X), 2)):
            np.testing.assert_array_equal(net.predict_proba(X), np.full((12, 2), 0.5))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        uniform()
    np.testing.assert_array_equal(net.predict_proba(X), before)
    assert "infer" not in net.__dict__


def draws():
    return torch.rand(2).tolist(), np.random.random_sample(2).tolist()


def test_random_state_is_seeded_inside_and_untouched_outside():
    torch.manual_seed(1)
    np.random.seed(1)
    expected = draws()
    torch.manual_seed(1)
    np.random.seed(1)
    inside = []
    for seed in (5, 5, 6, 2**40):
        with isolated_random_state(seed):
            inside.append(draws())
    assert inside[0] == inside[1]
    assert inside[0] != inside[2]
    assert draws() == expected


def test_random_state_is_restored_after_an_error():
    torch.manual_seed(1)
    np.random.seed(1)
    expected = draws()
    torch.manual_seed(1)
    np.random.seed(1)

    def work():
        with isolated_random_state(0):
            draws()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert draws() == expected
