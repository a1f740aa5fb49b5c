"""Step 3, distil: learn from the fair rule what it decides of every row."""

from torch.nn import functional as F


def distillation_loss(log_proba, targets, importance=None):
    r"""Cross-entropy between the network and its fair teacher, every row alike.

    Parameters
    ----------
    log_proba : Tensor of shape (n_samples, n_classes)
        Class log-probabilities of the network.
    targets : Tensor of shape (n_samples, n_classes)
        Class probabilities of the teacher.
    importance : Tensor of shape (n_samples,), default=None
        Weights w of Eq. 10; None weighs every row 1.

    Returns
    -------
    loss : Tensor, scalar
        :math:`-\frac1n \sum_i w_i \sum_c q_{ic} \log p_{ic}` with q the targets.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import distillation_loss
    >>> distillation_loss(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.3, 0.7]]))
    tensor(0.6931)
    """
    loss = F.cross_entropy(log_proba, targets, reduction="none")
    return (loss if importance is None else importance * loss).mean()
