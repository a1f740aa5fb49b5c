"""What a step may do is queue work: nothing in it waits for the device.

On a GPU `torch.cuda.set_sync_debug_mode` says so (tests/test_cuda.py). Here the operations
themselves are watched: those whose result has to be known on the host.
"""

from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug._engine._attacker import draw_one
from skfairaug.modules import ResNet18, make_image_net

aten = torch.ops.aten

#: Their output's size is not known beforehand, or a value is read on the host.
WAITING = {
    aten.bincount.default,
    aten.nonzero.default,
    aten.nonzero_numpy.default,
    aten.masked_select.default,
    aten._local_scalar_dense.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.multinomial.default,
    aten.repeat_interleave.Tensor,
    # A tensor made of numbers on the host is copied to the device, and waited for.
    aten.lift_fresh.default,
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


#: Ways to the host and from it, which on a CPU are no operation at all.
READING = {getattr(torch.Tensor, name) for name in ("tolist", "numpy", "cpu", "item")}
WRITING = {torch.as_tensor, torch.asarray, torch.from_numpy}


class OperationsWait(TorchDispatchMode):
    """Fails at an operation that would wait for the device."""

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        by_mask = op in INDEXING and any(
            one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1]
        )
        if op in WAITING or by_mask:
            raise AssertionError(f"{op} waits for the device")
        return op(*args, **kwargs or {})


class CopiesWait(TorchFunctionMode):
    """Fails at what would be copied to the host or from it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        from_host = func in WRITING and not isinstance(args[0], torch.Tensor)
        if func in READING or from_host:
            raise AssertionError(f"{func} waits for the device")
        return func(*args, **kwargs or {})


@contextmanager
def nothing_waits():
    with OperationsWait(), CopiesWait():
        yield


class Watch(Callback):
    """Watches an epoch from its first batch to its last, the drawing of batches too."""

    def __init__(self, n_steps):
        self.n_steps = n_steps
        self.watched = 0

    def on_epoch_begin(self, net, **kwargs):
        self.step = 0

    def on_batch_begin(self, net, training=False, **kwargs):
        if training and not self.step:
            self.watching = ExitStack()
            self.watching.enter_context(nothing_waits())

    def on_batch_end(self, net, training=False, **kwargs):
        self.step += training
        if training and self.step == self.n_steps:
            self.watching.close()
            self.watched += 1


STEPS = {
    "default": {},
    "labels and bias term": {"distillation": 0.5, "penalty": 8.0},
    "odds": {"distillation": 0.0, "constraint": "equalized_odds"},
    "mixing": {"mixing": True},
    "attacked before": {"augmenter": AdversarialAugmenter(norm=("linf", "l2"))},
    "attacked jointly": {
        "augmenter": AdversarialAugmenter(norm=("linf", "l2"), n_steps=2, joint=True),
    },
    "weights of the loss": {
        "augmenter": AdversarialAugmenter(weighting="gradient", n_steps=2, joint=True),
    },
    "mask": {"reactivator": MaskReactivator(max_epochs=1, steps_per_epoch=3)},
}


def watched(net, n_epochs, X, y, group, **params):
    """Fine-tune with every step watched."""
    watch = Watch(3)
    net.callbacks_.append(("watch", watch))
    tuner = FairAugmentFineTuner(net, **params)
    tuner.fit(X, y, sensitive_features=group)
    watch = dict(tuner.net_.callbacks_)["watch"]
    assert watch.watched == n_epochs


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_no_step_waits_for_the_device(steps, net, rows, quick):
    n_epochs = 2 + ("reactivator" in steps)
    watched(net, n_epochs, rows.X, rows.y, rows.group, **(quick | steps))


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
@pytest.mark.parametrize("steps", [STEPS["default"], STEPS["attacked jointly"]])
def test_no_step_on_images_waits_for_the_device(steps):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (96, 3, 8, 8)).astype(np.uint8)
    y, group = np.divmod(np.arange(96) % 8, 2)
    net = make_image_net(
        96, ResNet18, batch_size=48, max_epochs=1, module__n_classes=4, module__width=4
    )
    brief = {"max_epochs": 1, "steps_per_epoch": 3, "batch_size": 40, "tolerance": 0.9}
    watched(net.fit(X, y), 1, X, y, group, random_state=0, **(brief | steps))


def test_what_waits_is_seen():
    X, rows = torch.arange(3.0), torch.tensor([True, False, True])
    for work in (
        lambda: X[rows],
        lambda: X.sum().item(),
        lambda: X.long().bincount(),
        lambda: X.nonzero(),
        lambda: torch.tensor([1.0]),
        lambda: X.unique(),
        lambda: X.tolist(),
        lambda: X.softmax(0).multinomial(1),
        lambda: torch.as_tensor(np.zeros(2)),
        lambda: X.cpu(),
    ):
        with pytest.raises(AssertionError, match="waits for the device"), nothing_waits():
            work()
    with nothing_waits():
        X[torch.arange(2)] + torch.where(rows, X, 1.0)[:2]


def test_one_is_drawn_as_torch_draws_it():
    weights = torch.tensor([0.2, 0.5, 0.3])
    ours, theirs = (torch.Generator().manual_seed(0) for _ in range(2))
    for _ in range(20):
        drawn = torch.multinomial(weights, 1, generator=theirs)
        assert torch.equal(draw_one(weights, ours), drawn)
