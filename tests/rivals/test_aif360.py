"""The adapters to AIF360: the same results as AIF360's own, groups turned the right way."""

import logging
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import Bunch

from skfairaug.metrics import bias
from skfairaug.rivals import (
    CalibratedEqOddsPostprocessing,
    EqOddsPostprocessing,
    RejectOptionClassification,
    Reweighing,
)

pytest.importorskip("aif360")
POST = [RejectOptionClassification, EqOddsPostprocessing, CalibratedEqOddsPostprocessing]


@pytest.fixture
def many_rows():
    """Rows of which one in five has the favourable label, more often in group 1."""
    rng = np.random.RandomState(0)
    group = rng.randint(0, 2, 2000)
    X = np.column_stack([rng.normal(size=(2000, 3)) + group[:, None] * [0.8, 0, 0], group])
    y = (X[:, 0] + X[:, 1] + rng.normal(size=2000) > 1.8).astype(int)
    return Bunch(X=X, y=y, group=group)


@pytest.fixture
def biased(many_rows):
    return LogisticRegression().fit(many_rows.X, many_rows.y)


def fit(rival, rows):
    return rival.fit(rows.X, rows.y, sensitive_features=rows.group)


def predict(rival, rows):
    return rival.predict(rows.X, sensitive_features=rows.group)


def judge(y_pred, rows, constraint="statistical_parity"):
    gap = bias(rows.y, y_pred, sensitive_features=rows.group, constraint=constraint)
    return balanced_accuracy_score(rows.y, y_pred), abs(gap)


# -- reweighing ---------------------------------------------------------------


def test_weights_make_label_and_group_independent(many_rows):
    seen = {}

    class Keep(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen["weights"] = sample_weight
            return super().fit(X, y, sample_weight)

    fit(Reweighing(Keep()), many_rows)
    cells = [
        seen["weights"][(many_rows.y == y) & (many_rows.group == g)].sum()
        for y in (0, 1)
        for g in (0, 1)
    ]
    total, share = len(many_rows.y), np.bincount(many_rows.group) / len(many_rows.y)
    np.testing.assert_allclose(cells, np.tile(total / 2 * share, 2))


def test_reweighing_lowers_the_bias_and_has_a_score(many_rows):
    plain = LogisticRegression(class_weight="balanced").fit(many_rows.X, many_rows.y)
    before = judge(plain.predict(many_rows.X), many_rows)[1]
    fair = fit(Reweighing(), many_rows)
    assert judge(fair.predict(many_rows.X), many_rows)[1] < before
    proba = fair.predict_proba(many_rows.X)
    np.testing.assert_array_equal(fair.predict(many_rows.X), proba[:, 1] > 0.5)


# -- reject option ------------------------------------------------------------


@pytest.mark.parametrize(
    "constraint", ["statistical_parity", "equal_opportunity", "average_odds"]
)
@pytest.mark.parametrize("swapped", [False, True])
def test_the_disadvantaged_group_is_found(constraint, swapped, biased, many_rows):
    if swapped:
        many_rows.group = 1 - many_rows.group
    fair = RejectOptionClassification(
        biased, constraint=constraint, tolerance=0.05, n_thresholds=20, n_margins=10
    )
    y_pred = predict(fit(fair, many_rows), many_rows)
    accuracy, gap = judge(y_pred, many_rows, constraint)
    assert gap <= 0.05
    assert accuracy > 0.72
    assert fair.processor_.unprivileged_groups == [{"group": float(swapped)}]


def test_the_group_decides_within_the_margin(biased, many_rows):
    fair = RejectOptionClassification(biased, n_thresholds=20, n_margins=10)
    y_pred = predict(fit(fair, many_rows), many_rows)
    score = biased.predict_proba(many_rows.X)[:, 1]
    cut, margin = fair.processor_.classification_threshold, fair.processor_.ROC_margin
    assert margin > 0
    shift = np.where(many_rows.group == 0, -margin, margin)
    np.testing.assert_array_equal(y_pred, score > cut + shift)


def test_constraint_that_aif360_lacks(many_rows):
    with pytest.raises(ValueError, match=r"no constraint 'equalized_odds'.*statistical_parity"):
        fit(RejectOptionClassification(constraint="equalized_odds"), many_rows)


# -- equalized odds -----------------------------------------------------------


def test_odds_are_equal(biased, many_rows):
    fair = fit(EqOddsPostprocessing(biased, random_state=0), many_rows)
    accuracy, gap = judge(predict(fair, many_rows), many_rows, "equalized_odds")
    labels = (biased.predict_proba(many_rows.X)[:, 1] > fair.threshold_).astype(int)
    assert gap < 0.03
    assert judge(labels, many_rows, "equalized_odds")[1] > 0.09
    assert accuracy > 0.65


def test_labels_are_those_of_the_most_accurate_cut_off(biased, many_rows):
    fair = fit(EqOddsPostprocessing(biased, random_state=0), many_rows)
    score = biased.predict_proba(many_rows.X)[:, 1]
    best = max(
        balanced_accuracy_score(many_rows.y, score > cut) for cut in np.linspace(0.02, 0.9, 89)
    )
    own = balanced_accuracy_score(many_rows.y, score > fair.threshold_)
    assert own >= best - 0.002


def test_calibrated_scores_are_cut_where_they_are_most_accurate(biased, many_rows):
    fair = fit(CalibratedEqOddsPostprocessing(biased, random_state=0), many_rows)
    score = biased.predict_proba(many_rows.X)[:, 1]
    changed = predict(fair, many_rows) != (score >= fair.threshold_)
    rates = [fair.processor_.unpriv_mix_rate, fair.processor_.priv_mix_rate]
    assert min(rates) == 0 < max(rates)
    spared = int(np.argmin(rates))
    assert not changed[many_rows.group == spared].any()
    assert changed[many_rows.group != spared].any()


@pytest.mark.parametrize("rival", POST)
def test_a_score_that_is_no_probability_is_refused(rival, many_rows):
    class NoProba(LogisticRegression):
        predict_proba = property()

    biased = NoProba().fit(many_rows.X, many_rows.y)
    with pytest.raises(TypeError, match="needs probabilities; NoProba has no predict_proba"):
        fit(rival(biased), many_rows)


def test_groups_and_labels_of_pandas(biased, many_rows):
    fair = EqOddsPostprocessing(biased, random_state=0)
    expected = predict(fit(fair, many_rows), many_rows)
    frame = Bunch(
        X=many_rows.X,
        y=pd.Series(many_rows.y).map({0: "no", 1: "yes"}),
        group=pd.Series(many_rows.group).map({0: "f", 1: "m"}).astype("category"),
    )
    y_pred = predict(fit(fair, frame), frame)
    np.testing.assert_array_equal(y_pred, np.array(["no", "yes"])[expected])


@pytest.mark.parametrize(
    ("rival", "params"),
    [
        (RejectOptionClassification, {"n_thresholds": 0}),
        (RejectOptionClassification, {"n_margins": 0}),
        (CalibratedEqOddsPostprocessing, {"cost_constraint": "tpr"}),
        (EqOddsPostprocessing, {"debias_fraction": 0.0}),
    ],
)
def test_bad_parameters(rival, params, rows):
    (name,) = params
    with pytest.raises(ValueError, match=f"'{name}' parameter of {rival.__name__} must be"):
        fit(rival(**params), rows)


# -- the import ---------------------------------------------------------------


@pytest.mark.parametrize("rival", [Reweighing, *POST])
def test_without_aif360(rival, rows, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("aif360.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "aif360", None)
    with pytest.raises(ImportError, match=r'pip install "skfairaug\[rivals\]"'):
        fit(rival(), rows)


QUIET = """
import logging
from skfairaug.rivals._aif360 import load
load("algorithms.preprocessing")
assert logging.getLogger().handlers == [], "a handler stays"
assert logging.getLogger().filters == [], "a filter stays"
logging.warning("mine")
"""


def test_import_is_quiet_and_leaves_logging_alone():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET], capture_output=True, text=True, check=True
    )
    assert done.stderr.split("\n") == ["WARNING:root:mine", ""]
    assert logging.getLogger().level == logging.WARNING
