"""Too few rows to measure on: fit and audit go by one rule."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skfairaug import FairAugmentFineTuner, FairRule, audit
from skfairaug._inputs._few_rows import FEW_ROWS, few_rows
from skfairaug.exceptions import SmallGroupWarning


def test_the_rule_by_hand():
    counts = np.array([[30, 30], [29, 100], [3, 20], [0, 30]])
    assert few_rows(counts) == [(1, 0, 29), (2, None, 23), (3, 0, 0)]
    assert few_rows(counts, 2) == [(3, 0, 0)]
    assert few_rows(counts[:1]) == []


@pytest.fixture
def few(rows):
    """The rows, 12 of which are of a third group; that one has few of either label."""
    group = np.where(rows.group, "m", "f").astype(object)
    group[:12] = "x"
    return rows.X, rows.y, group


@pytest.mark.parametrize("constraint", ["statistical_parity", "equal_opportunity"])
@pytest.mark.parametrize("kind", ["tuner", "rule"])
@pytest.mark.filterwarnings("ignore::skfairaug.exceptions.FairnessNotReachedWarning")
def test_fit_says_what_an_audit_says(kind, constraint, few, net, quick):
    X, y, group = few
    if kind == "tuner":
        model = FairAugmentFineTuner(net, constraint=constraint, **quick)
    else:
        model = FairRule(LogisticRegression(), constraint=constraint, random_state=0)
    with pytest.warns(SmallGroupWarning, match=r"less than 30, in group 'x' \(12\): a bias"):
        model.fit(X, y, sensitive_features=group)
    report = audit(model, X, y, sensitive_features=group, n_resamples=100, random_state=0)
    assert any("group 'x' has 12 people, fewer than 30" in text for text in report.warnings)
    assert report.settings["min_group_size"] == FEW_ROWS


def test_labels_are_named_where_they_are_measured(rows, net, quick, recwarn):
    keep = np.flatnonzero((rows.group == 0) | (rows.y == 0))
    some = np.sort(np.r_[keep, np.flatnonzero((rows.group == 1) & (rows.y == 1))[:9]])
    X, y, group = rows.X[some], rows.y[some], rows.group[some]
    model = FairAugmentFineTuner(net, **quick)
    model.fit(X, y, sensitive_features=group)
    assert not [one for one in recwarn if one.category is SmallGroupWarning]
    model.set_params(constraint="equal_opportunity")
    with pytest.warns(SmallGroupWarning, match=r"in group '1' with label 1 \(9\)"):
        model.fit(X, y, sensitive_features=group)
