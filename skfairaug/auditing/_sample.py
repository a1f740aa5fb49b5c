"""The rows of an audit as counts: groups, labels and decisions, observed and resampled."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from skfairaug._inputs._groups import encode_groups
from skfairaug.auditing._resampling import bootstrap_counts


class Sample(NamedTuple):
    """The rows of an audit as counts, observed and resampled, of the finest groups.

    Both have axes (finest group, recorded label, decision before, decision after); the
    third has one entry if there is no "before". The draws are for what changed from one to
    the other.
    """

    groupings: dict  # feature -> Groups of the rows
    members: dict  # feature -> group of each of the finest groups
    counts: np.ndarray
    draws: np.ndarray

    def of(self, feature, when=None):
        """Counts and draws of a feature's groups; `when` sums over the other decision."""
        members, n_groups = self.members[feature], len(self.groupings[feature].names)
        merged = [
            np.stack([a[..., members == g, :, :, :].sum(-4) for g in range(n_groups)], -4)
            for a in (self.counts, self.draws)
        ]
        axis = {"before": -1, "after": -2, None: ()}[when]
        return [a.sum(axis) for a in merged]


def make_sample(y, before, after, sensitive_features, n_resamples, rng):
    """Count the rows by group, label and decisions, and draw bootstrap samples of them.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        Recorded labels, 0 or 1.
    before, after : ndarray of shape (n_samples,), int
        Decisions, 0 or 1; `before` may be None.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row.
    n_resamples : int
        Number of bootstrap samples.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    sample : Sample
        What all tables are made of.
    """
    groupings = group_by_feature(sensitive_features, len(y))
    finest = list(groupings.values())[-1]
    n_groups = len(finest.names)
    n_before = 1 if before is None else 2
    cells = finest.codes * 2 + y
    cells = (cells * n_before + (0 if before is None else before)) * 2 + after
    shape = n_groups, 2, n_before, 2
    counts = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
    members = {}
    for feature, groups in groupings.items():
        members[feature] = np.empty(n_groups, dtype=np.int64)
        members[feature][finest.codes] = groups.codes
    return Sample(groupings, members, counts, bootstrap_counts(counts, n_resamples, rng))


def group_by_feature(sensitive_features, n_samples):
    """Groups by each sensitive feature, and by all of them crossed if there are several.

    Parameters
    ----------
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Group of every row.
    n_samples : int
        Number of rows expected.

    Returns
    -------
    groupings : dict of str to Groups
        Name of the feature -> groups, the finest last.
    """
    crossed = encode_groups(sensitive_features, n_samples)
    if isinstance(sensitive_features, pd.Series) or np.ndim(sensitive_features) < 2:
        return {str(getattr(sensitive_features, "name", None) or "group"): crossed}
    columns = pd.DataFrame(sensitive_features)
    named = isinstance(sensitive_features, pd.DataFrame)
    names = [str(c) if named else f"feature {i}" for i, c in enumerate(columns)]
    if len(names) == 1:
        return {names[0]: crossed}
    if len(set(names)) < len(names):
        raise ValueError(f"sensitive_features has columns of one name: {names}.")
    single = {
        name: encode_groups(columns.iloc[:, i].infer_objects()) for i, name in enumerate(names)
    }
    return single | {" × ".join(names): crossed}
