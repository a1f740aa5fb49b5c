"""compare: same splits, nothing lost, nothing stops."""

import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_random_state
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Callback

from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug.benchmark import compare, summarize
from skfairaug.benchmark._results import MEASURES
from skfairaug.benchmark._splits import split_rows
from skfairaug.metrics import bias
from skfairaug.rivals import ThresholdOnly


class Fails(ClassifierMixin, BaseEstimator):
    """A rival that cannot."""

    def fit(self, X, y):
        raise ArithmeticError("no such luck")

    def predict(self, X):
        raise NotImplementedError


class NeedsGroup(ClassifierMixin, BaseEstimator):
    """Predicts the group, as far as it is told, and warns."""

    needs_sensitive_features = True

    def fit(self, X, y, *, sensitive_features):
        warnings.warn("cheats", UserWarning, stacklevel=1)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X, *, sensitive_features):
        return np.asarray(sensitive_features == "m", dtype=int)


class CountsRows(ClassifierMixin, BaseEstimator):
    """Remembers, outside itself, how many rows it was fitted on."""

    seen: list = []

    def __init__(self, estimator=None, random_state=None, tolerance=1.0):
        self.estimator = estimator
        self.random_state = random_state
        self.tolerance = tolerance

    def fit(self, X, y):
        CountsRows.seen.append((len(X), self.random_state, self.tolerance, self.estimator))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.arange(len(X)) % 2


class CountsValidation(CountsRows):
    fits_on = "validation"


class Patient(LogisticRegression):
    """Keeps what it has at Ctrl-C, as the fine-tuners and skorch do."""

    interrupted = True

    def fit(self, X, y):
        super().fit(X, y)
        with suppress(KeyboardInterrupt):
            if Patient.interrupted:
                signal.raise_signal(signal.SIGINT)
        return self


class Draws(TransformerMixin, BaseEstimator):
    """Columns times numbers from the global random state, or from its own."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        own = check_random_state(self.random_state)
        self.scale_ = np.exp(np.random.normal(size=4) + own.normal(size=4))
        return self

    def transform(self, X):
        return np.asarray(X) * self.scale_


class ReadsState(ClassifierMixin, BaseEstimator):
    """Waits, then predicts from the global random state, and warns."""

    def __init__(self, name="a"):
        self.name = name

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        time.sleep(0.05)
        warnings.warn(self.name, UserWarning, stacklevel=1)
        return np.random.randint(0, 2, len(X))


@pytest.fixture
def data(rows):
    X = pd.DataFrame(rows.X, columns=list("abcd"))
    groups = pd.Series(np.where(rows.group, "m", "f"))
    return {"X": X, "y": rows.y, "sensitive_features": groups, "progress": False}


@pytest.fixture
def tuner(quick):
    return FairAugmentFineTuner(None, **quick)


class Marks(CountsValidation):
    """Remembers which rows it was told that the classifier has seen."""

    marks: list = []

    def fit(self, X, y, *, held_out=None):
        Marks.marks.append((X, held_out))
        self.classes_ = np.unique(y)
        return self


class MarksOnTraining(Marks):
    fits_on = "train"


def settle(frame):
    """Results without what differs from run to run."""
    return frame.drop(columns=[name for name in frame if name.endswith("seconds")])


def test_a_row_says_what_the_test_part_says(data):
    model = LogisticRegression()
    frame = compare({"lr": model}, preprocessor=StandardScaler(), cv=[3], **data)
    train, _, test = split_rows(240, 3)
    X, y, groups = data["X"], data["y"], data["sensitive_features"]
    scaler = StandardScaler().fit(X.iloc[train])
    part = scaler.transform(X).astype(np.float32)
    y_pred = model.fit(part[train], y[train]).predict(part[test])
    row = frame.iloc[0]
    assert row["split"] == 3
    assert row["balanced_accuracy"] == balanced_accuracy_score(y[test], y_pred)
    assert row["accuracy"] == accuracy_score(y[test], y_pred)
    for name in MEASURES:
        gap = bias(y[test], y_pred, sensitive_features=groups.iloc[test], constraint=name)
        assert row[name] == gap
    assert row["bias"] == row["statistical_parity"]
    assert row["phi"] == (row["balanced_accuracy"] if abs(row["bias"]) < 0.05 else 0)
    assert (row["n_fit"], row["n_test"]) == (192, 48)
    assert not row["needs_sensitive_features"]
    assert row["error"] == row["warnings"] == ""


def test_a_failing_rival_is_told_and_stops_nothing(data):
    frame = compare({"bad": Fails(), "good": LogisticRegression()}, cv=2, **data)
    frame = frame.set_index(["method", "split"])
    assert frame.loc[("bad", 0), "error"] == "ArithmeticError: no such luck"
    assert np.isnan(frame.loc[("bad", 0), "balanced_accuracy"])
    assert frame.loc["good", "balanced_accuracy"].gt(0.5).all()


class FailsIn(TransformerMixin, BaseEstimator):
    """Refuses a split: to be fitted on it, or to transform its test part."""

    def __init__(self, verb, split, random_state=None):
        self.verb = verb
        self.split = split
        self.random_state = random_state

    def fit(self, X, y):
        self.n_ = len(X)
        if (self.verb, self.random_state) == ("fit", self.split):
            raise ValueError("never seen")
        return self

    def transform(self, X):
        if (self.verb, self.random_state, len(X)) == ("transform", self.split, 48):
            raise ValueError("never seen")
        return np.asarray(X)


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("fit", "PreparationError: the preprocessor failed: ValueError: never seen"),
        ("transform", "ValueError: never seen"),
    ],
)
def test_a_preprocessor_that_fails_on_a_split_stops_nothing(verb, told, data, tmp_path):
    models = {"lr": LogisticRegression(), "threshold": ThresholdOnly(None)}
    arguments = {"estimator": LogisticRegression(), "cv": 3, "path": tmp_path / "runs.csv"}
    frame = compare(models, preprocessor=FailsIn(verb, 1), **arguments, **data)
    assert frame["error"].tolist() == ["", told, ""] * 2
    assert frame["balanced_accuracy"].isna().tolist() == [False, True, False] * 2
    assert frame["n_test"].tolist() == [48] * 6
    assert summarize(frame)["n_errors"].tolist() == [1, 1]
    whole = compare(models, preprocessor=FailsIn(verb, 9), **arguments, **data)
    assert whole["error"].tolist() == [""] * 6


def test_columns_that_differ_from_split_to_split(data, unfitted_net, tuner):
    """The network fits the columns of one split; whoever needs none is judged on both."""
    data["X"] = data["X"].assign(rare=["common"] * 239 + ["rare"])
    encoder = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["rare"]), remainder="passthrough"
    )
    row, others = np.array([239]), np.arange(239)
    splits = {0: (others[:100], others[100:150], np.append(others[150:], row))}
    splits[1] = np.append(others[:100], row), others[100:150], others[150:]
    encoder = encoder.set_params(onehotencoder__handle_unknown="ignore")
    net = unfitted_net.set_params(module__n_features=6)
    models = {"tuned": tuner, "lr": LogisticRegression()}
    frame = compare(models, estimator=net, preprocessor=encoder, cv=splits, **data)
    frame = frame.set_index(["method", "split"])["error"]
    assert "the biased classifier failed: ValueError" in frame["tuned", 0]
    assert "5" in frame["tuned", 0]
    assert frame.drop(("tuned", 0)).tolist() == [""] * 3


def test_groups_and_warnings(data):
    row = compare({"told": NeedsGroup()}, cv=1, **data).iloc[0]
    assert row["needs_sensitive_features"]
    assert row["statistical_parity"] == -1.0
    assert row["warnings"] == "UserWarning: cheats"


def test_rows_seed_and_goal_reach_each_rival(data, net):
    CountsRows.seen.clear()
    rivals = {"train": CountsRows(), "validation": CountsValidation()}
    own = {"own": CountsValidation(LogisticRegression(C=7.0))}
    compare(rivals | own, estimator=net, cv=[5], tolerance=0.2, **data)
    (n_train, seed, tolerance, _), (n_val, _, _, biased), (_, _, _, inner) = CountsRows.seen
    assert (n_train, seed, tolerance, n_val) == (144, 5, 0.2, 48)
    weights = biased.module_.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in net.module_.state_dict().items())
    assert inner.estimator.C == 7.0
    assert inner.estimator.coef_.shape == (1, 4)
    assert rivals["validation"].estimator is None  # the caller's own is as before
    assert not hasattr(own["own"].estimator, "coef_")


@pytest.mark.parametrize("routing", [False, True])
def test_a_pipeline_is_of_the_sort_of_its_last_step(data, net, tuner, routing):
    def after(step):
        return make_pipeline(FunctionTransformer(np.asarray), step)

    CountsRows.seen.clear()
    rivals = {
        "counts": after(CountsValidation()),
        "tuner": tuner,
        "after": after(tuner),
        "told": after(NeedsGroup()),
    }
    with config_context(enable_metadata_routing=routing):
        frame = compare(rivals, estimator=net, cv=[5], tolerance=0.2, **data)
    ((n_validation, seed, tolerance, biased),) = CountsRows.seen
    assert (n_validation, seed, tolerance) == (48, 5, 0.2)
    assert biased.initialized_
    assert rivals["counts"][-1].estimator is None
    frame = frame.set_index("method")
    assert frame["error"].eq("").all()
    columns = ["balanced_accuracy", "bias", "phi"]
    assert frame.loc["after", columns].equals(frame.loc["tuner", columns].rename("after"))
    assert frame.loc["told", "needs_sensitive_features"]
    assert frame.loc["told", "statistical_parity"] == -1.0


def test_an_unfitted_net_is_trained_on_the_training_part(data, unfitted_net, tuner):
    data["X"] = data["X"].to_numpy()
    frame = compare({"tuned": tuner}, estimator=unfitted_net, cv=2, **data)
    assert frame["error"].tolist() == ["", ""]
    assert frame["estimator_seconds"].gt(0).all()
    assert not hasattr(unfitted_net, "module_")
    again = compare({"tuned": tuner}, estimator=unfitted_net, cv=2, **data)
    pd.testing.assert_frame_equal(settle(frame), settle(again))


def test_a_callable_trains_the_biased_classifier(data):
    def train(X, y, seed):
        assert len(X) == len(y) == 144
        return LogisticRegression(C=1 + seed).fit(X, y)

    CountsRows.seen.clear()
    compare({"post": CountsValidation()}, estimator=train, cv=[4], **data)
    assert CountsRows.seen[0][-1].C == 5


def test_folds_of_a_splitter(data):
    folds = StratifiedKFold(3)
    frame = compare({"lr": LogisticRegression()}, cv=folds, **data)
    assert frame["split"].tolist() == [0, 1, 2]
    assert frame["n_test"].tolist() == [80, 80, 80]


def test_a_second_call_resumes(data, tmp_path):
    path = tmp_path / "runs.csv"
    CountsRows.seen.clear()
    models = {"counted": CountsRows(), "bad": Fails()}
    first = compare(models, cv=2, path=path, **data)
    assert len(CountsRows.seen) == 2
    models["more"] = LogisticRegression()
    second = compare(models, cv=3, path=path, **data)
    assert len(CountsRows.seen) == 3  # one new split; what failed is tried again
    assert len(pd.read_csv(path)) == 9  # a row for each method and split
    assert second["method"].tolist() == ["counted"] * 3 + ["bad"] * 3 + ["more"] * 3
    old = second[second["run"].isin(first["run"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(settle(old), settle(first), check_dtype=False)
    compare({"counted": CountsRows()}, cv=2, path=path, **(data | {"tolerance": 0.2}))
    assert len(CountsRows.seen) == 5  # another goal is another run


def test_a_foreign_file_is_not_appended_to(data, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"notes.csv is not a file of results.*'a', 'b'"):
        compare({"lr": LogisticRegression()}, path=path, **data)
    assert path.read_text() == "a,b\n1,2\n"


def test_a_call_answered_by_the_file_has_numbers(data, tmp_path):
    path = tmp_path / "runs.csv"
    first, second = (
        compare({"lr": LogisticRegression()}, cv=2, path=path, **data) for _ in "ab"
    )
    pd.testing.assert_frame_equal(first, second)
    assert second.select_dtypes("number").shape[1] > 10


def test_ctrl_c_does_not_leave_a_result_behind(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Patient, "interrupted", True)
    path, handler = tmp_path / "runs.csv", signal.getsignal(signal.SIGINT)
    models = {"lr": LogisticRegression(), "patient": Patient()}
    for arguments in ({"mitigators": models}, {"estimator": Patient(), "mitigators": models}):
        with pytest.raises(KeyboardInterrupt):
            compare(**arguments, cv=1, path=path, **data)
        assert signal.getsignal(signal.SIGINT) is handler
    assert pd.read_csv(path)["method"].tolist() == ["lr"]
    Patient.interrupted = False
    again = compare(models, cv=1, path=path, **data)
    assert again["error"].tolist() == ["", ""]
    assert pd.read_csv(path)["method"].tolist() == ["lr", "patient"]


class Interrupts(Callback):
    def on_epoch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_while_a_net_is_trained(data, unfitted_net, tuner, tmp_path):
    """skorch and the fine-tuner return as if nothing had happened."""
    data["X"] = data["X"].to_numpy(copy=True)
    interrupted = unfitted_net.set_params(callbacks=[Interrupts()])
    tuner.set_params(estimator=clone(interrupted).fit(data["X"], data["y"]))
    arguments = {"path": tmp_path / "runs.csv", "cv": 1} | data
    with pytest.raises(KeyboardInterrupt):
        compare({"post": CountsValidation()}, estimator=interrupted, **arguments)
    with pytest.raises(KeyboardInterrupt):
        compare({"tuned": tuner}, **arguments)
    assert not (tmp_path / "runs.csv").exists()


def test_jobs_do_not_change_results(data, net, tuner):
    data["X"] = data["X"].to_numpy()
    data["tolerance"] = 0.5
    alone = compare({"tuned": tuner}, estimator=net, cv=2, **data)
    side_by_side = compare({"tuned": tuner}, estimator=net, cv=2, n_jobs=2, **data)
    pd.testing.assert_frame_equal(settle(alone), settle(side_by_side))
    assert alone.loc[0, "balanced_accuracy"] != alone.loc[1, "balanced_accuracy"]


def test_threads_do_not_change_results(data):
    models = {name: ReadsState(name) for name in "abc"}
    alone = compare(models, cv=2, **data)
    with parallel_config(backend="threading"):
        threads = compare(models, cv=2, n_jobs=3, **data)
    pd.testing.assert_frame_equal(settle(alone), settle(threads))
    assert alone["warnings"].tolist() == [f"UserWarning: {name}" for name in "aabbcc"]


def test_preprocessors_draw_by_split(data):
    state = np.random.get_state()[1].copy()
    draws = [
        compare({"tree": LogisticRegression(C=0.01)}, preprocessor=Draws(), cv=2, **data)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    pd.testing.assert_frame_equal(settle(draws[0]), settle(draws[1]))


def test_global_state_is_as_before(data, net, tuner):
    data["X"] = data["X"].to_numpy()
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    compare({"tuned": tuner}, estimator=net, cv=1, **data)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert torch.get_num_threads() == before[2]


@pytest.mark.parametrize(
    ("kind", "n_out", "params"),
    [
        (NeuralNetBinaryClassifier, 1, {}),
        (NeuralNetClassifier, 2, {"criterion": torch.nn.CrossEntropyLoss, "classes": [0, 1]}),
    ],
)
def test_nets_that_know_their_classes_are_trained(kind, n_out, params, data):
    net = kind(
        torch.nn.Linear,
        module__in_features=4,
        module__out_features=n_out,
        lr=0.5,
        verbose=0,
        **params,
    )
    data["X"] = data["X"].to_numpy()
    models = {"given": ThresholdOnly(None), "own": ThresholdOnly(net), "net": net}
    frame = compare(models, estimator=net, cv=[0], **(data | {"constraint": "average_odds"}))
    assert frame["error"].tolist() == [""] * 3
    assert frame["balanced_accuracy"].gt(0.6).all()
    assert not net.initialized_


def test_a_measure_that_nobody_asked_for_may_fail(data):
    data["y"][data["sensitive_features"] == "f"] = 0  # nobody has a true positive rate
    frame = compare({"lr": LogisticRegression()}, cv=[0], **data).iloc[0]
    assert frame["error"] == ""
    assert frame["bias"] == frame["statistical_parity"]
    assert frame[["equal_opportunity", "average_odds", "equalized_odds"]].isna().all()
    asked = compare({"lr": LogisticRegression()}, cv=[0], constraint="average_odds", **data)
    assert "No rows with label" in asked.loc[0, "error"]


def test_frozen_classifiers_are_judged_as_they_are(data):
    names = np.array(["bad", "good"])[data["y"]]
    frozen = FrozenEstimator(LogisticRegression().fit(data["X"], names))
    after = ThresholdOnly(frozen, constraint=None)
    after.fit(data["X"], names, sensitive_features=data["sensitive_features"])
    models = {"frozen": frozen, "after": FrozenEstimator(after)}
    frame = compare(models, cv=[0], **(data | {"y": names})).set_index("method")
    _, _, test = split_rows(240, 0)
    expected = balanced_accuracy_score(names[test], frozen.predict(data["X"].iloc[test]))
    assert frame.loc["frozen", "balanced_accuracy"] == expected
    assert frame.loc["after", "error"] == ""
    other = compare({"frozen": frozen}, cv=[0], **data)
    assert other["error"].tolist() == [
        "ValueError: it predicts ['bad', 'good'], but y holds [0, 1]."
    ]


def test_a_frozen_net_is_judged_as_it_is(data, net):
    data["X"] = data["X"].to_numpy()
    frozen = {"net": FrozenEstimator(net)}
    plain = compare(frozen, cv=[0], **data)
    named = compare(frozen, cv=[0], **(data | {"y": np.array(["bad", "good"])[data["y"]]}))
    assert plain.loc[0, "balanced_accuracy"] == named.loc[0, "balanced_accuracy"] > 0.6


def test_a_biased_classifier_of_a_frame_does_not_warn(data):
    models = {"given": ThresholdOnly(None), "own": ThresholdOnly(LogisticRegression())}
    frame = compare(models, estimator=LogisticRegression(), cv=[0], **data)
    few_rows = r"SmallGroupWarning: .*more data\."
    assert frame["warnings"].str.replace(few_rows, "", regex=True).tolist() == ["", ""]


def test_splits_of_your_own(data):
    CountsRows.seen.clear()
    results = compare({"counts": CountsRows()}, cv={7: SPLIT, 9: SPLIT}, **data)
    assert results["split"].tolist() == [7, 9]
    assert [seen[:2] for seen in CountsRows.seen] == [(100, 7), (100, 9)]
    assert results["n_test"].tolist() == [90, 90]


def test_several_classes(data):
    data["y"] = np.arange(240) % 3
    results = compare({"tree": DecisionTreeClassifier(max_depth=2)}, cv=[3], **data)
    assert results["error"].tolist() == [""]
    assert results["balanced_accuracy"].between(0.1, 0.9).all()


SPLIT = np.arange(100), np.arange(100, 150), np.arange(150, 240)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mitigators": {}}, r"must be a dict of name -> classifier; got \{\}"),
        ({"mitigators": {"x": StandardScaler()}}, "'x' has no fit and predict"),
        ({"mitigators": {"x": ThresholdOnly}}, "'x' is the class ThresholdOnly, an instance"),
        ({"mitigators": {3: LogisticRegression()}}, "must be text in one line; got 3"),
        ({"mitigators": {"a\nb": LogisticRegression()}}, "must be text in one line"),
        ({"estimator": "net"}, "estimator must be a classifier, a function.*got 'net'"),
        ({"estimator": StandardScaler()}, "estimator must be a classifier"),
        ({"estimator": LogisticRegression}, "estimator must be a classifier"),
        ({"preprocessor": "scale"}, "preprocessor must be a transformer.*got 'scale'"),
        ({"preprocessor": StandardScaler}, "preprocessor must be a transformer"),
        ({"path": 3}, "path must name a CSV file, or be None; got 3"),
        ({"mitigators": {"x": CountsValidation()}}, "'x' debiases a fitted classifier"),
        (
            {"mitigators": {"x": make_pipeline(CountsValidation(LogisticRegression()))}},
            "'x' is a Pipeline that would debias a classifier of its own",
        ),
        ({"cv": 0}, "cv must be at least 1, at most 10000; got 0"),
        ({"cv": {}}, "cv is an empty dict; at least one split is needed"),
        ({"cv": True}, "cv must be a number or list of seeds.*got True"),
        ({"cv": [True, False]}, "cv must be a number or list of seeds"),
        ({"cv": "all"}, "cv must be a number or list of seeds.*got 'all'"),
        ({"cv": None}, "cv must be a number or list of seeds.*got None"),
        ({"cv": {0: 5}}, "must be three arrays of indices"),
        ({"cv": {True: SPLIT}}, "keys of cv must be seeds, 0 or larger; got True"),
        ({"cv": {0: (*SPLIT[:2], np.repeat(SPLIT[2], 2))}}, "a test row twice"),
        ({"cv": {0: (SPLIT[0], SPLIT[0][:9], SPLIT[2])}}, "validation rows among its training"),
        ({"cv": [1, 1]}, r"distinct seeds, 0 or larger; got \[1, 1\]"),
        ({"constraint": "luck"}, "Unknown constraint 'luck'"),
        ({"tolerance": 2}, "tolerance"),
        ({"cv": {-1: SPLIT}}, "keys of cv must be seeds, 0 or larger; got -1"),
        ({"cv": {0: SPLIT[:2]}}, "must be three arrays of indices"),
        ({"cv": {0: (*SPLIT[:2], [240])}}, "not among the 240 rows"),
        ({"cv": {0: (*SPLIT[:2], SPLIT[0])}}, "test rows among its training or validation"),
        ({"sensitive_features": ["f"] * 240}, "one group"),
        ({"sensitive_features": ["f", "m"]}, "has 2 rows but 240 were expected"),
        (
            {"X": np.zeros((3, 4))},
            r"a row for each of the 240 labels; got ndarray of shape \(3,",
        ),
        ({"y": [0, 1]}, r"X must hold a row for each of the 2 labels"),
    ],
)
def test_bad_input(data, changes, message):
    arguments = {"mitigators": {"lr": LogisticRegression()}} | data | changes
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


@pytest.mark.parametrize("name", ["progress", "drop_sensitive"])
def test_switches(name, data):
    with pytest.raises(TypeError, match=f"{name} must be True or False; got 'no'"):
        compare({"lr": LogisticRegression()}, **(data | {name: "no"}))


class Overlaps:
    """A splitter that tests on what it trains on."""

    def split(self, X, y=None, groups=None):
        yield np.arange(200), np.arange(100, 240)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


def test_a_splitter_whose_parts_overlap(data):
    with pytest.raises(ValueError, match="test rows among its training or validation"):
        compare({"lr": LogisticRegression()}, cv=Overlaps(), **data)


def test_other_processes_through_dask(data, net, tuner):
    distributed = pytest.importorskip("distributed")
    data["X"] = data["X"].to_numpy()
    arguments = {"mitigators": {"tuned": tuner}, "estimator": net, "cv": 2} | data
    here = compare(**arguments)
    with (
        distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        there = compare(**arguments)
    pd.testing.assert_frame_equal(settle(here), settle(there))


def test_no_constraint_stays_no_constraint(data):
    free = ThresholdOnly(LogisticRegression(), constraint=None)
    bound = ThresholdOnly(LogisticRegression(), constraint="average_odds")
    frame = compare({"free": free, "bound": bound}, cv=[0], **data).set_index("method")
    assert frame.loc["free", "balanced_accuracy"] > frame.loc["bound", "balanced_accuracy"]


class Slow(LogisticRegression):
    def fit(self, X, y):
        time.sleep(0.2)
        return super().fit(X, y)


def test_training_a_classifier_of_its_own_counts(data):
    frame = compare({"own": ThresholdOnly(Slow())}, cv=[0], **data)
    assert frame.loc[0, "fit_seconds"] > 0.2
    shared = compare({"given": ThresholdOnly(None)}, estimator=Slow(), cv=[0], **data)
    assert shared.loc[0, "fit_seconds"] < 0.2 < shared.loc[0, "estimator_seconds"]


NOTEBOOK = """
import numpy as np, torch
from skorch import NeuralNetClassifier
from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug.benchmark import compare

class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(2, 2)

    def forward(self, X):
        return self.head(X)

if __name__ == "__main__":
    X = np.random.RandomState(0).normal(size=(200, 2)).astype(np.float32)
    y, groups = (X[:, 0] > 0).astype(int), (X[:, 1] > 0).astype(int)
    loss = torch.nn.CrossEntropyLoss
    net = NeuralNetClassifier(Module, criterion=loss, max_epochs=1, verbose=0)
    tuner = FairAugmentFineTuner(None, max_epochs=1, steps_per_epoch=2)
    for estimator in (net, net.fit(X, y)):
        results = compare({"tuned": tuner}, X, y, sensitive_features=groups, cv=2,
                          estimator=estimator, n_jobs=2, progress=False)
        assert results["error"].tolist() == ["", ""], results["error"].tolist()
"""


def test_a_module_of_a_notebook_crosses_to_other_processes(tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text(NOTEBOOK)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


# -- training rows passed along ----------------------------------------------


@pytest.fixture
def marks(data):
    """Rows and marks that `Marks` saw, with and without `held_out`."""
    split = [np.arange(100), np.arange(100, 180), np.arange(180, 240)]

    def run(mitigator, **params):
        Marks.marks.clear()
        results = compare(
            {"m": mitigator},
            **data,
            estimator=LogisticRegression(),
            cv={0: split},
            **params,
        )
        assert results["error"].tolist() == [""]
        return results, Marks.marks[0]

    return run


def test_training_rows_are_passed_along_as_seen(marks, data):
    alone, (X, held_out) = marks(Marks())
    assert (len(X), held_out) == (80, None)
    results, (X, held_out) = marks(Marks(), held_out=True)
    pd.testing.assert_frame_equal(X, data["X"].iloc[[*range(100, 180), *range(100)]])
    assert held_out.tolist() == [True] * 80 + [False] * 100
    assert results["n_fit"].tolist() == alone["n_fit"].tolist() == [180]
    assert results["run"].iloc[0] != alone["run"].iloc[0]


def test_training_rows_go_through_a_pipeline(marks):
    _, (X, held_out) = marks(make_pipeline(StandardScaler(), Marks()), held_out=True)
    assert len(X) == len(held_out) == 180


def test_who_trains_itself_gets_no_marks(marks):
    _, (X, held_out) = marks(MarksOnTraining(), held_out=True)
    assert (len(X), held_out) == (100, None)


def test_who_takes_no_marks_is_fitted_as_without(data):
    mitigators = {"m": ThresholdOnly(None)}
    params = {**data, "estimator": LogisticRegression(), "cv": 2}
    with_it, without = (compare(mitigators, **params, held_out=one) for one in (True, False))
    with_it, without = (settle(one).drop(columns="run") for one in (with_it, without))
    pd.testing.assert_frame_equal(with_it, without)


def test_marked_rows_do_not_choose(tuner, data, net):
    """As the tuner fitted by hand on the same rows and marks."""
    split = [np.arange(100), np.arange(100, 180), np.arange(180, 240)]
    data["X"] = data["X"].to_numpy()
    params = {**data, "tolerance": tuner.tolerance, "cv": {0: split}}
    results = compare({"ours": tuner}, **params, estimator=net, held_out=True)
    rows = np.r_[split[1], split[0]]
    by_hand = clone(tuner).set_params(estimator=net)
    by_hand.fit(
        data["X"][rows],
        data["y"][rows],
        sensitive_features=data["sensitive_features"].iloc[rows],
        held_out=np.arange(180) < 80,
    )
    y_pred = by_hand.predict(data["X"][split[2]])
    accuracy = balanced_accuracy_score(data["y"][split[2]], y_pred)
    assert results["balanced_accuracy"].iloc[0] == pytest.approx(accuracy)
    assert results["probability_inside"].iloc[0] == pytest.approx(by_hand.probability_inside_)


@pytest.mark.parametrize("held_out", [None, "train", 1])
def test_held_out_says_yes_or_no(held_out, data):
    with pytest.raises(TypeError, match=f"held_out must be True or False; got {held_out!r}"):
        compare({"m": LogisticRegression()}, **data, held_out=held_out)


# -- what the caller trained, and how his labels are called -----------------------

NAMES = np.array(["refused", "granted"], dtype=object)  # of 0 and 1


def named(data, **changes):
    """The same data with labels of which the favourable one is not the greater."""
    return {**data, "y": NAMES[np.asarray(data["y"])], "pos_label": "granted"} | changes


@pytest.mark.parametrize("kind", ["net", "module", "pipeline", "any classifier"])
def test_fitted_classifiers_with_labels_of_their_own(kind, data, net, tuner):
    fair = {"fair": clone(tuner).set_params(estimator=None), "rule": FairRule()}
    given = {
        "net": net,
        "module": net.module_,
        "pipeline": make_pipeline(FunctionTransformer(), net),
        "any classifier": LogisticRegression().fit(data["X"], NAMES[np.asarray(data["y"])]),
    }[kind]
    same = net
    if kind == "any classifier":
        del fair["fair"]
        same = LogisticRegression().fit(data["X"], data["y"])
    expected = compare(fair, estimator=same, cv=1, **data)
    results = compare(fair, estimator=given, cv=1, **named(data))
    assert results["error"].tolist() == [""] * len(fair)
    for column in ("balanced_accuracy", "bias"):
        np.testing.assert_allclose(results[column], expected[column], atol=1e-6)


def test_what_is_trained_there_has_the_same_favourable_label(data, unfitted_net, tuner):
    data["X"] = data["X"].to_numpy(np.float32)
    methods = {
        "fair": clone(tuner).set_params(estimator=None),
        "own": ThresholdOnly(LogisticRegression()),
        "frozen": FrozenEstimator(LogisticRegression().fit(data["X"], data["y"])),
    }
    expected = compare(methods, estimator=unfitted_net, cv=1, **data)
    methods["frozen"] = FrozenEstimator(
        LogisticRegression().fit(data["X"], NAMES[np.asarray(data["y"])])
    )
    results = compare(methods, estimator=unfitted_net, cv=1, **named(data))
    assert results["error"].tolist() == [""] * 3
    for column in ("balanced_accuracy", "bias"):
        np.testing.assert_allclose(results[column], expected[column], atol=1e-6)


def test_a_frozen_net_numbers_its_outputs(data, net):
    data["X"] = data["X"].to_numpy(np.float32)
    frozen = {"net": FrozenEstimator(net)}
    expected = compare(frozen, cv=1, **data)
    for changes in (named(data), {**data, "pos_label": 0}):
        results = compare(frozen, cv=1, **changes)
        assert results["accuracy"].tolist() == expected["accuracy"].tolist()


def test_unknown_pos_label(data):
    with pytest.raises(ValueError, match="pos_label='yes' is not a label of y"):
        compare({"a": LogisticRegression()}, **data, pos_label="yes")
