"""The rivals that need scores and groups only, around a network that takes images."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch
from skorch import NeuralNetClassifier
from torch import nn

from skfairaug._engine._scores import favourable_score
from skfairaug.modules import SmallConvNet, make_image_net
from skfairaug.rivals import (
    CalibratedEqOddsPostprocessing,
    EqOddsPostprocessing,
    ExponentiatedGradient,
    OxonFair,
    OxonFairWithGroups,
    RejectOptionClassification,
    ThresholdOnly,
    ThresholdOptimizer,
)
from skfairaug.rivals._reductions import uniform_by_row

pytest.importorskip("aif360")
pytest.importorskip("oxonfair")


def flat(X):
    X = X.reshape(len(X), -1)
    return X / 255 if X.dtype == np.uint8 else X


def linear():
    return make_pipeline(FunctionTransformer(flat), LogisticRegression(max_iter=200))


RIVALS = [
    ThresholdOnly,
    ThresholdOptimizer,
    EqOddsPostprocessing,
    CalibratedEqOddsPostprocessing,
    OxonFairWithGroups,
    lambda net, **params: OxonFair(net, group_estimator=linear(), **params),
    lambda net, **params: RejectOptionClassification(
        net, n_thresholds=8, n_margins=4, tolerance=0.5, **params
    ),
]


@pytest.fixture(scope="module")
def images():
    """Noise whose red is dark where the label is favourable, and bluer in group 1."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, 240)
    y = (rng.rand(240) < 0.35 + 0.3 * group).astype(int)
    X = rng.randint(0, 256, (240, 3, 8, 8)).astype(np.uint8)
    X[y == 1, 0] //= 2
    X[group == 1, 2] //= 2
    return Bunch(X=X, y=y, group=group)


@pytest.fixture(scope="module")
def image_net(images):
    torch.manual_seed(0)
    net = make_image_net(240, SmallConvNet, module__n_classes=2, batch_size=32, max_epochs=3)
    return net.fit(images.X, images.y.astype(np.int64))


def predict(fair, images):
    told = {"sensitive_features": images.group} if fair.needs_sensitive_features else {}
    return fair.predict(images.X, **told)


@pytest.mark.parametrize("rival", RIVALS)
def test_bytes_around_a_fitted_net(rival, image_net, images, monkeypatch):
    seen = set()
    infer = image_net.infer
    monkeypatch.setattr(
        image_net, "infer", lambda X, **kw: (seen.add(X.dtype), infer(X, **kw))[1]
    )
    fair = rival(image_net, random_state=0)
    fair.fit(images.X, images.y, sensitive_features=images.group)
    seen.clear()
    y_pred = predict(fair, images)
    assert torch.uint8 in seen
    unit = Bunch(**images | {"X": images.X.astype(np.float32) / 255})
    assert np.mean(predict(fair, unit) == y_pred) > 0.7  # one of them draws by value


def test_scores_of_bytes_are_those_of_the_net(image_net, images):
    score, is_probability = favourable_score(image_net, images.X)
    assert is_probability
    np.testing.assert_allclose(score, image_net.predict_proba(images.X)[:, 1], atol=1e-6)


def test_a_net_that_takes_no_bytes_gets_floats(images):
    layers = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())
    net = NeuralNetClassifier(layers, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0)
    net.fit(images.X.astype(np.float32), images.y.astype(np.int64))
    score, _ = favourable_score(net, images.X)
    expected, _ = favourable_score(net, images.X.astype(np.float32))
    np.testing.assert_array_equal(score, expected)


@pytest.mark.parametrize("rival", RIVALS)
def test_an_unfitted_net_and_a_classifier_of_arrays(rival, images):
    net = make_image_net(120, SmallConvNet, module__n_classes=2, batch_size=32, max_epochs=1)
    for classifier in (net, linear()):
        fair = rival(classifier, debias_fraction=0.5, random_state=0)
        fair.fit(images.X, images.y, sensitive_features=images.group)
        assert predict(fair, images).shape == (240,)


def test_tokens_reach_a_net_as_integers(rows):
    tokens = np.repeat(rows.y, 3).reshape(-1, 3)
    embed = nn.Sequential(nn.Embedding(2, 2), nn.Flatten(), nn.Linear(6, 2))
    net = NeuralNetClassifier(embed, criterion=nn.CrossEntropyLoss, lr=1.0, verbose=0)
    net.fit(tokens, rows.y)
    fair = ThresholdOnly(net, constraint=None)
    fair.fit(tokens, rows.y, sensitive_features=rows.group)
    np.testing.assert_array_equal(fair.predict(tokens), rows.y)


def test_draws_by_image(images):
    uniform = uniform_by_row(images.X, seed=1)
    assert len(np.unique(uniform)) == 240
    assert 0 <= uniform.min() < 0.1 < 0.9 < uniform.max() < 1
    np.testing.assert_array_equal(uniform_by_row(images.X[::-1], seed=1)[::-1], uniform)
    assert (uniform_by_row(images.X, seed=2) != uniform).all()


@pytest.mark.parametrize(
    "rival",
    [
        ExponentiatedGradient(LogisticRegression()),
        ThresholdOptimizer(LogisticRegression()),
        OxonFair(LogisticRegression()),
        RejectOptionClassification(LogisticRegression()),
    ],
)
def test_a_measure_that_a_library_lacks_is_named(rival):
    rival.set_params(constraint="bias_amplification")
    X, y, group = np.zeros((8, 2)), np.arange(8) % 2, np.arange(8) // 2 % 2
    with pytest.raises(ValueError, match=r"has no constraint 'bias_amplification'; it has"):
        rival.fit(X, y, sensitive_features=group)
