"""What the estimators take beside tables: images, tokens, arrays by name, data sets."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import Dataset

from skfairaug import (
    AdversarialAugmenter,
    FairAugmentFineTuner,
    FairRule,
    MaskReactivator,
    audit,
    rivals,
)
from skfairaug._engine._attack_point import PIXEL_RADIUS
from skfairaug.auditing import audit_predictions
from skfairaug.benchmark import compare
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.modules import PixelInput, SmallConvNet, make_image_net
from skfairaug.rivals import PlainFineTuning

BRIEF = {
    "max_epochs": 2,
    "steps_per_epoch": 3,
    "batch_size": 24,
    "tolerance": 0.9,
    "lr": 3e-3,
}


class Stack(Dataset):
    """Rows of an array, one at a time."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return torch.from_numpy(self.X[i])


class Tokens(nn.Module):
    """Mean of embedded tokens; `mask` says which count."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 6)
        self.body = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, X, mask=None):
        Z = self.embedding(X)
        weights = torch.ones_like(Z[..., 0]) if mask is None else mask.to(Z)
        Z = (Z * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
        return self.head(self.body(Z))


@pytest.fixture(scope="module")
def images():
    """Four kinds of pictures in two groups, and a net trained on them."""
    rng = np.random.RandomState(0)
    y, group = np.divmod(np.arange(240) % 8, 2)
    X = rng.randint(0, 200, (240, 3, 8, 8)).astype(np.uint8)
    X[group == 1, 0] //= 2
    for label in range(4):
        X[y == label, :, 2 * label] += 55
    torch.manual_seed(0)
    net = make_image_net(120, SmallConvNet, module__n_classes=4, module__width=4, batch_size=24)
    return net.fit(X[:120], y[:120]), X[120:], y[120:], group[120:]


@pytest.fixture(scope="module")
def texts():
    """Sentences of five tokens in two groups, and a net trained on them."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, 240)
    X = rng.randint(0, 10, (240, 5))
    y = (X > 5).sum(1) + group > 2
    X[:, 0] = 10 + group
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        Tokens,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=10,
        train_split=None,
        verbose=0,
    )
    return net.fit(X[:120], y[:120].astype(int)), X[120:], y[120:].astype(int), group[120:]


def tuner(net, **params):
    return FairAugmentFineTuner(net, random_state=0, **(BRIEF | params))


def fitted(estimator, X, y, group):
    return estimator.fit(X, y, sensitive_features=group)


# -- tables, in every kind and for every estimator ----------------------------

STEPS = {"max_epochs": 2, "steps_per_epoch": 3, "batch_size": 64, "tolerance": 0.9}
PASSES = {"max_epochs": 2, "batch_size": 64, "tolerance": 0.9}
#: Public estimator -> quick parameters.
AROUND_NETS = {
    "FairAugmentFineTuner": STEPS,
    "AdversarialAugmenter": {"n_steps": 2},
    "MaskReactivator": STEPS,
    "PlainFineTuning": STEPS,
    "RandomPerturbation": {"n_perturbations": 4, "tolerance": 0.9},
    "LayerwiseOptimization": {
        "n_layers": 1,
        "n_calls": 3,
        "n_initial": 3,
        "n_candidates": 20,
        "n_trees": 5,
        "tolerance": 0.9,
    },
    "AdversarialFineTuning": {"max_epochs": 2, "critic_steps": 2, "steps_per_epoch": 3},
    "BiasGradientFineTuning": {"max_epochs": 2, "batch_size": 64, "tolerance": 0.9},
    "AdversarialDebiasing": PASSES | {"steps_per_epoch": 3},
    "UniformConfusion": PASSES,
    "DomainDiscriminative": PASSES,
    "DomainIndependent": PASSES,
    "FairRule": {"tolerance": 0.9},
    "ThresholdOnly": {"tolerance": 0.9},
    "ThresholdOptimizer": {"grid_size": 50},
    "RejectOptionClassification": {"n_thresholds": 5, "n_margins": 3},
    "EqOddsPostprocessing": {},
    "CalibratedEqOddsPostprocessing": {},
    "OxonFair": {},
    "OxonFairWithGroups": {},
}
#: What is said to arrays by name by those that attack rows, or read them beside the net.
NO_MAPPING = {
    "AdversarialAugmenter": (ValueError, "X holds integers, or several arrays by name"),
    **{
        name: (TypeError, f"X is a dict, and this {name} takes a table")
        for name in (
            "ThresholdOptimizer",
            "RejectOptionClassification",
            "EqOddsPostprocessing",
            "CalibratedEqOddsPostprocessing",
            "OxonFair",
            "OxonFairWithGroups",
        )
    },
}
#: They want what trains with sample weights, or with a penalty of theirs: no net.
NOT_AROUND_NETS = {"CorrelationRemover", "ExponentiatedGradient", "GridSearch", "Reweighing"}


class Labelled(Stack):
    """A row and a label, as most data sets give them."""

    def __getitem__(self, i):
        return torch.from_numpy(self.X[i]), 0


KINDS = {
    "frame": lambda X: pd.DataFrame(X.astype(np.float64), columns=list("abcd")),
    "mapping": lambda X: {"X": X.astype(np.float64)},
    "data set": Stack,
    "labelled data set": Labelled,
}


OURS = {
    "FairAugmentFineTuner": FairAugmentFineTuner,
    "AdversarialAugmenter": AdversarialAugmenter,
    "MaskReactivator": MaskReactivator,
    "FairRule": FairRule,
}


def judged(name, net, rows, X):
    """What an estimator that is fitted to rows of any kind gives for them."""
    cls = OURS.get(name) or getattr(rivals, name)
    estimator = cls(net, random_state=0, **AROUND_NETS[name])
    if name == "AdversarialAugmenter":
        return estimator.fit_transform(X, rows.y, sensitive_features=rows.group)
    fitted(estimator, X, rows.y, rows.group)
    if name == "MaskReactivator":
        return estimator.transform(X)
    groups = {"sensitive_features": rows.group} if estimator.needs_sensitive_features else {}
    return getattr(estimator, "predict_proba", estimator.predict)(X, **groups)


def test_every_public_estimator_is_here():
    assert set(AROUND_NETS) == (set(rivals.__all__) - NOT_AROUND_NETS) | set(OURS)


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
@pytest.mark.parametrize("name", AROUND_NETS)
def test_every_estimator_takes_every_kind_of_rows(name, net, rows):
    """As it takes the array, or says what is the matter with X."""
    expected = judged(name, net, rows, rows.X)
    assert np.ptp(expected) > 0
    for kind, make in KINDS.items():
        if kind == "mapping" and name in NO_MAPPING:
            error, message = NO_MAPPING[name]
            with pytest.raises(error, match=message):
                judged(name, net, rows, make(rows.X))
            continue
        np.testing.assert_allclose(
            judged(name, net, rows, make(rows.X)), expected, atol=1e-5, err_msg=kind
        )


@pytest.mark.parametrize("name", sorted(NOT_AROUND_NETS))
@pytest.mark.parametrize("kind", ["mapping", "images"])
def test_estimators_around_other_classifiers_take_tables(name, kind, rows):
    X = {"X": rows.X} if kind == "mapping" else Stack(rows.X.reshape(-1, 1, 2, 2))
    rival = getattr(rivals, name)(LogisticRegression())
    with pytest.raises(TypeError, match=f"X is a (dict|Stack), and this {name} takes a table"):
        fitted(rival, X, rows.y, rows.group)


@pytest.mark.parametrize("kind", KINDS)
def test_audit_of_a_net_takes_every_kind_of_rows(kind, net, rows):
    X, labels = KINDS[kind](rows.X), np.array(["no", "yes"])[rows.y]
    report = audit(net, X, labels, sensitive_features=rows.group, before=net, n_resamples=100)
    codes = net.predict(rows.X)
    expected = audit_predictions(rows.y, codes, sensitive_features=rows.group, n_resamples=100)
    pd.testing.assert_series_equal(report.gaps["gap"], expected.gaps["gap"])


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
def test_compare_takes_every_kind_of_rows(unfitted_net, rows):
    scores = {}
    for kind, make in ({"array": np.asarray} | KINDS).items():
        results = compare(
            {"net": unfitted_net, "rule": FairRule(tolerance=0.9)},
            make(rows.X),
            rows.y,
            sensitive_features=rows.group,
            estimator=unfitted_net,
            cv=1,
            progress=False,
        )
        assert results["error"].tolist() == ["", ""], kind
        scores[kind] = results[["balanced_accuracy", "bias"]]
        np.testing.assert_allclose(scores[kind], scores["array"], atol=1e-6, err_msg=kind)


@pytest.fixture
def pandas_scaler(rows):
    """A preprocessor whose output is a frame, of float64."""
    frame = pd.DataFrame(rows.X.astype(np.float64), columns=list("abcd"))
    return StandardScaler().set_output(transform="pandas").fit(frame), frame


def test_audit_of_a_pipeline_of_frames(pandas_scaler, net, rows):
    scaler, frame = pandas_scaler
    codes = net.predict(scaler.transform(frame).to_numpy(np.float32).copy())
    shown = {"sensitive_features": rows.group, "n_resamples": 100}
    pipe = Pipeline([("scale", scaler), ("net", net)])
    report = audit(pipe, frame, rows.y, before=pipe, **shown)
    expected = audit_predictions(rows.y, codes, before=codes, **shown)
    pd.testing.assert_series_equal(report.gaps["gap"], expected.gaps["gap"])


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
def test_compare_behind_a_preprocessor_of_frames(pandas_scaler, unfitted_net, rows):
    scaler, frame = pandas_scaler
    given = {"sensitive_features": rows.group, "estimator": unfitted_net, "cv": 1}
    methods = {"net": unfitted_net, "rule": FairRule(tolerance=0.9)}
    results = [
        compare(methods, frame, rows.y, preprocessor=one, progress=False, **given)
        for one in (scaler, StandardScaler())
    ]
    assert results[0]["error"].tolist() == ["", ""]
    scores = ["balanced_accuracy", "bias"]
    np.testing.assert_allclose(results[0][scores], results[1][scores], atol=1e-6)


# -- images -------------------------------------------------------------------


def test_pixels_stay_pixels_and_agree_with_their_floats(images):
    net, X, y, group = images
    fair = fitted(tuner(net), X, y, group)
    proba = fair.predict_proba(X)
    assert proba.shape == (120, 4)
    np.testing.assert_allclose(proba, fair.predict_proba(X.astype(np.float32) / 255), atol=1e-6)
    again = fitted(tuner(net), X.astype(np.float64) / 255, y, group)
    np.testing.assert_allclose(proba, again.predict_proba(X), atol=1e-4)
    restored = pickle.loads(pickle.dumps(fair))
    np.testing.assert_array_equal(proba, restored.predict_proba(X))


def test_pixels_that_the_net_scales_itself_become_floats(images):
    _, X, y, group = images
    layers = nn.Flatten(), nn.Linear(192, 4)
    net = NeuralNetClassifier(
        nn.Sequential(*layers), criterion=nn.CrossEntropyLoss
    ).initialize()
    with pytest.warns(FairnessNotReachedWarning):
        fair = fitted(tuner(net, max_epochs=0, tolerance=1e-6), X, y, group)
    expected = net.predict(X.astype(np.float32))
    np.testing.assert_array_equal(fair.predict(X), expected)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_on_pixels_stay_in_their_ball_and_in_range(images, norm):
    net, X, y, group = images
    augmenter = AdversarialAugmenter(net, norm=norm, random_state=0)
    moved = fitted_rows(augmenter, X, y, group) - X / 255
    size = np.abs(moved).max((1, 2, 3)) if norm == "linf" else (moved**2).sum((1, 2, 3)) ** 0.5
    assert size.max() <= PIXEL_RADIUS[norm] + 1e-5
    assert size.min() > 0.5 * PIXEL_RADIUS[norm]


def fitted_rows(augmenter, X, y, group):
    X_adv = augmenter.fit_transform(X, y, sensitive_features=group)
    assert X_adv.dtype == np.float32
    assert X_adv.min() >= 0
    assert X_adv.max() <= 1
    return X_adv


def test_transform_returns_pixels_as_they_are(images):
    net, X, y, group = images
    augmenter = AdversarialAugmenter(net).fit(X, y, sensitive_features=group)
    assert augmenter.transform(X).dtype == np.uint8
    np.testing.assert_array_equal(augmenter.transform(X), X)


def swap(X):
    """What a picture would be in the other group."""
    assert X.dtype == torch.float32
    assert 0 <= X.min() <= X.max() <= 1
    return X * X.new_tensor([0.5, 1, 1]).view(1, 3, 1, 1)


def test_a_counterfactual_of_pixels_enters_the_weights(images):
    net, X, y, group = images
    params = {"constraint": "statistical_parity", "tolerance": 1.0, "random_state": 0}
    plain, with_swap = (
        AdversarialAugmenter(net, counterfactual=one, weight_scale=200, **params).augment(
            X, y, sensitive_features=group
        )
        for one in (None, swap)
    )
    assert (plain.weights == 1).all()
    # The bias is far inside the tolerance: only the counterfactual can lift a weight.
    proba = net.predict_proba(with_swap.X)
    other = net.predict_proba(swap(torch.from_numpy(with_swap.X)).numpy())
    gap = ((proba - other) ** 2).sum(1)
    excess = with_swap.weights - (200 * 0.1 * gap)
    assert with_swap.weights.min() >= 1
    lifted = with_swap.weights > 1
    if lifted.any():
        np.testing.assert_allclose(excess[lifted], excess[lifted][0], atol=1e-3)


@pytest.mark.parametrize("joint", [False, True])
def test_the_whole_method_on_images(images, joint):
    net, X, y, group = images
    before = {k: v.clone() for k, v in net.module_.state_dict().items()}
    fair = tuner(
        net,
        augmenter=AdversarialAugmenter(norm=("linf", "l2"), counterfactual=swap, joint=joint),
        reactivator=MaskReactivator(max_epochs=2, steps_per_epoch=3, batch_size=24),
    )
    fitted(fair, X, y, group)
    assert set(fair.mask_) == {"body.0.weight", "body.3.weight", "body.6.weight", "head.weight"}
    assert fair.attack_probabilities_.sum() == pytest.approx(1)
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("cls", [FairAugmentFineTuner, PlainFineTuning])
@pytest.mark.parametrize(("rows", "mode"), [("images", True), ("texts", False)])
@pytest.mark.parametrize("asked", [None, True, False])
def test_images_are_fine_tuned_in_training_mode(cls, rows, mode, asked, request, monkeypatch):
    net, X, y, group = request.getfixturevalue(rows)
    modes = []

    def step(net, *args, **kwargs):
        result = train_step_single(net, *args, **kwargs)
        modes.append(net.module_.training)
        return result

    train_step_single = type(net).train_step_single
    monkeypatch.setattr(type(net), "train_step_single", step)
    fitted(cls(net, train_mode=asked, random_state=0, **BRIEF), X, y, group)
    assert len(modes) == 6
    assert set(modes) == {mode if asked is None else asked}


def test_several_groups_of_images(images):
    net, X, y, _ = images
    group = np.arange(120) // 8 % 3
    fair = fitted(tuner(net, augmenter=AdversarialAugmenter()), X, y, group)
    assert fair.groups_ == ("0", "1", "2")


# -- data sets and arrays by name ---------------------------------------------


@pytest.mark.parametrize("cls", [FairAugmentFineTuner, PlainFineTuning])
def test_a_data_set_gives_what_its_array_gives(images, cls):
    net, X, y, group = images
    brief = cls(net, random_state=0, **BRIEF)
    in_memory = fitted(brief, X, y, group).predict_proba(X)
    streamed = fitted(brief, Stack(X), y, group)
    np.testing.assert_allclose(streamed.predict_proba(Stack(X)), in_memory, atol=1e-6)
    np.testing.assert_allclose(streamed.predict_proba(X), in_memory, atol=1e-6)


def test_a_data_set_is_attacked_jointly(images):
    net, X, y, group = images
    params = {"augmenter": AdversarialAugmenter(joint=True)}
    in_memory = fitted(tuner(net, **params), X, y, group).predict_proba(X)
    streamed = fitted(tuner(net, **params), Stack(X), y, group).predict_proba(X)
    np.testing.assert_allclose(streamed, in_memory, atol=1e-6)
    with pytest.raises(ValueError, match=r"attacked as they come: give .*joint=True"):
        fitted(tuner(net, augmenter=AdversarialAugmenter()), Stack(X), y, group)


def test_a_data_set_cannot_train_a_net(images):
    net, X, y, group = images
    from sklearn.base import clone

    with pytest.raises(ValueError, match="the net is not fitted, and X is a Dataset"):
        fitted(tuner(clone(net)), Stack(X), y, group)


def test_lengths_of_a_data_set_and_its_labels(images):
    net, X, y, group = images
    with pytest.raises(ValueError, match="y has 119 rows but X has 120"):
        fitted(tuner(net), Stack(X), y[:-1], group[:-1])


def test_arrays_by_name_are_arguments_of_the_module(texts):
    net, X, y, group = texts
    plain = fitted(tuner(net), X, y, group).predict_proba(X)
    named = {"X": X, "mask": np.ones(X.shape)}
    fair = fitted(tuner(net), named, y, group)
    np.testing.assert_allclose(fair.predict_proba(named), plain, atol=1e-6)
    blind = {"X": X, "mask": (X != 10) & (X != 11)}
    assert not np.allclose(fair.predict_proba(blind), plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "X is an empty mapping"),
        ({"X": np.zeros((120, 5)), "mask": np.zeros(3)}, "mask has 3 rows but X has 120"),
        ({"X": np.full((120, 5), np.nan)}, r"X\['X'\] holds NaN or infinity"),
        ({"X": np.array([["a"]] * 120)}, r"X\['X'\] must be an array of numbers"),
    ],
)
def test_bad_arrays_by_name(texts, change, message):
    net, _, y, group = texts
    with pytest.raises(ValueError, match=message):
        fitted(tuner(net), change, y, group)


# -- tokens -------------------------------------------------------------------


def test_tokens_stay_integers(texts):
    net, X, y, group = texts
    fair = fitted(tuner(net), X.astype(np.int32), y, group)
    np.testing.assert_array_equal(fair.predict(X), fair.predict(X.astype(float)))


def test_integers_of_a_table_become_floats():
    X = np.random.RandomState(0).randint(0, 9, (60, 3))
    y, group = np.divmod(np.arange(60) % 4, 2)
    net = NeuralNetClassifier(nn.Linear(3, 2), criterion=nn.CrossEntropyLoss).initialize()
    with pytest.warns(FairnessNotReachedWarning):
        fair = fitted(tuner(net, tolerance=1e-9), X, y, group)
    assert fair.predict(X).shape == (60,)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("joint", [False, True])
def test_attacks_act_on_embeddings(texts, joint, named):
    net, X, y, group = texts
    rows = {"X": X, "mask": np.ones(X.shape)} if named else X
    params = {"augmenter": AdversarialAugmenter(input_layer="embedding", joint=joint)}
    fitted(tuner(net, **params), rows, y, group)  # its teacher sees the rows as they are
    fair = fitted(tuner(net, distillation=0.0, **params), rows, y, group)
    assert not fair.net_.module_.embedding._forward_hooks
    plain = fitted(tuner(net, distillation=0.0), rows, y, group)
    assert not np.allclose(fair.predict_proba(rows), plain.predict_proba(rows))


def test_embeddings_move_by_a_share_of_their_spread(texts):
    net, X, y, group = texts
    augmenter = AdversarialAugmenter(net, input_layer="embedding", radius=0.2, random_state=0)
    moved = augmenter.fit_transform(X, y, sensitive_features=group)
    with torch.no_grad():
        before = net.module_.embedding(torch.from_numpy(X)).numpy()
    assert moved.shape == (120, 5, 6)
    bound = 0.2 * before.std(ddof=1)
    assert 0.9 * bound < np.abs(moved - before).max() <= bound + 1e-5


def test_tokens_need_a_layer_to_attack(texts):
    net, X, y, group = texts
    with pytest.raises(ValueError, match="cannot be moved by a gradient: name the layer"):
        AdversarialAugmenter(net).fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match=r"input_layer='embed' is not a module of the net"):
        AdversarialAugmenter(net, input_layer="embed").fit(X, y, sensitive_features=group)
    both = AdversarialAugmenter(net, input_layer="embedding", counterfactual=swap)
    with pytest.raises(ValueError, match="input_layer attacks a layer: not both"):
        both.fit(X, y, sensitive_features=group)


def test_real_rows_train_the_embedding_and_attacked_ones_pass_it(texts):
    """The hook replaces the last rows only."""
    from skfairaug._engine._attack_point import LayerPoint

    net, X, _, _ = texts
    X = torch.from_numpy(X)
    point = LayerPoint(net, net.module_.embedding, X)
    values = point.values(X[:3]) + 1
    batch, context = point.join(X[:2], X[:3], values)
    with context:
        seen = net.module_.embedding(batch)
    assert torch.equal(seen[2:], values)
    assert torch.equal(seen[:2], net.module_.embedding(X[:2]))
    assert seen.requires_grad


def test_pixel_layer_of_a_net_with_its_own_statistics():
    layer = PixelInput(mean=(0.0,), std=(1.0,))
    assert layer(torch.full((1, 1, 2, 2), 51, dtype=torch.uint8)).mean() == pytest.approx(0.2)
