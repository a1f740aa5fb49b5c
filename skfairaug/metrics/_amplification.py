"""Bias amplification: how far the predictions of each class lean to one group."""

from skfairaug.metrics._namespace import namespace

#: Rates whose sum is below this are none: shares of them would have no finite gradient.
NEVER = 1e-12


def lean(s):
    r"""How far the predictions of each class lean to one group.

    Parameters
    ----------
    s : ndarray or tensor of shape (..., n_groups)
        Rate at which the rows of each group are predicted to be of a class.

    Returns
    -------
    lean : ndarray or tensor of shape (...)
        From 0, where the rates are equal, to :math:`1 - 1/G` for G groups.

    Notes
    -----
    Of the rates :math:`s_g`, the largest share less an equal one,

    .. math:: \frac{\max_g s_g}{\sum_g s_g} - \frac1G,

    zero, with a gradient of zero, for a class that is never predicted. For two groups
    with as many rows it is the amplification of [2]_, in counts there, after [1]_.

    References
    ----------
    .. [1] J. Zhao et al., "Men Also Like Shopping: Reducing Gender Bias Amplification using
       Corpus-level Constraints", EMNLP 2017.
    .. [2] Z. Wang et al., "Towards Fairness in Visual Recognition: Effective Strategies for
       Bias Mitigation", CVPR 2020.
    """
    shares, _, predicted = _shares(s)
    return (namespace(s).amax(shares, -1) - 1 / s.shape[-1]) * predicted


def lean_slope(s):
    """Derivative of :func:`lean` to each rate.

    Parameters
    ----------
    s : ndarray or tensor of shape (..., n_groups)
        Rates.

    Returns
    -------
    slope : ndarray or tensor of shape (..., n_groups)
        Of the group with the largest share; where several tie, of each of them.
    """
    shares, total, _ = _shares(s)
    largest = namespace(s).amax(shares, -1)[..., None]
    return ((shares >= largest) * 1.0 - largest) / total[..., None]


def _shares(s):
    """Shares of the groups, the sums of their rates, and which of these are not zero."""
    total = s.sum(-1)
    predicted = total > NEVER
    total = namespace(s).where(predicted, total, 1.0)
    return s / total[..., None], total, predicted
