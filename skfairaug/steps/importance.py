"""Step 1b, importance: how much each row weighs in fine-tuning (Eq. 10)."""

import torch

from skfairaug._inputs._docstrings import cites_paper


@cites_paper
def importance_weights(bias, counterfactual_gap, *, tolerance=0.05, scale=20.0, gap_scale=0.1):
    r"""Weight rows that make the network unfair above rows that only make it robust.

    Parameters
    ----------
    bias : Tensor, scalar
        Soft bias of the batch, signed or not.
    counterfactual_gap : Tensor of shape (n_samples,)
        Squared change of the prediction when the sensitive columns change group.
    tolerance : float, default=0.05
        Bias allowed, the paper's epsilon.
    scale : float, default=20.0
        The paper's lambda.
    gap_scale : float, default=0.1
        The paper's epsilon_m.

    Returns
    -------
    weights : Tensor of shape (n_samples,)
        At least 1. Gradients flow through them where they flow through the inputs.

    Notes
    -----
    .. math::
        w = \max\{1,\; \lambda (|\hat\mu| - \epsilon
            + \epsilon_m (\hat Y_{a=0} - \hat Y_{a=1})^2) + 1\}

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import importance_weights
    >>> importance_weights(torch.tensor(-0.15), torch.tensor([0.0, 1.0])).round()
    tensor([3., 5.])
    """
    excess = bias.abs() - tolerance + gap_scale * counterfactual_gap
    return (scale * excess + 1.0).clamp_min(1.0)


@cites_paper
def counterfactual_gap(predict, X, columns, group_values, *, counterfactual=None):
    r"""Squared change of the prediction when a row changes group.

    Parameters
    ----------
    predict : callable
        Maps rows to class probabilities of shape (n_samples, n_classes).
    X : Tensor of shape (n_samples, n_features)
        Rows.
    columns : LongTensor of shape (n_columns,)
        Columns of X that are a function of the group. Empty: the gap is zero.
    group_values : Tensor of shape (n_groups, n_columns)
        What those columns hold in each group.
    counterfactual : callable, default=None
        Maps rows to what they would be in the other group, where no columns say it:
        for images in colour their gray copies. It takes the place of the columns.

    Returns
    -------
    gap : Tensor of shape (n_samples,)
        :math:`(\hat Y_{a=0} - \hat Y_{a=1})^2`; several groups: the largest pairwise
        value; several classes: the squared L2 distance of the probabilities.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import counterfactual_gap
    >>> predict = lambda x: torch.stack([1 - x[:, 0], x[:, 0]], dim=1)
    >>> values = torch.tensor([[0.25], [0.75]])
    >>> counterfactual_gap(predict, torch.zeros(2, 3), torch.tensor([0]), values)
    tensor([0.2500, 0.2500])
    """
    if counterfactual is None and len(columns) == 0:
        return torch.zeros(len(X), device=X.device)
    outputs = []
    for version in _versions(X, columns, group_values, counterfactual):
        proba = predict(version)
        # Two classes: the change of class 1; the other class mirrors it.
        outputs.append(proba[:, 1:] if proba.shape[1] == 2 else proba)
    outputs = torch.stack(outputs)
    pairs = outputs[:, None] - outputs[None, :]
    return pairs.square().sum(-1).amax((0, 1))


def _versions(X, columns, group_values, counterfactual):
    """Rows as they would be in each group, one copy at a time to spare memory."""
    if counterfactual is not None:
        yield X
        yield counterfactual(X)
        return
    for values in group_values:
        changed = X.clone()
        changed[:, columns] = values
        yield changed


def group_columns(X, groups):
    """Find the columns of X that follow from the group, and their values.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        Rows. Inputs of more dimensions have no such columns.
    groups : LongTensor of shape (n_samples,)
        Group codes.

    Returns
    -------
    columns : LongTensor of shape (n_columns,)
        Columns with one distinct value in each group, not the same in all.
    group_values : Tensor of shape (n_groups, n_columns)
        Those values.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import group_columns
    >>> X = torch.tensor([[1.0, 0.0, 5.0], [1.0, 0.0, 6.0], [0.0, 0.0, 5.0]])
    >>> group_columns(X, torch.tensor([0, 0, 1]))
    (tensor([0]), tensor([[1.],
            [0.]]))
    """
    n_groups = int(groups.max()) + 1
    if X.ndim != 2:
        return torch.empty(0, dtype=torch.long), torch.empty(n_groups, 0)
    lowest, highest = [], []
    for group in range(n_groups):
        rows = X[groups == group]
        lowest.append(rows.amin(0))
        highest.append(rows.amax(0))
    lowest, highest = torch.stack(lowest), torch.stack(highest)
    constant = (lowest == highest).all(0)
    varies = (lowest != lowest[0]).any(0)
    columns = torch.nonzero(constant & varies).ravel()
    return columns, lowest[:, columns]
