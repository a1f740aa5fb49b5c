"""Fixtures that several test packages share."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch
from skorch import NeuralNetClassifier

from skfairaug.modules import TabularMLP


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The tests run side by side, and their tensors are tiny."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed():
    """A test's networks do not depend on the tests before it."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def data_home():
    """Folder with the public tables: SKFAIRAUG_DATA, else shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    home = Path(os.environ.get("SKFAIRAUG_DATA") or beside).expanduser()
    if not home.is_dir():
        pytest.skip(
            "the public data sets are not here: set SKFAIRAUG_DATA to a folder with adult/, "
            "compas/, bank/ and german/"
        )
    return home


@pytest.fixture
def rows():
    """Validation rows: X (240, 4), labels 0 and 1 that follow X, and a group that X shows."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, 240)
    X = rng.normal(size=(240, 4)).astype(np.float32)
    X[:, 0] += group
    y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    return Bunch(X=X, y=y, group=group)


@pytest.fixture
def unfitted_net():
    """A network for `rows`."""
    return NeuralNetClassifier(
        TabularMLP,
        module__n_features=4,
        module__depth=1,
        module__width=8,
        criterion=torch.nn.CrossEntropyLoss,
        lr=0.1,
        max_epochs=3,
        verbose=0,
    )


@pytest.fixture
def net(unfitted_net, rows):
    """A network trained on rows that follow the same law as `rows`."""
    rng = np.random.RandomState(1)
    X = rng.normal(size=(240, 4)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return unfitted_net.fit(X, y)


@pytest.fixture
def quick():
    """Parameters of a fine-tuning that takes a few hundredths of a second."""
    return {
        "max_epochs": 2,
        "steps_per_epoch": 3,
        "batch_size": 64,
        "tolerance": 0.5,
        "random_state": 0,
    }
