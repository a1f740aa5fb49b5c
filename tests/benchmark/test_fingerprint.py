"""What tells two runs apart, and what does not."""

import functools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Memory
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping

from skfairaug import FairAugmentFineTuner
from skfairaug.benchmark._fingerprint import fingerprint


def one(a, b=1):
    return a


def two(a):
    return a


class Trainer:
    """A callable with a state."""

    def __init__(self, n):
        self.n = n

    def __call__(self, X, y, seed):
        raise NotImplementedError

    def train(self, X, y, seed):
        raise NotImplementedError


class Odd:
    def __reduce__(self):
        raise TypeError("not to be pickled")


def fitted(sign=1, **params):
    X = np.arange(8.0)[:, None] * sign
    return LogisticRegression(**params).fit(X, np.arange(8) > 3)


def initialized(activation):
    """A net whose weights do not depend on its activation."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), activation)
    return NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss).initialize()


def weighted(*weight):
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(weight))
    return NeuralNetClassifier(torch.nn.Linear, criterion=loss)


def test_it_is_the_same_in_another_process():
    code = (
        "from skfairaug.benchmark._fingerprint import fingerprint as f;"
        "from sklearn.linear_model import LogisticRegression as L; import numpy as np;"
        "print(f(L(), {'b': 1, 'a': np.arange(3)}, sum))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    here = fingerprint(LogisticRegression(), {"a": np.arange(3), "b": 1}, sum)
    assert out.stdout.decode().strip() == here


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (LogisticRegression(), LogisticRegression(C=2)),
        (make_pipeline(StandardScaler(), LogisticRegression()), LogisticRegression()),
        (np.arange(3), np.arange(4)),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [2.0]})),
        (one, two),
        (functools.partial(one, b=2), functools.partial(one, b=3)),
        (0.05, 0.02),
        (torch.zeros(2), torch.ones(2)),
        (LogisticRegression, StandardScaler),
        (fitted(), fitted(-1)),
        (fitted(), LogisticRegression()),
        (FrozenEstimator(fitted()), FrozenEstimator(fitted(-1))),
        (Trainer(1), Trainer(2)),
        (Trainer(1).train, Trainer(2).train),
        (Trainer(1).train, Trainer(1).__call__),
        (
            NeuralNetClassifier(torch.nn.Linear(3, 2)),
            NeuralNetClassifier(torch.nn.Linear(9, 2)),
        ),
        (
            NeuralNetClassifier(torch.nn.Dropout(0.1)),
            NeuralNetClassifier(torch.nn.Dropout(0.2)),
        ),
        (weighted(1.0, 9.0), weighted(9.0, 1.0)),
        (initialized(torch.nn.ReLU()), initialized(torch.nn.Tanh())),
        [NeuralNetClassifier(one, callbacks=[EarlyStopping(patience=n)]) for n in (1, 2)],
        [pd.Series(pd.Categorical(["a"], list(order), ordered=True)) for order in ("ab", "ba")],
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array(["a", None]), np.array(["b", None])),
        (np.zeros(2, "datetime64[s]"), np.ones(2, "datetime64[s]")),
    ],
)
def test_what_differs_is_told_apart(a, b):
    assert fingerprint(a) == fingerprint(a)
    assert fingerprint(a) != fingerprint(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.eye(3)[:2], np.asfortranarray(np.eye(3)[:2])),
        (np.arange(6)[::2], np.array([0, 2, 4])),
        (torch.eye(2, dtype=torch.bfloat16), torch.eye(2, dtype=torch.bfloat16).T),
        (NeuralNetClassifier(torch.nn.Linear), clone(NeuralNetClassifier(torch.nn.Linear))),
        (initialized(torch.nn.ReLU()), initialized(torch.nn.ReLU())),
        (fitted(), fitted()),
    ],
)
def test_layout_and_identity_do_not_count(a, b):
    assert fingerprint(a) == fingerprint(b)


def test_layout_of_a_frame_does_not_count():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None], "c": [1, 2], "d": [0.5, 0.1]})
    pieces = pd.concat([frame[["a", "b"]], frame[["c", "d"]]], axis=1)
    assert fingerprint(frame) == fingerprint(pieces) == fingerprint(frame.copy())
    assert fingerprint(frame) != fingerprint(frame[["b", "a", "c", "d"]])
    numbers = frame[["a", "d"]]
    fortran = pd.DataFrame(np.ascontiguousarray(numbers), columns=["a", "d"])
    assert fingerprint(numbers) == fingerprint(fortran)


def test_training_again_alike_gives_the_same(net, rows, quick):
    fits = [
        FairAugmentFineTuner(net, **quick).fit(rows.X, rows.y, sensitive_features=rows.group)
        for _ in "ab"
    ]
    assert fingerprint(FrozenEstimator(fits[0])) == fingerprint(FrozenEstimator(fits[1]))


@pytest.mark.parametrize("location", [None, "here"])
def test_what_joblib_remembers_counts_by_its_name(location, tmp_path):
    remember = Memory(location and tmp_path / location, verbose=0).cache
    assert fingerprint(remember(one)) == fingerprint(one)
    assert fingerprint(functools.partial(remember(one), b=2)) != fingerprint(remember(one))


def test_what_cannot_be_told_is_new_each_time():
    around = Trainer(Odd())
    assert fingerprint(around) != fingerprint(around)
    around.n = around
    assert fingerprint(around) != fingerprint(around)


def test_what_callbacks_saw_does_not_count(net):
    net.set_params(callbacks=[EarlyStopping()], train_split=None).initialize()
    before = fingerprint(net)
    net.callbacks_[0][1].misses_ = 3
    assert fingerprint(net) == before


def test_a_fitted_net_counts_by_its_weights(net):
    before = fingerprint(FairAugmentFineTuner(net))
    with torch.no_grad():
        net.module_.head.bias += 1
    assert fingerprint(FairAugmentFineTuner(net)) != before
