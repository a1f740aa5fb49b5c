"""make_loans: its columns, its knobs, its randomness."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from skfairaug.datasets import make_loans

MANY = 40_000


def rates(series, bunch):
    """Mean of a 0/1 Series among women and among men."""
    return series.groupby(bunch.sensitive_features).mean().to_numpy()


def auc_of_sex(columns, bunch):
    """How well columns, linearly, tell women from men."""
    columns = (columns - columns.mean()) / columns.std()
    women = bunch.sensitive_features == "female"
    model = LogisticRegression().fit(columns, women)
    return roc_auc_score(women, model.decision_function(columns))


def test_bunch():
    loans = make_loans(50, random_state=0)
    assert loans.data.shape == (50, 11)
    assert loans.feature_names == list(loans.data.columns)
    kinds = loans.data.dtypes
    categorical = [c for c in kinds.index if isinstance(kinds[c], pd.CategoricalDtype)]
    assert categorical == ["housing", "purpose", "district", "sex"]
    assert all(np.isfinite(loans.data.drop(columns=categorical).to_numpy(dtype=float)).flat)
    assert set(loans.target) == set(loans.qualification) == {0, 1}
    assert loans.target.dtype == loans.qualification.dtype == np.int64
    groups = loans.sensitive_features
    assert groups.name == "sex"
    assert groups.cat.ordered
    assert list(groups.cat.categories) == ["female", "male"]
    assert_array_equal(groups.astype(str), loans.data["sex"].astype(str))
    assert "label_bias" in loans.DESCR


def test_return_X_y():
    loans = make_loans(30, random_state=1)
    X, y, groups = make_loans(30, random_state=1, return_X_y=True)
    assert_frame_equal(X, loans.data)
    assert_series_equal(y, loans.target)
    assert_series_equal(groups, loans.sensitive_features)


def test_onehot_has_the_same_columns_for_any_rows():
    few = make_loans(2, random_state=0, encode="onehot").data
    loans = make_loans(500, random_state=0, encode="onehot")
    assert list(few.columns) == list(loans.data.columns)
    assert loans.data.shape == (500, 21)
    assert (loans.data.dtypes == np.float64).all()
    assert_array_equal(loans.data["sex"], loans.sensitive_features == "male")
    blind = make_loans(500, random_state=0, encode="onehot", include_sensitive=False).data
    assert_frame_equal(blind, loans.data.drop(columns="sex"))


def test_one_seed_agrees_and_two_differ():
    first, second = make_loans(200, random_state=3), make_loans(200, random_state=3)
    assert_frame_equal(first.data, second.data)
    assert_series_equal(first.target, second.target)
    assert not first.data.equals(make_loans(200, random_state=4).data)
    assert not make_loans(200).data.equals(make_loans(200).data)


@pytest.mark.parametrize("seed", [None, 0])
def test_global_random_state_is_untouched(seed):
    before = np.random.get_state()
    make_loans(100, random_state=seed)
    after = np.random.get_state()
    assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_a_random_state_instance_moves_on():
    rng = np.random.RandomState(0)
    assert not make_loans(100, random_state=rng).data.equals(
        make_loans(100, random_state=rng).data
    )


@pytest.mark.parametrize("label_bias", [0, 0.25, 1])
def test_label_bias_turns_qualified_women_down(label_bias):
    loans = make_loans(MANY, random_state=0, label_bias=label_bias)
    women = loans.sensitive_features == "female"
    assert_array_equal(loans.target[~women], loans.qualification[~women])
    assert (loans.target <= loans.qualification).all()
    turned_down = 1 - loans.target[women & (loans.qualification == 1)].mean()
    assert turned_down == pytest.approx(label_bias, abs=0.02)
    qualified = rates(loans.qualification, loans)
    assert qualified[0] == pytest.approx(qualified[1], abs=0.02)
    assert 0.5 < qualified[0] < 0.6


def test_label_bias_changes_the_target_only():
    fair = make_loans(300, random_state=0, label_bias=0)
    unfair = make_loans(300, random_state=0, label_bias=0.9)
    assert_frame_equal(fair.data, unfair.data)
    assert_series_equal(fair.qualification, unfair.qualification)
    assert fair.target.sum() > unfair.target.sum()


def test_proxies_tell_the_sex_as_far_as_asked():
    def auc(strength, columns):
        loans = make_loans(
            MANY, random_state=0, proxy_strength=strength, include_sensitive=False,
            encode="onehot",
        )  # fmt: skip
        return auc_of_sex(loans.data[[c for c in loans.data if columns(c)]], loans)

    def is_proxy(column):
        return column.startswith(("district", "career_gap"))

    weak, middle, strong = (auc(strength, is_proxy) for strength in (0, 0.5, 1))
    assert weak < 0.52
    assert 0.7 < middle < 0.95
    assert strong > 0.999
    assert auc(1, lambda column: not is_proxy(column)) < 0.52


def test_career_gap_grows_as_documented():
    loans = make_loans(MANY, random_state=0, proxy_strength=0.5)
    gap = rates(loans.data["career_gap"], loans)
    assert gap[0] / gap[1] == pytest.approx(1 + 4 * 0.5, rel=0.03)


@pytest.mark.parametrize(("imbalance", "women"), [(0, 500), (0.4, 300), (0.9, 50), (0.9999, 1)])
def test_group_imbalance_is_exact(imbalance, women):
    loans = make_loans(1000, random_state=0, group_imbalance=imbalance)
    assert (loans.sensitive_features == "female").sum() == women


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_samples", 1),
        ("label_bias", 1.1),
        ("proxy_strength", -0.1),
        ("group_imbalance", 1),
        ("encode", "ordinal"),
        ("random_state", "seed"),
    ],
)
def test_bad_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of make_loans must be"):
        make_loans(**{parameter: value})
