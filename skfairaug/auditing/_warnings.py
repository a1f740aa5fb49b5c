"""What makes the numbers of an audit unsure, in words."""

import numpy as np

from skfairaug._inputs._few_rows import few_rows
from skfairaug.auditing._measures import readable_groups

#: Recorded label -> what it is called, and the rate that is measured on its rows.
LABELS = ("unfavourable", "false positive rate"), ("favourable", "true positive rate")


def find_warnings(counts, names, notions, settings):
    """List what the reader must know before believing the tables.

    Parameters
    ----------
    counts : dict of str to ndarray of shape (n_groups, 2, 2)
        Feature -> counts by group, recorded label and decision.
    names : dict of str to sequence of str
        Feature -> names of its groups.
    notions : list of Constraint
        The notions of fairness, that asked for first.
    settings : dict
        Smallest size that needs no warning, among others.

    Returns
    -------
    warnings : list of str
        One sentence each; empty if there is nothing to say.
    """
    found = _constant(next(iter(counts.values())).sum((0, 1)))
    found += _too_few_permutations(len(counts) * len(notions), settings)
    for feature, table in counts.items():
        found += _small(table, names[feature], feature, settings["min_group_size"])
        for notion in notions:
            unread = np.flatnonzero(~readable_groups(table, notion))
            if len(unread):
                listed = ", ".join(f"'{names[feature][g]}'" for g in unread)
                found.append(
                    f"{feature}: {notion.name.replace('_', ' ')} cannot be measured in "
                    f"{listed}, where nobody has one of the recorded labels it reads; left "
                    "out of that gap."
                )
    return found


def _constant(decisions):
    if decisions.min() > 0:
        return []
    return [
        "Everybody gets the same decision: every gap is zero, and that says nothing. Read "
        "the balanced accuracy."
    ]


def _too_few_permutations(n_tests, settings):
    """Whether no p-value can be small enough, however large the gap."""
    smallest = n_tests / (settings["n_resamples"] + 1)
    alpha = 1 - settings["confidence_level"]
    if settings["correction"] != "holm" or smallest < alpha:
        return []
    return [
        f"{settings['n_resamples']} permutations are too few for {n_tests} corrected tests: no "
        f"p-value can get below {alpha:.2g}. Set n_resamples to {int(n_tests / alpha) + 1} or "
        "more."
    ]


def _small(table, names, feature, smallest):
    found = []
    for group, label, size in few_rows(table.sum(-1), smallest):
        start = f"{feature}: group '{names[group]}' has {size} people"
        if label is None:
            found.append(f"{start}, fewer than {smallest}; none of its numbers is reliable.")
            continue
        kind, rate = LABELS[label]
        found.append(
            f"{start} with a recorded {kind} label, fewer than {smallest}; its {rate} is not "
            "reliable."
        )
    return found
