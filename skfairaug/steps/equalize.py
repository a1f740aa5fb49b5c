"""Step 3, equalize: learn from a fair teacher made of the biased network itself."""

import torch
from torch.nn import functional as F


def teacher_log_odds(log_odds, groups, thresholds):
    r"""Log-odds of the biased network less the threshold of each row's group.

    Parameters
    ----------
    log_odds : Tensor of shape (n_samples,)
        :math:`\log p_1 - \log p_0` of the biased network.
    groups : LongTensor of shape (n_samples,)
        Group codes.
    thresholds : Tensor of shape (n_groups,)
        Log-odds above which a group's rows are positive, from
        :func:`~skfairaug.metrics.group_thresholds`.

    Returns
    -------
    targets : Tensor of shape (n_samples,)
        Positive where the teacher says so.

    Notes
    -----
    A threshold per group is the most accurate fair use of a score [1]_, but it needs the
    group to predict. As a teacher it needs it only in training: the network learns to
    do without, from the columns it has. The targets carry what the network knew, so they
    are far less noisy than the labels of a small validation set. Not in the paper.

    References
    ----------
    .. [1] M. Hardt, E. Price, N. Srebro, "Equality of Opportunity in Supervised
       Learning", NeurIPS 2016.
    .. [2] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", arXiv:1503.02531, 2015.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import teacher_log_odds
    >>> log_odds, groups = torch.tensor([0.5, 0.5]), torch.tensor([0, 1])
    >>> teacher_log_odds(log_odds, groups, torch.tensor([-0.5, 1.0]))
    tensor([ 1.0000, -0.5000])
    """
    return log_odds - thresholds.to(log_odds)[groups]


def distillation_loss(log_proba, targets, importance=None):
    r"""Cross-entropy between the network and its fair teacher, every row alike.

    Parameters
    ----------
    log_proba : Tensor of shape (n_samples, 2)
        Log-probabilities of the two classes.
    targets : Tensor of shape (n_samples,)
        From :func:`teacher_log_odds`.
    importance : Tensor of shape (n_samples,), default=None
        Weights w of Eq. 10; None weighs every row 1.

    Returns
    -------
    loss : Tensor, scalar
        :math:`-\frac1n \sum_i w_i (q_i \log p_{i1} + (1 - q_i) \log p_{i0})` with
        :math:`q = \sigma(\text{targets})`.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import distillation_loss
    >>> distillation_loss(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0.0]))
    tensor(0.6931)
    """
    teacher = torch.stack([torch.sigmoid(-targets), torch.sigmoid(targets)], dim=1)
    loss = F.cross_entropy(log_proba, teacher, reduction="none")
    return (loss if importance is None else importance * loss).mean()
