"""Nets of skorch's AccelerateMixin: on one process, on two, and pickled.

Run as a script, this file is one of the two processes.
"""

import os
import pickle
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.hf import AccelerateMixin

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug._engine._processes import (
    average_gradients,
    infer_shares,
    n_processes,
    scaled,
    shared_steps,
)
from skfairaug._inputs._accelerator import OneProcess
from skfairaug._inputs._copies import copy_net
from skfairaug.modules import TabularMLP
from skfairaug.rivals import AdversarialFineTuning

accelerate = pytest.importorskip("accelerate")

SIZE, LIMIT = 2, 60  # processes; seconds until they are given up


class AcceleratedNet(AccelerateMixin, NeuralNetClassifier):
    """The net of the documentation."""

    def _initialize_accelerator(self):
        # On several CPUs accelerate refuses a criterion, which has no weights.
        criteria, self._criteria = self._criteria, []
        super()._initialize_accelerator()
        self._criteria = criteria


def make_rows(seed, n=241):
    """Rows, labels and groups; odd many, so that no share is like another."""
    rng = np.random.RandomState(seed)
    group = rng.randint(0, 2, n)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    X[:, 0] += group
    return X, (X[:, 0] + X[:, 1] > 0.5).astype(int), group


def make_net(cls=AcceleratedNet, **settings):
    """A net trained by one process, with its weights in a net of class `cls`."""
    X, y, _ = make_rows(1)
    shape = {"module__n_features": 3, "module__depth": 1, "module__width": 8}
    shape |= {"criterion": torch.nn.CrossEntropyLoss, "verbose": 0, "lr": 0.1}
    torch.manual_seed(0)
    trained = NeuralNetClassifier(TabularMLP, max_epochs=3, **shape).fit(X, y)
    if cls is NeuralNetClassifier:
        return trained
    settings = {"callbacks__print_log__sink": print} | settings
    net = cls(TabularMLP, **shape, **settings).initialize()
    getattr(net.module_, "module", net.module_).load_state_dict(trained.module_.state_dict())
    return net


#: The ways to fine-tune that must not depend on the number of processes.
CASES = {
    "teacher": {},
    "labels": {"distillation": 0.5, "penalty": 8.0},
    "one row each": {"batch_size": 2},
    "attacked": {"augmenter": AdversarialAugmenter(n_steps=2)},
    "joint": {
        "augmenter": AdversarialAugmenter(n_steps=2, weighting="gradient", joint=True),
        "distillation": 0.5,
        "sensitive_columns": [2],
    },
    "layer": {"augmenter": AdversarialAugmenter(n_steps=2, input_layer="body.0")},
    "mask": {"reactivator": MaskReactivator(max_epochs=2, steps_per_epoch=5)},
}


def fit(net, estimator=FairAugmentFineTuner, seed=0, rows=0, **params):
    """A classifier fine-tuned for three epochs of five steps."""
    X, y, group = make_rows(rows)
    params = {"max_epochs": 3, "steps_per_epoch": 5, "batch_size": 64} | params
    classifier = estimator(net, tolerance=0.3, random_state=seed, **params)
    return classifier.fit(X, y, sensitive_features=group)


def scores(classifier):
    """What it says of new rows."""
    return classifier.decision_function(make_rows(2)[0])


# -- two processes ------------------------------------------------------------


class Pair(torch.nn.Linear):
    """Gives its output twice, the second time as a side product; one weight is idle."""

    def __init__(self):
        super().__init__(3, 2)
        self.idle = torch.nn.Parameter(torch.ones(2))

    def forward(self, X):
        output = super().forward(X)
        return output, output.square()

    def named(self, X):
        return self(**X)


def gradients(infer, size=1):
    """Gradients of a loss that no mean over shares gives, and of the weights themselves."""
    torch.manual_seed(0)
    module, (X, y, _) = Pair(), make_rows(3, n=7)
    output, side = infer(module, torch.from_numpy(X))
    weights = torch.from_numpy(y) + 0.5
    loss = (weights * output[:, 0]).sum() / weights.sum() + side.std() + output[0, 1] ** 2
    (loss + module.weight.square().sum()).backward()
    if size > 1:
        average_gradients(module, size)
        assert module.idle.grad.eq(0).all()
    return torch.cat([module.weight.grad.flatten(), module.bias.grad]).numpy()


def work(rank, folder):
    """One of the processes: fit every case, and save what it says of new rows."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",  # a file, as ports may be taken
        rank=rank,
        world_size=SIZE,
        timeout=timedelta(seconds=LIMIT / 2),
    )
    net = make_net(accelerator=accelerate.Accelerator(cpu=True))
    found = {name: scores(fit(net, **case)) for name, case in CASES.items()}
    found["loss"] = fit(net).history_[:, "train_loss"]
    found["rival"] = scores(fit(net, AdversarialFineTuning))
    found["own seeds"] = scores(fit(net, seed=rank))
    found["train mode"] = scores(fit(net, train_mode=True))
    classifier = pickle.loads(pickle.dumps(fit(net)))
    found["pickled"] = scores(classifier)
    if rank == 0:  # alone
        found["pickled again"] = scores(fit(classifier.net_))
    shares = gradients(lambda module, X: infer_shares(module, X, SIZE), size=SIZE)
    named = gradients(lambda module, X: infer_shares(module.named, {"X": X}, SIZE), size=SIZE)
    found["gradients"], found["gradients by name"] = shares, named
    found["wrapped"] = isinstance(net.module_, torch.nn.parallel.DistributedDataParallel)
    try:
        fit(net, rows=rank)
    except ValueError as error:
        found["error"] = str(error)
    np.savez(folder / f"{rank}.npz", **found)
    torch.distributed.destroy_process_group()
    # Gloo's threads may still hold tensors, and abort where the interpreter is torn down
    # under them (pytorch/pytorch#179291).
    os._exit(0)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes saved."""
    if not torch.distributed.is_gloo_available():
        pytest.skip("this build of PyTorch has no gloo")
    folder = tmp_path_factory.mktemp("processes")
    processes, logs = [], []
    for rank in range(SIZE):
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": SIZE, "MASTER_PORT": 1}
        names |= {"LOCAL_WORLD_SIZE": SIZE, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": 1}
        if sys.platform == "linux":
            names["GLOO_SOCKET_IFNAME"] = "lo"
        environment = os.environ | {name: str(value) for name, value in names.items()}
        logs.append(folder / f"{rank}.log")
        with logs[-1].open("wb") as log:
            command = [sys.executable, "-W", "error", __file__, str(rank), str(folder)]
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    end = time.monotonic() + LIMIT
    try:
        codes = [process.wait(max(0.1, end - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert codes == [0] * SIZE, "\n".join(log.read_text("utf-8") for log in logs)
    return [np.load(folder / f"{rank}.npz") for rank in range(SIZE)]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_give_the_result_of_one(found, name):
    alone = scores(fit(make_net(NeuralNetClassifier), **CASES[name]))
    assert np.abs(alone).max() > 0.1
    np.testing.assert_allclose(found[0][name], alone, atol=2e-5)
    np.testing.assert_array_equal(found[1][name], found[0][name])


@pytest.mark.parametrize("name", ["gradients", "gradients by name"])
def test_shares_give_the_gradients_of_all_rows(found, name):
    alone = gradients(lambda module, X: module(X))
    for each in found:
        np.testing.assert_allclose(each[name], alone, rtol=1e-5)


def test_the_loss_in_the_history_is_that_of_all_rows(found):
    alone = fit(make_net(NeuralNetClassifier)).history_[-3:, "train_loss"]
    np.testing.assert_allclose(found[0]["loss"], alone, atol=1e-5)


def test_a_rival_does_all_the_work_in_every_process(found):
    alone = scores(fit(make_net(NeuralNetClassifier), AdversarialFineTuning))
    np.testing.assert_allclose(found[0]["rival"], alone, atol=1e-5)
    np.testing.assert_allclose(found[1]["rival"], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["own seeds", "train mode"])
def test_processes_agree(found, name):
    assert np.isfinite(found[0][name]).all()
    np.testing.assert_array_equal(found[1][name], found[0][name])


def test_the_main_process_gives_the_seed(found):
    np.testing.assert_array_equal(found[0]["own seeds"], found[0]["teacher"])


def test_a_pickled_result_is_of_one_process(found):
    assert found[0]["wrapped"]  # as it went in
    np.testing.assert_array_equal(found[0]["pickled"], found[0]["teacher"])
    assert np.isfinite(found[0]["pickled again"]).all()


def test_other_rows_in_another_process_are_refused(found):
    for each in found:
        assert "the processes were given different rows" in str(each["error"])


# -- one process --------------------------------------------------------------


@pytest.fixture
def accelerator():
    """An accelerator of this process alone; what it leaves behind is taken away."""
    yield accelerate.Accelerator(cpu=True)
    accelerate.state.AcceleratorState._reset_state(True)
    accelerate.state.GradientState._reset_state()


@pytest.fixture
def half():
    """An accelerator that computes in bfloat16."""
    yield accelerate.Accelerator(cpu=True, mixed_precision="bf16")
    accelerate.state.AcceleratorState._reset_state(True)
    accelerate.state.GradientState._reset_state()


def test_one_process_gives_the_result_of_a_plain_net(accelerator):
    net = make_net(accelerator=accelerator)
    plain, classifier = fit(make_net(NeuralNetClassifier)), fit(net)
    np.testing.assert_array_equal(scores(classifier), scores(plain))
    assert classifier.net_.accelerator is net.accelerator is accelerator
    assert classifier.net_.predict(make_rows(2)[0]).shape == (241,)


def test_an_unfitted_net_is_trained_by_its_accelerator(accelerator):
    net = AcceleratedNet(
        TabularMLP,
        module__n_features=3,
        module__depth=1,
        criterion=torch.nn.CrossEntropyLoss,
        verbose=0,
        accelerator=accelerator,
        callbacks__print_log__sink=print,
    )
    assert np.isfinite(scores(fit(net))).all()


def test_a_wrapped_net_is_copied_without_its_wrapper(half):
    net = make_net(accelerator=half, unwrap_after_train=False)
    X = torch.from_numpy(make_rows(2)[0])
    wrapper = net.module_.forward
    twin = copy_net(net)
    with torch.no_grad():
        twin.module_.head.weight.zero_()
        twin.module_.head.bias.zero_()
        assert twin.infer(X).eq(0).all()
        assert net.infer(X).ne(0).all()
    assert net.module_.forward is wrapper
    assert "_original_forward" in vars(net.module_)
    assert "_original_forward" not in vars(twin.module_)


def test_half_precision_is_near_full_precision(half):
    net = make_net(accelerator=half)
    exact = scores(fit(make_net(NeuralNetClassifier)))
    assert np.abs(scores(fit(net)) - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("library", [pickle, cloudpickle])
def test_a_pickle_needs_no_accelerate(accelerator, monkeypatch, library):
    classifier = fit(make_net(accelerator=accelerator, callbacks__print_log__sink="auto"))
    text = library.dumps(classifier)
    assert b"accelerate." not in text
    for name in [name for name in sys.modules if name.split(".")[0] == "accelerate"]:
        monkeypatch.setitem(sys.modules, name, None)
    restored = pickle.loads(text)
    np.testing.assert_array_equal(scores(restored), scores(classifier))
    X, y, _ = make_rows(0)
    assert isinstance(restored.net_.accelerator, OneProcess)
    assert restored.net_.predict(X).shape == (241,)
    restored.net_.partial_fit(X, y)
    assert np.isfinite(scores(fit(restored.net_))).all()
    assert classifier.net_.accelerator is accelerator


def test_accumulated_gradients_are_refused(accelerator):
    accelerator.gradient_accumulation_steps = 2
    with pytest.raises(ValueError, match=r"must be 1.*choose the batch_size instead"):
        fit(make_net(accelerator=accelerator))


def test_float16_scales_the_steps(accelerator):
    net, weight = make_net(accelerator=accelerator), torch.nn.Parameter(torch.ones(1))
    plain = torch.optim.SGD([weight], lr=1.0)
    assert scaled(net, plain) is plain
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    optimizer = scaled(net, plain)
    accelerator.scaler.scale(weight.sum() / 2).backward()
    optimizer.step()
    assert weight.item() == 0.5


# -- what is not supported ----------------------------------------------------


def net_of(kind, size):
    accelerator = SimpleNamespace(num_processes=size, distributed_type=kind)
    return SimpleNamespace(accelerator=accelerator)


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "XLA", "MULTI_GPU"])
def test_split_networks_are_refused(kind):
    # Of several GPUs there are none here: torch.distributed has not been started.
    with pytest.raises(ValueError, match=rf"type {kind} is not supported: every process"):
        n_processes(net_of(kind, 2))


def test_one_process_shares_nothing():
    assert n_processes(SimpleNamespace()) == n_processes(net_of("FSDP", 1)) == 1
    net = net_of("NO", 1)
    before = dict(vars(net))
    with shared_steps(SimpleNamespace(net=net)):
        assert vars(net) == before


if __name__ == "__main__":
    work(int(sys.argv[1]), Path(sys.argv[2]))
