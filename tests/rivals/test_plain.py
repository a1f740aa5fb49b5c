"""PlainFineTuning: what it minimises, and what it leaves out."""

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch
from skorch import NeuralNetClassifier

from skfairaug import FairAugmentFineTuner
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.modules import TabularMLP
from skfairaug.rivals import PlainFineTuning


@pytest.fixture
def even_rows(rows):
    """As many rows in every (label, group) cell."""
    cells = 2 * rows.y + rows.group
    size = np.bincount(cells).min()
    kept = np.concatenate([np.flatnonzero(cells == cell)[:size] for cell in range(4)])
    return Bunch(X=rows.X[kept], y=rows.y[kept], group=rows.group[kept])


def test_it_is_fine_tuning_on_labels_alone_where_the_cells_are_even(net, even_rows, quick):
    shared = {**quick, "validation_fraction": 0.0}
    plain = PlainFineTuning(net, **shared)
    tuner = FairAugmentFineTuner(net, distillation=0.0, penalty=0.0, **shared)
    results = [
        estimator.fit(
            even_rows.X, even_rows.y, sensitive_features=even_rows.group
        ).predict_proba(even_rows.X)
        for estimator in (plain, tuner)
    ]
    np.testing.assert_allclose(*results, rtol=1e-5)
    assert plain.threshold_ == pytest.approx(tuner.threshold_, rel=1e-5)


def test_cells_count_the_same_whatever_their_size():
    # The label follows the group in nine rows of ten, and nothing else is in X.
    cells = np.repeat([0, 1, 2, 3], [90, 10, 10, 90])
    y, group = cells // 2, cells % 2
    X = np.eye(2, dtype=np.float32)[group]
    net = NeuralNetClassifier(
        TabularMLP(2, depth=0), criterion=torch.nn.CrossEntropyLoss, lr=1.0, verbose=0
    ).fit(X, y)
    plain = PlainFineTuning(net, lr=0.1, steps_per_epoch=50, random_state=0)
    with pytest.warns(FairnessNotReachedWarning):
        plain.fit(X, y, sensitive_features=group)
    losses = [row["train_loss"] for row in plain.history_ if row.get("phase") == "fine-tune"]
    # In even cells X says nothing of the label, and nothing is better than log 2.
    assert losses[0] > losses[-1]
    assert losses[-1] == pytest.approx(np.log(2), abs=1e-3)


def test_without_epochs_only_the_threshold_is_chosen(net, rows, quick):
    plain = PlainFineTuning(net, **{**quick, "max_epochs": 0})
    plain.fit(rows.X, rows.y, sensitive_features=rows.group)
    for name, value in net.module_.state_dict().items():
        assert torch.equal(plain.net_.module_.state_dict()[name], value)
    assert len(plain.history_) == 3


def test_it_learns(net, rows, quick):
    settings = {**quick, "tolerance": 0.3, "steps_per_epoch": 20, "lr": 0.03}
    before = PlainFineTuning(net, **{**settings, "max_epochs": 0})
    after = PlainFineTuning(net, **settings)
    for plain in (before, after):
        plain.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert after.objective_ > before.objective_
    losses = [row["train_loss"] for row in after.history_ if row.get("phase") == "fine-tune"]
    assert losses[-1] < losses[0]
