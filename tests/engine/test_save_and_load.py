"""save and load: the same classifier again, and a clear error for any other file."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from torch import nn

import skfairaug
from skfairaug import FairAugmentFineTuner, FairRule, MaskReactivator, model_fingerprint
from skfairaug.modules import TabularMLP
from skfairaug.rivals import LayerwiseOptimization, PlainFineTuning, ThresholdOnly


def blank():
    """A module like that of `net`, with other weights."""
    torch.manual_seed(7)
    return TabularMLP(n_features=4, depth=1, width=8)


def header(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["skfairaug"])


@pytest.fixture
def fair(net, rows, quick):
    fair = FairAugmentFineTuner(net, **quick)
    return fair.fit(rows.X, rows.y, sensitive_features=rows.group)


@pytest.fixture
def path(fair, tmp_path):
    skfairaug.save(fair, tmp_path / "fair.safetensors")
    return tmp_path / "fair.safetensors"


def test_the_same_classifier_again(fair, path, rows):
    module = blank()
    before = {name: one.clone() for name, one in module.state_dict().items()}
    again = skfairaug.load(path, module)
    assert type(again) is FairAugmentFineTuner
    np.testing.assert_array_equal(
        again.decision_function(rows.X), fair.decision_function(rows.X)
    )
    np.testing.assert_array_equal(again.predict(rows.X), fair.predict(rows.X))
    for name in ("threshold_", "bias_", "probability_inside_", "groups_", "rule_"):
        assert getattr(again, name) == getattr(fair, name)
    np.testing.assert_array_equal(again.classes_, fair.classes_)
    mine, theirs = (one.get_params(deep=False) for one in (again, fair))
    assert mine.pop("estimator") is again.net_
    assert theirs.pop("estimator") is fair.estimator
    assert mine == theirs
    assert model_fingerprint(again) == model_fingerprint(fair)
    with torch.no_grad():
        assert torch.equal(
            again.to_module()(torch.zeros(2, 4)), fair.to_module()(torch.zeros(2, 4))
        )
    assert all(torch.equal(before[name], one) for name, one in module.state_dict().items())


def test_into_a_net_fitted_or_not(net, unfitted_net, fair, path, rows):
    for given in (net, unfitted_net, NeuralNetClassifier(blank, criterion=nn.CrossEntropyLoss)):
        again = skfairaug.load(path, given)
        np.testing.assert_array_equal(again.predict(rows.X), fair.predict(rows.X))
        assert again.net_ is not given
    assert not np.array_equal(net.predict_proba(rows.X), again.net_.predict_proba(rows.X))


def test_labels_columns_and_steps(net, rows, quick, tmp_path):
    X = pd.DataFrame(rows.X, columns=["age", "income", "größe", "x"])
    y = np.where(rows.y == 1, "yes", "no")
    group = pd.DataFrame({"sex": rows.group, "old": rows.X[:, 3] > 0})
    quick |= {"reactivator": MaskReactivator(max_epochs=1), "tolerance": 0.9}
    fair = FairAugmentFineTuner(net, **quick).fit(X, y, sensitive_features=group)
    skfairaug.save(fair, tmp_path / "fair")
    again = skfairaug.load(tmp_path / "fair", blank())
    assert again.predict(X).tolist() == fair.predict(X).tolist()
    assert again.feature_names_in_.tolist() == list(X)
    for name, mask in fair.mask_.items():
        np.testing.assert_array_equal(again.mask_[name], mask)
    assert again.density_ == fair.density_
    assert again.reactivator.get_params() == MaskReactivator(max_epochs=1).get_params()
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X[["income", "age", "größe", "x"]])


@pytest.mark.parametrize(
    ("rival", "params"),
    [
        (PlainFineTuning, {"max_epochs": 2, "steps_per_epoch": 3}),
        (LayerwiseOptimization, {"n_layers": 1, "n_calls": 3, "n_initial": 3, "n_trees": 5}),
    ],
)
def test_rivals(rival, params, net, rows, tmp_path):
    fair = rival(net, tolerance=0.9, random_state=0, **params)
    fair.fit(rows.X, rows.y, sensitive_features=rows.group)
    skfairaug.save(fair, tmp_path / "fair")
    again = skfairaug.load(tmp_path / "fair", blank())
    assert type(again) is rival
    np.testing.assert_array_equal(again.predict(rows.X), fair.predict(rows.X))


@pytest.mark.parametrize("constraint", ["statistical_parity", "average_odds"])
def test_the_rule_over_a_net(constraint, net, rows, tmp_path):
    rule = FairRule(net, constraint=constraint, tolerance=0.9, random_state=0)
    rule.fit(rows.X, rows.y, sensitive_features=rows.group)
    skfairaug.save(rule, tmp_path / "rule")
    again = skfairaug.load(tmp_path / "rule", blank())
    np.testing.assert_array_equal(
        again.decision_function(rows.X), rule.decision_function(rows.X)
    )
    groups = again.group_estimator_
    assert groups is again._rule.posterior.group_factor
    np.testing.assert_array_equal(groups[-1].coef_, rule.group_estimator_[-1].coef_)
    with torch.no_grad():
        X = torch.from_numpy(rows.X)
        assert torch.equal(again.to_module()(X), rule.to_module()(X))
    assert (
        model_fingerprint(again)
        == model_fingerprint(rule)
        == header(tmp_path / "rule")["fingerprint"]
    )


@pytest.mark.parametrize("params", [{"pos_label": 0}, {"result": "rule"}], ids=str)
def test_another_label_or_the_rule_as_the_result(params, net, rows, tmp_path):
    fair = FairAugmentFineTuner(net, tolerance=0.9, random_state=0, **params)
    if "result" not in params:
        fair.set_params(max_epochs=1, steps_per_epoch=2)
    fair.fit(rows.X, rows.y, sensitive_features=rows.group)
    skfairaug.save(fair, tmp_path / "fair.safetensors")
    again = skfairaug.load(tmp_path / "fair.safetensors", blank())
    np.testing.assert_allclose(
        again.decision_function(rows.X), fair.decision_function(rows.X), rtol=1e-6
    )
    np.testing.assert_array_equal(again.predict(rows.X), fair.predict(rows.X))
    assert model_fingerprint(again) == model_fingerprint(fair)


def test_a_parameter_of_another_package_is_left_out(net, rows, quick, tmp_path):
    quick |= {"random_state": np.random.RandomState(0), "group_estimator": LogisticRegression()}
    fair = FairAugmentFineTuner(net, **quick)
    fair.fit(rows.X, rows.y, sensitive_features=rows.group)
    skfairaug.save(fair, tmp_path / "fair")
    again = skfairaug.load(tmp_path / "fair", blank())
    assert header(tmp_path / "fair")["left_out"] == ["random_state"]
    assert again.random_state is None
    np.testing.assert_array_equal(again.predict(rows.X), fair.predict(rows.X))


def test_what_can_be_read_without_this_package(fair, path):
    told = header(path)
    assert told["class"] == "FairAugmentFineTuner"
    assert told["fingerprint"] == model_fingerprint(fair)
    assert told["state"]["threshold_"] == fair.threshold_
    assert told["state"]["classes_"]["array"] == [0, 1]
    assert told["state"]["groups_"] == {"tuple": ["0", "1"]}
    assert told["parameters"]["tolerance"] == 0.5
    assert told["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    module = blank()
    weights = load_file(path)
    own = {name: weights[f"weights.{name}"] for name in module.state_dict()}
    module.load_state_dict(own)


def test_the_fingerprint_follows_weights_and_cut_off(net, fair):
    first = model_fingerprint(fair)
    assert first == model_fingerprint(make_pipeline(FunctionTransformer(), fair))
    assert first != model_fingerprint(fair.net_) == model_fingerprint(fair.net_.module_)
    fair._log_odds += 1e-9
    assert model_fingerprint(fair) != first
    before = model_fingerprint(net)
    with torch.no_grad():
        next(net.module_.parameters()).view(-1)[0] += 1e-3
    assert model_fingerprint(net) != before
    assert model_fingerprint(LogisticRegression()) is None


# -- what is not such a file ---------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_file_cut_short(size, path):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="was cut short"):
        skfairaug.load(path, blank())


def test_a_file_with_other_content(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    with pytest.raises(ValueError, match="is damaged"):
        skfairaug.load(path, blank())
    path.write_bytes(whole.replace(b'\\"tolerance\\": 0.5', b'\\"tolerance\\": 0.1'))
    assert path.read_bytes() != whole
    with pytest.raises(ValueError, match="is damaged"):
        skfairaug.load(path, blank())


def test_foreign_files(tmp_path, path):
    other = tmp_path / "other"
    other.write_bytes(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(ValueError, match=r"is no file of skfairaug\.save"):
        skfairaug.load(other, blank())
    save_file({"a": torch.ones(2)}, other, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"has not written: its header holds \['format'\]"):
        skfairaug.load(other, blank())
    with pytest.raises(FileNotFoundError):
        skfairaug.load(tmp_path / "nowhere", blank())


def rewrite(path, change):
    """Forge a file: another JSON, with the digest that belongs to it."""
    from skfairaug._engine._fingerprint import digest

    told, tensors = header(path), load_file(path)
    change(told)
    text = json.dumps(told)
    metadata = {"skfairaug": text, "digest": digest(tensors, text)}
    save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda told: told.update(format=99), ValueError, "has format 99"),
        (lambda told: told.update({"class": "Popen"}), ValueError, "holds a Popen"),
        (
            lambda told: told["state"].update(x={"object": "os.system", "state": {}}),
            ValueError,
            "os.system",
        ),
        (lambda told: told.update(fingerprint="0"), ValueError, "changes the weights"),
    ],
)
def test_a_forged_file_runs_nothing(change, error, match, path):
    rewrite(path, change)
    with pytest.raises(error, match=match):
        skfairaug.load(path, blank())


def test_another_module(path):
    with pytest.raises(ValueError, match="are not those of the module"):
        skfairaug.load(path, TabularMLP(n_features=4, depth=2, width=8))
    with pytest.raises(ValueError, match="changes the weights"):
        skfairaug.load(path, blank().half())
    with pytest.raises(TypeError, match="an instance of the network's class"):
        skfairaug.load(path, TabularMLP)

    class Other(TabularMLP):
        def forward(self, X):
            return 2 * super().forward(X)

    with pytest.raises(ValueError, match="computes something else"):
        skfairaug.load(path, Other(n_features=4, depth=1, width=8))
    wrong = NeuralNetClassifier(blank(), criterion=nn.NLLLoss)
    with pytest.raises(ValueError, match="computes something else"):
        skfairaug.load(path, wrong)


def test_what_has_no_file(net, rows, fair, tmp_path):
    fit = {"X": rows.X, "y": rows.y, "sensitive_features": rows.group}
    forest = RandomForestClassifier(n_estimators=3, random_state=0).fit(rows.X, rows.y)
    for model, message in (
        (forest, "got sklearn.ensemble._forest.RandomForestClassifier"),
        (ThresholdOnly(net, tolerance=0.9).fit(**fit), "around a network"),
        (FairRule(forest, tolerance=0.9).fit(**fit), "this one is over RandomForest"),
        (
            FairRule(net, tolerance=0.9, group_estimator=forest).fit(**fit),
            "_rule .* holds a skl",
        ),
    ):
        with pytest.raises(TypeError, match=message):
            skfairaug.save(model, tmp_path / "x")

    class Mine(FairAugmentFineTuner):
        pass

    with pytest.raises(TypeError, match="Mine"):
        skfairaug.save(Mine(net, tolerance=0.9, max_epochs=0).fit(**fit), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
