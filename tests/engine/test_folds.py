"""Folds are balanced, cell by cell."""

import numpy as np
import pytest

from skfairaug._engine._folds import deal


@pytest.mark.parametrize("n_folds", [2, 5])
def test_folds_and_their_parts_of_a_cell_differ_by_one_row_at_most(n_folds):
    cells = np.random.RandomState(0).permutation(np.repeat([0, 2, 3, 7], [50, 13, 4, 1]))
    fold = deal(cells, n_folds, 0)
    assert fold.shape == cells.shape
    parts = [np.bincount(fold, minlength=n_folds)]
    parts += [np.bincount(fold[cells == cell], minlength=n_folds) for cell in np.unique(cells)]
    for sizes in parts:
        assert len(sizes) == n_folds
        assert np.ptp(sizes) <= 1


def test_one_seed_agrees_and_two_differ():
    cells = np.arange(60) % 3
    np.testing.assert_array_equal(deal(cells, 5, 0), deal(cells, 5, 0))
    assert (deal(cells, 5, 0) != deal(cells, 5, 1)).any()
