"""Means, intervals and tests over splits."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfairaug.benchmark import summarize
from skfairaug.benchmark._summary import corrected_resampled_test


@pytest.fixture
def results():
    rng = np.random.default_rng(0)
    accuracy = rng.normal(0.7, 0.01, 10)
    frames = []
    for method, gain in (("reference", 0.0), ("better", 0.05), ("same", 0.0005)):
        values = accuracy + gain + rng.normal(0, 0.002, 10)
        bias = np.where(np.arange(10) < 8, 0.01, -0.08)
        frames.append(
            pd.DataFrame(
                {
                    "method": method,
                    "split": range(10),
                    "constraint": "average_odds",
                    "tolerance": 0.05,
                    "balanced_accuracy": values,
                    "accuracy": values,
                    "bias": bias,
                    "phi": np.where(np.abs(bias) < 0.05, values, 0),
                    "fit_seconds": np.arange(10.0),
                    "needs_sensitive_features": method == "better",
                    "n_fit": 80,
                    "n_test": 20,
                    "error": "",
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_means(results):
    summary = summarize(results)
    assert summary.index.tolist() == ["reference", "better", "same"]
    part = results[results["method"] == "better"]
    row = summary.loc["better"]
    assert row["balanced_accuracy"] == part["balanced_accuracy"].mean()
    assert row["balanced_accuracy_std"] == part["balanced_accuracy"].std()
    assert row["phi"] == part["phi"].mean()
    assert row["abs_bias"] == pytest.approx(0.8 * 0.01 + 0.2 * 0.08)
    assert row["inside"] == 0.8
    assert np.isnan(row["claimed"])  # nothing is claimed
    claims = results.assign(probability_inside=np.where(results["split"] < 5, 0.9, np.nan))
    assert summarize(claims).loc["better", "claimed"] == pytest.approx(0.9)
    assert row["fit_seconds"] == 4.5
    assert row["needs_sensitive_features"]
    assert (row["n_splits"], row["n_errors"]) == (10, 0)
    assert "p_value" not in summary


def test_the_interval_holds_the_mean_and_narrows_with_confidence(results):
    wide, narrow = summarize(results), summarize(results, confidence_level=0.5)
    for summary in (wide, narrow):
        assert (summary["phi_low"] < summary["phi"]).all()
        assert (summary["phi"] < summary["phi_high"]).all()
    width = wide["phi_high"] - wide["phi_low"]
    assert (width > narrow["phi_high"] - narrow["phi_low"]).all()


def test_same_seed_same_interval(results):
    pd.testing.assert_frame_equal(summarize(results), summarize(results))
    other = summarize(results, random_state=1)
    assert not other["phi_low"].equals(summarize(results)["phi_low"])


def test_a_difference_is_told_from_luck(results):
    summary = summarize(results, reference="reference")
    assert summary.loc["better", "difference"] == pytest.approx(0.05, abs=0.005)
    assert summary.loc["better", "p_value"] < 0.001
    assert summary.loc["same", "p_value"] > 0.1
    assert np.isnan(summary.loc["reference", "p_value"])


def test_corrected_resampled_test_by_hand():
    differences = np.array([0.01, 0.03, 0.02, -0.01, 0.02])
    mean, p_value = corrected_resampled_test(differences, 0.25)
    t = differences.mean() / np.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    assert mean == differences.mean()
    assert p_value == pytest.approx(2 * stats.t.sf(t, 4))
    # without the correction it is the paired t-test
    _, naive = corrected_resampled_test(differences, 0.0)
    assert naive == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert naive < p_value


def test_constant_differences():
    assert corrected_resampled_test([0.0, 0.0], 0.25) == (0.0, 1.0)
    assert corrected_resampled_test([0.1, 0.1], 0.25) == (0.1, 0.0)
    assert np.isnan(corrected_resampled_test([0.1, np.nan], 0.25)).all()


def test_a_file_read_by_pandas(results, tmp_path):
    results.loc[results["split"] == 3, "error"] = "ValueError: no"
    expected = summarize(results)
    results.to_csv(tmp_path / "runs.csv", index=False)
    pd.testing.assert_frame_equal(summarize(pd.read_csv(tmp_path / "runs.csv")), expected)
    results["error"] = np.nan  # what pandas makes of a column without any text
    assert summarize(results)["n_splits"].tolist() == [10, 10, 10]


def test_random_states(results):
    first, second = (summarize(results, random_state=np.random.RandomState(3)) for _ in "ab")
    pd.testing.assert_frame_equal(first, second)
    other = summarize(results, random_state=np.random.RandomState(4))
    assert not first["phi_low"].equals(other["phi_low"])
    assert summarize(results, random_state=None)["phi"].equals(first["phi"])


def test_a_reference_that_always_failed(results):
    failed = results["method"] == "reference"
    results.loc[failed, "error"] = "ValueError: no"
    summary = summarize(results, reference="reference")
    assert summary[["difference", "p_value"]].isna().all(axis=None)
    assert summary.loc["better", "n_splits"] == 10


def test_splits_that_failed_do_not_count(results):
    failed = (results["method"] == "better") & (results["split"] < 2)
    results.loc[failed, "error"] = "ValueError: no"
    results.loc[failed, "balanced_accuracy"] = np.nan
    row = summarize(results, reference="reference").loc["better"]
    assert (row["n_splits"], row["n_errors"]) == (8, 2)
    assert row["difference"] == pytest.approx(0.05, abs=0.005)


def test_a_method_that_always_failed(results):
    failed = results["method"] == "better"
    results.loc[failed, "error"] = "ValueError: no"
    row = summarize(results, reference="reference").loc["better"]
    assert (row["n_splits"], row["n_errors"]) == (0, 10)
    assert np.isnan(row["balanced_accuracy"])
    assert np.isnan(row["p_value"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "nobody"}, "one of.*'reference', 'better', 'same'.*'nobody'"),
        ({"score": "luck"}, "score must be one of.*'luck'"),
    ],
)
def test_bad_input(results, changes, message):
    with pytest.raises(ValueError, match=message):
        summarize(results, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confidence_level": 95}, r"confidence_level must be a number in \(0, 1\); got 95"),
        ({"confidence_level": True}, "confidence_level must be"),
        ({"confidence_level": float("nan")}, "confidence_level must be"),
        ({"random_state": True}, "random_state must be a whole number, 0 or more; got True"),
        ({"random_state": "a"}, "random_state must be a whole number"),
        ({"results": None}, "results must be a DataFrame, as compare returns.*got NoneType"),
    ],
)
def test_nonsense(results, changes, message):
    with pytest.raises(ValueError, match=message):
        summarize(**({"results": results} | changes))


def test_results_that_are_none(results):
    with pytest.raises(ValueError, match=r"with rows; got shape \(0, "):
        summarize(results.iloc[:0])
    with pytest.raises(ValueError, match=r"results lack the columns \['bias'\]; they have"):
        summarize(results.drop(columns="bias"))


def test_goals_are_not_mixed(results):
    results.loc[3, "tolerance"] = 0.1
    with pytest.raises(ValueError, match="hold 2 goals"):
        summarize(results)


def test_rows_do_not_count_twice(results):
    twice = pd.concat([results, results.iloc[[3]]])
    with pytest.raises(ValueError, match="more than one row of method 'reference' and split 3"):
        summarize(twice)
