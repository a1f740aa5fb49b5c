"""The estimators in pipelines, cross-validation and searches, in one process and in two."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator
from skfairaug.metrics import (
    average_odds_difference,
    make_fairness_scorer,
    phi_scorer,
    statistical_parity_difference,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning"),
]


@pytest.fixture
def tuner(net, quick):
    return FairAugmentFineTuner(net, **quick)


@pytest.fixture(params=[True, False], ids=["routing", "no routing"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


@pytest.fixture
def routed():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def requesting(estimator):
    """The estimator, asking for groups where metadata are routed."""
    if sklearn.get_config()["enable_metadata_routing"]:
        estimator.set_fit_request(sensitive_features=True)
    return estimator


# -- pipelines ----------------------------------------------------------------


def test_pipeline(routing, tuner, rows):
    model = make_pipeline(StandardScaler(), requesting(tuner))
    name = "sensitive_features"
    if not routing:
        name = f"fairaugmentfinetuner__{name}"
    model.fit(rows.X, rows.y, **{name: rows.group})
    X = StandardScaler().fit_transform(rows.X)
    direct = clone(tuner).fit(X, rows.y, sensitive_features=rows.group)
    np.testing.assert_array_equal(model.predict_proba(rows.X), direct.predict_proba(X))


def test_pipeline_on_named_columns(tuner, unfitted_net, rows):
    """Groups can be read from a column that leaves the preprocessor with its name."""
    X = np.column_stack([rows.X[:, :3], rows.group]).astype(np.float32)
    frame, net = pd.DataFrame(X.copy(), columns=list("abcd")), unfitted_net.fit(X, rows.y)
    tuner.set_params(estimator=net, sensitive_columns=["d"])
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), tuner)
    model.fit(frame, rows.y)
    assert len(tuner.groups_) == 2
    assert tuner.feature_names_in_.tolist() == list("abcd")


def test_routing_without_a_request_is_refused(routed, tuner, rows):
    model = make_pipeline(StandardScaler(), tuner)
    with pytest.raises(ValueError, match=r"sensitive_features.* not explicitly set"):
        model.fit(rows.X, rows.y, sensitive_features=rows.group)


def test_augmenter_before_a_classifier(routing, net, rows):
    augmenter = requesting(AdversarialAugmenter(net, n_steps=2, random_state=0))
    model = Pipeline([("augment", augmenter), ("classify", LogisticRegression())])
    name = "sensitive_features" if routing else "augment__sensitive_features"
    model.fit(rows.X, rows.y, **{name: rows.group})
    X_adv = clone(augmenter).fit_transform(rows.X, rows.y, sensitive_features=rows.group)
    np.testing.assert_array_equal(model[0].transform(rows.X), rows.X)
    expected = LogisticRegression().fit(X_adv, rows.y)
    np.testing.assert_array_equal(model.predict_proba(rows.X), expected.predict_proba(rows.X))


def test_reactivator_before_a_classifier(routing, net, rows):
    step = MaskReactivator(net, max_epochs=1, steps_per_epoch=2, random_state=0)
    model = Pipeline([("mask", requesting(step)), ("classify", LogisticRegression())])
    model.set_output(transform="pandas")
    name = "sensitive_features" if routing else "mask__sensitive_features"
    model.fit(rows.X, rows.y, **{name: rows.group})
    names = [f"maskreactivator{i}" for i in range(8)]
    assert model[-1].feature_names_in_.tolist() == names
    assert model.predict(rows.X).shape == (240,)


def test_pipeline_clone_keeps_the_net(tuner, net):
    twin = clone(make_pipeline(StandardScaler(), tuner))
    assert twin[-1].estimator is net


# -- cross-validation ---------------------------------------------------------


def test_cross_validate(routing, tuner, rows):
    scoring = {"accuracy": "balanced_accuracy"}
    if routing:
        scoring["spd"] = make_fairness_scorer(statistical_parity_difference)
        scoring["phi"] = phi_scorer(tolerance=0.5)
    groups = {"sensitive_features": rows.group}
    result = cross_validate(
        requesting(tuner), rows.X, rows.y, scoring=scoring, cv=3, params=groups
    )
    for name in scoring:
        assert result[f"test_{name}"].shape == (3,)
        assert np.isfinite(result[f"test_{name}"]).all()
    if routing:
        assert (result["test_spd"] <= 0).all()


def test_held_out_rows_are_split_with_the_others(routed, tuner, rows):
    tuner.set_fit_request(sensitive_features=True, held_out=True)
    result = cross_validate(
        tuner,
        rows.X,
        rows.y,
        cv=3,
        return_estimator=True,
        params={"sensitive_features": rows.group, "held_out": np.arange(240) % 2 == 0},
    )
    assert all(abs(model.bias_) < 0.5 for model in result["estimator"])


# -- searches -----------------------------------------------------------------

GRID = {
    "augmenter__radius": [0.05, 0.2],
    "reactivator__density": [0.5, 0.9],
}


def fairest(results):
    """Index of the least biased candidate: a callable refit."""
    return int(np.argmax(results["mean_test_aod"]))


def test_grid_search(routed, tuner, net, rows):
    tuner.set_params(
        augmenter=AdversarialAugmenter(n_steps=1),
        reactivator=MaskReactivator(max_epochs=1, steps_per_epoch=2),
    )
    scoring = {
        "accuracy": "balanced_accuracy",
        "aod": make_fairness_scorer(average_odds_difference),
        "phi": phi_scorer("average_odds", tolerance=0.3),
    }
    search = GridSearchCV(requesting(tuner), GRID, scoring=scoring, refit=fairest, cv=2)
    search.fit(rows.X, rows.y, sensitive_features=rows.group)
    assert search.best_index_ == fairest(search.cv_results_)
    for name in scoring:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()
    best = search.best_estimator_
    assert best.estimator is net
    assert best.augmenter.radius == search.best_params_["augmenter__radius"]
    assert best.reactivator.density == search.best_params_["reactivator__density"]
    assert search.predict(rows.X).shape == (240,)


def test_grid_search_over_an_unfitted_net(tuner, unfitted_net, rows):
    tuner.set_params(estimator=clone(unfitted_net))
    search = GridSearchCV(tuner, {"estimator__module__width": [4, 6]}, cv=2)
    search.fit(rows.X, rows.y, sensitive_features=rows.group)
    width = search.best_params_["estimator__module__width"]
    assert search.best_estimator_.net_.module_.head.in_features == width


# -- several processes --------------------------------------------------------


def test_two_processes_agree_with_one(routed, tuner, rows):
    scoring = {
        "spd": make_fairness_scorer(statistical_parity_difference),
        "phi": phi_scorer(tolerance=0.5),
    }
    grid = {"penalty": [0.0, 5.0], "tolerance": [0.1, 0.5]}
    one, two = (
        GridSearchCV(
            requesting(clone(tuner)), grid, scoring=scoring, refit="phi", cv=2, n_jobs=n_jobs
        ).fit(rows.X, rows.y, sensitive_features=rows.group)
        for n_jobs in (1, 2)
    )
    for name in ("spd", "phi"):
        np.testing.assert_array_equal(
            one.cv_results_[f"mean_test_{name}"], two.cv_results_[f"mean_test_{name}"]
        )
    np.testing.assert_array_equal(one.predict_proba(rows.X), two.predict_proba(rows.X))


def test_two_processes_predict_the_same(tuner, rows):
    one, two = (
        cross_val_predict(
            tuner,
            rows.X,
            rows.y,
            cv=2,
            method="predict_proba",
            n_jobs=n_jobs,
            params={"sensitive_features": rows.group},
        )
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


SCRIPT = """
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier

from skfairaug import AdversarialAugmenter, FairAugmentFineTuner, MaskReactivator


class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(4, 8)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, X):
        return self.head(self.body(X).relu())


def main(folder):
    torch.set_num_threads(1)
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, 200)
    X = rng.normal(size=(200, 4)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    net = NeuralNetClassifier(
        Module, criterion=torch.nn.CrossEntropyLoss, max_epochs=3, lr=0.1, verbose=0
    ).fit(X, y)
    tuner = FairAugmentFineTuner(
        net,
        augmenter=AdversarialAugmenter(n_steps=1),
        reactivator=MaskReactivator(max_epochs=1, steps_per_epoch=2),
        tolerance=0.5, max_epochs=1, steps_per_epoch=2, random_state=0,
    )
    search = GridSearchCV(
        tuner, {"augmenter__radius": [0.1, 0.2]}, cv=2, n_jobs=2, error_score="raise"
    ).fit(X, y, sensitive_features=group)
    for model in (search, search.best_estimator_):
        expected = model.predict_proba(X)
        twin = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(twin.predict_proba(X), expected)
        [path] = joblib.dump(model, folder / "model.joblib")
        np.testing.assert_array_equal(joblib.load(path).predict_proba(X), expected)
    # Fitted estimators travel as well, to workers and back.
    fit = [AdversarialAugmenter(net), MaskReactivator(net, max_epochs=1, steps_per_epoch=2)]
    for step in fit:
        step.fit(X, y, sensitive_features=group)
    done = joblib.Parallel(n_jobs=2)(joblib.delayed(step.transform)(X) for step in fit)
    for step, Z in zip(fit, done):
        np.testing.assert_array_equal(step.transform(X), Z)
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
"""


def test_module_class_of_a_script(tmp_path):
    """As in a notebook: workers cannot import the class, and a plain pickle names it."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, "utf-8")
    result = subprocess.run(
        [sys.executable, str(path), str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"
