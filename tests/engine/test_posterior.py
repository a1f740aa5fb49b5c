"""The cell posterior: two factors, neither of which sees the row it is used for."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairaug._engine._posterior import Calibration, CellPosterior, search, seeded


class Spy(ClassifierMixin, BaseEstimator):
    """Remembers which rows (their first column) it was fitted to and asked for."""

    fitted: list = []

    def fit(self, X, y):
        self.rows_ = set(X[:, 0].tolist())
        self.classes_ = np.unique(y)
        Spy.fitted.append((self.rows_, set(y.tolist()), X.shape[1]))
        return self

    def predict_proba(self, X):
        if len(X) < 40:  # rows left out, not all of them
            assert not self.rows_ & set(X[:, 0].tolist())
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def rows(n_samples=60, n_groups=2):
    """Columns with the number of the row first, random log-odds, labels and groups."""
    rng = np.random.RandomState(0)
    columns = np.column_stack([np.arange(n_samples), rng.normal(size=n_samples)])
    z = rng.normal(size=n_samples)
    log_proba = np.log(np.column_stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))]))
    y = (z + rng.normal(size=n_samples) > 0).astype(int)
    return log_proba, columns, y, np.arange(n_samples) % n_groups


def posterior(n_groups=2, by_label=False, group_estimator=None, seed=0, n_classes=2):
    return CellPosterior(
        n_classes,
        n_groups,
        by_label=by_label,
        group_estimator=group_estimator,
        n_folds=4,
        seed=seed,
    )


@pytest.mark.parametrize("by_label", [False, True])
def test_group_of_a_row_is_never_read_from_a_model_that_saw_the_row(by_label):
    Spy.fitted.clear()
    q = posterior(by_label=by_label, group_estimator=Spy()).fit(*rows())
    *parts, everything = [fitted[0] for fitted in Spy.fitted]
    assert len(parts) == 4
    assert everything == set(range(60))
    assert all(len(part) == 45 for part in parts)
    left_out = [everything - part for part in parts]
    assert sum(map(len, left_out)) == len(set.union(*left_out)) == 60
    assert {width for *_, width in Spy.fitted} == {3 if by_label else 2}
    assert q.shape == (60, 2, 2)
    np.testing.assert_allclose(q.sum((1, 2)), 1)


def test_label_of_a_row_does_not_move_its_own_class_probability():
    log_proba, columns, y, groups = rows()
    model = posterior(group_estimator=Spy())
    before = model.fit(log_proba, columns, y, groups).sum(2)[:, 1]
    fold, twin = model.fold, posterior(group_estimator=Spy())
    # Exchange the labels of two rows of a fold and group: the folds stay what they are.
    same = [np.flatnonzero((fold == 0) & (groups == 0) & (y == label))[0] for label in (0, 1)]
    y = y.copy()
    y[same] = y[same[::-1]]
    twin.fit(log_proba, columns, y, groups)
    if (twin.fold == fold).all():
        after = twin.fit(log_proba, columns, y, groups).sum(2)[:, 1]
        np.testing.assert_allclose(after[fold == 0], before[fold == 0])
        assert np.abs(after[fold != 0] - before[fold != 0]).max() > 1e-4


def test_rows_of_an_unknown_group_calibrate_only():
    log_proba, columns, y, groups = rows()
    groups = np.where(np.arange(60) < 20, -1, groups)
    Spy.fitted.clear()
    model = posterior(group_estimator=Spy())
    q = model.fit(log_proba, columns, y, groups)
    assert not set.union(*(fitted[0] for fitted in Spy.fitted)) & set(range(20))
    assert all(labels == {0, 1} for _, labels, _ in Spy.fitted)
    np.testing.assert_allclose(q[:20].sum((1, 2)), 1)
    other = 1 - y[:20]
    relabelled = np.concatenate([other, y[20:]])
    moved = posterior(group_estimator=Spy())
    moved.fit(log_proba, columns, relabelled, groups)
    both = (one.class_factor.predict_proba(log_proba, even(60)) for one in (moved, model))
    assert not np.allclose(*both)


def test_rows_that_the_model_has_seen_do_not_calibrate():
    log_proba, columns, y, groups = rows()
    labelled = np.arange(60) >= 20
    models = []
    for labels in (y, np.where(labelled, y, 1 - y)):
        model = posterior(group_estimator=Spy())
        model.fit(log_proba, columns, labels, groups, labelled=labelled)
        models.append(model.class_factor.predict_proba(log_proba, even(60)))
    np.testing.assert_allclose(*models)


def test_a_group_that_a_fold_lacks_has_no_chance_there():
    log_proba, columns, y, groups = rows(n_groups=2)
    groups = groups.copy()
    groups[7] = 2
    model = posterior(3, group_estimator=Spy())
    q = model.fit(log_proba, columns, y, groups)
    out = model.fold == model.fold[7]
    assert (q[out, :, 2] == 0).all()
    assert (q[~out, :, 2] > 0).all()
    np.testing.assert_allclose(q.sum((1, 2)), 1)


def test_by_label_the_groups_depend_on_the_label():
    rng = np.random.RandomState(0)
    y, groups = rng.randint(0, 2, (2, 2000))
    y = np.where(groups == 1, rng.rand(2000) < 0.9, y).astype(int)
    log_proba = np.log(np.full((2000, 2), 0.5)) + 1e-3 * rng.normal(size=(2000, 2))
    columns = rng.normal(size=(2000, 2))
    q = posterior(by_label=True).fit(log_proba, columns, y, groups).mean(0)
    expected = [[((y == a) & (groups == b)).mean() for b in (0, 1)] for a in (0, 1)]
    np.testing.assert_allclose(q, expected, atol=0.02)
    blind = posterior().fit(log_proba, columns, y, groups).mean(0)
    np.testing.assert_allclose(blind[0] / blind[0].sum(), blind[1] / blind[1].sum(), atol=0.01)


def even(n_samples, n_classes=2):
    """Probabilities of two groups that say nothing."""
    return np.full((n_samples, n_classes, 2), 0.5)


def test_calibration_of_a_model_that_learned_unfair_labels():
    """The model takes 3 off the log-odds of group 1, which the rows show."""
    rng = np.random.RandomState(0)
    groups = rng.randint(0, 2, 6000)
    odds = 2 * rng.normal(size=6000)
    p = 1 / (1 + np.exp(-odds))
    y = (rng.rand(6000) < p).astype(int)
    said = odds - 3 * groups
    log_proba = -np.logaddexp(0, np.stack([said, -said], 1))
    guess = np.repeat(np.eye(2)[groups][:, None], 2, axis=1)
    fitted = Calibration().fit(log_proba, guess, y).predict_proba(log_proba, guess)[:, 1]
    assert np.abs(fitted - p).mean() < 0.02
    blind = Calibration().fit(log_proba, even(6000), y).predict_proba(log_proba, even(6000))
    assert np.abs(blind[:, 1] - p).mean() > 0.1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_calibration(n_classes):
    """Of a model that is twice as sure as it should be."""
    rng = np.random.RandomState(0)
    logits = rng.normal(size=(6000, n_classes))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (rng.rand(6000, 1) > p.cumsum(1)).sum(1).clip(max=n_classes - 1)
    guess = even(6000, n_classes)
    fitted = Calibration().fit(2 * logits, guess, y).predict_proba(2 * logits, guess)
    assert np.abs(fitted - p).mean() < 0.02
    assert np.abs(fitted - p).max() < 0.15


def test_search_walks_to_the_best_strength():
    asked = []

    def strength(estimator):
        asked.append(estimator[-1].C)
        return estimator[-1].C

    for best in (10.0, 0.01, 1e3):
        asked.clear()
        _, found = search(strength, lambda c, best=best: 1 + abs(np.log10(c / best)))
        assert found == pytest.approx(best)
        assert len(asked) <= 7


def test_seeds_are_set_where_none_is_given():
    given = make_pipeline(StandardScaler(), LogisticRegression())
    assert seeded(given, 3)[-1].random_state == 3
    assert given[-1].random_state is None
    assert seeded(LogisticRegression(random_state=5), 3).random_state == 5
    assert seeded(None, 3) is None
