"""Sensitive features in any form become numbered groups."""

import re

import numpy as np
import pandas as pd
import pytest

from skfairaug._inputs._groups import (
    check_same_order,
    column_indices,
    encode_groups,
    groups_from_columns,
)

VALUES = ["m", "f", "m", "f"]
FRAME = pd.DataFrame({"sex": VALUES}, index=[7, 3, 9, 1])


@pytest.mark.parametrize(
    "given",
    [
        VALUES,
        tuple(VALUES),
        np.array(VALUES),
        np.array(VALUES, dtype=object),
        np.array(VALUES)[:, None],
        pd.Index(VALUES),
        pd.Categorical(VALUES),
        pd.Categorical(VALUES, categories=["m", "f"]),
        FRAME,
        FRAME["sex"],
        FRAME["sex"].astype("category"),
    ],
)
def test_groups_are_sorted_whatever_the_container(given):
    groups = encode_groups(given, n_samples=4)
    assert groups.names == ("f", "m")
    assert groups.codes.dtype == np.int64
    np.testing.assert_array_equal(groups.codes, [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("given", "names", "codes"),
    [
        ([1, 0, 1], ("0", "1"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([True, False], ("False", "True"), [1, 0]),
        ([0.5, 1.5, 0.5, 1.5], ("0.5", "1.5"), [0, 1, 0, 1]),
        ([1, "a", 1], ("1", "a"), [0, 1, 0]),
        (pd.array([2, 1], dtype="Int64"), ("1", "2"), [1, 0]),
    ],
)
def test_groups_of_other_types(given, names, codes):
    groups = encode_groups(given)
    assert groups.names == names
    np.testing.assert_array_equal(groups.codes, codes)


def test_ordered_categorical_keeps_its_order_and_drops_unused():
    values = pd.Categorical(
        ["young", "old", "young"], categories=["young", "middle", "old"], ordered=True
    )
    groups = encode_groups(values)
    assert groups.names == ("young", "old")
    np.testing.assert_array_equal(groups.codes, [0, 1, 0])


def test_columns_merge_into_intersections_that_occur():
    frame = pd.DataFrame(
        {"sex": ["m", "f", "f", "m"], "race": ["b", "w", "b", "b"], "old": [1, 1, 1, 0]}
    )
    groups = encode_groups(frame)
    assert groups.names == ("f, b, 1", "f, w, 1", "m, b, 0", "m, b, 1")
    np.testing.assert_array_equal(groups.codes, [3, 1, 0, 2])


def test_intersections_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"two groups .* would be called 'a, b, c', as values"):
        encode_groups([["a, b", "c"], ["a", "b, c"]])
    assert encode_groups([["a, b", "c"], ["a", "c"]]).names == ("a, c", "a, b, c")


def test_intersections_agree_with_fairlearn():
    metrics = pytest.importorskip("fairlearn.metrics")
    rng = np.random.default_rng(0)
    features = rng.choice(["a", "b", "c"], size=(200, 2))
    frame = metrics.MetricFrame(
        metrics=metrics.count,
        y_true=np.zeros(200),
        y_pred=np.zeros(200),
        sensitive_features=features,
    )
    groups = encode_groups(features)
    assert groups.names == tuple(", ".join(key) for key in frame.by_group.index)
    np.testing.assert_array_equal(np.bincount(groups.codes), frame.by_group)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "sensitive_features is None; expected a 1-D or 2-D array-like"),
        ("abc", r"must be 1-D or 2-D with one row per sample; got shape ()."),
        (np.zeros((2, 2, 2)), "got shape (2, 2, 2)"),
        (np.zeros((3, 0)), "sensitive_features has no column"),
        ([], "sensitive_features is empty"),
        (["a", None], "sensitive_features has 1 missing value(s) (NaN or None)"),
        (["a", float("nan"), "b"], "1 missing value(s)"),
        (np.array([0, np.nan, np.nan]), "2 missing value(s)"),
        (pd.Categorical(["a", None], ordered=True), "1 missing value(s)"),
        (pd.DataFrame({"a": [1, 0], "b": ["x", None]}), "1 missing value(s)"),
        ([[1, 2], [3]], "rows of equal length; got list"),
        (["f", "f"], "sensitive_features holds one group, 'f'; bias is a difference"),
        ([["f", 1], ["f", 1]], "holds one group, 'f, 1'"),
        (np.arange(50) / 7, "looks continuous: 50 distinct numbers in 50 rows, from 0 to 7"),
        (np.arange(21), "looks continuous: 21 distinct numbers"),
        ([0.1, 0.2, 0.3, 0.4], "looks continuous: 4 distinct numbers in 4 rows"),
        ([f"name{i}" for i in range(101)], "forms 101 groups in 101 rows; at most 100"),
    ],
)
def test_bad_groups(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_groups(given)


def test_length_of_groups():
    with pytest.raises(ValueError, match="has 2 rows but 3 were expected, one per sample"):
        encode_groups(["a", "b"], n_samples=3)


NAMES = np.array(["age", "sex", "race"], dtype=object)


@pytest.mark.parametrize(
    ("columns", "names", "expected"),
    [
        ("auto", NAMES, None),
        (None, NAMES, None),
        ("sex", NAMES, [1]),
        (["race", "sex"], NAMES, [2, 1]),
        (2, None, [2]),
        (-1, None, [2]),
        (np.array([0, 2]), None, [0, 2]),
        ([np.int64(1)], None, [1]),
        (("sex", -3), NAMES, [1, 0]),
    ],
)
def test_columns(columns, names, expected):
    assert column_indices(columns, np.zeros((2, 3)), names) == expected


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        ("gender", NAMES, "sensitive_columns: 'gender' is not a column of X, which has ['age'"),
        ("sex", None, "'sex' is not a column of X, which has 3 columns without names"),
        ([0, 3], None, "3 is not a column of X, which has 3 columns"),
        (-4, NAMES, "-4 is not a column of X"),
        ([1.0], None, "1.0 is not a column"),
        ([None], NAMES, "None is not a column"),
    ],
)
def test_bad_columns(columns, names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        column_indices(columns, np.zeros((2, 3)), names)


def test_groups_are_read_from_columns():
    X = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(groups_from_columns(X, [2, 0]), [[2, 0], [5, 3]])
    message = "fit needs to know the groups: pass sensitive_features"
    with pytest.raises(ValueError, match=message):
        groups_from_columns(X, None)


def test_columns_of_what_is_no_table():
    for X in ({"a": np.zeros((2, 3))}, np.zeros((2, 3, 4))):
        assert column_indices("auto", X) is None
        with pytest.raises(ValueError, match="sensitive_columns names columns of X, and X is"):
            column_indices([0], X)


ROWS = pd.DataFrame({"age": [30, 40, 50]}, index=[7, 8, 9])


@pytest.mark.parametrize(
    "groups",
    [
        pd.Series(list("fmf"), index=[9, 8, 7]),
        pd.DataFrame({"sex": list("fmf")}, index=[8, 7, 9]),
    ],
)
def test_another_order_of_the_same_index(groups):
    message = r"sensitive_features has the index of X in another order.*loc\[X.index\]"
    with pytest.raises(ValueError, match=message):
        check_same_order(ROWS, sensitive_features=groups)
    check_same_order(ROWS, sensitive_features=groups.loc[ROWS.index])
    check_same_order(ROWS, sensitive_features=groups.to_numpy())
    check_same_order(ROWS.to_numpy(), sensitive_features=groups)


@pytest.mark.parametrize("index", [[0, 1, 2], [7, 8, 10], [9, 9, 7]])
def test_another_index_says_nothing_of_the_order(index):
    check_same_order(ROWS, sensitive_features=pd.Series(list("fmf"), index=index))
    check_same_order(ROWS.set_index(pd.Index([7, 7, 8])), y=pd.Series([0, 1, 1], index=index))


@pytest.mark.parametrize("columns", [[], (), {}, set(), True, 0.5, np.array(1), int])
def test_columns_that_name_none(columns):
    expected = (
        "is empty; name columns"
        if isinstance(columns, list | tuple)
        else 'must be "auto", or a list'
    )
    with pytest.raises(ValueError, match=f"sensitive_columns {expected}"):
        column_indices(columns, np.zeros((2, 4)))
