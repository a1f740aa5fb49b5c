"""Step 3, distil: learn from a fair teacher what it decides of every row."""

import torch
from torch.nn import functional as F

#: Weight of the squared offsets, which alone would be free up to a constant.
RIDGE = 1e-3


def group_offsets(log_proba, y, groups, n_groups):
    r"""Scale and offsets for each group that make a biased network of many classes fair.

    Parameters
    ----------
    log_proba : Tensor of shape (n_samples, n_classes)
        Class log-probabilities of the biased network, on rows it was not trained on.
    y, groups : LongTensor of shape (n_samples,)
        Class and group codes.
    n_groups : int
        Number of groups.

    Returns
    -------
    scales : Tensor of shape (n_groups, 1)
        Positive.
    offsets : Tensor of shape (n_groups, n_classes)
        Added to a row's scaled log-probabilities.

    Notes
    -----
    With the log-probabilities :math:`z_i` of row i, of group :math:`a_i`, they minimise

    .. math::
        \sum_i w_i \, \ell(s_{a_i} z_i + b_{a_i}, y_i) + \rho \overline{b^2}

    with :math:`\ell` the cross-entropy and :math:`w` the same in total for every (label,
    group) cell. A network that was trained on skewed data has learned how often each class
    occurs in each group; where those frequencies are all that is wrong, the offsets are
    their negative logarithms, which [1]_ calls the prior shift, here measured instead of
    known. The scale takes back its overconfidence. It is what bias amplification of several
    classes asks for; the fair rule (:func:`fit_multipliers`) bounds gaps between rates.

    References
    ----------
    .. [1] Wang et al., "Towards Fairness in Visual Recognition: Effective Strategies for
       Bias Mitigation", CVPR 2020.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import group_offsets
    >>> p = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.1, 0.9]])
    >>> y, groups = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    >>> scales, offsets = group_offsets(p.log(), y, groups, 2)
    >>> (scales[groups] * p.log() + offsets[groups]).argmax(1)
    tensor([0, 1, 0, 1])
    """
    log_proba = log_proba.detach()
    n_classes = log_proba.shape[1]
    cells = y * n_groups + groups
    sizes = torch.bincount(cells, minlength=n_classes * n_groups)
    weights = 1.0 / sizes[cells]
    weights = weights / weights.sum()
    log_scales = log_proba.new_zeros(n_groups, 1, requires_grad=True)
    offsets = log_proba.new_zeros(n_groups, n_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [log_scales, offsets], max_iter=100, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        logits = log_scales.exp()[groups] * log_proba + offsets[groups]
        loss = (weights * F.cross_entropy(logits, y, reduction="none")).sum()
        loss = loss + RIDGE * offsets.square().mean()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return log_scales.detach().exp(), offsets.detach()


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
