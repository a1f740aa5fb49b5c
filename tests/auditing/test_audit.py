"""The numbers of an audit: rates, gaps, intervals, tests, warnings, before and after."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from fairlearn import postprocessing as fairlearn
from fairlearn.metrics import (
    MetricFrame,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from scipy.stats import hypergeom
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skfairaug import audit
from skfairaug.auditing import audit_predictions
from skfairaug.auditing._resampling import (
    bootstrap_counts,
    change_interval,
    gap_interval,
    smooth_counts,
)
from skfairaug.metrics import CONSTRAINTS, Constraint, bias, holm
from skfairaug.modules import TabularMLP
from skfairaug.rivals import ThresholdOptimizer

NOTIONS = ["statistical_parity", "equal_opportunity", "average_odds", "equalized_odds"]


@pytest.fixture
def decisions():
    """600 rows of three groups, with labels and decisions that depend on the group."""
    rng = np.random.RandomState(0)
    group = rng.choice(["a", "b", "c"], 600, p=[0.5, 0.3, 0.2])
    y = (rng.rand(600) < np.where(group == "a", 0.6, 0.4)).astype(int)
    y_pred = (rng.rand(600) < 0.2 + 0.5 * y + 0.1 * (group == "a")).astype(int)
    return y, y_pred, group


def quick(y, y_pred, group, **params):
    params = {"n_resamples": 200, "random_state": 0} | params
    return audit_predictions(y, y_pred, sensitive_features=group, **params)


def test_rates_are_those_of_fairlearn_and_scikit_learn(decisions):
    y, y_pred, group = decisions
    frame = MetricFrame(
        metrics={
            "selection_rate": selection_rate,
            "true_positive_rate": true_positive_rate,
            "false_positive_rate": false_positive_rate,
            "accuracy": accuracy_score,
            "balanced_accuracy": balanced_accuracy_score,
        },
        y_true=y,
        y_pred=y_pred,
        sensitive_features=group,
    )
    report = quick(y, y_pred, group)
    table = report.by_group.loc["group"]
    assert table.index.tolist() == ["a", "b", "c"]
    assert table["count"].tolist() == [np.sum(group == name) for name in "abc"]
    own = report.metric_frames["group"]
    for name in frame.by_group:
        np.testing.assert_allclose(table[name], frame.by_group[name])
        np.testing.assert_allclose(own.by_group[name], frame.by_group[name])
        assert report.overall[name] == pytest.approx(frame.overall[name])
        assert own.difference()[name] == pytest.approx(frame.difference()[name])
    np.testing.assert_allclose(table["base_rate"], [y[group == name].mean() for name in "abc"])
    assert report.overall["count"] == 600


@pytest.mark.parametrize("groups", ["ab", "abc"])
def test_gaps_are_those_of_the_metrics(decisions, groups):
    rows = np.isin(decisions[2], list(groups))
    y, y_pred, group = (array[rows] for array in decisions)
    report = quick(y, y_pred, group, constraint="average_odds")
    gaps = report.gaps.loc["group"]
    assert gaps.index.tolist() == ["average_odds"] + [n for n in NOTIONS if n != "average_odds"]
    for notion in NOTIONS:
        expected = bias(y, y_pred, sensitive_features=group, constraint=notion)
        assert gaps.loc[notion, "gap"] == pytest.approx(expected)
        assert gaps.loc[notion, "gap_low"] <= expected <= gaps.loc[notion, "gap_high"]
    rates = report.by_group.loc["group", "selection_rate"]
    parity = gaps.loc["statistical_parity"]
    assert (parity["lowest"], parity["highest"]) == (rates.idxmin(), rates.idxmax())
    assert parity["ratio"] == pytest.approx(rates.min() / rates.max())
    assert np.isnan(gaps.loc["average_odds", "ratio"])


def test_intervals_have_the_width_of_the_law(decisions):
    y, y_pred, group = decisions
    row = quick(y, y_pred, group, n_resamples=4000).by_group.loc[("group", "a")]
    for name, n in [
        ("selection_rate", np.sum(group == "a")),
        ("accuracy", np.sum(group == "a")),
    ]:
        width = 2 * 1.96 * np.sqrt(row[name] * (1 - row[name]) / n)
        assert row[f"{name}_high"] - row[f"{name}_low"] == pytest.approx(width, rel=0.08)


def test_a_level_widens_the_interval(decisions):
    wide, narrow = (
        quick(*decisions, confidence_level=level).by_group.loc[("group", "a")]
        for level in (0.99, 0.5)
    )
    assert wide["accuracy_low"] < narrow["accuracy_low"]
    assert wide["accuracy_high"] > narrow["accuracy_high"]


def exact_p(n_first, n_second, hits_first, hits_second):
    """Chance of a difference of shares at least as large, all tables of the margins."""
    law = hypergeom(n_first + n_second, hits_first + hits_second, n_first)
    first = np.arange(n_first + 1)
    second = hits_first + hits_second - first
    possible = law.pmf(first) > 0
    size = np.abs(first / n_first - second / n_second)
    observed = abs(hits_first / n_first - hits_second / n_second)
    return law.pmf(first)[possible & (size >= observed - 1e-12)].sum()


@pytest.mark.parametrize("notion", ["statistical_parity", "equal_opportunity"])
def test_p_value_is_that_of_the_exact_test(decisions, notion):
    rows = np.isin(decisions[2], ["b", "c"])
    y, y_pred, group = (array[rows] for array in decisions)
    report = quick(y, y_pred, group, n_resamples=20_000)
    read = np.ones(len(y), bool) if notion == "statistical_parity" else y == 1
    first, second = (read & (group == name) for name in "bc")
    expected = exact_p(first.sum(), second.sum(), y_pred[first].sum(), y_pred[second].sum())
    p_value = report.gaps.loc[("group", notion), "p_value"]
    assert p_value == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 20_000))


def test_unequal_base_rates_are_no_evidence_within_labels():
    group = np.repeat([0, 1], 1000)
    y = np.tile(np.arange(1000), 2) < np.where(group == 0, 700, 300)
    report = quick(y.astype(int), y.astype(int), group)
    gaps = report.gaps.loc["group"]
    assert gaps.loc["statistical_parity", "p_value"] < 0.01
    assert gaps.loc["equalized_odds", "p_value"] == 1


def test_p_values_are_honest_where_there_is_nothing():
    rng = np.random.RandomState(1)
    p_values = []
    for seed in range(80):
        group, y, y_pred = rng.randint(0, 3, 150), *rng.randint(0, 2, (2, 150))
        report = quick(y, y_pred, group, n_resamples=100, random_state=seed)
        p_values.append(report.gaps["p_value"])
    p_values = pd.concat(p_values, axis=1)
    assert p_values.mean(axis=1).between(0.35, 0.7).all()
    assert ((p_values < 0.1).mean(axis=1) < 0.22).all()


def test_corrections(decisions):
    p_values = quick(*decisions).gaps["p_value"].to_numpy()
    adjusted = {
        name: quick(*decisions, correction=name).gaps["p_adjusted"].to_numpy()
        for name in ("holm", "fdr_bh", "none")
    }
    np.testing.assert_allclose(adjusted["holm"], holm(p_values))
    np.testing.assert_array_equal(adjusted["none"], p_values)
    order = np.sort(p_values)
    steps = np.minimum.accumulate((order * 4 / np.arange(1, 5))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(adjusted["fdr_bh"]), steps)


@pytest.mark.parametrize(
    ("shares", "tolerance", "verdict"),
    [((0.5, 0.5), 0.2, "within"), ((0.2, 0.8), 0.2, "outside"), ((0.3, 0.5), 0.2, "undecided")],
)
def test_verdicts(shares, tolerance, verdict):
    group = np.repeat([0, 1], 400)
    y = np.tile([0, 1], 400)
    rank = np.tile(np.arange(400), 2)
    y_pred = (rank < 400 * np.array(shares)[group]).astype(int)
    report = quick(y, y_pred, group, tolerance=tolerance)
    assert report.verdict == report.gaps["verdict"].iloc[0] == verdict


def test_noise_between_tiny_groups_is_not_called_a_gap():
    rng = np.random.RandomState(0)
    group = np.concatenate([np.zeros(500, int), np.repeat(np.arange(1, 6), 4)])
    y, y_pred = rng.randint(0, 2, (2, len(group)))
    y[-20:] = np.tile([0, 1], 10)
    row = quick(y, y_pred, group).gaps.iloc[0]
    assert row["gap"] > 0.05  # the largest of many gaps is never small
    assert row["gap_low"] == 0
    assert row["verdict"] == "undecided"


def test_interval_of_several_differences_by_hand():
    """Every decision is favourable in 30, 50 and 80 of 100; two resamples of that."""
    hits = np.array([[30, 50, 80], [40, 50, 75], [30, 55, 72]])
    tables = np.stack([[100 - hits, hits]] * 2).transpose(2, 3, 0, 1)
    parity = CONSTRAINTS["statistical_parity"]
    # Errors are (.10, 0, -.05) and (0, .05, -.08): pairs are off by up to .15 and .13.
    low, high = gap_interval(tables[0], tables[1:], parity, 0.999999)
    assert (low, high) == pytest.approx((0.5 - 0.15, 0.5 + 0.15))
    odds = gap_interval(tables[0], tables[1:], CONSTRAINTS["equalized_odds"], 0.999999)
    assert odds == pytest.approx((low, high))
    assert gap_interval(tables[0], tables[:1], parity, 0.95) == pytest.approx((0.5, 0.5))
    assert np.isnan(gap_interval(tables[0], 0 * tables[1:], parity, 0.95)).all()


@pytest.mark.parametrize(
    ("notion", "n_groups"), [("statistical_parity", 8), ("equalized_odds", 2)]
)
def test_intervals_cover_the_gap_as_often_as_they_say(notion, n_groups):
    rate, rng = np.where(np.arange(n_groups) % 2, 0.34, 0.3), np.random.default_rng(0)
    constraint, covered, beyond = CONSTRAINTS[notion], 0, 0
    for _ in range(200):
        hits = rng.binomial(200, np.repeat(rate[:, None], 2, axis=1))
        counts = np.stack([200 - hits, hits], axis=-1)
        draws = bootstrap_counts(smooth_counts(counts), 200, rng)
        low, high = gap_interval(counts, draws, constraint, 0.95)
        covered += low <= 0.04 <= high
        beyond += low >= 0.05
    assert covered > 200 * 0.92
    assert beyond < 200 * 0.03


def test_rates_of_one_are_not_certain():
    group, y = np.repeat(["a", "b"], 60), np.tile([0, 1], 60)
    report = quick(y, y, group, constraint="equal_opportunity")
    assert report.verdict == "undecided"  # 30 hits of 30: the rate may be 1 - 3/30
    row = report.by_group.loc[("group", "a")]
    assert row["true_positive_rate_low"] < 0.95
    assert row["true_positive_rate_high"] == 1
    assert row["false_positive_rate_low"] == 0
    assert row["false_positive_rate_high"] > 0.05
    assert report.overall["accuracy_low"] < 0.99
    many = [np.repeat(part, 10) for part in (y, group)]
    assert quick(many[0], many[0], many[1], constraint="equal_opportunity").verdict == "within"


def test_smoothing_keeps_sizes_and_empty_cells():
    counts = np.array([[[0, 30], [4, 4]], [[0, 0], [1, 0]]])
    smoothed = smooth_counts(counts)
    np.testing.assert_allclose(smoothed.sum(-1), counts.sum(-1))
    np.testing.assert_allclose(smoothed[0, 0], [30 / 32, 30 * 31 / 32])
    np.testing.assert_allclose(smoothed[0, 1], [4, 4])
    assert (smoothed[1, 0] == 0).all()


def test_interval_of_a_change_is_about_the_change():
    assert change_interval(0.1, np.array([0.1, 0.3, np.nan, 0.25]), 1.0) == pytest.approx(
        (-0.1, 0.3)
    )
    assert change_interval(0.0, np.zeros(5), 0.95) == (0, 0)


def test_bias_amplification_can_be_audited(decisions):
    row = quick(*decisions, constraint="bias_amplification").gaps.iloc[0]
    assert 0 <= row["gap_low"] <= row["gap"] <= row["gap_high"]


def test_several_features_are_crossed(decisions):
    y, y_pred, group = decisions
    age = pd.Series(np.where(np.arange(600) % 3, "old", "young"))
    frame = pd.DataFrame({"site": group, "age": age.astype("category")})
    report = quick(y, y_pred, frame)
    assert report.settings["features"] == ["site", "age", "site × age"]
    counts = report.by_group["count"]
    assert counts.groupby("feature").sum().tolist() == [600, 600, 600]
    assert counts[("site × age", "a, old")] == np.sum((group == "a") & (age == "old"))
    alone = quick(y, y_pred, frame["site"])
    pd.testing.assert_series_equal(
        report.by_group.loc["site", "accuracy"], alone.by_group.loc["site", "accuracy"]
    )
    assert quick(y, y_pred, frame.to_numpy()).settings["features"][0] == "feature 0"


def test_nobody_to_measure_on_is_nan_never_zero():
    group = np.repeat(["a", "b", "c"], [40, 40, 3])
    y = np.tile([0, 1], 42)[:83]
    y[80:] = 0
    y_pred = np.tile([0, 0, 1], 28)[:83]
    report = quick(y, y_pred, group)
    assert np.isnan(report.by_group.loc[("group", "c"), "true_positive_rate"])
    assert np.isnan(report.by_group.loc[("group", "c"), "balanced_accuracy_low"])
    both = group != "c"
    rest = bias(
        y[both], y_pred[both], sensitive_features=group[both], constraint="equal_opportunity"
    )
    assert report.gaps.loc[("group", "equal_opportunity"), "gap"] == pytest.approx(rest)
    text = "\n".join(report.warnings)
    assert "group 'c' has 3 people, fewer than 30" in text
    assert "equal opportunity cannot be measured in 'c'" in text
    two = quick(y[40:], y_pred[40:], group[40:], constraint="equal_opportunity")
    assert two.verdict == "not measured"
    assert np.isnan(two.gaps.loc[("group", "equal_opportunity"), "p_adjusted"])
    assert two.gaps.loc[("group", "statistical_parity"), "p_adjusted"] <= 1


def test_small_cells_are_named(decisions):
    y, _, group = decisions
    smallest = min(np.sum((group == "c") & (y == label)) for label in (0, 1))
    assert quick(*decisions, min_group_size=int(smallest)).warnings == []
    report = quick(*decisions, min_group_size=int(smallest) + 1)
    assert len(report.warnings) == 1
    assert f"group 'c' has {smallest} people with a recorded" in report.warnings[0]


def test_too_few_permutations_are_named(decisions):
    text = "100 permutations are too few for 4 corrected tests: no p-value can get below 0.01"
    (warning,) = quick(*decisions, n_resamples=100, confidence_level=0.99).warnings
    assert text in warning
    assert quick(*decisions, n_resamples=401, confidence_level=0.99).warnings == []


def test_a_constant_classifier_is_called_one(decisions):
    y, _, group = decisions
    report = quick(y, np.ones_like(y), group)
    assert "Everybody gets the same decision" in report.warnings[0]


def test_before_and_after(decisions):
    y, y_pred, group = decisions
    old = np.where(group == "a", 1, y_pred)
    report = quick(y, y_pred, group, before=old)
    changed = [int(np.sum((old != y_pred) & (group == name))) for name in "abc"]
    assert report.changes["changed"].tolist() == changed
    assert changed[1:] == [0, 0]
    assert report.changes["now_unfavourable"].tolist() == changed
    assert report.changes["share_changed"].iloc[0] == changed[0] / np.sum(group == "a")
    for notion in NOTIONS:
        before = bias(y, old, sensitive_features=group, constraint=notion)
        after = bias(y, y_pred, sensitive_features=group, constraint=notion)
        assert report.before.gaps.loc[("group", notion), "gap"] == pytest.approx(before)
        row = report.gaps.loc[("group", notion)]
        assert row["change"] == pytest.approx(abs(after) - abs(before))
        assert row["change_low"] <= row["change"] <= row["change_high"]
    assert report.before.before is None
    same = quick(y, y_pred, group, before=y_pred)
    assert (same.gaps[["change", "change_low", "change_high"]] == 0).all(axis=None)
    assert quick(y, y_pred, group).changes is None


class ByGroup(ClassifierMixin, BaseEstimator):
    """Decides by the group alone."""

    needs_sensitive_features = True

    def predict(self, X, *, sensitive_features=None):
        return np.asarray(sensitive_features)


def test_estimators_and_post_processors(rows, net):
    params = {"sensitive_features": rows.group, "n_resamples": 100, "random_state": 0}
    classifier = LogisticRegression().fit(rows.X, rows.y)
    report = audit(classifier, rows.X, rows.y, before=net, **params)
    assert report.settings["model"] == "LogisticRegression"
    expected = bias(rows.y, classifier.predict(rows.X), sensitive_features=rows.group)
    assert report.gaps["gap"].iloc[0] == pytest.approx(expected)
    again = audit(classifier, rows.X, rows.y, before=net.predict(rows.X), **params)
    pd.testing.assert_frame_equal(again.gaps, report.gaps)
    assert audit(ByGroup(), rows.X, rows.y, **params).gaps["gap"].iloc[0] == -1
    before = audit(classifier, rows.X, rows.y, before=ByGroup(), **params).before
    assert before.gaps["gap"].iloc[0] == -1


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("kind", [ThresholdOptimizer, fairlearn.ThresholdOptimizer])
def test_a_pipeline_that_ends_in_what_asks_for_the_groups(kind, routing, rows):
    X = rows.X.astype(float)  # fairlearn's fails on float32 scores under pandas 3
    step = kind(estimator=LogisticRegression())
    if kind is fairlearn.ThresholdOptimizer:
        step.set_params(predict_method="auto")
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            step.set_fit_request(sensitive_features=True)
            step.set_predict_request(sensitive_features=True)
        model = make_pipeline(StandardScaler(), step)
        name = "sensitive_features" if routing else f"{model.steps[-1][0]}__sensitive_features"
        model.fit(X, rows.y, **{name: rows.group})
        params = {"sensitive_features": rows.group, "n_resamples": 100, "random_state": 0}
        report = audit(model, X, rows.y, **params)
        alone = audit(step, model[:-1].transform(X), rows.y, **params)
    assert report.settings["model"] == "ThresholdOptimizer"
    assert abs(report.gaps["gap"].iloc[0]) < 0.2
    assert alone.verdict == report.verdict


def test_labels_that_fit_takes_are_labels_of_an_audit(rows, net):
    params = {"sensitive_features": rows.group, "n_resamples": 100, "random_state": 0}
    names = np.array(["bad", "good"])[rows.y]
    plain = audit(net, rows.X, rows.y, **params)
    for one in (net, FrozenEstimator(net), make_pipeline(FunctionTransformer(), net)):
        named = audit(one, rows.X, names, before=net, **params)
        assert named.settings["favourable"] == "good"
        pd.testing.assert_frame_equal(named.by_group, plain.by_group)
        assert named.changes["changed"].sum() == 0


def test_numbers_of_classes_that_are_labels_stay_what_they_are(rows):
    """A net that knows three classes, audited on rows with two of them."""
    three = rows.y + (rows.X[:, 2] > 0)
    net = NeuralNetClassifier(
        TabularMLP(4, n_classes=3, width=8, depth=1),
        criterion=nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.1,
        verbose=0,
    ).fit(rows.X, three)
    y = rows.y + 1
    assert 0 in net.predict(rows.X)
    with pytest.raises(ValueError, match=r"The predictions hold \[0\], but the labels are"):
        audit(net, rows.X, y, sensitive_features=rows.group)


@pytest.mark.parametrize("estimator", [None, "net", LogisticRegression, StandardScaler()])
def test_what_cannot_be_audited(estimator, rows):
    with pytest.raises(TypeError, match="estimator must be a fitted classifier, with predict"):
        audit(estimator, rows.X, rows.y, sensitive_features=rows.group)


def test_strings_and_several_classes(decisions):
    y, y_pred, group = decisions
    names = np.array(["no", "yes"])
    pd.testing.assert_frame_equal(
        quick(names[y], names[y_pred], group).gaps, quick(y, y_pred, group).gaps
    )
    flipped = quick(names[y], names[y_pred], group, pos_label="no")
    assert flipped.settings["favourable"] == "no"
    assert flipped.gaps["gap"].iloc[0] == pytest.approx(
        quick(y, y_pred, group).gaps["gap"].iloc[0]
    )
    three = np.where(np.arange(600) % 7 == 0, 2, y)
    with pytest.raises(
        ValueError, match=r"labels are \[0, 1, 2\]: with more than two, pass pos"
    ):
        quick(three, y_pred, group)
    one = quick(three, y_pred, group, pos_label=1)
    expected = bias(three, y_pred, sensitive_features=group, pos_label=1)
    assert one.gaps["gap"].iloc[0] == pytest.approx(expected)


def test_a_notion_of_ones_own(decisions):
    own = Constraint("mine", ((1,),), ((1.0,),))
    gaps = quick(*decisions, constraint=own).gaps.loc["group"]
    assert gaps.index.tolist() == ["mine", *NOTIONS]
    assert gaps.loc["mine", "gap"] == gaps.loc["equal_opportunity", "gap"]


def test_seeds(decisions):
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    one, same, other = (quick(*decisions, random_state=seed).gaps for seed in (0, 0, 1))
    quick(*decisions, random_state=None)
    assert (np.random.get_state()[1] == state).all()
    pd.testing.assert_frame_equal(one, same)
    assert not one["gap_low"].equals(other["gap_low"])
    first, second = (quick(*decisions, random_state=np.random.RandomState(0)) for _ in "ab")
    pd.testing.assert_frame_equal(first.gaps, second.gaps)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tolerance": 0}, "tolerance must be a number in"),
        ({"constraint": "equity"}, "Unknown constraint 'equity'"),
        ({"n_resamples": 10}, "'n_resamples' parameter of audit_predictions must be an int"),
        ({"correction": "bonferroni"}, "'correction' parameter"),
        ({"confidence_level": 1.0}, "'confidence_level' parameter"),
        ({"pos_label": 3}, r"pos_label=3 is none of the labels \[0, 1\]"),
        ({"before": [0, 1]}, "before has 2 rows but y_true has 600"),
        ({"y_pred": ["no"] * 600}, r"predictions hold \['no'\], but the labels are \[0, 1\]"),
        ({"sensitive_features": ["a"] * 600}, "holds one group, 'a'"),
        ({"sensitive_features": None}, "sensitive_features is None"),
    ],
)
def test_bad_input(decisions, params, message):
    y, y_pred, group = decisions
    params = {"y_true": y, "y_pred": y_pred, "sensitive_features": group} | params
    with pytest.raises(ValueError, match=message):
        audit_predictions(**params)


def test_networks_as_they_came(net, rows):
    """A module, a skorch net and a Pipeline of one make the decisions that they mean."""
    names = np.array(["refused", "granted"])
    codes = net.predict(rows.X)
    settings = {"sensitive_features": rows.group, "n_resamples": 100, "random_state": 0}
    expected = audit_predictions(
        names[rows.y], names[codes], pos_label="granted", before=names[codes], **settings
    )
    for given in (net, net.module_, make_pipeline(FunctionTransformer(), net)):
        report = audit(
            given, rows.X, names[rows.y], pos_label="granted", before=given, **settings
        )
        pd.testing.assert_frame_equal(report.gaps, expected.gaps)
        pd.testing.assert_frame_equal(report.before.gaps, expected.before.gaps)


def test_an_ordered_categorical_says_which_label_is_favourable(decisions):
    y, y_pred, group = decisions
    names = np.array(["refused", "granted"])
    kind = pd.CategoricalDtype(["refused", "granted"], ordered=True)
    labels = pd.Series(names[y], dtype=kind)
    report = quick(labels, names[y_pred], group)
    assert report.settings["favourable"] == "granted"
    ours = bias(labels, names[y_pred], sensitive_features=group)
    assert ours == bias(y, y_pred, sensitive_features=group)
