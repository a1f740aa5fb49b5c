"""The picture of the trade-off."""

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import LinearSVC

from skfairaug.benchmark import ParetoDisplay, ParetoSelector
from skfairaug.metrics import bias, threshold_curve


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


RESULTS = {
    "split0_test_balanced_accuracy": [0.8, 0.75, 0.6, np.nan],
    "split1_test_balanced_accuracy": [0.82, 0.75, 0.6, 0.7],
    "split0_test_bias": [-0.12, -0.02, -0.05, -0.1],
    "split1_test_bias": [-0.1, -0.03, -0.05, -0.1],
    "params": [{"a": i} for i in range(4)],
}


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_results_of_a_search():
    display = ParetoDisplay.from_results(RESULTS, selector=ParetoSelector(tolerance=0.03))
    assert display.front.tolist() == [True, True, False, False]
    np.testing.assert_allclose(display.line_.get_xdata(), [0.025, 0.11])
    np.testing.assert_allclose(display.line_.get_ydata(), [0.75, 0.81])
    assert display.chosen_.get_xydata().tolist() == [[0.025, 0.75]]
    assert display.points_.has_xerr
    assert display.points_.has_yerr
    assert legend(display) == ["front", "chosen", "tolerance", "candidates"]
    assert display.figure_ is display.ax_.figure
    assert not display.ax_.texts


def test_one_split_has_no_error_bars():
    one = {key: values for key, values in RESULTS.items() if "split1" not in key}
    display = ParetoDisplay.from_results(one)
    assert not display.points_.has_xerr


def test_names_in_the_picture():
    frame = pd.DataFrame(
        {
            "method": ["a", "b", "c"],
            "balanced_accuracy": [0.8, 0.7, 0.6],
            "bias": [-0.1, 0.01, 0.05],
            "constraint": "average_odds",
        }
    )
    display = ParetoDisplay.from_results(frame, annotate="front", name="loans")
    assert [text.get_text() for text in display.ax_.texts] == ["a", "b"]
    assert display.ax_.get_xlabel() == "|bias| (average odds)"
    assert legend(display)[0] == "loans: front"
    ax = plt.figure().subplots()
    display.plot(ax, annotate="all", color="C3")
    assert len(ax.texts) == 3
    assert display.line_.get_color() == display.chosen_.get_color() == "C3"
    with pytest.raises(ValueError, match="annotate must be one of"):
        display.plot(annotate="some")


def test_the_axis_says_which_bias_was_read():
    frame = pd.DataFrame(
        {
            "method": ["a", "b"],
            "balanced_accuracy": [0.8, 0.7],
            "bias": [0.1, 0.01],
            "average_odds": [0.02, 0.01],
            "constraint": "statistical_parity",
        }
    )
    selector = ParetoSelector(bias="average_odds")
    display = ParetoDisplay.from_results(frame, selector=selector)
    assert display.ax_.get_xlabel() == "|bias| (average odds)"
    display = ParetoDisplay.from_results(frame)
    assert display.ax_.get_xlabel() == "|bias| (statistical parity)"


@pytest.mark.parametrize("classifier", [LogisticRegression(), LinearSVC()])
def test_estimator(classifier, rows):
    labels = np.array(["bad", "good"])[rows.y]
    classifier.fit(rows.X, labels)
    sex = np.array(["f", "m"])[rows.group]
    display = ParetoDisplay.from_estimator(
        classifier, rows.X, labels, sensitive_features=sex, constraint="average_odds"
    )
    y_pred = classifier.predict(rows.X)
    gap = bias(labels, y_pred, sensitive_features=sex, constraint="average_odds")
    assert display.chosen == (balanced_accuracy_score(labels, y_pred), abs(gap))
    score = classifier.decision_function(rows.X)
    curve = threshold_curve(rows.y, score, rows.group, "average_odds")
    inside = np.abs(curve.bias) <= 0.1
    drawn = display.line_.get_xdata() <= 0.1
    assert display.line_.get_ydata()[drawn].max() == (curve.balanced_accuracy[inside]).max()
    assert display.points_ is None
    assert legend(display)[0] == f"{type(classifier).__name__}: best cut-off"


def test_two_estimators_share_axes(net, rows):
    ax = plt.figure().subplots()
    for name in ("one", "two"):
        ParetoDisplay.from_estimator(
            net, rows.X, rows.y, sensitive_features=rows.group, ax=ax, name=name
        )
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts.count("tolerance") == 1
    assert {"one: chosen", "two: best cut-off"} <= set(texts)


class ByGroup(ClassifierMixin, BaseEstimator):
    """Predicts from the group alone."""

    needs_sensitive_features = True

    def predict(self, X, *, sensitive_features=None):
        return np.asarray(sensitive_features)

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def test_estimator_that_asks_for_the_group(rows):
    display = ParetoDisplay.from_estimator(
        ByGroup(), rows.X, rows.y, sensitive_features=rows.group
    )
    assert display.chosen[1] == 1.0


class Mute(ClassifierMixin, BaseEstimator):
    """Has labels only."""

    def predict(self, X):
        return np.zeros(len(X))


class Three(Mute):
    """Three classes."""

    def predict_proba(self, X):
        return np.ones((len(X), 3))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Mute(), "Mute has neither predict_proba nor decision_function"),
        (Three(), r"Three gave scores of shape \(240, 3\)"),
    ],
)
def test_estimators_without_a_score(estimator, message, rows):
    with pytest.raises(ValueError, match=message):
        ParetoDisplay.from_estimator(estimator, rows.X, rows.y, sensitive_features=rows.group)


def test_predictions_must_be_labels(rows):
    labels = np.array(["bad", "good"])[rows.y]
    sensitive = {"sensitive_features": rows.group}
    with pytest.raises(ValueError, match=r"predictions hold \[0, 1\], but the labels are \['b"):
        ParetoDisplay.from_predictions(labels, rows.X[:, 0], rows.y, **sensitive)
    with pytest.raises(ValueError, match="tolerance must be"):
        ParetoDisplay.from_predictions(rows.y, rows.X[:, 0], tolerance=2, **sensitive)
    assert ParetoDisplay.from_predictions(rows.y, rows.X[:, 0], **sensitive).chosen_ is None


def test_matplotlib_is_needed_only_to_draw(monkeypatch):
    """That importing needs none is seen in tests/auditing/test_report.py."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    display = ParetoDisplay(accuracy=[0.5], bias=[0.0])
    with pytest.raises(ImportError, match=r"ParetoDisplay\.plot requires matplotlib"):
        display.plot()
