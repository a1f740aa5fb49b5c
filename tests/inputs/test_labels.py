"""Labels of every kind as codes, the favourable one told, and the order of outputs."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from skfairaug._inputs._labels import (
    encode_favourable,
    in_class_order,
    output_order,
    warn_below_chance,
)

WORDS = ["refused", "granted", "refused"]
ORDERED = pd.CategoricalDtype(["refused", "granted", "unseen"], ordered=True)


@pytest.mark.parametrize(
    ("y", "pos_label", "codes", "labels"),
    [
        ([0, 1, 0], None, [0, 1, 0], [0, 1]),
        ([0, 1, 0], 0, [1, 0, 1], [1, 0]),
        ([1, 2, 1], None, [0, 1, 0], [1, 2]),
        ([-1, 1, -1], -1, [1, 0, 1], [1, -1]),
        ([False, True, False], None, [0, 1, 0], [False, True]),
        ([False, True, False], False, [1, 0, 1], [True, False]),
        (WORDS, None, [1, 0, 1], ["granted", "refused"]),
        (WORDS, "granted", [0, 1, 0], ["refused", "granted"]),
        (pd.Series(WORDS), "granted", [0, 1, 0], ["refused", "granted"]),
        (pd.Series(WORDS, dtype="category"), None, [1, 0, 1], ["granted", "refused"]),
        (pd.Series(WORDS, dtype=ORDERED), None, [0, 1, 0], ["refused", "granted"]),
        (pd.Categorical(WORDS, dtype=ORDERED), None, [0, 1, 0], ["refused", "granted"]),
        (pd.Series(WORDS, dtype=ORDERED), "refused", [1, 0, 1], ["granted", "refused"]),
        (pd.Series([0, 1, 0], dtype="Int64"), None, [0, 1, 0], [0, 1]),
        (pd.Series([0, 1, 0], dtype="Float64"), None, [0, 1, 0], [0.0, 1.0]),
        (pd.Series([False, True, False], dtype="boolean"), None, [0, 1, 0], [False, True]),
        (pd.Series(WORDS, dtype="string"), "granted", [0, 1, 0], ["refused", "granted"]),
        (pd.Series([2, 1, 2], dtype="category"), None, [1, 0, 1], [1, 2]),
        (np.array([1, 0, 1], dtype=object), None, [1, 0, 1], [0, 1]),
        (np.array([True, False, True], dtype=object), None, [1, 0, 1], [False, True]),
        (["a", "c", "b"], None, [0, 2, 1], ["a", "b", "c"]),
    ],
)
def test_codes(y, pos_label, codes, labels):
    got, names = encode_favourable(y, pos_label)
    assert got.tolist() == codes
    assert got.dtype == np.int64
    assert names.tolist() == labels


@pytest.mark.parametrize(
    ("y", "pos_label", "message"),
    [
        (
            WORDS,
            "Granted",
            "pos_label='Granted' is not a label of y; expected one of ['granted",
        ),
        ([0, 1, 2], 1, "pos_label=1 tells the favourable one of two labels, but y holds 3: [0"),
        (pd.Series([0, 1, None], dtype="Int64"), None, "y has 1 missing value(s)"),
        (pd.Series(["a", None], dtype="category"), None, "y has 1 missing value(s)"),
        (np.array([1, "a"], dtype=object), None, "Unknown label type"),
    ],
)
def test_bad_labels(y, pos_label, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        encode_favourable(y, pos_label)


def test_class_order():
    scores, proba = np.array([1.0, -2.0]), np.array([[0.1, 0.9], [0.8, 0.2]])
    for labels in ([0, 1], ["a", "b"]):
        np.testing.assert_array_equal(in_class_order(scores, labels), scores)
        np.testing.assert_array_equal(in_class_order(proba, labels), proba)
    for labels in ([1, 0], ["b", "a"]):
        np.testing.assert_array_equal(in_class_order(scores, labels), -scores)
        np.testing.assert_array_equal(in_class_order(proba, labels), proba[:, ::-1])


@pytest.mark.parametrize(
    ("known", "labels", "order"),
    [
        (None, [0, 1], [0, 1]),
        (None, [1, 0], [1, 0]),  # numbers are outputs, whichever is favourable
        (None, [True, False], [1, 0]),
        (None, ["refused", "granted"], [0, 1]),  # the last output is the favourable one
        (None, [2, 1], [0, 1]),
        ([0, 1], [1, 0], [1, 0]),
        ([0, 1], ["refused", "granted"], [0, 1]),
        (["granted", "refused"], ["refused", "granted"], [1, 0]),
        (["b", "c", "a"], ["a", "b", "c"], [2, 0, 1]),
        ([0, 1, 2], ["a", "b"], [0, 1]),  # refused where the outputs are seen
    ],
)
def test_output_order(known, labels, order):
    estimator = SimpleNamespace() if known is None else SimpleNamespace(classes_=known)
    assert output_order(estimator, np.array(labels)) == order


def test_other_classes_are_refused():
    message = "fitted on the classes ['bad', 'good'], but y holds ['refused', 'granted']"
    with pytest.raises(ValueError, match=re.escape(message)):
        output_order(
            SimpleNamespace(classes_=["bad", "good"]), np.array(["refused", "granted"])
        )


def test_below_chance():
    codes, labels = np.arange(100) % 2, np.array(["granted", "refused"])
    message = (
        "balanced accuracy on these rows is 0.000, below chance: it seems to mean the other "
        "label. Its last output was taken to mean 'refused'. If it means 'granted', and that "
        "is the favourable label, pass pos_label='granted'"
    )
    with pytest.warns(UserWarning, match=re.escape(message)):
        warn_below_chance(codes, 1 - codes, labels, SimpleNamespace(), 1)
    with pytest.warns(UserWarning, match="the labels that it was trained on"):
        warn_below_chance(codes, 1 - codes, labels, SimpleNamespace(classes_=labels), 1)
    # A constant or a slightly unlucky classifier is not told (a warning is an error here).
    warn_below_chance(codes, np.zeros(100, int), labels, SimpleNamespace(), 1)
    few = np.arange(10) % 2
    warn_below_chance(few, np.where(np.arange(10) < 6, 1 - few, few), labels, None, 1)
