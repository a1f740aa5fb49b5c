"""A GPU and back: fit there, pickle, predict here. Runs only where CUDA does."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug.modules import ResNet18, SmallConvNet, TabularMLP, make_image_net
from skfairaug.rivals import AdversarialDebiasing, PlainFineTuning

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

BRIEF = {"max_epochs": 2, "steps_per_epoch": 3, "batch_size": 40, "tolerance": 0.9}


@pytest.fixture
def images():
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (120, 3, 8, 8)).astype(np.uint8)
    y, group = np.divmod(np.arange(120) % 8, 2)
    torch.manual_seed(0)
    net = make_image_net(
        120, SmallConvNet, device="cuda", batch_size=40, max_epochs=2, module__n_classes=4
    )
    return net.fit(X, y), X, y, group


def whole_method(net):
    return FairAugmentFineTuner(
        net,
        augmenter=AdversarialAugmenter(norm=("linf", "l2"), joint=True),
        reactivator=MaskReactivator(max_epochs=1, steps_per_epoch=3, batch_size=40),
        random_state=0,
        **BRIEF,
    )


@pytest.mark.parametrize("make", [whole_method, lambda net: PlainFineTuning(net, **BRIEF)])
def test_results_stay_on_the_gpu_and_predict_on_the_host(images, make):
    net, X, y, group = images
    fair = make(net).fit(X, y, sensitive_features=group)
    assert next(fair.net_.module_.parameters()).device.type == "cuda"
    assert isinstance(fair.predict_proba(X), np.ndarray)


READ = """
import pickle, sys
import numpy as np
fair, X, expected = pickle.load(open(sys.argv[1], "rb"))
assert fair.net_.device == "cpu"
np.testing.assert_allclose(fair.predict_proba(X), expected, atol=1e-3)
"""


def test_a_pickle_from_the_gpu_predicts_without_one(images, tmp_path):
    net, X, y, group = images
    fair = whole_method(net).fit(X, y, sensitive_features=group)
    path = tmp_path / "fair.pkl"
    path.write_bytes(pickle.dumps((fair, X, fair.predict_proba(X))))
    again = pickle.loads(path.read_bytes())[0]
    assert next(again.net_.module_.parameters()).device.type == "cuda"
    # All else stays as it is here: where the libraries are, and the packages.
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", READ, path], check=True, env=hidden, timeout=120)


def test_the_same_seed_gives_the_same_network(images):
    net, X, y, group = images
    one, other = (whole_method(net).fit(X, y, sensitive_features=group) for _ in range(2))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-3)


def test_random_state_of_the_gpu_is_as_before(images):
    net, X, y, group = images
    before = torch.cuda.get_rng_state()
    whole_method(net).fit(X, y, sensitive_features=group)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_tables_and_networks_trained_from_new_weights():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 4)).astype(np.float32)
    y, group = np.divmod(np.arange(200) % 4, 2)
    net = NeuralNetClassifier(
        TabularMLP,
        module__n_features=4,
        module__depth=1,
        criterion=torch.nn.CrossEntropyLoss,
        device="cuda",
        verbose=0,
    )
    fair = AdversarialDebiasing(net, max_epochs=1, steps_per_epoch=3, tolerance=0.9)
    assert fair.fit(X, y, sensitive_features=group).predict(X).shape == (200,)
    fair = FairAugmentFineTuner(net.fit(X, y), **BRIEF)
    assert fair.fit(X, y, sensitive_features=group).predict(X).shape == (200,)


def test_steps_of_fine_tuning_do_not_wait_for_the_gpu(images):
    """What a step may do is queue work; an epoch ends with one wait."""
    from skorch.callbacks import Callback

    class Strict(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            torch.cuda.set_sync_debug_mode("error" if training else "default")

        def on_batch_end(self, net, **kwargs):
            torch.cuda.set_sync_debug_mode("default")

    _, X, y, group = images
    net = make_image_net(
        120,
        ResNet18,
        device="cuda",
        batch_size=40,
        max_epochs=1,
        module__n_classes=4,
        module__width=8,
    ).fit(X, y)
    net.callbacks_.append(("strict", Strict()))
    fair = FairAugmentFineTuner(net, random_state=0, **BRIEF)
    try:
        fair.fit(X, y, sensitive_features=group)
    finally:
        torch.cuda.set_sync_debug_mode("default")
