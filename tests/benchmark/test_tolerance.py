"""The picture of what a bound costs."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from skfairaug import FairAugmentFineTuner, FairRule
from skfairaug.benchmark import ToleranceDisplay
from skfairaug.benchmark._tolerance import judge
from skfairaug.metrics import bias, get_constraint


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def draw(n_samples, seed):
    rng = np.random.RandomState(seed)
    group = rng.randint(0, 2, n_samples)
    X = rng.normal(size=(n_samples, 3)).astype(np.float32)
    X[:, 0] += group
    return X, (X[:, 0] + X[:, 1] > 0.5).astype(int), group


@pytest.fixture(scope="module")
def biased():
    return LogisticRegression().fit(*draw(500, 0)[:2])


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_claims_and_measures(biased, capsys):
    X, y, group = draw(1000, 1)
    X_test, y_test, group_test = draw(2000, 2)
    display = ToleranceDisplay.from_estimator(
        FairRule(biased, random_state=0),
        X,
        y,
        sensitive_features=group,
        tolerances=[0.3, 0.1],
        X_test=X_test,
        y_test=y_test,
        sensitive_features_test=group_test,
        others={"another": LogisticRegression().fit(X, y)},
    )
    table = display.table
    assert table.index.tolist() == [0.1, 0.3]
    for tolerance, fair in display.estimators_.items():
        assert fair.tolerance == tolerance
        row, y_pred = table.loc[tolerance], fair.predict(X_test)
        assert row["claimed_bias"] == fair.bias_
        assert row["claimed_error"] == fair.bias_standard_error_
        assert row["claimed_accuracy"] == fair.balanced_accuracy_
        assert row["accuracy"] == balanced_accuracy_score(y_test, y_pred)
        assert row["bias"] == bias(y_test, y_pred, sensitive_features=group_test)
        alone = FairRule(biased, tolerance=tolerance, random_state=0)
        alone.fit(X, y, sensitive_features=group)
        np.testing.assert_array_equal(alone.predict(X_test), y_pred)
    assert table["accuracy"].is_monotonic_increasing
    assert display.others.index.tolist() == ["biased", "another"]
    above, below = display.axes_
    assert {"biased, at its bias", "another, at its bias", "claimed"} <= set(labels(above))
    assert set(labels(below)) == {"claimed", "measured on test rows", "the bound"}
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["tolerance 0.1", "tolerance 0.3"]
    assert "measured" in lines[0]


def test_standard_errors_by_hand():
    class Says:
        def predict(self, X):
            return X[:, 0].astype(int)

    y = np.repeat([0, 1], 50)
    X = np.r_[np.repeat([0, 1], [40, 10]), np.repeat([0, 1], [20, 30])][:, None]
    group = np.tile(["f", "m"], 50)
    found = judge(Says(), X, y, group, get_constraint("statistical_parity"))
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["accuracy_error"] == pytest.approx(np.sqrt((0.8 * 0.2 + 0.6 * 0.4) / 50) / 2)
    smoothed = (20 + 1) / (50 + 2)  # of 50 rows in each group 20 are decided for
    assert found["bias_error"] == pytest.approx(np.sqrt(2 * smoothed * (1 - smoothed) / 50))
    with_names = judge(Says(), X, y, group, get_constraint("equalized_odds"))
    assert with_names["bias_error"] > found["bias_error"]


def test_a_bound_out_of_reach_is_hollow_and_does_not_warn(biased):
    X, y, group = draw(60, 3)
    display = ToleranceDisplay.from_estimator(
        FairRule(biased, random_state=0),
        X,
        y,
        sensitive_features=group,
        tolerances=[0.001, 0.9],
        progress=False,
    )
    assert display.table["reached"].tolist() == [False, True]
    assert "bias" not in display.table
    hollow = [line for line in display.axes_[1].lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in hollow] == [[0.001]]
    assert set(labels(display.axes_[1])) == {"claimed", "the bound"}


def test_networks_with_named_labels(net, rows, quick, capsys):
    y = np.where(rows.y == 1, "yes", "no")
    quick.pop("tolerance")
    display = ToleranceDisplay.from_estimator(
        FairAugmentFineTuner(net, **quick),
        rows.X,
        y,
        sensitive_features=rows.group,
        tolerances=[0.9],
        progress=False,
    )
    expected = balanced_accuracy_score(rows.y, net.predict(rows.X))
    assert display.others.loc["biased", "accuracy"] == expected
    assert capsys.readouterr().out == ""
    _, axes = plt.subplots(2)
    assert display.plot(axes).axes_[0] is axes[0]


def test_bad_input(biased, rows):
    given = {"sensitive_features": rows.group, "progress": False}
    X, y = rows.X[:, :3], rows.y
    with pytest.raises(ValueError, match="LogisticRegression has none"):
        ToleranceDisplay.from_estimator(biased, X, y, **given)
    with pytest.raises(ValueError, match="tolerances is empty"):
        ToleranceDisplay.from_estimator(FairRule(biased), X, y, tolerances=[], **given)
    with pytest.raises(ValueError, match=r"tolerance must be a number in \(0, 1\]"):
        ToleranceDisplay.from_estimator(FairRule(biased), X, y, tolerances=[2], **given)
    with pytest.raises(ValueError, match="together, or none"):
        ToleranceDisplay.from_estimator(FairRule(biased), X, y, X_test=X, **given)


def test_a_table_of_ones_own():
    table = pd.DataFrame(
        {
            "claimed_accuracy": [0.7],
            "claimed_bias": [-0.02],
            "claimed_error": [np.nan],
            "reached": [True],
        },
        index=[0.05],
    )
    display = ToleranceDisplay(table=table).plot()
    assert display.axes_[1].get_ylabel() == "|bias|"
