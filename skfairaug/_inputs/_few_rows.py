"""When a group has too few rows for what is said of it: one rule, for fit and for audit."""

import warnings
from typing import NamedTuple

import numpy as np

from skfairaug.exceptions import SmallGroupWarning

#: A rate measured on fewer rows is not reliable: its standard error may exceed 0.09.
FEW_ROWS = 30


class FewRows(NamedTuple):
    """A group, or the rows of it with one label, that has few rows."""

    group: int
    label: int | None  # None: the whole group
    size: int


def few_rows(counts, smallest=FEW_ROWS):
    """Groups with few rows, and of the other groups the labels with few.

    Parameters
    ----------
    counts : ndarray of shape (n_groups, n_labels), int
        Rows of each group and label.
    smallest : int, default=30
        Size that is enough.

    Returns
    -------
    found : list of FewRows
        In the order of the groups; empty if there are enough everywhere.
    """
    found = []
    for group, sizes in enumerate(counts):
        if sizes.sum() < smallest:
            found.append(FewRows(group, None, int(sizes.sum())))
            continue
        found += [
            FewRows(group, int(label), int(sizes[label]))
            for label in np.flatnonzero(sizes < smallest)
        ]
    return found


def warn_of_few_rows(y_codes, group_codes, class_names, group_names, labels):
    """Warn once where a fit measures the bias on few rows.

    Parameters
    ----------
    y_codes, group_codes : ndarray of shape (n_samples,), int
        Class and group of each row.
    class_names, group_names : sequence
        What they are called.
    labels : sequence of int
        Labels that the measure looks at one by one, none if it looks at groups as a whole.
        With more than two classes each of them is measured.
    """
    labels = range(len(class_names)) if labels and len(class_names) > 2 else labels
    shape = len(group_names), len(class_names)
    cells = np.bincount(group_codes * shape[1] + y_codes, minlength=shape[0] * shape[1])
    found = [
        one
        for one in few_rows(cells.reshape(shape))
        if one.label is None or one.label in labels
    ]
    if not found:
        return
    named = ", ".join(
        f"'{group_names[one.group]}'"
        + ("" if one.label is None else f" with label {class_names[one.label]!s}")
        + f" ({one.size})"
        for one in found
    )
    warnings.warn(
        f"Few rows, less than {FEW_ROWS}, in group {named}: a bias that is measured on them is "
        "not reliable. Merge groups, or give more data.",
        SmallGroupWarning,
        stacklevel=4,
    )
