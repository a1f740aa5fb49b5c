"""to_module: a module that decides as the estimator, also where skfairaug is not installed."""

import functools
import subprocess
import sys
import textwrap
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug._engine._export import export_net
from skfairaug._engine._signature import FORMS
from skfairaug._inputs._copies import copy_net
from skfairaug.rivals import BiasGradientFineTuning, DomainIndependent, PlainFineTuning

HAS_ONNX = all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))

#: A network that somebody wrote, in a file of theirs.
OWN = """
import torch
from torch import nn


class Own(nn.Module):
    def __init__(self, n_outputs: int = 2, bias: bool = True, squash: bool = False):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.head = nn.Linear(8, n_outputs, bias)
        self.squash = squash

    def forward(self, x):
        z = self.head(torch.relu(self.body(x)))
        return torch.softmax(z, dim=1) if self.squash else z
"""

pytestmark = pytest.mark.filterwarnings(
    # A net of one logit without a bias is asked at a cut-off that it was not trained for.
    "ignore:the classifier's balanced accuracy on these rows"
)

#: name -> parameters of the module, criterion.
NETS = {
    "logits": ({}, nn.CrossEntropyLoss),
    "no bias": ({"bias": False}, nn.CrossEntropyLoss),
    "probabilities": ({"squash": True}, nn.NLLLoss),
    "logit": ({"n_outputs": 1}, nn.BCEWithLogitsLoss),
    "logit, no bias": ({"n_outputs": 1, "bias": False}, nn.BCEWithLogitsLoss),
}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The class `Own`, imported from a file outside this package."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "their_net.py").write_text(OWN)
    sys.path.insert(0, str(folder))
    try:
        import their_net

        yield their_net.Own
    finally:
        sys.path.remove(str(folder))
        del sys.modules["their_net"]


def draw(n_samples, seed):
    rng = np.random.RandomState(seed)
    group = rng.randint(0, 2, n_samples)
    X = rng.normal(size=(n_samples, 4)).astype(np.float32)
    X[:, 0] += group
    return X, (X[:, 0] + X[:, 1] + 0.5 * rng.normal(size=n_samples) > 0.5).astype(int), group


@pytest.fixture(scope="module")
def trained(own):
    """A function that trains a network of `NETS`."""

    @functools.cache
    def train(name):
        params, criterion = NETS[name]
        single = params.get("n_outputs") == 1
        kind = NeuralNetBinaryClassifier if single else NeuralNetClassifier
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = kind(own(**params), criterion=criterion, lr=0.1, max_epochs=3, verbose=0)
            X, y, _ = draw(500, 1)
            return net.fit(X, y.astype(np.float32) if single else y)

    return train


@pytest.fixture(scope="module")
def many():
    """Ten thousand rows."""
    return draw(10_000, 2)[0]


def tuned(net, **params):
    X, y, group = draw(400, 3)
    fair = FairAugmentFineTuner(
        net, tolerance=0.2, max_epochs=1, steps_per_epoch=3, random_state=0, **params
    )
    return fair.fit(X, y, sensitive_features=group)


def ruled(net, **params):
    X, y, group = draw(400, 3)
    return FairRule(net, tolerance=0.2, random_state=0, **params).fit(
        X, y, sensitive_features=group
    )


@torch.no_grad()
def decisions(fair, module, X):
    """What a module decides at its default cut-off."""
    return FORMS[fair._signature.form].favourable(module(torch.from_numpy(X))).numpy()


@pytest.mark.parametrize("name", NETS)
def test_every_form_decides_as_predict(name, trained, many):
    fair = tuned(trained(name))
    assert fair.threshold_ != 0.5
    biased = fair.net_.predict(many) == 1
    assert (biased != fair.predict(many)).any(), "the cut-off matters here"
    modules = [*fair._export(), fair.to_module(), fair.to_module(many)]
    assert len(modules) == (3 if "no bias" in name else 4)
    for module in modules:
        np.testing.assert_array_equal(decisions(fair, module, many), fair.predict(many) == 1)
        assert not module.training


@pytest.mark.parametrize("name", NETS)
def test_of_the_callers_own_class_where_there_is_a_bias(name, trained, own):
    fair = tuned(trained(name))
    module = fair.to_module()
    if "no bias" in name:
        assert type(module).__mro__[1] is torch.fx.GraphModule
        return
    assert type(module) is own
    before, after = fair.net_.module_.state_dict(), module.state_dict()
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert changed == ["head.bias"]


@pytest.mark.parametrize("name", NETS)
def test_the_graph_says_what_predict_proba_says(name, trained, many):
    fair = tuned(trained(name))
    *_, graph = fair._export()
    with torch.no_grad():
        log_proba = FORMS[fair._signature.form].log_proba(graph(torch.from_numpy(many)))
    np.testing.assert_allclose(log_proba.exp(), fair.predict_proba(many), atol=1e-6)
    with torch.no_grad():
        assert graph(torch.zeros(3, 4)).shape == fair.net_.module_(torch.zeros(3, 4)).shape


def test_a_copy(trained):
    fair = tuned(trained("logits"))
    before = {key: one.clone() for key, one in fair.net_.module_.state_dict().items()}
    for module in fair._export():
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(1)
    after = fair.net_.module_.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_row_that_rounding_would_turn_makes_a_graph(trained, many):
    fair = tuned(trained("logits"))
    scores = fair.decision_function(many) + fair._log_odds
    # The cut-off right below a row's score, closer than the precision of a float32.
    row = int(np.argsort(scores)[5000])
    fair._log_odds = scores[row] - 1e-12
    folded, graph = fair._export()
    assert fair.decision_function(many)[row] > 0
    np.testing.assert_array_equal(decisions(fair, graph, many), fair.predict(many) == 1)
    turned = (decisions(fair, folded, many) != (fair.predict(many) == 1)).any()
    checked = fair.to_module(many)
    assert (type(checked) is type(folded)) == (not turned)
    np.testing.assert_array_equal(decisions(fair, checked, many), fair.predict(many) == 1)


@pytest.mark.parametrize("cut", [-np.inf, np.inf])
@pytest.mark.parametrize("name", NETS)
def test_a_constant_decision_stays_one(cut, name, trained, many):
    fair = tuned(trained(name))
    largest = float(np.finfo(np.float32).max)
    log_odds = np.clip(cut, -largest, largest)
    for module in export_net(fair.net_, fair._signature, log_odds, 2):
        np.testing.assert_array_equal(decisions(fair, module, many), cut < 0)
        assert torch.isfinite(module(torch.from_numpy(many))).all()


def test_half_precision_is_never_folded(trained):
    fair = tuned(trained("logits"))
    fair.net_.module_.head.half()
    (module,) = fair._export()
    assert isinstance(module, torch.fx.GraphModule)


class Several(nn.Module):
    """Takes arguments by name, gives a pair, and adds two linear layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, left, output):
        """Logits, and something else."""
        return self.first(left) + self.second(output), left


def test_arguments_by_name_and_a_pair():
    X, y, group = draw(400, 3)
    named = {"output": X[:, 2:], "left": X[:, :2]}
    net = NeuralNetClassifier(Several, criterion=nn.CrossEntropyLoss, verbose=0).initialize()
    with torch.no_grad():
        net.module_.first.weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    fair = FairAugmentFineTuner(net, tolerance=0.5, max_epochs=0, random_state=0)
    fair.fit(named, y, sensitive_features=group)
    module = fair.to_module(named)
    assert isinstance(module, torch.fx.GraphModule)
    with torch.no_grad():
        output = module(**{name: torch.from_numpy(part) for name, part in named.items()})
    np.testing.assert_array_equal(output.argmax(1).numpy(), fair.predict(named))


def test_a_layer_that_is_used_twice_is_not_folded():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(2, 2)

        def forward(self, x):
            return self.head(torch.relu(self.head(x[:, :2])))

    net = NeuralNetClassifier(Twice, criterion=nn.CrossEntropyLoss, verbose=0).initialize()
    fair = tuned(net)
    X = draw(1000, 4)[0]
    module = fair.to_module()
    assert isinstance(module, torch.fx.GraphModule)
    np.testing.assert_array_equal(decisions(fair, module, X), fair.predict(X) == 1)


def test_a_compiled_net_leaves_uncompiled(own):
    X, y, _ = draw(400, 3)
    net = NeuralNetClassifier(
        own,
        criterion=nn.CrossEntropyLoss,
        lr=0.1,
        max_epochs=3,
        verbose=0,
        compile=True,
        compile__backend="eager",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        fair = tuned(net.fit(X, y))
        module = fair.to_module(X)
    assert type(module) is own
    np.testing.assert_array_equal(decisions(fair, module, X), fair.predict(X) == 1)


def test_several_classes_need_no_cut_off(own):
    rng = np.random.RandomState(0)
    X, group = rng.normal(size=(600, 4)).astype(np.float32), rng.randint(0, 2, 600)
    y = X[:, :3].argmax(1)
    net = NeuralNetClassifier(
        own, module__n_outputs=3, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0
    ).fit(X, y)
    fair = FairAugmentFineTuner(net, max_epochs=1, tolerance=0.5, random_state=0)
    fair.fit(X, y, sensitive_features=group)
    rule = FairRule(net, tolerance=0.5, random_state=0).fit(X, y, sensitive_features=group)
    for one in (fair, rule):
        with torch.no_grad():
            output = one.to_module()(torch.from_numpy(X))
        np.testing.assert_array_equal(output.argmax(1).numpy(), one.predict(X))


@pytest.mark.parametrize("rival", [PlainFineTuning, BiasGradientFineTuning, DomainIndependent])
def test_rivals_leave_too(rival, trained, many):
    X, y, group = draw(400, 3)
    net = trained("logits")
    if rival is DomainIndependent:
        net = NeuralNetClassifier(net.module, criterion=nn.CrossEntropyLoss, verbose=0)
    params = {"max_epochs": 5, "lr": 0.02, "batch_size": 64, "tolerance": 0.9}
    fair = rival(net, **params, random_state=0).fit(X, y, sensitive_features=group)
    for module in fair._export():
        np.testing.assert_array_equal(decisions(fair, module, many), fair.predict(many) == 1)


@pytest.mark.parametrize("constraint", ["statistical_parity", "equalized_odds"])
@pytest.mark.parametrize("name", NETS)
def test_the_rule_leaves_with_its_net(name, constraint, trained, many):
    rule = ruled(trained(name), constraint=constraint)
    module = rule.to_module(many)
    with torch.no_grad():
        output = module(torch.from_numpy(many))
        assert output.shape == rule.estimator_.module_(torch.from_numpy(many)).shape
        log_proba = FORMS[rule._signature.form].log_proba(output)
    np.testing.assert_allclose(log_proba.exp(), rule.predict_proba(many), atol=1e-6)
    near = np.abs(rule.decision_function(many)) < 1e-9
    same = decisions(rule, module, many) == (rule.predict(many) == 1)
    assert same[~near].all()


@pytest.mark.parametrize("name", NETS)
def test_the_rule_as_a_tuners_result_leaves_with_its_net(name, trained, many):
    X, y, group = draw(400, 3)
    fair = FairAugmentFineTuner(trained(name), tolerance=0.2, result="rule", random_state=0)
    fair.fit(X, y, sensitive_features=group)
    near = np.abs(fair.decision_function(many)) < 1e-6
    same = decisions(fair, fair.to_module(), many) == (fair.predict(many) == 1)
    assert same[~near].all()
    assert not near.all()


@pytest.mark.parametrize("name", NETS)
def test_where_the_first_output_is_the_favourable_one(name, trained, many):
    fair = tuned(trained(name), pos_label=0)
    assert fair.net_.output_order_ == [1, 0]
    for module in [*fair._export(), fair.to_module(many)]:
        np.testing.assert_array_equal(decisions(fair, module, many), fair.predict(many) == 1)


def test_a_rule_whose_first_output_is_the_favourable_one(trained):
    with pytest.raises(ValueError, match="the favourable label is the net's first output"):
        ruled(trained("logits"), pos_label=0).to_module()


def test_the_rule_of_images_reads_the_representation():
    X, y, group = draw(400, 3)
    images = X.reshape(-1, 1, 2, 2)
    module = nn.Sequential(nn.Conv2d(1, 6, 2), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2))
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, max_epochs=3, verbose=0)
    net.fit(images, y)
    rule = FairRule(net, tolerance=0.2, random_state=0).fit(images, y, sensitive_features=group)
    exported = rule.to_module()
    new = draw(2000, 5)[0].reshape(-1, 1, 2, 2)
    np.testing.assert_array_equal(decisions(rule, exported, new), rule.predict(new) == 1)
    squashed = nn.Sequential(*module, nn.Softmax(dim=1))
    net = NeuralNetClassifier(squashed, max_epochs=1, verbose=0).fit(images, y)
    rule = FairRule(net, random_state=0, tolerance=0.5)
    rule.fit(images, y, sensitive_features=group)
    with pytest.raises(ValueError, match="output is just that layer's"):
        rule.to_module()


def test_what_cannot_leave_says_so(trained):
    with pytest.raises(TypeError, match=r"group_estimator of your own, LogisticRegression"):
        ruled(trained("logits"), group_estimator=LogisticRegression()).to_module()
    X, y, _ = draw(300, 6)
    with pytest.raises(TypeError, match="this one is over LogisticRegression"):
        ruled(LogisticRegression().fit(X, y)).to_module()
    net = copy_net(trained("logits"))
    net.set_params(predict_nonlinearity=lambda z: torch.softmax(3 * z, dim=1))
    with pytest.raises(ValueError, match="neither logits nor probabilities"):
        tuned(net).to_module()


# -- where skfairaug is not installed -----------------------------------------

WAYS = ("torch.save", "script", "trace", "export", "onnx", "state_dict", "safetensors")

#: What is run there: every file that was written, each read by what made it.
ELSEWHERE = """
    import sys

    sys.modules["skfairaug"] = sys.modules["skorch"] = sys.modules["sklearn"] = None
    folder, *files = sys.argv[1:]
    sys.path.insert(0, folder)
    import numpy as np, torch


    def own(state):
        from their_net import Own

        module = Own()
        module.load_state_dict(state)
        return module


    def read(way, path):
        if way == "torch.save":
            return torch.load(path, weights_only=False)
        if way in ("script", "trace"):
            return torch.jit.load(path)
        if way == "export":
            return torch.export.load(path).module()
        if way == "state_dict":
            return own(torch.load(path))
        if way == "safetensors":
            from safetensors.torch import load_file

            return own(load_file(path))
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        name = session.get_inputs()[0].name
        return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


    x = torch.from_numpy(np.load(f"{folder}/x.npy"))
    for file in files:
        way, path = file.split("/")[1], f"{folder}/{file}"
        with torch.no_grad():
            np.save(f"{path}.npy", read(way, path)(x).numpy())
"""


def write(module, x, folder, way):
    """Write a module in one of the ways."""
    path, dynamic = str(folder / way), ({0: torch.export.Dim("batch", min=1)},)
    if way == "torch.save":
        torch.save(module, path)
    elif way == "script":
        torch.jit.script(module).save(path)
    elif way == "trace":
        torch.jit.trace(module, x[:3]).save(path)
    elif way == "export":
        torch.export.save(torch.export.export(module, (x[:3],), dynamic_shapes=dynamic), path)
    elif way == "onnx":
        torch.onnx.export(module, (x[:3],), path, dynamic_shapes=dynamic, verbose=False)
    elif way == "state_dict":
        torch.save(module.state_dict(), path)
    else:
        save_file(module.state_dict(), path)


@pytest.fixture(scope="module")
def elsewhere(trained, many, tmp_path_factory):
    """Estimators, and what their files say in one process without skfairaug."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "their_net.py").write_text(OWN)
    (folder / "elsewhere.py").write_text(textwrap.dedent(ELSEWHERE))
    np.save(folder / "x.npy", many)
    made = {
        "folded": tuned(trained("logits")),
        "graph": tuned(trained("no bias")),
        "rule": ruled(trained("logits")),
    }
    files = []
    for name in made:
        # The weights alone are those of the caller's class only where the cut-off is in them.
        ways = WAYS if name == "folded" else WAYS[:-2]
        files += [f"{name}/{way}" for way in ways if way != "onnx" or HAS_ONNX]
        (folder / name).mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch itself, about what it will replace
        for file in files:
            name, way = file.split("/")
            write(made[name].to_module(), torch.from_numpy(many), folder / name, way)
    command = [sys.executable, str(folder / "elsewhere.py"), str(folder), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = {name: {} for name in made}
    for file in files:
        name, way = file.split("/")
        outputs[name][way] = np.load(folder / f"{file}.npy")
    return made, outputs


@pytest.mark.parametrize("name", ["folded", "graph", "rule"])
def test_the_same_where_skfairaug_cannot_be_imported(elsewhere, name, many):
    fair, outputs = (part[name] for part in elsewhere)
    assert len(outputs) >= 4
    with torch.no_grad():
        here = fair.to_module()(torch.from_numpy(many)).numpy()
    wanted = fair.predict(many) == 1
    for way, output in outputs.items():
        np.testing.assert_allclose(output, here, atol=1e-5, err_msg=way)
        # ONNX adds in another order: what lies on the cut-off may turn.
        clear = np.abs(fair.decision_function(many)) > (1e-5 if way == "onnx" else 0)
        decided = output[:, 1] > output[:, 0]
        np.testing.assert_array_equal(decided[clear], wanted[clear], err_msg=way)


def test_onnx_is_tested_where_it_is_installed(elsewhere):
    if not HAS_ONNX:
        pytest.skip("onnx, onnxruntime and onnxscript are not installed")
    assert all("onnx" in outputs for outputs in elsewhere[1].values())
