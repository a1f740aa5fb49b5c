"""Rows that are not those of fit, too large, or in another order: said of X, everywhere."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from test_kinds_of_rows import AROUND_NETS, NOT_AROUND_NETS, OURS

from skfairaug import audit, rivals
from skfairaug.benchmark import compare

pytestmark = pytest.mark.filterwarnings(
    "ignore::skfairaug.exceptions.FairnessNotReachedWarning"  # a few steps teach nothing
)
SMALL = {
    "CorrelationRemover": {},
    "ExponentiatedGradient": {"max_iter": 3},
    "GridSearch": {"grid_size": 3},
    "Reweighing": {},
}
EVERY = sorted(AROUND_NETS) + sorted(NOT_AROUND_NETS)
every_estimator = pytest.mark.parametrize("name", EVERY)


def make(name, net):
    """A quick public estimator, and the classifier that it is around."""
    cls = OURS.get(name) or getattr(rivals, name)
    if name in NOT_AROUND_NETS:
        return cls(LogisticRegression(), **SMALL[name])
    return cls(net, random_state=0, **AROUND_NETS[name])


def fit(estimator, rows, X):
    return estimator.fit(X, rows.y, sensitive_features=rows.group)


@pytest.fixture(scope="module")
def fits():
    """Estimators fitted so far, by name: nothing that is refused changes them."""
    return {}


@pytest.fixture
def fitted(name, net, rows, fits):
    """The estimator of that name, fitted to `rows`."""
    if name not in fits:
        fits[name] = fit(make(name, net), rows, rows.X)
    return copy.deepcopy(fits[name])


def outcome(estimator, X, group):
    if hasattr(estimator, "transform"):
        return estimator.transform(X)
    if estimator.needs_sensitive_features:
        return estimator.predict(X, sensitive_features=group)
    return estimator.predict(X)


@every_estimator
def test_rows_of_another_shape_than_in_fit(name, fitted, rows):
    assert len(outcome(fitted, rows.X, rows.group)) == 240
    message = re.escape(
        f"X has rows of shape (4, 1), but {name} was fitted on rows of shape (4,)"
    )
    with pytest.raises(ValueError, match=message):
        outcome(fitted, rows.X[:, :, None], rows.group)
    with pytest.raises(ValueError, match=f"X has 3 features, but {name} is expecting 4"):
        outcome(fitted, rows.X[:, :3], rows.group)


@every_estimator
def test_a_fit_that_failed_leaves_nothing(name, net, fitted, rows):
    for estimator in (make(name, net), fitted):
        with pytest.raises(ValueError, match="sensitive_features holds one group"):
            estimator.fit(rows.X, rows.y, sensitive_features=np.zeros(240))
        with pytest.raises(NotFittedError, match=f"This {name} instance is not fitted yet"):
            outcome(estimator, rows.X, rows.group)


@pytest.mark.parametrize("name", sorted(AROUND_NETS))
def test_other_columns_than_the_net_takes(name, net, rows):
    message = re.escape("the net cannot take X of shape")
    with pytest.raises(ValueError, match=message):
        fit(make(name, net), rows, rows.X[:, :3])


def test_audit_of_other_columns_than_the_net_takes(net, rows):
    message = r"the net cannot take X of shape .*features than the \(3,\) of each row"
    with pytest.raises(ValueError, match=message):
        audit(net, rows.X[:, :3], rows.y, sensitive_features=rows.group)


@every_estimator
def test_numbers_too_large(name, net, fitted, rows):
    X = rows.X.astype(np.float64)
    X[3, 1] = 1e300
    message = "X holds a number of size 1e.300, too large for float32|value too large for dtype"
    with pytest.raises(ValueError, match=message):
        fit(make(name, net), rows, X)
    with pytest.raises(ValueError, match=message):
        outcome(fitted, X, rows.group)


@every_estimator
def test_groups_in_another_order_than_X(name, net, fitted, rows):
    X = pd.DataFrame(rows.X, columns=list("abcd"), index=np.arange(240) * 3)
    group = pd.Series(rows.group, index=X.index)
    estimator = make(name, net)
    message = "sensitive_features has the index of X in another order"
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, rows.y, sensitive_features=group.sort_values())
    with pytest.raises(ValueError, match="y has the index of X in another order"):
        estimator.fit(
            X, pd.Series(rows.y, index=X.index).sort_values(), sensitive_features=group
        )
    if getattr(fitted, "needs_sensitive_features", False):
        with pytest.raises(ValueError, match=message):
            fitted.predict(X, sensitive_features=group.sort_values())


def test_groups_in_another_order_than_X_in_audit_and_compare(net, rows):
    X = pd.DataFrame(rows.X, index=np.arange(240) * 3)
    group = pd.Series(rows.group, index=X.index).sort_values()
    message = "sensitive_features has the index of X in another order"
    with pytest.raises(ValueError, match=message):
        audit(net, X, rows.y, sensitive_features=group)
    with pytest.raises(ValueError, match=message):
        compare({"net": net}, X, rows.y, sensitive_features=group, progress=False)
