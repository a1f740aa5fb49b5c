"""Every way in gives what the skorch way gives: modules, Pipelines, outputs in an object."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, FairRule, MaskReactivator
from skfairaug._inputs._adopt import core_of
from skfairaug.modules import ResNet18
from skfairaug.rivals import (
    AdversarialDebiasing,
    PlainFineTuning,
    RejectOptionClassification,
    ThresholdOnly,
    ThresholdOptimizer,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


class Says(nn.Module):
    """A network that says what it finds in a way of its own."""

    def __init__(self, n_features, n_outputs=2, say=None):
        super().__init__()
        self.body = nn.Linear(n_features, 8)
        self.head = nn.Linear(8, n_outputs)
        self.say = say

    def forward(self, X):
        z = self.head(self.body(X).relu())
        return z if self.say is None else self.say(z)


def trained(module, X, y):
    """The caller's own training loop."""
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(60):
        z = module.head(module.body(X).relu())
        if z.shape[1] == 1:
            loss = nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.float())
        else:
            loss = nn.functional.cross_entropy(z, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module


def as_skorch(module, kind=NeuralNetClassifier, criterion=nn.CrossEntropyLoss):
    """The way that a skorch user goes."""
    return kind(module, criterion=criterion, verbose=0, train_split=None).initialize()


@pytest.fixture(params=["group in X", "group dropped"])
def table(rows, request):
    if request.param == "group in X":
        rows.X = np.column_stack([rows.X, rows.group]).astype(np.float32)
    return rows


@pytest.fixture
def fit(table, quick):
    """Predictions of a tuner around some network, for the table."""

    def fit(estimator, X=table.X, **params):
        tuner = FairAugmentFineTuner(estimator, **quick | params)
        return tuner.fit(X, table.y, sensitive_features=table.group)

    return fit


STEPS = {
    "augmenter": AdversarialAugmenter(n_steps=1),
    "reactivator": MaskReactivator(max_epochs=1, steps_per_epoch=2),
}

MODULES = {
    "logits": (2, None),
    "probabilities": (2, lambda z: z.softmax(1)),
    "one logit": (1, None),
    "one probability": (1, lambda z: z.sigmoid()),
    "object with logits": (2, lambda z: SimpleNamespace(logits=z)),
}


@pytest.mark.parametrize(("n_outputs", "say"), MODULES.values(), ids=MODULES)
def test_module(n_outputs, say, fit, table):
    params = STEPS | {"augmenter": AdversarialAugmenter(n_steps=1, joint=n_outputs == 1)}
    module = trained(Says(table.X.shape[1], n_outputs, say), table.X, table.y)
    plain = copy.deepcopy(module)
    plain.say = None
    net = as_skorch(plain)
    if n_outputs == 1:
        net = as_skorch(plain, NeuralNetBinaryClassifier, nn.BCEWithLogitsLoss)
    before = copy.deepcopy(module.state_dict())
    module.train()
    fair = fit(module, **params)
    np.testing.assert_allclose(
        fair.predict_proba(table.X), fit(net, **params).predict_proba(table.X), atol=2e-5
    )
    # The caller's module is what it was; ours is a copy.
    assert module.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert type(fair.net_.module_) is Says
    assert fair.net_.module_ is not module
    assert fair.preprocessor_ is None


def test_frozen_module(fit, table):
    module = trained(Says(table.X.shape[1]), table.X, table.y)
    fair = fit(FrozenEstimator(module))
    assert core_of(clone(fair).estimator) is module
    expected = fit(module).predict_proba(table.X)
    np.testing.assert_array_equal(fair.predict_proba(table.X), expected)


def test_float64_module(fit, table):
    module = trained(Says(table.X.shape[1]), table.X, table.y)
    expected = fit(as_skorch(copy.deepcopy(module))).predict_proba(table.X)
    module.double()
    np.testing.assert_allclose(fit(module).predict_proba(table.X), expected, atol=1e-5)
    assert module.head.weight.dtype == torch.float64


def test_steps_alone(table):
    module = trained(Says(table.X.shape[1]), table.X, table.y)
    for step in (AdversarialAugmenter(n_steps=1), STEPS["reactivator"]):
        for estimator in (
            module,
            Pipeline([("as is", FunctionTransformer()), ("net", module)]),
        ):
            ours, theirs = (
                clone(step)
                .set_params(estimator=one, random_state=0)
                .fit_transform(table.X, table.y, sensitive_features=table.group)
                for one in (estimator, as_skorch(copy.deepcopy(module)))
            )
            np.testing.assert_array_equal(ours, theirs)


# -- what may be tuned ----------------------------------------------------------

#: A net that knows nothing yet learns something.
LONGER = {"max_epochs": 4, "steps_per_epoch": 10, "lr": 0.05}


def test_only_what_requires_a_gradient_is_tuned(fit, table):
    module = Says(table.X.shape[1])
    module.body.requires_grad_(False)
    fair = fit(module, **LONGER)
    assert torch.equal(fair.net_.module_.body.weight, module.body.weight)
    assert not torch.equal(fair.net_.module_.head.weight, module.head.weight)
    assert [p.requires_grad for p in module.parameters()] == [False] * 2 + [True] * 2


def test_a_module_frozen_as_a_whole_is_tuned_as_a_whole(fit, table):
    module = Says(table.X.shape[1]).requires_grad_(False)
    fair = fit(module, **LONGER)
    assert not torch.equal(fair.net_.module_.body.weight, module.body.weight)
    assert not any(p.requires_grad for p in module.parameters())


class LowRank(nn.Module):
    """A frozen linear layer and a product of two thin matrices, as LoRA has it."""

    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, X):
        return self.base(X) + self.up(self.down(X))


def test_low_rank_adapters_pass_through(fit, table):
    module = Says(table.X.shape[1])
    module.body, module.head = LowRank(module.body), LowRank(module.head)
    fair = fit(module, **LONGER).net_.module_
    assert torch.equal(fair.body.base.weight, module.body.base.weight)
    assert not torch.equal(fair.body.up.weight, module.body.up.weight)


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self, n_features):
        super().__init__()
        self.body = nn.Linear(n_features, n_features)
        self.again = nn.Linear(n_features, n_features)
        self.again.weight = self.body.weight
        self.head = nn.Linear(n_features, 2)

    def forward(self, X):
        return self.head(self.again(self.body(X).relu()).relu())


@pytest.mark.parametrize("steps", [{}, {"reactivator": STEPS["reactivator"]}])
def test_tied_weights_stay_tied(fit, table, steps):
    module = Tied(table.X.shape[1])
    fair = fit(module, **LONGER, **steps)
    tuned = fair.net_.module_
    assert tuned.again.weight is tuned.body.weight
    assert module.again.weight is module.body.weight
    if steps:
        assert fair.mask_.keys() == {"body.weight", "head.weight"}


def test_frozen_weights_have_no_mask(fit, table):
    module = Says(table.X.shape[1])
    module.body.requires_grad_(False)
    fair = fit(module, reactivator=STEPS["reactivator"])
    assert fair.mask_.keys() == {"head.weight"}
    assert torch.equal(fair.net_.module_.body.weight, module.body.weight)


# -- Pipelines -------------------------------------------------------------------


def test_pipeline(fit, table):
    scaler = StandardScaler().fit(table.X)
    Z = scaler.transform(table.X)
    module = trained(Says(table.X.shape[1]), Z, table.y)
    expected = fit(as_skorch(module), X=Z)
    for core in (module, as_skorch(module)):
        fair = fit(Pipeline([("scale", scaler), ("net", core)]), X=table.X)
        np.testing.assert_array_equal(fair.predict_proba(table.X), expected.predict_proba(Z))
        assert fair.preprocessor_[-1] is scaler


@pytest.fixture
def raw(table):
    """The table as people have it: text, missing values, numbers in float64."""
    frame = pd.DataFrame(table.X[:, :4], columns=list("abcd")).astype("float64")
    frame.loc[::7, "b"] = np.nan
    frame["town"] = np.where(table.X[:, 2] > 0, "north", "south")
    frame.loc[::11, "town"] = None
    if table.X.shape[1] == 5:
        frame["sex"] = np.where(table.group, "m", "f")
    return frame


@pytest.fixture
def encode(raw):
    """Numbers out of the frame, fitted."""
    text = [name for name in raw if raw[name].dtype.kind not in "f"]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer(
        (numbers, list("abcd")), (OneHotEncoder(sparse_output=True), text), sparse_threshold=1.0
    ).fit(raw)


@pytest.fixture
def pipeline(raw, encode, table):
    Z = encode.transform(raw).toarray().astype(np.float32)
    return Pipeline([("encode", encode), ("net", trained(Says(Z.shape[1]), Z, table.y))])


def test_raw_columns(raw, encode, pipeline, fit):
    fair = fit(pipeline, X=raw, **STEPS)
    Z = encode.transform(raw).toarray().astype(np.float32)
    expected = fit(as_skorch(pipeline[-1]), X=Z, **STEPS).predict_proba(Z)
    np.testing.assert_array_equal(fair.predict_proba(raw), expected)
    assert fair.feature_names_in_.tolist() == raw.columns.tolist()
    assert fair.n_features_in_ == raw.shape[1]
    with pytest.raises(ValueError, match="feature names should match"):
        fair.predict(raw[raw.columns[::-1]])
    twin = pickle.loads(pickle.dumps(fair))
    np.testing.assert_array_equal(twin.predict_proba(raw), expected)


def test_groups_from_a_raw_column(raw, pipeline, quick, table):
    tuner = FairAugmentFineTuner(pipeline, sensitive_columns=["sex"], **quick)
    if "sex" not in raw:
        with pytest.raises(ValueError, match="sensitive_columns: 'sex' is not a column of X"):
            tuner.fit(raw, table.y)
        return
    tuner.fit(raw, table.y)
    assert tuner.groups_ == ("f", "m")
    tuner.set_params(sensitive_columns="auto")
    with pytest.raises(ValueError, match="fit needs to know the groups"):
        tuner.fit(raw, table.y)


def test_clone_and_processes(raw, pipeline, quick, table):
    tuner = clone(FairAugmentFineTuner(pipeline, **quick))
    assert tuner.estimator is pipeline
    one, two = (
        cross_val_predict(
            tuner,
            raw,
            table.y,
            cv=2,
            n_jobs=n_jobs,
            method="predict_proba",
            params={"sensitive_features": table.group},
        )
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_parameters_of_a_fitted_pipeline_are_refused(pipeline, quick):
    tuner = FairAugmentFineTuner(pipeline, **quick)
    with pytest.raises(ValueError, match="would change a fitted net"):
        tuner.set_params(estimator__encode__remainder="drop")


def test_names_of_the_augmenter_behind_a_pipeline(raw, encode, pipeline, table):
    step = AdversarialAugmenter(pipeline, n_steps=1).set_output(transform="pandas")
    step.fit(raw, table.y, sensitive_features=table.group)
    names = encode.get_feature_names_out().tolist()
    assert step.transform(raw).columns.tolist() == names


def test_texts(quick):
    """A list of texts, a step that counts words, and a net."""
    rng = np.random.RandomState(0)
    y, group = rng.randint(0, 2, (2, 200))
    words = np.array(["bad", "good"])[y ^ (rng.rand(200) < 0.2)]
    texts = [f"{w} {'she' if g else 'he'}" for w, g in zip(words, group, strict=True)]
    count = FunctionTransformer(
        lambda X: np.array([[w in t for w in ("good", "she")] for t in X])
    )
    module = trained(Says(2), count.transform(texts).astype(np.float32), y)
    tuner = FairAugmentFineTuner(Pipeline([("count", count), ("net", module)]), **quick)
    tuner.fit(texts, y, sensitive_features=group)
    assert tuner.score(texts, y) > 0.7


# -- Hugging Face ------------------------------------------------------------------


class Transformer(nn.Module):
    """Takes arrays by name and returns an object, as the models of Hugging Face do."""

    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(20, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.classifier = nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask=None, labels=None):
        hidden = self.encoder(
            self.embeddings(input_ids), src_key_padding_mask=attention_mask == 0
        )
        return SimpleNamespace(loss=None, logits=self.classifier(hidden[:, 0]))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("steps", [{}, {"reactivator": STEPS["reactivator"]}])
def test_named_inputs_and_outputs(quick, steps):
    rng = np.random.RandomState(0)
    X = {
        "input_ids": rng.randint(0, 20, (120, 6)),
        "attention_mask": np.ones((120, 6), dtype=np.int64),
    }
    X["attention_mask"][:, 5] = 0
    y, group = rng.randint(0, 2, (2, 120))
    module = Transformer()
    module.embeddings.requires_grad_(False)
    fair = FairAugmentFineTuner(module, lr=1e-3, **quick, **steps)
    fair.fit(X, y, sensitive_features=group)
    assert fair.predict(X).shape == (120,)
    assert torch.equal(fair.net_.module_.embeddings.weight, module.embeddings.weight)
    assert fair.net_.predict_proba(X).shape == (120, 2)


# -- labels ----------------------------------------------------------------------

WORDS = np.array(["refused", "granted"], dtype=object)  # of 0 and 1


LABELS = {
    "strings": (WORDS, "granted"),
    "bools": (np.array([False, True]), None),
    "one and two": (np.array([1, 2]), None),
    "one is good": (np.array([2, 1]), 1),
    "minus one and one": (np.array([-1, 1]), None),
    "minus one is good": (np.array([1, -1]), -1),
}


@pytest.fixture
def module(rows):
    return trained(Says(4), rows.X, rows.y)


@pytest.mark.parametrize(("labels", "pos_label"), LABELS.values(), ids=LABELS)
def test_labels(labels, pos_label, module, rows, quick):
    """Whatever they are called, a net trained on 1 = favourable is fine-tuned alike."""
    expected = FairAugmentFineTuner(module, **quick)
    expected.fit(rows.X, rows.y, sensitive_features=rows.group)
    fair = FairAugmentFineTuner(module, pos_label=pos_label, **quick)
    fair.fit(rows.X, labels[rows.y], sensitive_features=rows.group)
    np.testing.assert_array_equal(fair.predict(rows.X), labels[expected.predict(rows.X)])
    assert fair.bias_ == expected.bias_
    # As scikit-learn has it: classes in order, columns and signs by them.
    assert fair.classes_.tolist() == sorted(labels)
    column = fair.classes_.tolist().index(labels[1])
    favourable = expected.predict_proba(rows.X)[:, 1]
    np.testing.assert_array_equal(fair.predict_proba(rows.X)[:, column], favourable)
    sign = 1 if column else -1
    np.testing.assert_array_equal(
        fair.decision_function(rows.X), sign * expected.decision_function(rows.X)
    )


def test_pandas_labels(module, rows, quick):
    expected = FairAugmentFineTuner(module, **quick)
    expected.fit(rows.X, rows.y, sensitive_features=rows.group)
    ordered = pd.CategoricalDtype(["refused", "granted"], ordered=True)
    for y, names in (
        (pd.Series(WORDS[rows.y], dtype=ordered), WORDS),
        (pd.Series(rows.y, dtype="Int64"), [0, 1]),
        (pd.Series(rows.y == 1, dtype="boolean"), [False, True]),
    ):
        fair = clone(expected).fit(rows.X, y, sensitive_features=rows.group)
        names = np.asarray(names)
        np.testing.assert_array_equal(fair.predict(rows.X), names[expected.predict(rows.X)])


def test_numbers_are_outputs_whichever_is_favourable(module, rows, quick):
    """pos_label=0 asks for the bias of zeros; the net's outputs mean what they meant."""
    fair = FairAugmentFineTuner(module, pos_label=0, **quick)
    fair.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert fair.score(rows.X, rows.y) > 0.8
    assert fair.net_.output_order_ == [1, 0]
    np.testing.assert_array_equal(fair.predict_proba(rows.X).argmax(1), fair.predict(rows.X))


def test_classes_of_a_skorch_net_are_its_own(rows, quick):
    """Trained on sorted labels, as of a LabelEncoder, and told so."""
    flipped = as_skorch(trained(Says(4), rows.X, 1 - rows.y))
    flipped.classes = ["granted", "refused"]
    fair = FairAugmentFineTuner(flipped, pos_label="granted", **quick)
    fair.fit(rows.X, WORDS[rows.y], sensitive_features=rows.group)
    assert fair.score(rows.X, WORDS[rows.y]) > 0.8
    flipped.classes = ["bad", "good"]
    with pytest.raises(ValueError, match=r"fitted on the classes \['bad', 'good'\], but y"):
        fair.fit(rows.X, WORDS[rows.y], sensitive_features=rows.group)


@pytest.mark.parametrize(
    "estimator",
    [
        FairAugmentFineTuner(None, max_epochs=0, random_state=0),
        MaskReactivator(max_epochs=1, steps_per_epoch=1),
        AdversarialAugmenter(n_steps=0),
        FairRule(random_state=0),
        ThresholdOnly(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_net_that_means_the_other_label_is_told(estimator, module, rows):
    estimator.set_params(estimator=module, tolerance=0.5)
    with pytest.warns(UserWarning, match=r"below chance.*pass pos_label='granted'"):
        estimator.fit(rows.X, WORDS[rows.y], sensitive_features=rows.group)


# -- the rule and the rivals --------------------------------------------------------

POST = {
    "rule": FairRule(tolerance=0.3, random_state=0),
    "threshold": ThresholdOnly(tolerance=0.3),
    "optimizer": ThresholdOptimizer(tolerance=0.3, random_state=0),
    "reject option": RejectOptionClassification(n_thresholds=5, n_margins=3, random_state=0),
}


def predicted(model, X, groups):
    if model.needs_sensitive_features:
        return model.predict(X, sensitive_features=groups)
    return model.predict(X)


@pytest.mark.parametrize("model", POST.values(), ids=POST)
def test_post_processing(model, raw, encode, pipeline, table):
    """A module, a Pipeline of one over raw columns, and a skorch net give the same."""
    Z = encode.transform(raw).toarray().astype(np.float32)
    groups = table.group
    expected = clone(model).set_params(estimator=as_skorch(pipeline[-1]))
    expected = expected.fit(Z, table.y, sensitive_features=groups)
    favourable = predicted(expected, Z, groups)
    bare = clone(model).set_params(estimator=pipeline[-1], pos_label="granted")
    bare.fit(Z, WORDS[table.y], sensitive_features=groups)
    np.testing.assert_array_equal(predicted(bare, Z, groups), WORDS[favourable])
    whole = clone(model).set_params(estimator=pipeline, pos_label="granted")
    whole.fit(raw, WORDS[table.y], sensitive_features=groups)
    if isinstance(model, ThresholdOnly | RejectOptionClassification):
        # The others also read the columns themselves, which are the raw ones here.
        np.testing.assert_array_equal(predicted(whole, raw, groups), WORDS[favourable])
    assert predicted(pickle.loads(pickle.dumps(whole)), raw, groups).shape == (240,)


def test_any_classifier_knows_its_classes(rows):
    """The column of the favourable class is found by its name."""
    biased = LogisticRegression().fit(rows.X, WORDS[rows.y])
    numbers = LogisticRegression().fit(rows.X, rows.y)
    for model in (ThresholdOnly(tolerance=0.3), FairRule(tolerance=0.3, random_state=0)):
        expected = clone(model).set_params(estimator=numbers)
        expected.fit(rows.X, rows.y, sensitive_features=rows.group)
        fair = clone(model).set_params(estimator=biased, pos_label="granted")
        fair.fit(rows.X, WORDS[rows.y], sensitive_features=rows.group)
        np.testing.assert_array_equal(fair.predict(rows.X), WORDS[expected.predict(rows.X)])
        np.testing.assert_allclose(
            fair.predict_proba(rows.X)[:, 0], expected.predict_proba(rows.X)[:, 1], atol=1e-4
        )


def test_rivals_that_fine_tune_take_a_module(module, rows, quick):
    fair = PlainFineTuning(module, pos_label="granted", **quick)
    fair.fit(rows.X, WORDS[rows.y], sensitive_features=rows.group)
    expected = PlainFineTuning(as_skorch(module), **quick)
    expected.fit(rows.X, rows.y, sensitive_features=rows.group)
    np.testing.assert_array_equal(fair.predict(rows.X), WORDS[expected.predict(rows.X)])


def test_rivals_that_train_anew_take_none(module, rows):
    with pytest.raises(TypeError, match=r"trains the network from new weights.*; got a Says\."):
        AdversarialDebiasing(module).fit(rows.X, rows.y, sensitive_features=rows.group)


# -- pictures, and rows that no network takes ---------------------------------------


@pytest.mark.filterwarnings("ignore:Lower:UserWarning")
def test_pictures_with_a_frozen_body(quick):
    rng = np.random.RandomState(0)
    y, group = rng.randint(0, 2, (2, 60))
    pixels = rng.randint(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    network = ResNet18(n_classes=2, width=4)
    last = list(network.named_children())[-1][0]
    for name, weight in network.named_parameters():
        weight.requires_grad_(name.startswith(last))
    fair = FairAugmentFineTuner(network, **quick)
    fair.fit(pixels, y, sensitive_features=group)
    assert fair.predict(pixels).shape == (60,)
    before, after = dict(network.named_parameters()), dict(fair.net_.module_.named_parameters())
    assert all(
        torch.equal(after[name], weight)
        for name, weight in before.items()
        if not weight.requires_grad
    )


def test_rows_that_no_network_takes(module, rows, quick):
    tuner, missing = FairAugmentFineTuner(module, **quick), rows.X.copy()
    missing[0, 0] = np.nan
    for X, message in (
        (missing, "Input X contains NaN"),
        (csr_array(rows.X), "Sparse data was passed"),
        (pd.DataFrame(rows.X).astype(str) + "?", "could not convert string to float"),
        (rows.X[:, :3], "cannot take X of shape"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            tuner.fit(X, rows.y, sensitive_features=rows.group)
    steps = make_pipeline(SimpleImputer()).fit(rows.X)
    whole = FairAugmentFineTuner(Pipeline([("steps", steps), ("net", module)]), **quick)
    whole.fit(missing, rows.y, sensitive_features=rows.group)
    assert whole.predict(csr_array(rows.X)).shape == (240,)
