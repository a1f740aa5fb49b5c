"""The constraints: which rates of two groups shall be equal, and how surely they are."""

from collections.abc import Callable
from dataclasses import dataclass

from skfairaug._validation import check_cells
from skfairaug.metrics._amplification import lean, lean_slope
from skfairaug.metrics._namespace import namespace, pick


@dataclass(frozen=True)
class Constraint:
    """A notion of fairness, as statistics of groups that should not differ.

    All of it is computed from the positive rates ``p[..., g, y]`` and the counts
    ``n[..., g, y]`` of the cells of group g and label y, as NumPy arrays or torch
    tensors, with any leading dimensions (thresholds, classes).

    Parameters
    ----------
    name : str
        Its name in `CONSTRAINTS`.
    select : callable
        ``(rates, counts) -> (rates, counts)``, both of shape (..., n_groups, n_read):
        the rates that the statistics read and the number of rows behind each.
    weights : tuple of tuple of float
        Each statistic of a group is a weighted sum of what it reads. With several
        statistics the one with the largest gap binds.
    labels : tuple of int
        Labels whose cells must not be empty.
    signed : bool, default=True
        Whether two groups keep the sign of their gap.
    """

    name: str
    select: Callable
    weights: tuple[tuple[float, ...], ...]
    labels: tuple[int, ...]
    signed: bool = True

    def gap(self, rates, counts):
        """Difference between groups, the bias mu.

        Parameters
        ----------
        rates : ndarray or tensor of shape (..., n_groups, 2)
            Positive rate of each cell.
        counts : ndarray or tensor of shape (..., n_groups, 2)
            Rows of each cell.

        Returns
        -------
        gap : ndarray or tensor of shape (...)
            Two groups: the statistic of group 0 minus that of group 1. More groups:
            the largest minus the smallest.
        """
        rates, _ = self.select(rates, counts)
        values = self._combine(rates, 1)
        first, last = _extremes(values)
        gaps = first(values) - last(values)
        gap = _largest(gaps, gaps)
        return gap if self.signed else namespace(gap).abs(gap)

    def class_errors(self, rates, counts):
        """Standard error of the bias of each of several classes.

        Parameters
        ----------
        rates, counts : ndarray or tensor of shape (n_classes, n_groups, 2)
            Positive rate and rows of each cell, a class at a time.

        Returns
        -------
        errors : ndarray or tensor of shape (n_classes,)
            As `standard_error`.
        """
        return self.standard_error(rates, counts)

    def standard_error(self, rates, counts):
        r"""Binomial standard error of the gap.

        Parameters
        ----------
        rates : ndarray or tensor of shape (..., n_groups, 2)
            Positive rate of each cell.
        counts : ndarray or tensor of shape (..., n_groups, 2)
            Rows of each cell.

        Returns
        -------
        standard_error : ndarray or tensor of shape (...)
            Of the two groups that make the gap and of the statistic that binds.

        Notes
        -----
        Every rate p of n rows has the variance :math:`\tilde p (1 - \tilde p) / n`
        with the add-one smoothed :math:`\tilde p = (n p + 1) / (n + 2)`, which is
        above zero for p = 0 and p = 1; rates of different cells and groups are
        independent.
        """
        rates, counts = self.select(rates, counts)
        values = self._combine(rates, 1)
        variances = self._combine(_variance(rates, counts), 2)
        first, last = _extremes(values)
        gaps = first(values) - last(values)
        return _largest(gaps, first(variances) + last(variances)) ** 0.5

    def mix(self, counts):
        """Counts by which the labels of a group are mixed where a rate needs several.

        Parameters
        ----------
        counts : ndarray or tensor of shape (n_problems, n_groups, 2)
            Rows of each cell.

        Returns
        -------
        counts : ndarray or tensor of shape (n_problems, n_groups, 2)
            The same: labels count as they occur in the group.
        """
        return counts

    def class_gaps(self, rates, counts):
        """Bias of each of several classes, against the rest.

        Parameters
        ----------
        rates, counts : ndarray or tensor of shape (n_classes, n_groups, 2)
            Positive rate and rows of each cell, a class at a time.

        Returns
        -------
        gaps : ndarray or tensor of shape (n_classes,)
            As `gap`.
        """
        return self.gap(rates, counts)

    def over_classes(self, gaps, values=None):
        """One number for several classes: that of the class with the largest gap in size.

        Parameters
        ----------
        gaps : ndarray or tensor of shape (n_classes,)
            From `class_gaps`.
        values : ndarray or tensor of shape (n_classes,), default=None
            What is taken of that class, such as standard errors; None takes the gap.

        Returns
        -------
        value : scalar
            The bias of a classifier of several classes, or its standard error.
        """
        largest = namespace(gaps).abs(gaps).argmax(-1)
        return pick(gaps if values is None else values, largest, -1)

    def statistics(self, rates, counts):
        """Statistics of every group, which a fair prediction makes equal.

        Parameters
        ----------
        rates : ndarray or tensor of shape (..., n_groups, 2)
            Positive rate of each cell.
        counts : ndarray or tensor of shape (..., n_groups, 2)
            Rows of each cell.

        Returns
        -------
        statistics : ndarray or tensor of shape (..., n_groups, n_statistics)
            One statistic, or the true and false positive rate for equalized odds.
        """
        return self._combine(self.select(rates, counts)[0], 1)

    def check(self, y, groups, class_names, group_names):
        """Raise a ValueError that names a cell without rows, if the gap needs it.

        Parameters
        ----------
        y, groups : ndarray of shape (n_samples,), int
            Class and group of each row.
        class_names, group_names : sequence
            Their names.
        """
        binary = len(class_names) == 2
        labels = self.labels if binary or not self.labels else None
        check_cells(y, groups, class_names, group_names, labels=labels)

    def _combine(self, parts, power):
        """Weighted sums, shape (..., n_groups, n_statistics)."""
        columns = [
            sum(weight**power * parts[..., i] for i, weight in enumerate(row) if weight)
            for row in self.weights
        ]
        return namespace(parts).stack(columns, -1)


class Amplification(Constraint):
    r"""Bias amplification: how far the predictions of a class lean to one group.

    Of the rates :math:`s_{c,g}` at which the rows of group g are predicted to be of class
    c, the largest share less what it would be if all were equal,

    .. math:: \frac{\max_g s_{c,g}}{\sum_g s_{c,g}} - \frac1G,

    zero for a class that is never predicted. Labels count in every group as they do in all
    groups together. A classifier's is the mean over its classes.
    """

    def mix(self, counts):
        """Labels as frequent in every group as in all together; see `Constraint.mix`."""
        return counts.sum(-2)[..., None, :] + 0 * counts

    def gap(self, rates, counts):
        """Mean over both of two classes; see `Constraint.gap`."""
        s, _ = self._selection(rates, counts)
        return (lean(s) + lean(1 - s)) / 2

    def standard_error(self, rates, counts):
        """By the delta method; see `Constraint.standard_error`."""
        s, variance = self._selection(rates, counts)
        slope = (lean_slope(s) - lean_slope(1 - s)) / 2
        return (slope**2 * variance).sum(-1) ** 0.5

    def class_gaps(self, rates, counts):
        """Of each of several classes; see `Constraint.class_gaps`."""
        return lean(self._selection(rates, counts)[0])

    def class_errors(self, rates, counts):
        """By the delta method; see `Constraint.class_errors`."""
        s, variance = self._selection(rates, counts)
        return (lean_slope(s) ** 2 * variance).sum(-1) ** 0.5

    def over_classes(self, gaps, values=None):
        """The mean; standard errors as if classes were independent."""
        if values is None:
            return gaps.mean(-1)
        return (values**2).sum(-1) ** 0.5 / values.shape[-1]

    def statistics(self, rates, counts):
        """Rates of being predicted positive; see `Constraint.statistics`."""
        return self._selection(rates, counts)[0][..., None]

    def _selection(self, rates, counts):
        """Rate at which each group is predicted to be of the class, and its variance."""
        mixed = self.mix(counts) + 0 * rates  # in the precision of the rates
        weights = mixed / mixed.sum(-1)[..., None]
        variance = (weights**2 * _variance(rates, counts)).sum(-1)
        return (weights * rates).sum(-1), variance


def get_constraint(constraint):
    """Look up a constraint by its name.

    Parameters
    ----------
    constraint : str or Constraint
        A key of `CONSTRAINTS`; a `Constraint` is returned as it is.

    Returns
    -------
    constraint : Constraint
        The constraint of that name.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those that exist.

    Examples
    --------
    >>> from skfairaug.metrics import get_constraint
    >>> get_constraint("demographic_parity").name
    'statistical_parity'
    """
    if isinstance(constraint, Constraint):
        return constraint
    if not isinstance(constraint, str) or constraint not in CONSTRAINTS:
        known = ", ".join(f"'{name}'" for name in CONSTRAINTS)
        raise ValueError(f"Unknown constraint {constraint!r}; expected one of {known}.")
    return CONSTRAINTS[constraint]


def _extremes(values):
    """Two functions that take from (..., n_groups, n_statistics) the groups to compare.

    Of two groups they are 0 and 1, which keeps the sign; of more, those with the
    largest and the smallest of `values`.
    """
    if values.shape[-2] == 2:
        return (lambda array: array[..., 0, :]), (lambda array: array[..., 1, :])
    largest, smallest = values.argmax(-2), values.argmin(-2)
    return (lambda array: pick(array, largest, -2)), (lambda array: pick(array, smallest, -2))


def _largest(gaps, array):
    """Entry of `array` of the statistic whose gap is largest in size."""
    if gaps.shape[-1] == 1:
        return array[..., 0]
    return pick(array, namespace(gaps).abs(gaps).argmax(-1), -1)


def _variance(rates, counts):
    """Binomial variance of rates, with add-one smoothing; see `standard_error`."""
    smoothed = (counts * rates + 1) / (counts + 2)
    return smoothed * (1 - smoothed) / counts.clip(1)


def _whole_groups(rates, counts):
    sizes = counts.sum(-1)
    return ((rates * counts).sum(-1) / sizes.clip(1))[..., None], sizes[..., None]


def _positives(rates, counts):
    return rates[..., 1:], counts[..., 1:]


def _both_labels(rates, counts):
    return rates, counts


_STATISTICAL_PARITY = Constraint("statistical_parity", _whole_groups, ((1.0,),), ())

CONSTRAINTS = {
    "statistical_parity": _STATISTICAL_PARITY,
    "demographic_parity": _STATISTICAL_PARITY,
    "equal_opportunity": Constraint("equal_opportunity", _positives, ((1.0,),), (1,)),
    "average_odds": Constraint("average_odds", _both_labels, ((0.5, 0.5),), (0, 1)),
    "equalized_odds": Constraint(
        "equalized_odds", _both_labels, ((1.0, 0.0), (0.0, 1.0)), (0, 1), signed=False
    ),
    "bias_amplification": Amplification(
        "bias_amplification", _both_labels, ((1.0,),), (0, 1), signed=False
    ),
}
"""Constraints by name; "demographic_parity" is another name of "statistical_parity"."""

#: Those that compare a rate of the groups: name -> constraint, each once.
DIFFERENCES = {
    one.name: one for one in CONSTRAINTS.values() if not isinstance(one, Amplification)
}
