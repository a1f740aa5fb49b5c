"""Checks of labels, groups and cells; every error message."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug._inputs._checks import (
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
    encode_labels,
    warn_few_rows,
)
from skfairaug.auditing import audit
from skfairaug.exceptions import FairnessNotReachedWarning, SmallGroupWarning
from skfairaug.rivals import ThresholdOnly


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


def test_few_rows_are_told_of():
    y, groups = np.repeat([0, 1, 0, 1], [20, 45, 40, 9]), np.repeat([0, 1], [65, 49])
    args = y, groups, ["no", "yes"], ["f", "m"]
    with pytest.warns(SmallGroupWarning, match=r"^group 'm' has 9 rows with label 'yes': with"):
        warn_few_rows(*args, labels=(1,))
    message = "'f' has 20 rows with label 'no'; group 'm' has 9 rows with label 'yes': with"
    with pytest.warns(SmallGroupWarning, match=message):
        warn_few_rows(*args, labels=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_few_rows(*args)  # no label is measured by itself
        warn_few_rows(np.zeros(31, int), np.repeat([0, -1], [30, 1]), ["no"], ["f"])


@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
@pytest.mark.parametrize("cls", [FairAugmentFineTuner, FairRule, ThresholdOnly])
def test_fit_and_audit_have_one_rule(cls, net, rows):
    group = rows.group.astype(str)
    group[:7] = "few"
    with pytest.warns(SmallGroupWarning, match="group 'few' has 7 rows: with fewer than 30"):
        cls(net, tolerance=0.9).fit(rows.X, rows.y, sensitive_features=group)
    report = audit(net, rows.X, rows.y, sensitive_features=group, n_resamples=100)
    assert any("group 'few' has 7 people, fewer than 30" in line for line in report.warnings)
