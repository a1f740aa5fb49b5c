"""Rows between the groups: what a network learns the fair rule from."""

import torch


def mix_rows(X, rows, y, groups, partners, *, generator=None):
    r"""Mix each row with a partner of its label from another group.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        Rows of a table.
    rows : LongTensor of shape (n_mixed,)
        Rows to mix, repeats allowed.
    y, groups : LongTensor of shape (n_samples,)
        Class and group codes.
    partners : LongTensor of shape (n_partners,)
        Rows that partners are drawn from.
    generator : torch.Generator, default=None
        Source of randomness, on the tensors' device.

    Returns
    -------
    rows : LongTensor of shape (n_mixed,)
        The same rows, in the order of the mixtures.
    X_mixed : Tensor of shape (n_mixed, n_features)
        Mixtures.

    Notes
    -----
    .. math:: \tilde x = m\, x_i + (1 - m)\, x_j, \quad y_j = y_i,\ a_j \ne a_i,
              \quad m \sim U(0, 1).

    It is the paper's first step taken all the way: rows on the line between a row and a
    partner of the other group, instead of a few steps along it. A label whose rows are all of
    one group is mixed within it.

    References
    ----------
    .. [1] H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    .. [2] Zhang, Bao, Pei, Huang, "Toward Unified Data and Algorithm Fairness via
       Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022, Eq. 7.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import mix_rows
    >>> X = torch.tensor([[0.0], [1.0], [5.0], [6.0]])
    >>> y, groups = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> everything = torch.arange(4)
    >>> rows, mixed = mix_rows(X, everything, y, groups, everything)
    >>> bool(((mixed[:, 0] > 4) == (y[rows] == 1)).all())
    True
    """
    order, others = [], []
    for label in torch.unique(y[rows]).tolist():
        own, pool = rows[y[rows] == label], partners[y[partners] == label]
        for group in torch.unique(groups[own]).tolist():
            part = own[groups[own] == group]
            other = pool[groups[pool] != group]
            other = other if len(other) else pool
            drawn = torch.rand(len(part), generator=generator, device=rows.device)
            order.append(part)
            others.append(other[(drawn * len(other)).long().clamp_max(len(other) - 1)])
    order, others = torch.cat(order), torch.cat(others)
    share = torch.rand(len(order), 1, generator=generator, device=X.device)
    return order, torch.lerp(X[others], X[order], share)
