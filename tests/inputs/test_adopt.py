"""What a caller may give in place of a skorch net, and what comes out of it."""

import copy
import pickle
import re
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNet, NeuralNetClassifier
from torch import nn

from skfairaug._inputs._adopt import (
    as_net,
    core_of,
    logits_in,
    steps_before,
    through_steps,
    with_core,
)
from skfairaug._inputs._copies import PortableNet
from skfairaug._inputs._models import check_net, is_fitted_net, predict_log_proba
from skfairaug._inputs._rows import on_device
from skfairaug.modules import TabularMLP

X = np.random.RandomState(0).normal(size=(200, 4)).astype(np.float32)


class Says(nn.Module):
    """What a function makes of the outputs of a linear layer."""

    def __init__(self, n_outputs, say=lambda output: output):
        super().__init__()
        self.head = nn.Linear(4, n_outputs)
        self.say = say

    def forward(self, X):
        return self.say(self.head(X))


class Output(OrderedDict):
    """As Hugging Face's: a mapping whose entries are attributes too."""

    __getattr__ = OrderedDict.__getitem__


def expected(module, kind):
    """Class probabilities by the book."""
    with torch.no_grad():
        out = module.head(torch.from_numpy(X))
        if kind == "one":
            p = out.sigmoid().reshape(-1)
            return torch.stack([1 - p, p], 1)
        return out.softmax(1)


READINGS = {
    "logits": (3, lambda z: z, "many"),
    "probabilities": (3, lambda z: z.softmax(1), "many"),
    "log-probabilities": (3, lambda z: z.log_softmax(1), "many"),
    "one logit": (1, lambda z: z, "one"),
    "one logit without an axis": (1, lambda z: z.squeeze(1), "one"),
    "one probability": (1, lambda z: z.sigmoid(), "one"),
    "a tuple": (2, lambda z: (z, None), "many"),
    "an object with logits": (2, lambda z: SimpleNamespace(logits=z), "many"),
    "a mapping with logits": (2, lambda z: {"loss": None, "logits": z}, "many"),
    "one logit in an object": (1, lambda z: Output(logits=z), "one"),
}


@pytest.mark.parametrize(("n_outputs", "say", "kind"), READINGS.values(), ids=READINGS)
def test_outputs_are_read_as_what_they_are(n_outputs, say, kind):
    module = Says(n_outputs, say)
    net = as_net(module, X)
    assert net.module_ is module
    log_proba = predict_log_proba(net, on_device(net, X))
    torch.testing.assert_close(log_proba.exp(), expected(module, kind))
    # skorch's own methods read them alike.
    np.testing.assert_allclose(net.predict_proba(X), expected(module, kind), atol=1e-6)


def test_skorch_net_is_itself():
    net = NeuralNetClassifier(TabularMLP, module__n_features=4).initialize()
    assert as_net(net, X) is net


def test_float64_stays():
    module = Says(2).double()
    net = as_net(module, X)
    assert {p.dtype for p in net.module_.parameters()} == {torch.float64}
    assert net.module_ is module


def test_the_module_is_left_alone():
    module = Says(2)
    module.train()
    module.head.bias.requires_grad_(False)
    before = copy.deepcopy(module.state_dict())
    as_net(module, X)
    assert module.training
    assert [p.requires_grad for p in module.parameters()] == [True, False]
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


# -- wrappings ------------------------------------------------------------------

WRAPPED = {
    "bare": lambda core: core,
    "frozen": FrozenEstimator,
    "pipeline": lambda core: Pipeline([("scale", StandardScaler().fit(X)), ("net", core)]),
    "frozen pipeline": lambda core: FrozenEstimator(
        Pipeline([("scale", StandardScaler().fit(X)), ("net", core)])
    ),
    "pipelines in one another": lambda core: Pipeline(
        [
            ("scale", StandardScaler().fit(X)),
            ("rest", Pipeline([("scale", FunctionTransformer()), ("net", core)])),
        ]
    ),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_core_is_found_and_exchanged(wrap):
    module, other = Says(2), Says(2)
    given = wrap(module)
    assert core_of(given) is module
    assert check_net(given) is module
    assert is_fitted_net(given)
    twin = with_core(given, other)
    assert core_of(twin) is other
    assert core_of(given) is module
    assert type(twin) is type(other if given is module else given)


def test_steps():
    assert steps_before(Says(2)) is None
    assert steps_before(make_pipeline(LogisticRegression())) is None
    for name in ("pipeline", "frozen pipeline", "pipelines in one another"):
        steps = steps_before(WRAPPED[name](Says(2)))
        np.testing.assert_allclose(
            through_steps(steps, X), StandardScaler().fit_transform(X), rtol=1e-6
        )


# torch imports its own deprecated parts when it is first asked to compile.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_module_is_taken_out():
    module = Says(2)
    assert core_of(torch.compile(module)) is module


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_portable(wrap):
    given = wrap(TabularMLP(4))
    back = pickle.loads(pickle.dumps(PortableNet(given))).restore()
    assert type(back) is type(given)
    ours, theirs = core_of(given).state_dict(), core_of(back).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# -- what is refused --------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "came"),
    [
        (LogisticRegression(), "LogisticRegression"),
        (HistGradientBoostingClassifier(), "HistGradientBoostingClassifier"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "a Pipeline that ends in Log"),
        (FrozenEstimator(LogisticRegression()), "LogisticRegression"),
        (None, "NoneType"),
        (nn.Linear, "the class Linear, not a trained module of it"),
    ],
)
def test_no_net(given, came):
    assert not is_fitted_net(given)
    with pytest.raises(TypeError, match=re.escape(f"got {came}")) as caught:
        check_net(given)
    for way_out in ("skfairaug.FairRule", "ThresholdOnly", "ThresholdOptimizer", "OxonFair"):
        assert way_out in str(caught.value)


def test_unfitted_pipeline():
    net = NeuralNetClassifier(TabularMLP, module__n_features=4)
    with pytest.raises(ValueError, match=r"net at the end of the Pipeline is not fitted\. Fit"):
        check_net(make_pipeline(StandardScaler(), net))


def quantised():
    module = Says(2)
    module.head.weight = nn.Parameter(torch.ones(2, 4, dtype=torch.int8), requires_grad=False)
    return module


class Split(nn.Module):
    """Half of it where nothing is."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2, device="meta")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Says(2).half(), "'head.weight' of Says is float16, and half precision loses small"),
        (Says(2).bfloat16(), "is bfloat16, and half precision"),
        (quantised(), "'head.weight' of Says is int8, and integers have no gradient: give"),
        (nn.ReLU(), "the module ReLU has no parameters, so there is nothing to fine-tune"),
        (Says(2).to("meta"), "holds no values yet: it is on the meta device"),
        (nn.LazyLinear(2), "holds no values yet: run a batch through it"),
        (Split(), "'head.weight' of Split holds no values yet"),
    ],
)
def test_weights_that_cannot_be_tuned(module, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_net(module)


def test_half_precision_in_a_skorch_net():
    net = NeuralNetClassifier(Says(2).half()).initialize()
    with pytest.raises(ValueError, match="half precision"):
        check_net(net)


def test_device_that_is_not_there():
    net = NeuralNetClassifier(TabularMLP, module__n_features=4).initialize()
    net.device = "cuda:99"
    with pytest.raises(ValueError, match=r"device 'cuda:99' is not there .* device='cpu'"):
        check_net(net)


@pytest.mark.parametrize(
    ("say", "shape"),
    [
        (lambda z: z[:, :, None], "(128, 2, 1)"),
        (lambda z: z.mean(), "()"),
        (lambda z: z.T, "(2, 128)"),
    ],
)
def test_outputs_that_fit_nothing(say, shape):
    message = f"output for 128 rows has shape {shape}. Expected are logits or probabilities"
    with pytest.raises(ValueError, match=re.escape(message)):
        as_net(Says(2, say), X)


@pytest.mark.parametrize("output", [None, {"scores": 1}, SimpleNamespace(logits=3)])
def test_outputs_without_logits(output):
    with pytest.raises(TypeError, match=f"returned a {type(output).__name__}; expected a ten"):
        logits_in(output)


def test_rows_that_do_not_fit():
    message = r"cannot take X of shape \(128, 3\): its first layer expects other features"
    with pytest.raises(ValueError, match=message):
        as_net(Says(2), X[:, :3])


def test_clone_of_a_pipeline_around_a_module():
    """scikit-learn's own clone copies a module, weights and all."""
    given = WRAPPED["pipeline"](Says(2))
    assert not isinstance(core_of(clone(given)), NeuralNet)
