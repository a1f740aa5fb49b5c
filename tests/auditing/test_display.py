"""The picture of the groups."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression

from skfairaug.auditing import GroupMetricsDisplay, audit_predictions


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


FAST = {"n_resamples": 100, "random_state": 0}


@pytest.fixture
def report(rows):
    sex = np.array(["$f$", "m"])[rows.group]
    y_pred = (rows.X[:, 0] > 0).astype(int)
    before = (rows.X[:, 1] > 0).astype(int)
    return audit_predictions(rows.y, y_pred, sensitive_features=sex, before=before, **FAST)


def test_points_and_intervals_are_those_of_the_report(report):
    display = GroupMetricsDisplay.from_audit(report)
    assert len(display.axes_) == len(display.points_) == 4
    assert display.axes_[0].figure is display.figure_
    table = report.by_group.loc["group"]
    line, _, (bars,) = display.points_[0]
    np.testing.assert_allclose(line.get_xdata(), table["selection_rate"])
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends[:, 0], table["selection_rate_low"])
    np.testing.assert_allclose(ends[:, 1], table["selection_rate_high"])
    display.figure_.canvas.draw()
    assert [label.get_text() for label in display.axes_[0].get_yticklabels()] == [r"\$f\$", "m"]
    (legend,) = display.figure_.legends
    assert {text.get_text() for text in legend.get_texts()} >= {"before", "after"}


def test_one_measure_on_given_axes(report):
    ax = plt.figure().subplots()
    display = GroupMetricsDisplay.from_audit(
        report.before, measures=["base_rate"], axes=ax, color="C3"
    )
    assert display.axes_.tolist() == [ax]
    assert display.points_[0][0].get_color() == "C3"
    assert not display.figure_.legends
    assert display.title == ax.get_ylabel() == "group"


def test_from_estimator_and_predictions(rows):
    model = LogisticRegression().fit(rows.X, rows.y)
    sensitive = {"sensitive_features": rows.group}
    one = GroupMetricsDisplay.from_estimator(
        model, rows.X, rows.y, **sensitive, measures=["accuracy"], **FAST
    )
    two = GroupMetricsDisplay.from_predictions(
        rows.y, model.predict(rows.X), **sensitive, measures=["accuracy"], **FAST
    )
    np.testing.assert_array_equal(one.points_[0][0].get_xdata(), two.points_[0][0].get_xdata())


def test_a_group_that_cannot_be_measured_is_left_blank():
    group = np.repeat([0, 1, 2], 30)
    y = np.tile([0, 1], 45) * (group < 2)
    display = GroupMetricsDisplay.from_predictions(
        y, np.ones(90, int), sensitive_features=group, measures=["true_positive_rate"], **FAST
    )
    assert np.isnan(display.points_[0][0].get_xdata()).tolist() == [False, False, True]
    display.figure_.canvas.draw()


def test_bad_input(report):
    with pytest.raises(ValueError, match=r"feature must be one of \['group'\]; got 'sex'"):
        GroupMetricsDisplay.from_audit(report, feature="sex")
    with pytest.raises(ValueError, match=r"measures \['precision'\] are not known"):
        GroupMetricsDisplay.from_audit(report, measures=["precision"])
    with pytest.raises(ValueError, match="4 measures need as many axes; got 1"):
        GroupMetricsDisplay.from_audit(report, axes=plt.figure().subplots())
