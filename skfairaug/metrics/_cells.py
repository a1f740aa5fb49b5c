"""Counts and positive rates of the (group, label) cells, from which all bias follows."""

import numpy as np
import torch

from skfairaug._inputs._checks import as_codes, check_same_length, check_whole
from skfairaug.metrics._namespace import namespace


def cell_counts(y, groups, n_classes, n_groups):
    """Count the rows of every (group, label) cell, one class against the rest.

    Parameters
    ----------
    y, groups : ndarray or tensor of shape (n_samples,), int
        Class and group of each row.
    n_classes, n_groups : int
        How many there are, whether or not all of them occur.

    Returns
    -------
    counts : ndarray or tensor of shape (n_problems, n_groups, 2), int64
        ``counts[c, g, 1]`` rows of group g are of class c, ``counts[c, g, 0]`` of
        another one. Two classes are one problem, that of class 1; more classes are
        `n_classes` problems.

    Raises
    ------
    ValueError
        If classes or groups are no such codes, or lengths differ. Codes on an accelerator
        are not looked at, as that would wait for it.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.metrics import cell_counts
    >>> y, groups = np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])
    >>> cell_counts(y, groups, 2, 2).tolist()
    [[[1, 1], [0, 2]]]
    """
    check_whole(n_classes, "n_classes", 2)
    check_whole(n_groups, "n_groups", 1)
    y, groups = _codes(y, "y", n_classes), _codes(groups, "groups", n_groups)
    check_same_length(y=y, groups=groups)
    return counts_of_codes(y, groups, n_classes, n_groups)


def counts_of_codes(y, groups, n_classes, n_groups):
    """Cell counts of codes that nobody looks at, as in a training step or under vmap.

    Parameters and what is returned are those of :func:`cell_counts`.
    """
    sizes = _cell_sizes(y, groups, n_classes, n_groups)
    one = sizes[1:] if n_classes == 2 else sizes
    return namespace(sizes).stack([sizes.sum(0) - one, one], -1)


def cell_rates(hits, y, groups, n_classes, n_groups, counts=None):
    """Positive rate of every (group, label) cell, one class against the rest.

    Parameters
    ----------
    hits : ndarray or tensor of shape (n_samples, n_classes), float
        How far each row is predicted to be of each class: probabilities, or one-hot
        predictions.
    y, groups : ndarray or tensor of shape (n_samples,), int
        Class and group of each row.
    n_classes, n_groups : int
        How many there are, whether or not all of them occur.
    counts : ndarray or tensor of shape (n_problems, n_groups, 2), default=None
        Cell counts, as from :func:`cell_counts`, by which "the rest" is mixed from its
        classes. None takes those of `y` and `groups`.

    Returns
    -------
    rates : ndarray or tensor of shape (n_problems, n_groups, 2)
        ``rates[c, g, 1]`` is P(prediction = c | class c, group g), ``rates[c, g, 0]``
        is P(prediction = c | another class, group g). Problems as in
        :func:`cell_counts`.

    Notes
    -----
    A cell without rows takes the rate of its label over all groups: it then opens no
    gap between two groups and its gradient is finite, which is what a mini-batch
    needs. Whoever judges a classifier checks for empty cells first.
    """
    sizes = _cell_sizes(y, groups, n_classes, n_groups)
    sums = _cell_sums(hits, y * n_groups + groups, n_classes * n_groups)
    return one_against_rest(sums.reshape(n_classes, n_groups, -1), sizes, counts)


def prediction_rates(y_pred, y, groups, n_classes, n_groups, counts=None):
    """Positive rate of every (group, label) cell for predicted classes.

    Equal to :func:`cell_rates` of the one-hot predictions, which are never formed.

    Parameters
    ----------
    y_pred, y, groups : ndarray of shape (n_samples,), int
        Predicted class, class and group of each row.
    n_classes, n_groups : int
        How many there are, whether or not all of them occur.
    counts : ndarray of shape (n_problems, n_groups, 2), default=None
        See :func:`cell_rates`.

    Returns
    -------
    rates : ndarray of shape (n_problems, n_groups, 2)
        As from :func:`cell_rates`.
    """
    sizes = _cell_sizes(y, groups, n_classes, n_groups)
    triples = (y * n_groups + groups) * n_classes + y_pred
    sums = np.bincount(triples, minlength=sizes.size * n_classes)
    sums = sums.reshape(n_classes, n_groups, n_classes).astype(np.float64)
    return one_against_rest(sums, sizes, counts)


def _codes(values, name, n_codes):
    """Codes of the rows, checked; those on an accelerator as far as it need not be asked."""
    if not isinstance(values, torch.Tensor):
        return as_codes(values, name, n_codes)
    if values.device.type == "cpu" or values.ndim != 1 or values.dtype.is_floating_point:
        as_codes(values.detach().cpu().numpy(), name, n_codes)
    return values


def _cell_sizes(y, groups, n_classes, n_groups):
    """Rows of every cell, shape (n_classes, n_groups)."""
    cells, n_cells = y * n_groups + groups, n_classes * n_groups
    if isinstance(y, torch.Tensor):
        sizes = _one_hot(cells, n_cells).sum(0)
    else:
        sizes = np.bincount(cells, minlength=n_cells)
    return sizes.reshape(n_classes, n_groups)


def _cell_sums(hits, cells, n_cells):
    """Sum of `hits` over the rows of every cell, shape (n_cells, n_classes)."""
    if isinstance(hits, torch.Tensor):
        return _one_hot(cells, n_cells).to(hits.dtype).T @ hits
    columns = [np.bincount(cells, weights=column, minlength=n_cells) for column in hits.T]
    return np.stack(columns, -1)


def _one_hot(cells, n_cells):
    """Boolean indicators; unlike torch.bincount they never wait for the device."""
    return cells[:, None] == torch.arange(n_cells, device=cells.device)


def one_against_rest(sums, sizes, counts):
    """Rates of each class and of its rest, from sums of shape (labels, groups, classes)."""
    xp = namespace(sums)
    rates = _cell_means(sums, sizes)
    if len(sizes) == 2:
        return rates[..., 1].T[None]
    sizes = _like(sizes if counts is None else counts[..., 1], sums)
    same = _like(xp.eye(len(sizes), device=sums.device), sums)  # copying would wait
    # Rows of each label in the rest; where a group has none, labels count the same.
    rest = (1 - same)[:, None] * sizes[..., None]
    rest = rest + (rest.sum(0) == 0) * (1 - same)[:, None]
    others = (rates * rest).sum(0) / rest.sum(0)
    own = (rates * same[:, None]).sum(0)
    return xp.stack([others.T, own.T], -1)


def _cell_means(sums, sizes):
    """Mean of each cell; of all groups' rows of its label where it has none."""
    by_label = sums.sum(1) / sizes.sum(1).clip(1)[:, None]
    means = sums / sizes.clip(1)[..., None]
    return namespace(sums).where((sizes == 0)[..., None], by_label[:, None], means)


def _like(array, model):
    """`array` as the floating type of `model`, where that one lives."""
    if isinstance(model, torch.Tensor):
        return torch.as_tensor(array).to(model)
    return np.asarray(array, dtype=model.dtype)
