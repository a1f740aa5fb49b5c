"""Joint training, select: reward the attack type that hurts most."""

import torch

from skfairaug._inputs._docstrings import cites_paper


@cites_paper
def reward(probabilities, winner, *, rate=0.1, floor=0.05):
    r"""Raise the probability of the attack type that gave the largest loss.

    Parameters
    ----------
    probabilities : Tensor of shape (n_types,)
        P, summing to 1.
    winner : int or Tensor, scalar
        Index i of the type to reward.
    rate : float, default=0.1
        The paper's gamma.
    floor : float, default=0.05
        No type falls below it, so that every type is tried again; must be at most
        1 / n_types.

    Returns
    -------
    probabilities : Tensor of shape (n_types,)
        New P, summing to 1, each at least `floor`.

    Notes
    -----
    :math:`P_i \leftarrow \min\{1, (1+\gamma) P_i\}` and
    :math:`P_j \leftarrow \max\{0, P_j - \gamma P_i / (K-1)\}` with the old
    :math:`P_i`; the floor and the renormalisation are ours.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import reward
    >>> reward(torch.tensor([0.5, 0.5]), 0)
    tensor([0.5500, 0.4500])
    """
    n_types = len(probabilities)
    if n_types == 1:
        return torch.ones_like(probabilities)
    # Not by indexing, which would wait for the device to say who won.
    won = torch.arange(n_types, device=probabilities.device) == winner
    gain = rate * (probabilities * won).sum()
    new = torch.where(won, probabilities + gain, probabilities - gain / (n_types - 1))
    new = new.clamp(0.0, 1.0)
    new = new / new.sum()
    # Lift to the floor by mixing with the uniform distribution as far as needed:
    # renormalising after a clamp could push a type below the floor again.
    lowest = new.min()
    uniform = 1.0 / n_types
    mix = ((floor - lowest) / (uniform - lowest).clamp_min(1e-12)).clamp(0.0, 1.0)
    return (1 - mix) * new + mix * uniform
