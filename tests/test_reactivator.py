"""MaskReactivator: the fair sub-network as a transformer."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skfairaug import MaskReactivator
from skfairaug._inputs._models import predict_log_proba
from skfairaug._inputs._rows import TensorRows
from skfairaug._reactivator import masked_state


@pytest.fixture
def reactivator(net):
    return MaskReactivator(
        net, max_epochs=2, steps_per_epoch=5, batch_size=64, density=0.5, lr=1.0, random_state=0
    )


def fit(reactivator, rows):
    return reactivator.fit(rows.X, rows.y, sensitive_features=rows.group)


def test_transform_is_the_input_of_the_last_layer(reactivator, rows):
    Z = fit(reactivator, rows).transform(rows.X)
    net = reactivator.net_
    assert Z.shape == (240, 8)
    assert Z.dtype == np.float32
    X = torch.from_numpy(rows.X)
    with torch.no_grad():
        np.testing.assert_allclose(net.module_.body(X), Z, rtol=1e-6)
        logits = net.module_.head(torch.from_numpy(Z))
    torch.testing.assert_close(predict_log_proba(net, TensorRows(X)), logits.log_softmax(1))


def test_masked_out_weights_start_from_zero_and_others_stay(reactivator, net, rows):
    fit(reactivator, rows)
    before, after = net.module_.state_dict(), reactivator.net_.module_.state_dict()
    dropped = 0
    for name, mask in reactivator.mask_.items():
        assert mask.dtype == bool
        np.testing.assert_array_equal(after[name][mask], before[name][mask])
        assert (after[name][~mask] == 0).all()
        dropped += (~mask).sum()
    assert dropped > 0
    size = sum(mask.size for mask in reactivator.mask_.values())
    assert reactivator.density_ == pytest.approx(1 - dropped / size)


def test_masked_out_weights_may_be_drawn_again(reactivator, rows):
    fit(reactivator.set_params(reinit_scale=1.0), rows)
    state = reactivator.net_.module_.state_dict()
    assert all((state[name][~mask] != 0).all() for name, mask in reactivator.mask_.items())


def test_density_bounds_what_is_kept(reactivator, rows):
    reactivator.set_params(max_epochs=6, lr=0.3)
    kept = [
        fit(reactivator.set_params(density=density), rows).history_[-1, "density"]
        for density in (0.3, 0.9)
    ]
    assert kept[0] < kept[1]


def test_history(reactivator, net, rows):
    fit(reactivator, rows)
    assert len(net.history) == 3
    learnt = reactivator.history_[3:]
    assert [row["phase"] for row in learnt] == ["mask", "mask"]
    assert [row["epoch"] for row in learnt] == [4, 5]
    for name in ("train_loss", "density", "bias", "balanced_accuracy"):
        assert np.isfinite([row[name] for row in learnt]).all()


def test_masked_state_predicts_as_the_masked_net(reactivator, rows):
    task = reactivator._whole_task(
        reactivator._validate_rows(rows.X, rows.y, rows.group), seed=0
    )
    masks, finished = reactivator.learn(task, task.batches)
    assert finished
    assert "infer" not in vars(task.net)
    assert all(p.requires_grad for p in task.net.module_.parameters())
    task.net.module_.load_state_dict(masked_state(task.net, masks))
    log_proba = predict_log_proba(task.net, task.X)
    verdicts = [row for row in task.net.history if row.get("phase") == "mask"]
    assert task.best.judge(log_proba).bias in [row["bias"] for row in verdicts]


def test_names_of_the_units(reactivator, rows):
    frame = pd.DataFrame(rows.X, columns=list("abcd"), index=np.arange(240) * 2)
    reactivator.set_output(transform="pandas").fit(frame, rows.y, sensitive_features=rows.group)
    Z = reactivator.transform(frame)
    names = [f"maskreactivator{i}" for i in range(8)]
    assert reactivator.get_feature_names_out().tolist() == names
    assert Z.columns.tolist() == names
    assert Z.index.equals(frame.index)


def test_any_classifier_can_follow(reactivator, rows):
    model = make_pipeline(reactivator, LogisticRegression())
    model.fit(rows.X, rows.y, maskreactivator__sensitive_features=rows.group)
    assert model.score(rows.X, rows.y) > 0.7
    Z = model[0].transform(rows.X)
    np.testing.assert_array_equal(model.predict(rows.X), model[1].predict(Z))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"density": 0.0}, "'density' parameter of MaskReactivator must be"),
        ({"lr": 0.0}, "'lr' parameter"),
        ({"max_epochs": 0}, "'max_epochs' parameter"),
        ({"reinit_scale": -1}, "'reinit_scale' parameter"),
    ],
)
def test_bad_parameters(params, message, reactivator, rows):
    with pytest.raises(ValueError, match=message):
        fit(reactivator.set_params(**params), rows)
