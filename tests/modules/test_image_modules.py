"""Networks for images: pixels at their entrance, their shapes, and skorch over them."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.dataset import Dataset
from torch import nn

from skfairaug.modules import (
    PixelInput,
    ResNet18,
    SmallConvNet,
    TensorBatches,
    make_image_net,
    random_crop_flip,
    unit_pixels,
)


def images(n=6, size=8):
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8)


def test_uint8_and_unit_pixels_are_the_same_image():
    X = images()
    layer = PixelInput()
    assert torch.equal(layer(X), layer(unit_pixels(X)))
    assert unit_pixels(X).max() <= 1
    floats = torch.rand(2, 3, 4, 4)
    assert unit_pixels(floats) is floats


def test_pixels_are_normalised_by_channel():
    X = torch.tensor([0.2, 0.5]).view(1, 2, 1, 1)
    layer = PixelInput(mean=[0.1, 0.3], std=[0.5, 0.1])
    torch.testing.assert_close(layer(X).ravel(), torch.tensor([0.2, 2.0]))


@pytest.mark.parametrize("padding", [0, 2])
def test_crop_shifts_each_image_by_its_own_offset(padding):
    X = torch.zeros(200, 1, 6, 6, dtype=torch.uint8)
    X[:, 0, 2, 3] = 9
    changed = random_crop_flip(X, padding)
    assert changed.dtype == torch.uint8
    _, _, rows, columns = torch.nonzero(changed, as_tuple=True)
    offsets = {(int(r) - 2, int(c) - 3) for r, c in zip(rows, columns, strict=True)}
    steps = range(-padding, padding + 1)
    assert offsets == {(i, j) for i in steps for j in steps}
    assert set(changed.unique().tolist()) == {0, 9}


def test_flip_mirrors_half_of_the_images_whole():
    X = torch.arange(4.0).expand(400, 2, 3, 4)
    changed = random_crop_flip(X, flip=True)
    mirrored = (changed == X.flip(3)).flatten(1).all(1)
    straight = (changed == X).flatten(1).all(1)
    assert (mirrored | straight).all()
    assert 150 < mirrored.sum() < 250


def test_images_change_in_training_only():
    X = images()
    layer = PixelInput(padding=2, flip=True)
    assert not torch.equal(layer(X), layer(X))
    layer.eval()
    assert torch.equal(layer(X), PixelInput()(X))


def test_random_changes_follow_the_seed():
    X = images()
    torch.manual_seed(3)
    first = random_crop_flip(X, 2, True)
    torch.manual_seed(3)
    assert torch.equal(first, random_crop_flip(X, 2, True))
    assert not torch.equal(first, random_crop_flip(X, 2, True))


def test_resnet_has_eighteen_layers_and_the_published_size():
    module = ResNet18()
    layers = [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
    # 17 convolutions and the last layer, and three shortcuts that change the size.
    assert len(layers) == 18 + 3
    assert sum(p.numel() for p in module.parameters()) == 11_173_962
    assert module.stem[0].stride == (1, 1)


@pytest.mark.parametrize("module", [ResNet18(width=4), SmallConvNet(width=4)])
@pytest.mark.parametrize("size", [8, 32])
def test_shape_and_gradient_to_the_pixels(module, size):
    X = unit_pixels(images(4, size)).requires_grad_()
    out = module.eval()(X)
    assert out.shape == (4, 10)
    assert out.dtype == torch.float32
    (gradient,) = torch.autograd.grad(out.square().sum(), X)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_mixed_precision_is_near_and_returns_floats():
    torch.manual_seed(0)
    module = ResNet18(width=8, mixed_precision=True).eval()
    X = images(4, 32)
    mixed = module(X)
    module.mixed_precision = "auto"  # no GPU holds it: full precision
    exact = module(X)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, exact)
    torch.testing.assert_close(mixed, exact, atol=0.1, rtol=0.1)


def test_batches_of_a_data_set_in_memory():
    data = Dataset(np.arange(7), np.arange(7))
    assert [X.tolist() for X, _ in TensorBatches(data, batch_size=3)] == [
        [0, 1, 2],
        [3, 4, 5],
        [6],
    ]
    dropped = TensorBatches(data, batch_size=3, shuffle=True, drop_last=True)
    assert len(dropped) == 2
    first = [X for X, y in dropped if torch.equal(X, y)]
    second = [X for X, _ in dropped]
    assert len(torch.cat(first).unique()) == 6
    assert not torch.equal(torch.cat(first), torch.cat(second))
    assert len(TensorBatches(data, batch_size=-1)) == 1


def test_batches_of_a_subset_and_without_labels():
    data = Dataset(np.arange(7), np.arange(7))
    part = torch.utils.data.Subset(data, [4, 2])
    assert [(X.tolist(), y.tolist()) for X, y in TensorBatches(part)] == [([4, 2], [4, 2])]
    assert [X.tolist() for X, _ in TensorBatches(Dataset(np.arange(2)))] == [[0, 1]]


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_batches_of_a_net_from_a_gpu_fall_back():
    (batch,) = TensorBatches(Dataset(np.arange(2)), device="cuda:0")
    assert batch[0].device.type == "cpu"


def coloured(n=96):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (n, 3, 8, 8)).astype(np.uint8)
    y = np.arange(n) % 2
    X[y == 1, 0] //= 4
    return X, y


def test_an_image_net_learns_survives_pickle_and_repeats():
    X, y = coloured()
    net = make_image_net(len(X), SmallConvNet, batch_size=16, module__n_classes=2)

    def fitted():
        torch.manual_seed(0)
        return clone(net).fit(X, y)

    first = fitted()
    assert first.score(X, y) > 0.9
    proba = first.predict_proba(X)
    np.testing.assert_array_equal(proba, fitted().predict_proba(X))
    np.testing.assert_array_equal(proba, pickle.loads(pickle.dumps(first)).predict_proba(X))


@pytest.mark.parametrize("batch_size", [16, 24, 96])
def test_short_trainings_have_a_schedule(batch_size):
    X, y = coloured()
    make_image_net(96, SmallConvNet, max_epochs=1, batch_size=batch_size).fit(X, y)


def test_parameters_of_the_net_can_be_changed():
    net = make_image_net(64, SmallConvNet, lr=0.05, batch_size=128, max_epochs=2)
    assert net.get_params()["lr"] == 0.05
    assert net.batch_size == 64
    assert net.fit(*coloured(64)).predict(coloured(64)[0]).shape == (64,)
