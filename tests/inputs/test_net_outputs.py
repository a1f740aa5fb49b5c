"""Nets whose outputs or losses are not what they seem: refused once, for every estimator."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, FairRule, MaskReactivator
from skfairaug._inputs._encoder import Encoder, find_head
from skfairaug._inputs._models import check_output, net_targets, predict_codes
from skfairaug._inputs._rows import on_device
from skfairaug.auditing import audit
from skfairaug.modules import TabularMLP
from skfairaug.rivals import LayerwiseOptimization, OxonFair, PlainFineTuning, ThresholdOnly

BRIEF = {"max_epochs": 1, "steps_per_epoch": 2, "batch_size": 64, "tolerance": 0.9}
ESTIMATORS = [
    FairAugmentFineTuner,
    AdversarialAugmenter,
    MaskReactivator,
    PlainFineTuning,
    FairRule,
    ThresholdOnly,
    OxonFair,
]
pytestmark = [
    # A few steps teach nothing, and some of the nets here learned nothing before.
    pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning"),
    pytest.mark.filterwarnings("ignore:the classifier's balanced accuracy on these rows"),
]
every_estimator = pytest.mark.parametrize("cls", ESTIMATORS)


def made(module, criterion=nn.CrossEntropyLoss, cls=NeuralNetClassifier, **settings):
    torch.manual_seed(0)
    settings = {"verbose": 0, "train_split": None, **settings}
    return cls(module, criterion=criterion, **settings).initialize()


def fit(estimator, rows, X=None):
    X = rows.X if X is None else X
    return estimator.fit(X, rows.y, sensitive_features=rows.group)


def mlp(n_classes=2, *after):
    return nn.Sequential(TabularMLP(4, n_classes=n_classes, width=8, depth=1), *after)


class FocalBCE(nn.Module):
    """A criterion of one's own, on a logit, which is no BCEWithLogitsLoss."""

    def forward(self, logits, targets):
        assert targets.dtype == logits.dtype
        assert targets.shape == logits.shape
        miss = torch.where(targets > 0.5, logits, -logits)
        return (torch.sigmoid(-miss) ** 2 * nn.functional.softplus(-miss)).mean()


def both_classes(logit):
    return torch.stack([-logit, logit], 1).sigmoid()


BAD = {
    "logits under NLLLoss": (
        lambda: made(mlp(), nn.NLLLoss),
        "no probabilities: under NLLLoss skorch takes them.*end in a Softmax",
    ),
    "log-probabilities under NLLLoss": (
        lambda: made(mlp(2, nn.LogSoftmax(1)), nn.NLLLoss),
        "no probabilities: under NLLLoss",
    ),
    "a criterion of one's own": (
        lambda: made(mlp(), nn.MultiMarginLoss),
        "no probabilities: under MultiMarginLoss.*predict_nonlinearity",
    ),
    "a binary criterion of one's own": (
        lambda: made(mlp(1), FocalBCE, NeuralNetBinaryClassifier),
        "no probabilities: under FocalBCE.*the probability of both classes",
    ),
    "a logit under BCELoss": (
        lambda: made(mlp(1), nn.BCELoss, NeuralNetBinaryClassifier),
        "no probabilities: under BCELoss",
    ),
    "one output of several": (
        lambda: made(mlp(1), nn.BCEWithLogitsLoss),
        "one output per row.*use skorch's NeuralNetBinaryClassifier",
    ),
    "too many outputs": (lambda: made(mlp(5)), "y has 2 classes but the net predicts (5,)"),
    "other rows": (
        lambda: made(nn.Sequential(nn.Linear(7, 2))),
        "the net cannot take X of shape .*first layer expects other features",
    ),
}


@pytest.mark.parametrize("kind", BAD)
@every_estimator
def test_outputs_that_are_no_probabilities(cls, kind, rows):
    make, message = BAD[kind]
    with pytest.raises(ValueError, match=message.replace("(5,)", r"\(5,\)")):
        fit(cls(make()), rows)


@pytest.mark.parametrize("kind", sorted(BAD.keys() - {"too many outputs"}))
def test_audit_looks_at_the_outputs_too(kind, rows):
    make, message = BAD[kind]
    with pytest.raises(ValueError, match=message):
        audit(make(), rows.X, rows.y, sensitive_features=rows.group)


def test_classifiers_of_other_classes(rows):
    other = LogisticRegression().fit(rows.X, np.arange(240) % 5)
    for cls in (ThresholdOnly, FairRule, OxonFair):
        with pytest.raises(ValueError, match=r"y has 2 classes, \[0, 1\], but the"):
            fit(cls(other), rows)


@every_estimator
def test_regression_nets(cls, rows):
    net = NeuralNetRegressor(mlp(1), verbose=0).initialize()
    with pytest.raises(TypeError, match=r"must be a skorch classifier.*got NeuralNetRegressor"):
        fit(cls(net), rows)


# -- losses of one's own ------------------------------------------------------


class Regularised(NeuralNetClassifier):
    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        return loss + 0.1 * sum(p.abs().sum() for p in self.module_.parameters())


def test_a_loss_of_the_net_s_own(rows):
    net = made(mlp(), cls=Regularised)
    for cls in (FairAugmentFineTuner, MaskReactivator, PlainFineTuning):
        with pytest.raises(TypeError, match="Regularised has a get_loss of its own"):
            fit(cls(net), rows)
    # They leave the weights as they are, or try others without a loss.
    for estimator in (
        FairRule(net, tolerance=0.9),
        LayerwiseOptimization(net, n_layers=1, n_calls=0, tolerance=0.9),
    ):
        assert fit(estimator, rows).predict(rows.X).shape == (240,)


def focal_net():
    return made(mlp(1), FocalBCE, NeuralNetBinaryClassifier, predict_nonlinearity=both_classes)


def test_a_criterion_of_one_s_own_gets_targets_of_its_type(rows):
    net = focal_net()
    net.partial_fit(rows.X, rows.y.astype(np.float32), epochs=3)
    assert net_targets(net, torch.tensor([0, 1])).dtype == torch.float32
    fair = fit(FairAugmentFineTuner(net, random_state=0, **BRIEF), rows)
    assert np.isfinite(fair.history_[-1, "valid_loss"])
    expected = net.predict_proba(rows.X)
    np.testing.assert_allclose(predict_codes(net, rows.X), expected[:, 1] > 0.5)


def test_an_unfitted_net_with_a_criterion_of_one_s_own(rows):
    net = NeuralNetBinaryClassifier(
        TabularMLP,
        module__n_features=4,
        module__n_classes=1,
        module__depth=1,
        criterion=FocalBCE,
        predict_nonlinearity=both_classes,
        max_epochs=2,
        verbose=0,
    )
    assert fit(FairRule(net, tolerance=0.9), rows).predict(rows.X).shape == (240,)


# -- compiled -----------------------------------------------------------------

COMPILED = {
    "classifier": lambda: made(mlp(), compile=True, compile__backend="eager"),
    "binary classifier": lambda: made(
        mlp(1),
        nn.BCEWithLogitsLoss,
        NeuralNetBinaryClassifier,
        compile=True,
        compile__backend="eager",
    ),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_nets(name, rows):
    net, X = COMPILED[name](), rows.X[:16]
    assert hasattr(net.module_, "_orig_mod")
    device_rows = on_device(net, X)
    check_output(net, device_rows, 2)
    head = find_head(net, device_rows)
    assert head is net.module_._orig_mod[0].head
    net.module_.eval()
    expected = net.module_._orig_mod[0].body(torch.from_numpy(X))
    torch.testing.assert_close(Encoder(net, head).all_rows(device_rows), expected)
    dtype = net_targets(net, torch.tensor([0, 1])).dtype
    assert dtype == (torch.int64 if name == "classifier" else torch.float32)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("cls", [FairAugmentFineTuner, MaskReactivator, FairRule])
def test_estimators_around_compiled_nets(cls, name, rows):
    net = COMPILED[name]()
    brief = {"tolerance": 0.9} if cls is FairRule else BRIEF
    fair = fit(cls(net, random_state=0, **brief), rows)
    plain = made(net.module, type(net.criterion_._orig_mod), type(net))
    plain.module_.load_state_dict(net.module_._orig_mod.state_dict())
    same = fit(cls(plain, random_state=0, **brief), rows)
    outcome = "transform" if cls is MaskReactivator else "predict_proba"
    np.testing.assert_allclose(
        getattr(fair, outcome)(rows.X), getattr(same, outcome)(rows.X), atol=1e-6
    )


# -- a module that is given, and not initialised ------------------------------


def test_a_module_in_a_net_that_is_not_initialised(rows):
    net = NeuralNetClassifier(
        mlp(), criterion=nn.CrossEntropyLoss, max_epochs=2, train_split=None, verbose=0
    )
    message = r"given Sequential is not initialised.*for 2 epochs.*net\.initialize\(\)"
    for estimator in (FairAugmentFineTuner(net, **BRIEF), FairRule(net, tolerance=0.9)):
        with pytest.warns(UserWarning, match=message):
            fit(estimator, rows)
    fit(FairRule(clone(net).initialize(), tolerance=0.9), rows)  # as it is: no warning


# -- precision, and columns by name -------------------------------------------


@pytest.mark.parametrize("kind", ["array", "frame"])
@pytest.mark.parametrize(
    "cls",
    [FairAugmentFineTuner, AdversarialAugmenter, MaskReactivator, FairRule, ThresholdOnly],
)
def test_a_module_of_double_precision(cls, kind, rows):
    net = made(mlp().double())
    X = rows.X.astype(np.float64)
    X[:, 1] += 1e-9  # which float32 would lose
    given = X if kind == "array" else pd.DataFrame(X, columns=list("abcd"))
    brief = {"n_steps": 2} if cls is AdversarialAugmenter else BRIEF
    brief = {"tolerance": 0.9} if cls in (FairRule, ThresholdOnly) else brief
    estimator = fit(cls(net, random_state=0, **brief), rows, given)
    if cls is FairAugmentFineTuner:
        seen = on_device(estimator.net_, estimator._validate_X(given))
        assert torch.equal(seen.tensor, torch.from_numpy(X))
    outcome = estimator.transform if hasattr(estimator, "transform") else estimator.predict
    assert len(outcome(given)) == 240
    np.testing.assert_array_equal(predict_codes(net, given), net.predict(X))


class ByName(nn.Module):
    """Takes the columns of a frame as its arguments, as skorch hands them over."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 2)
        self.head = nn.Linear(3, 2)

    def forward(self, age, job):
        return self.head(torch.cat([age, self.embedding(job.ravel())], dim=1))


@pytest.fixture
def jobs(rows):
    """A frame of a number and a code, and the net that takes both by name."""
    frame = pd.DataFrame({"job": rows.group + rows.y, "age": rows.X[:, 0].astype(np.float64)})
    return frame, made(ByName())


@pytest.mark.parametrize(
    "cls", [FairAugmentFineTuner, MaskReactivator, PlainFineTuning, FairRule, ThresholdOnly]
)
def test_columns_that_are_arguments(cls, jobs, rows):
    frame, net = jobs
    brief = {"tolerance": 0.9} if cls in (FairRule, ThresholdOnly) else BRIEF
    fair = fit(cls(net, random_state=0, **brief), rows, frame)
    outcome = fair.transform if hasattr(fair, "transform") else fair.predict_proba
    found = outcome(frame)
    columns = {name: frame[name].to_numpy()[:, None] for name in frame}
    again = fit(cls(net, random_state=0, **brief), rows, columns)
    outcome = again.transform if hasattr(again, "transform") else again.predict_proba
    np.testing.assert_allclose(found, outcome(columns), atol=1e-6)
    assert fair.feature_names_in_.tolist() == ["job", "age"]


def test_columns_that_are_arguments_are_audited(jobs, rows):
    frame, net = jobs
    by_name = {
        "age": torch.from_numpy(frame[["age"]].to_numpy(np.float32).copy()),
        "job": torch.from_numpy(frame[["job"]].to_numpy().copy()),
    }
    with torch.no_grad():
        expected = net.module_(**by_name).argmax(1).numpy()
    np.testing.assert_array_equal(predict_codes(net, frame), expected)
    message = re.escape("X has rows of shape (2,), but FairRule was fitted on rows of shape {")
    rule = fit(FairRule(net, tolerance=0.9), rows, frame)
    with pytest.raises(ValueError, match=message):
        rule.predict(frame[["job", "age"]].to_numpy())
