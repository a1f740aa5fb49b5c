"""The constraints: which rates of two groups shall be equal, and how surely they are."""

from dataclasses import dataclass

import numpy as np

from skfairaug._inputs._checks import check_cells
from skfairaug._inputs._docstrings import described_as
from skfairaug.metrics._amplification import lean, lean_slope
from skfairaug.metrics._namespace import namespace, pick

#: A share of rows below this is none: the reciprocal of it stays finite.
TINY = 1e-12


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
    reads : tuple of tuple of int
        The rates that the statistics read: each is the positive rate of the rows of a
        group whose label is one of these, so (0, 1) reads the whole group.
    weights : tuple of tuple of float
        Each statistic of a group is a weighted sum of what it reads. With several
        statistics the one with the largest gap binds.
    signed : bool, default=True
        Whether two groups keep the sign of their gap.
    """

    name: str
    reads: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[float, ...], ...]
    signed: bool = True

    #: Whether the bias is a gap between the statistics themselves.
    is_gap = True

    @property
    def labels(self):
        """Labels whose cells must not be empty: those that a rate reads alone."""
        return tuple(read[0] for read in self.reads if len(read) == 1)

    def select(self, rates, counts):
        """The rates that the statistics read, and the number of rows behind each.

        Parameters
        ----------
        rates, counts : ndarray or tensor of shape (..., n_groups, 2)
            Positive rate and rows of each cell.

        Returns
        -------
        rates, counts : ndarray or tensor of shape (..., n_groups, n_read)
            The same for each of `reads`.
        """
        parts = [_pooled(rates, counts, read) for read in self.reads]
        stack = namespace(rates).stack
        return tuple(stack(part, -1) for part in zip(*parts, strict=True))

    def coefficients(self, shares):
        r"""What a cell counts in the statistic of its group: the constraint as linear forms.

        Parameters
        ----------
        shares : ndarray of shape (n_classes, n_groups)
            Share of the rows in each (label, group) cell.

        Returns
        -------
        coefficients : ndarray of shape (n_problems, n_statistics, n_classes, n_groups)
            Of each class against the rest; two classes are one problem, that of class 1.

        Notes
        -----
        For a classifier h with values in {0, 1} and the cell posterior q(y, g | x), the
        statistic of group g is :math:`E[h(x) \sum_y \kappa_{y,g}\, q(y, g | x)]` with

        .. math:: \kappa_{y,g} = \sum_{r \ni y} \frac{w_r}{P(g, y \in r)},

        the sum running over the rates r that read label y, with their weights.
        """
        own = _own_labels(len(shares))
        read = np.zeros((len(own), len(self.reads), *shares.shape))
        for i, labels in enumerate(self.reads):
            inside = np.isin(own, labels)  # (n_problems, n_classes)
            within = np.einsum("cy,yg->cg", inside, shares)
            read[:, i] = inside[..., None] / np.maximum(within, TINY)[:, None]
        return np.einsum("sr,cryg->csyg", np.asarray(self.weights), read)

    def gap_tolerance(self, tolerance, n_classes, n_groups):
        """Largest gap between groups' statistics that a tolerance allows.

        Parameters
        ----------
        tolerance : float
            Bound on the bias.
        n_classes, n_groups : int
            How many there are.

        Returns
        -------
        gap : float
            The tolerance itself, where the bias is a gap.
        """
        return tolerance

    def statistics_and_errors(self, rates, counts):
        """Statistics of every group with their standard errors.

        Parameters
        ----------
        rates, counts : ndarray or tensor of shape (..., n_groups, 2)
            Positive rate and rows of each cell.

        Returns
        -------
        statistics, errors : ndarray or tensor of shape (..., n_groups, n_statistics)
            As in `statistics`, and the binomial standard error of each, see
            `standard_error`.
        """
        rates, counts = self.select(rates, counts)
        variances = self._combine(_variance(rates, counts), 2)
        return self._combine(rates, 1), variances**0.5

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

    @described_as(gap)
    def standard_error(self, rates, counts):
        r"""Binomial standard error of the gap.

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

    @described_as(class_errors)
    def class_gaps(self, rates, counts):
        """Bias of each of several classes, against the rest.

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
        labels = self.labels_of(len(class_names))
        check_cells(y, groups, class_names, group_names, labels=labels)

    def labels_of(self, n_classes):
        """Classes whose cells are measured by themselves; of several classes all or none.

        Parameters
        ----------
        n_classes : int
            Number of classes.

        Returns
        -------
        labels : tuple of int
            Class codes.
        """
        return self.labels if n_classes == 2 or not self.labels else tuple(range(n_classes))

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

    is_gap = False

    def mix(self, counts):
        """Labels as frequent in every group as in all together; see `Constraint.mix`."""
        return counts.sum(-2)[..., None, :] + 0 * counts

    def coefficients(self, shares):
        """Of the rate at which a group is predicted to be of a class, labels mixed.

        See `Constraint.coefficients`.
        """
        one = shares.sum(1, keepdims=True) / np.maximum(shares, TINY)
        return np.tile(one, (len(_own_labels(len(shares))), 1, 1, 1))

    def gap_tolerance(self, tolerance, n_classes, n_groups):
        """The gap that an amplification allows where classes are equally frequent.

        A group's share exceeds its equal one by the tolerance where its rate does so by
        `n_groups` times the tolerance, of a mean rate of one `n_classes`-th.
        """
        return 2 * n_groups * tolerance / n_classes

    def statistics_and_errors(self, rates, counts):
        """Of two groups whose gap is the bias; see `Constraint.statistics_and_errors`."""
        gap, error = self.gap(rates, counts), self.standard_error(rates, counts)
        stack = namespace(rates).stack
        return stack([gap, 0 * gap], -1)[..., None], stack([error, 0 * error], -1)[..., None]

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
    # Where all are equal they are still two groups: the first and the last.
    last = namespace(values).flip(values, (-2,)).argmin(-2)
    largest, smallest = values.argmax(-2), values.shape[-2] - 1 - last
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


def _pooled(rates, counts, labels):
    """Positive rate and number of the rows of each group with one of the labels."""
    if len(labels) == 1:
        return rates[..., labels[0]], counts[..., labels[0]]
    sizes = sum(counts[..., y] for y in labels)
    hits = sum(rates[..., y] * counts[..., y] for y in labels)
    return hits / sizes.clip(1), sizes


def _own_labels(n_classes):
    """Label of each class, a problem at a time: 1 its own, 0 the rest."""
    problems = np.eye(n_classes, dtype=int)
    return problems[1:] if n_classes == 2 else problems


_STATISTICAL_PARITY = Constraint("statistical_parity", ((0, 1),), ((1.0,),))

CONSTRAINTS = {
    "statistical_parity": _STATISTICAL_PARITY,
    "demographic_parity": _STATISTICAL_PARITY,
    "equal_opportunity": Constraint("equal_opportunity", ((1,),), ((1.0,),)),
    "average_odds": Constraint("average_odds", ((0,), (1,)), ((0.5, 0.5),)),
    "equalized_odds": Constraint(
        "equalized_odds", ((0,), (1,)), ((1.0, 0.0), (0.0, 1.0)), signed=False
    ),
    "bias_amplification": Amplification(
        "bias_amplification", ((0,), (1,)), ((1.0,),), signed=False
    ),
}
"""Constraints by name; "demographic_parity" is another name of "statistical_parity"."""

#: Those that compare a rate of the groups: name -> constraint, each once.
DIFFERENCES = {
    one.name: one for one in CONSTRAINTS.values() if not isinstance(one, Amplification)
}
