"""Rows without the columns that say the group."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from skfairaug.benchmark import compare
from skfairaug.benchmark._sensitive import without_sensitive

FRAME = pd.DataFrame(
    {
        "sex=f": [1, 0, 1, 0],
        "sex_m": [0, 1, 0, 1],
        "sex_ratio": [0.1, 0.2, 0.3, 0.4],
        "married": [3, 5, 3, 5],
        "age": [30, 40, 50, 30],
        "constant": [1, 1, 1, 1],
    }
)
SEX = pd.Series(["f", "m", "f", "m"], name="sex")
KEPT = ["sex_ratio", "age", "constant"]


def test_children_and_columns_of_one_value_per_group_leave():
    assert without_sensitive(FRAME, SEX).columns.tolist() == KEPT


def test_a_column_of_the_feature_s_own_name_leaves():
    frame = FRAME.assign(sex=[1, 2, 3, 4])  # whatever it holds
    assert without_sensitive(frame, SEX).columns.tolist() == KEPT


def test_names_count_only_where_there_are_some():
    groups = np.array(["a", "b", "b", "a"])
    with pytest.raises(ValueError, match="no column of X says the group"):
        without_sensitive(FRAME, groups)
    assert "sex=f" not in without_sensitive(FRAME, pd.Series(groups, name="sex"))


def test_each_of_several_features_leaves():
    rng = np.random.RandomState(0)
    groups = pd.DataFrame({"sex": rng.randint(0, 2, 60), "race": rng.randint(0, 3, 60)})
    frame = pd.get_dummies(groups["race"], prefix="race").assign(
        sex=groups["sex"], age=rng.normal(size=60)
    )
    assert without_sensitive(frame, groups).columns.tolist() == ["age"]


def test_array():
    kept = without_sensitive(FRAME.to_numpy(), SEX.to_numpy())
    assert isinstance(kept, np.ndarray)
    np.testing.assert_array_equal(kept, FRAME[KEPT].to_numpy())


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (FRAME[["age", "constant"]], "no column of X says the group, neither by its name"),
        (np.zeros((4, 2, 2)), r"needs a table of rows and columns; X has shape \(4, 2, 2\)"),
    ],
)
def test_nothing_to_drop(X, message):
    with pytest.raises(ValueError, match=message):
        without_sensitive(X, SEX)


# -- compare ------------------------------------------------------------------


class Told(ClassifierMixin, BaseEstimator):
    """Predicts the group that it is told, and remembers how many columns it saw."""

    needs_sensitive_features = True
    widths: list = []

    def fit(self, X, y, *, sensitive_features):
        Told.widths.append(X.shape[1])
        self.classes_ = np.unique(y)
        return self

    def predict(self, X, *, sensitive_features):
        Told.widths.append(X.shape[1])
        return np.asarray(sensitive_features == "m", dtype=int)


@pytest.mark.parametrize("drop_sensitive", [False, True])
def test_compare(drop_sensitive, rows):
    Told.widths.clear()
    sex = pd.Series(np.where(rows.group, "m", "f"), name="sex")
    X = pd.DataFrame(rows.X, columns=list("abcd")).assign(sex_f=sex == "f", sex_m=sex == "m")
    frame = compare(
        {"told": Told(), "lr": LogisticRegression()},
        X=X,
        y=rows.y,
        sensitive_features=sex,
        drop_sensitive=drop_sensitive,
        cv=[0],
        progress=False,
    )
    assert set(Told.widths) == {4 if drop_sensitive else 6}
    told, other = (frame[frame["method"] == name].iloc[0] for name in ("told", "lr"))
    assert told["bias"] == pytest.approx(-1)
    assert told["needs_sensitive_features"]
    assert other["balanced_accuracy"] > 0.7


def test_compare_without_such_a_column(rows):
    with pytest.raises(ValueError, match="pass drop_sensitive=False"):
        compare(
            {"lr": LogisticRegression()},
            X=rows.X,
            y=rows.y,
            sensitive_features=rows.group,
            drop_sensitive=True,
            progress=False,
        )
