"""The protocol of the paper's tables: its splits, its networks, and how it judges."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from skorch import NeuralNetClassifier

from benchmarks.paper.protocol import debias, load_splits, parts_of
from skfairaug import FairAugmentFineTuner
from skfairaug.benchmark._biased_net import Split, train_biased_net
from skfairaug.metrics import bias
from skfairaug.modules import TabularMLP


def split(n=400, seed=0):
    rng = np.random.RandomState(seed)
    groups = rng.randint(0, 2, n)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    X[:, 0] += groups
    X[:, 2] = groups
    y = (X[:, 0] + X[:, 1] + 0.5 * rng.normal(size=n) > 0.5).astype(int)
    return Split(X, y, groups)


def rows_of(part):
    return part.X, part.y, part.groups


@pytest.fixture
def net():
    train = split()
    torch.manual_seed(0)
    return NeuralNetClassifier(
        TabularMLP,
        module__n_features=3,
        module__depth=1,
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.1,
        verbose=0,
    ).fit(train.X, train.y)


def test_the_number_of_threads_is_as_before(net):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        test_debias_reports_what_the_predictions_give(net)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_debias_reports_what_the_predictions_give(net):
    splits = [split(seed=s) for s in range(3)]
    tuner = FairAugmentFineTuner(net, max_epochs=2, tolerance=0.2, random_state=0)
    run = debias(tuner, splits, 7)
    test = splits[2]
    y_pred = tuner.predict(test.X)
    assert run.seed == 7
    assert run.bias == bias(test.y, y_pred, sensitive_features=test.groups)
    recalls = [np.mean(y_pred[test.y == label] == label) for label in (0, 1)]
    assert run.balanced_accuracy == pytest.approx(np.mean(recalls))
    assert run.phi == (run.balanced_accuracy if abs(run.bias) < 0.2 else 0.0)


def test_training_rows_train_and_do_not_select(net):
    splits = [split(seed=s) for s in range(3)]
    held_out = []

    class Spy(FairAugmentFineTuner):
        def fit(self, X, y, **params):
            held_out.append(params.get("held_out"))
            return super().fit(X, y, **params)

    tuner = Spy(net, max_epochs=2, tolerance=0.2, random_state=0)
    alone = debias(tuner, splits, 0)
    together = debias(tuner, splits, 0, training_rows="train")
    chosen = debias(tuner, splits, 0, training_rows="choose")
    assert len({one.validation_bias for one in (alone, together, chosen)}) == 3
    assert held_out[0] is None or held_out[0].all()
    assert held_out[1].sum() == 400
    assert len(held_out[1]) == 800
    assert held_out[2] is None or held_out[2].all()


def test_biased_net_is_reproducible_and_better_than_chance():
    train = split(600)
    brief = {"batch_size": 64, "patience": 3, "floor": 0.75}
    nets = [train_biased_net(train, 0, **brief)[0] for _ in range(2)]
    first, second = (net.predict_proba(train.X) for net in nets)
    np.testing.assert_array_equal(first, second)
    assert roc_auc_score(train.y, first[:, 1]) > 0.8


def test_parts_are_disjoint_and_cut_by_cell():
    part = split(1000)
    train, validation, test = parts_of(part.y, part.groups, 3)
    assert sorted([*train, *validation, *test]) == list(range(1000))
    smaller = parts_of(part.y, part.groups, 3, validation_rows=80)
    np.testing.assert_array_equal(smaller[0], train)
    np.testing.assert_array_equal(smaller[2], test)
    assert len(smaller[1]) == 80
    assert np.isin(smaller[1], validation).all()
    shares = [np.mean(part.y[rows] & part.groups[rows]) for rows in (validation, smaller[1])]
    assert shares[0] == pytest.approx(shares[1], abs=0.02)


def test_splits_of_a_real_table(data_home):
    train, validation, test = load_splits("german", "sex", 0, data_home)
    assert [len(part.y) for part in (train, validation, test)] == [600, 200, 200]
    np.testing.assert_allclose(train.X.mean(0), 0, atol=1e-6)
    smaller = load_splits("german", "sex", 0, data_home, validation_rows=100)[1]
    assert len(smaller.y) == 100
    assert np.mean(smaller.groups) == pytest.approx(np.mean(validation.groups), abs=0.02)
    dropped = load_splits("german", "sex", 0, data_home, drop_sensitive=True)[0]
    assert dropped.X.shape[1] < train.X.shape[1]
    np.testing.assert_array_equal(dropped.groups, train.groups)
    assert not any(np.ptp(column[train.groups == 1]) == 0 for column in dropped.X.T)
