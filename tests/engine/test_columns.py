"""Numbers from the columns of a frame."""

import numpy as np
import pandas as pd
import pytest

from skfairaug._engine._columns import ColumnReader, is_raw


@pytest.mark.parametrize(
    ("X", "raw"),
    [
        (np.zeros((2, 2)), False),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}), False),
        (pd.DataFrame({"a": [True, False]}), False),
        (pd.DataFrame({"a": [1.0, np.nan]}), True),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), True),
        (pd.DataFrame({"a": pd.Categorical(["x", "y"])}), True),
    ],
)
def test_raw(X, raw):
    assert is_raw(X) == raw


def test_by_hand():
    X = pd.DataFrame({"city": ["x", None, "y", "x"], "age": [1.0, 3.0, np.nan, 2.0]})
    reader = ColumnReader().fit(X)
    result = reader.transform(X)
    scale = np.sqrt(0.5)  # of 1, 3, 2 and their mean 2
    np.testing.assert_allclose(result[:, 0], np.array([-1, 1, 0, 0]) / scale)
    assert result[:, 1:].sum(1).tolist() == [1, 1, 1, 1]
    np.testing.assert_array_equal(result[0, 1:], result[3, 1:])
    assert len(np.unique(result[:, 1:], axis=0)) == 3  # what is missing is a value


def test_values_that_fit_has_not_seen():
    reader = ColumnReader().fit(pd.DataFrame({"city": ["x", "y"]}))
    new = reader.transform(pd.DataFrame({"city": ["z", None]}))
    assert np.isfinite(new).all()


def test_rare_values_count_as_one():
    names = [f"c{i:03}" for i in range(80)] + ["c000"] * 5
    reader = ColumnReader().fit(pd.DataFrame({"city": names}))
    assert reader.transform(pd.DataFrame({"city": names})).shape == (85, 50)
