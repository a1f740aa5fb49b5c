"""What tells two runs apart, and what does not."""

import functools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairaug import FairAugmentFineTuner
from skfairaug.benchmark._fingerprint import fingerprint


def one(a, b=1):
    return a


def two(a):
    return a


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
    ],
)
def test_what_differs_is_told_apart(a, b):
    assert fingerprint(a) == fingerprint(a)
    assert fingerprint(a) != fingerprint(b)


def test_a_fitted_net_counts_by_its_weights(net):
    before = fingerprint(FairAugmentFineTuner(net))
    with torch.no_grad():
        net.module_.head.bias += 1
    assert fingerprint(FairAugmentFineTuner(net)) != before
