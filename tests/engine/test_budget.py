"""How long a training takes: by the number of images, as ever for tables; said beforehand."""

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch
from skorch import NeuralNetClassifier
from torch import nn

from skfairaug import FairAugmentFineTuner
from skfairaug._engine._budget import budget_of, until_converged


def task(n_rows, images):
    return Bunch(train=torch.arange(n_rows), has_images=images)


@pytest.mark.parametrize("n_rows", [50, 9044])
def test_tables_have_the_budget_that_they_had(n_rows):
    assert budget_of(task(n_rows, images=False)) == (30, 512)


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [
        (40, (2, 64)),
        (300, (15, 64)),
        (2000, (24, 250)),
        (5000, (30, 512)),  # as it was: 30 passes in ten epochs
        (45_000, (30, 512)),
    ],
)
def test_images_have_a_budget_by_their_number(n_rows, expected):
    assert budget_of(task(n_rows, images=True)) == expected


def test_what_is_given_is_taken():
    images = task(300, images=True)
    assert budget_of(images, 7, 20) == (7, 20)
    assert budget_of(images, batch_size=100) == (9, 100)
    assert budget_of(images, steps_per_epoch=4) == (4, 64)


def test_training_on_images_ends_when_it_has_converged():
    made = Bunch(
        best=Bunch(verdict=Bunch(objective=0.5)), rule=Bunch(verdict=Bunch(objective=0.9))
    )
    done = until_converged(made)

    def after(objective):
        made.best.verdict.objective = objective
        return done(None, None)

    assert not any(after(0.5 + 0.01 * epoch) for epoch in range(12))  # it grows
    stands = [after(0.61) for _ in range(8)]
    assert stands == [False] * 7 + [True]
    assert not until_converged(made)(None, None)
    made.best.verdict.objective = 0.898
    assert until_converged(made)(None, None)  # level with its teacher


@pytest.fixture
def images():
    """Sixty images, and a verbose net that was not trained."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 1, 4, 4)).astype(np.float32)
    y, group = np.divmod(np.arange(60) % 4, 2)
    X[:, 0, 0, 0] += 2 * y
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    return NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss).initialize(), X, y, group


@pytest.mark.parametrize(("verbose", "lines"), [(1, 1), (0, 0)])
def test_how_long_it_takes_is_said_beforehand(verbose, lines, images, capsys):
    net, X, y, group = images
    tuner = FairAugmentFineTuner(
        net.set_params(verbose=verbose), max_epochs=2, tolerance=0.9, random_state=0
    )
    capsys.readouterr()
    tuner.fit(X, y, sensitive_features=group)
    printed = capsys.readouterr().out.splitlines()
    start = "fine-tuning: 2 epochs of 3 batches of 64 rows"
    said = [line for line in printed if line.startswith(start)]
    assert len(said) == lines
    if verbose:
        assert printed[0] == said[0]
        assert said[0].endswith(" s on cpu")
    else:
        assert not printed


def test_rounds_are_told_where_they_may_follow(images, capsys):
    net, X, y, group = images
    FairAugmentFineTuner(net, tolerance=0.9, random_state=0).fit(X, y, sensitive_features=group)
    printed = capsys.readouterr().out
    assert "on cpu; then 20 and 40 more while it is behind its teacher" in printed
