"""Checks of labels, groups and cells; every error message."""

import re

import numpy as np
import pandas as pd
import pytest

from skfairaug._validation import (
    as_labels,
    check_caution,
    check_cells,
    check_held_out,
    check_labels_present,
    check_pos_label,
    check_same_length,
    check_scores,
    check_tolerance,
    check_training_rows,
    column_indices,
    encode_groups,
    encode_labels,
    groups_from_columns,
)
from skfairaug.exceptions import FairnessNotReachedWarning

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


def test_labels():
    codes, classes = encode_labels(pd.Series(["no", "yes", "maybe", "yes"]))
    assert classes.tolist() == ["maybe", "no", "yes"]
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes, [1, 2, 0, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "target is None"),
        ([], "target is empty"),
        (["a", None], "target has 1 missing value(s) (NaN or None)"),
        ([0.0, np.nan], "target has 1 missing value(s)"),
        ([1, 1], "target holds one class, 1; at least two classes are needed"),
        ([0.5, 1.2, 3.3], "Unknown label type: target is continuous"),
        ([[0, 1], [1, 0]], "y should be a 1d array, got an array of shape (2, 2)"),
    ],
)
def test_bad_labels(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_labels(given, "target")


def test_one_class_is_fine_where_labels_are_not_numbered():
    assert as_labels([1, 1]).tolist() == [1, 1]


Y, GROUPS = np.array([0, 1, 0, 0]), np.array([0, 0, 1, 1])


def test_empty_cell_is_named():
    message = "No rows with label 'good' in group 'm'; every (label, group) cell"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_cells(Y, GROUPS, ["bad", "good"], ["f", "m"])


def test_all_empty_cells_are_named():
    message = "label '1' in group 'm', label '2' in group 'f', label '2' in group 'm'"
    with pytest.raises(ValueError, match=message):
        check_cells(Y, GROUPS, [0, 1, 2], ["f", "m"])


def test_only_needed_cells_are_checked():
    check_cells(Y, GROUPS, [0, 1], ["f", "m"], labels=())
    check_cells(Y, GROUPS, [0, 1], ["f", "m"], labels=(0,))
    with pytest.raises(ValueError, match="label '1' in group 'm'"):
        check_cells(Y, GROUPS, [0, 1], ["f", "m"], labels=(1,))
    with pytest.raises(ValueError, match="No rows in group 'x'; every group needs"):
        check_cells(Y, GROUPS, [0, 1], ["f", "m", "x"], labels=())


def test_full_cells_pass():
    check_cells(np.array([0, 1, 2, 0, 1, 2]), np.repeat([0, 1], 3), "abc", "fm")


def test_missing_label_is_named():
    check_labels_present(Y, [0, 1])
    with pytest.raises(ValueError, match="No rows with label 'b'; balanced accuracy"):
        check_labels_present(np.zeros(3, dtype=int), ["a", "b"])


@pytest.mark.parametrize("tolerance", [0, -0.1, 1.1, np.nan, "0.05", None, True])
def test_bad_tolerance(tolerance):
    message = r"tolerance must be a number in \(0, 1\].*got " + re.escape(repr(tolerance))
    with pytest.raises(ValueError, match=message):
        check_tolerance(tolerance)


@pytest.mark.parametrize("caution", [-1, np.inf, np.nan, "1"])
def test_bad_caution(caution):
    with pytest.raises(ValueError, match="caution must be a number of standard errors"):
        check_caution(caution)


def test_good_tolerance_and_caution():
    for tolerance in (1, 0.05, np.float32(0.1)):
        check_tolerance(tolerance)
    for caution in (0, 1.64):
        check_caution(caution)


def test_lengths():
    check_same_length(X=[1, 2], y=[3, 4])
    with pytest.raises(ValueError, match="y has 1 rows but X has 2; lengths must agree"):
        check_same_length(X=[1, 2], y=[3])


def test_scores():
    check_scores(np.array([0.0, np.inf]))
    with pytest.raises(ValueError, match="score has 1 NaN among 2 values"):
        check_scores(np.array([0.0, np.nan]))


def test_pos_label():
    classes = np.array([0, 1])
    check_pos_label(None, classes)
    check_pos_label(1, classes)
    check_pos_label(1, np.array([0]))
    with pytest.raises(ValueError, match=re.escape("pos_label=2 is not a label; expected")):
        check_pos_label(2, classes)
    with pytest.raises(ValueError, match="hold one label, '0'; pass pos_label"):
        check_pos_label(None, np.array([0]))


def test_fairness_warning_is_a_user_warning():
    assert issubclass(FairnessNotReachedWarning, UserWarning)


@pytest.mark.parametrize(
    "given",
    [
        [True, False, True],
        (1, 0, 1),
        np.array([1.0, 0.0, 1.0]),
        pd.Series([True, False, True], index=[5, 6, 7]),
        np.array([True, False, True], dtype=object),
    ],
)
def test_held_out(given):
    held_out = check_held_out(given, 3)
    assert held_out.dtype == bool
    assert held_out.tolist() == [True, False, True]


def test_all_rows_are_held_out_by_default():
    assert check_held_out(None, 2).tolist() == [True, True]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([True, False], "held_out must hold True or False for each of the 3 rows; got shape"),
        (True, "got shape () and dtype bool"),
        ([[True], [True], [True]], "got shape (3, 1)"),
        ([0, 1, 2], "for each of the 3 rows; got shape (3,) and dtype int64"),
        ([0.0, 1.0, np.nan], "dtype float64"),
        (["yes", "no", "no"], "got shape (3,) and dtype <U3"),
        ([0, 0, 0], "held_out marks no row: epoch and threshold must be chosen"),
    ],
)
def test_bad_held_out(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_held_out(given, 3)


def test_training_rows():
    cells = np.array([0, 0, 1, 1, 3, 3])
    check_training_rows(cells, np.array([0, 2, 4]), np.array([1, 3, 5]))
    message = (
        "6 rows are too few to train it and debias it on different rows: 2 rows to train it "
        "miss 1 of the 3 (label, group) cells"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check_training_rows(cells, np.array([0, 2, 4, 5]), np.array([1, 3]))
    with pytest.raises(ValueError, match=re.escape("1 rows to debias it miss 2 of the 3")):
        check_training_rows(cells, np.array([0]), np.array([1, 2, 3, 4, 5]))


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
        ([], NAMES, []),
    ],
)
def test_columns(columns, names, expected):
    assert column_indices(columns, 3, names) == expected


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
        column_indices(columns, 3, names)


def test_groups_are_read_from_columns():
    X = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(groups_from_columns(X, [2, 0]), [[2, 0], [5, 3]])
    message = "fit needs to know the groups: pass sensitive_features"
    with pytest.raises(ValueError, match=message):
        groups_from_columns(X, None)
