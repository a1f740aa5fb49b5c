"""Soft bias: the measures on probabilities, with a gradient."""

import torch

from skfairaug._inputs._docstrings import cites_paper
from skfairaug.metrics._cells import cell_counts, cell_rates, counts_of_codes
from skfairaug.metrics._constraints import get_constraint

#: Rounding by which a probability may miss [0, 1].
SLACK = 1e-4


@cites_paper
def soft_bias(proba, y, groups, constraint, *, counts=None, n_groups=None):
    r"""Bias of class probabilities, differentiable.

    Parameters
    ----------
    proba : tensor of shape (n_samples, n_classes), float
        Probability of each class; may require a gradient.
    y, groups : tensor of shape (n_samples,), int64
        Class and group of each row.
    constraint : str or Constraint
        The measure, see `CONSTRAINTS`.
    counts : tensor of shape (n_problems, n_groups, 2), default=None
        Cell counts, as from :func:`cell_counts`, of the natural distribution, for a
        batch that was resampled. None takes those of the batch.
    n_groups : int, default=None
        Number of groups, some of which the batch may lack. None takes it from
        `counts`, else from the largest group in the batch (which waits for the device).

    Returns
    -------
    bias : tensor of shape ()
        The gap of class 1 for two classes; for more, that of the class, against the
        rest, whose gap is largest in size ("bias_amplification": the mean over classes).

    Raises
    ------
    TypeError
        If they are no tensors, `proba` holds no floats, or `y` or `groups` no integers.
    ValueError
        If shapes do not fit, or a number is no probability. Those on an
        accelerator are not looked at, as that would wait for it.

    Notes
    -----
    The positive rate of the cell of group g and label y is replaced by its mean
    probability,

    .. math:: \tilde p_{g,y} = \frac{1}{n_{g,y}} \sum_{i: A_i = g, Y_i = y} f(x_i),

    and the bias is the same function of the rates as in the hard measures (Eq. 4-6 of
    [1]_), which is therefore what one-hot probabilities give. Statistics that mix
    cells, such as statistical parity, mix them by `counts`. A cell that the batch
    lacks opens no gap: it takes the mean probability of its label over all groups.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.metrics import soft_bias
    >>> p = torch.tensor([0.25, 0.75, 0.5, 1.0])
    >>> y, groups = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> soft_bias(torch.stack([1 - p, p], 1), y, groups, "statistical_parity")
    tensor(-0.2500)
    """
    _check_tensors(proba, y, groups)
    _check_probabilities(proba)
    if counts is None:
        n_groups = int(groups.max()) + 1 if n_groups is None else n_groups
        counts = cell_counts(y, groups, proba.shape[1], n_groups)
    return bias_of_probabilities(proba, y, groups, constraint, counts=counts, n_groups=n_groups)


def bias_of_probabilities(proba, y, groups, constraint, *, counts=None, n_groups=None):
    """Soft bias of tensors that nobody looks at, as in a training step or under vmap.

    Parameters and what is returned are those of :func:`soft_bias`.
    """
    if n_groups is None:
        n_groups = int(groups.max()) + 1 if counts is None else counts.shape[-2]
    n_classes = proba.shape[1]
    if counts is None:
        counts = counts_of_codes(y, groups, n_classes, n_groups)
    constraint, counts = get_constraint(constraint), torch.as_tensor(counts).to(proba)
    rates = cell_rates(proba, y, groups, n_classes, n_groups, constraint.mix(counts))
    if n_classes == 2:
        return constraint.gap(rates, counts)[0]
    return constraint.over_classes(constraint.class_gaps(rates, counts))


def _check_tensors(proba, y, groups):
    expected = ("proba", proba, True), ("y", y, False), ("groups", groups, False)
    for name, tensor, floating in expected:
        if not isinstance(tensor, torch.Tensor) or tensor.is_floating_point() != floating:
            kind = "floats" if floating else "integers"
            came = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise TypeError(f"{name} must be a tensor of {kind}; got {came}.")
    if proba.ndim != 2 or proba.shape[1] < 2 or {y.shape, groups.shape} != {proba.shape[:1]}:
        raise ValueError(
            "proba must have shape (n_samples, n_classes), y and groups (n_samples,); got "
            f"{tuple(proba.shape)}, {tuple(y.shape)} and {tuple(groups.shape)}."
        )


def _check_probabilities(proba):
    if proba.device.type == "cpu" and ((proba < -SLACK) | (proba > 1 + SLACK)).any():
        raise ValueError(
            f"proba must hold probabilities; got {proba.min():g} to {proba.max():g}. Of "
            "logits take the softmax first."
        )
