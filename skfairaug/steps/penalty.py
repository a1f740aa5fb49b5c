"""Step 3, penalty: the loss of fine-tuning, with a bias term that has a gradient."""


def bias_penalty(bias, *, tolerance=0.05, margin=0.04):
    r"""Hinge on the soft bias: zero inside the tolerance less a margin.

    Parameters
    ----------
    bias : Tensor, scalar
        Soft bias on the natural distribution, signed.
    tolerance : float, default=0.05
        Bias allowed.
    margin : float, default=0.04
        How far inside the tolerance training aims, as the soft bias of training
        rows is not the hard bias of new ones.

    Returns
    -------
    penalty : Tensor, scalar
        :math:`\max(0, |\tilde\mu| - (\epsilon - m))`.

    Notes
    -----
    Not in the paper, whose fine-tune loss sees the bias through Eq. 10 alone.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import bias_penalty
    >>> bias_penalty(torch.tensor(-0.21))
    tensor(0.2000)
    """
    return (bias.abs() - max(tolerance - margin, 0.0)).clamp_min(0.0)


def weighted_cross_entropy(log_proba, y, weights, importance=None):
    r"""Weighted mean of the negative log-likelihood, the loss of Eq. 11.

    Parameters
    ----------
    log_proba : Tensor of shape (n_samples, n_classes)
        Class log-probabilities.
    y : LongTensor of shape (n_samples,)
        Class codes.
    weights : Tensor of shape (n_samples,)
        Weights c that bring the rows back to the distribution meant; normalised.
    importance : Tensor of shape (n_samples,), default=None
        Weights w of Eq. 10; not normalised, since the bias in them would cancel.

    Returns
    -------
    loss : Tensor, scalar
        :math:`\sum_i c_i w_i \ell_i / \sum_i c_i`.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import weighted_cross_entropy
    >>> log_proba = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    >>> weights = torch.tensor([1.0, 0.0])
    >>> weighted_cross_entropy(log_proba, torch.tensor([1, 1]), weights)
    tensor(0.6931)
    """
    loss = -log_proba.gather(1, y[:, None]).squeeze(1)
    if importance is not None:
        loss = importance * loss
    return (weights * loss).sum() / weights.sum()
