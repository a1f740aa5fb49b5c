"""Step 1, augmentation: the global attack on representations (Eq. 7)."""

import torch

from skfairaug._inputs._docstrings import cites_paper


@cites_paper
def partner_means(
    representations, y, groups, *, n_partners=8, flip_probability=0.5, generator=None
):
    r"""Mean representation of every row's partners, the target of the attack.

    Each row draws `n_partners` rows of its own label, with replacement; each
    partner comes from another group with probability `flip_probability`.

    Parameters
    ----------
    representations : Tensor of shape (n_samples, n_features)
        f'(X), the input of the net's last layer.
    y : LongTensor of shape (n_samples,)
        Class codes.
    groups : LongTensor of shape (n_samples,)
        Group codes. Every (label, group) cell must hold a row.
    n_partners : int, default=8
        Partners per row.
    flip_probability : float, default=0.5
        Probability that a partner is of another group.
    generator : torch.Generator, default=None
        Source of randomness, on the tensors' device.

    Returns
    -------
    targets : Tensor of shape (n_samples, n_features)
        One target vector per row.

    Notes
    -----
    Eq. 7 sums the squared distances to m partners. Its gradient,
    :math:`2 \sum_j (f'(X_i) - f'(X_j)) = 2m (f'(X_i) - \bar f'_i)`, is that of m
    times the squared distance to the partners' mean: one vector does the work of m.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import partner_means
    >>> z = torch.tensor([[0.0], [2.0], [5.0], [7.0]])
    >>> y, groups = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> partner_means(z, y, groups, flip_probability=1.0).ravel()
    tensor([2., 0., 7., 5.])
    """
    device = representations.device
    n_samples, n_groups = len(y), int(groups.max()) + 1
    n_labels = int(y.max()) + 1
    # Rows sorted by (label, group): a cell is a block, and so is a label, so
    # "same label, another group" is a block with a hole that one shift skips.
    cells = y * n_groups + groups
    order = torch.argsort(cells, stable=True)
    sizes = torch.bincount(cells, minlength=n_labels * n_groups)
    starts = torch.cumsum(sizes, 0) - sizes
    label_sizes = sizes.view(n_labels, n_groups).sum(1)
    label_starts = torch.cumsum(label_sizes, 0) - label_sizes

    size, start = sizes[cells, None], starts[cells, None]
    label_size, label_start = label_sizes[y, None], label_starts[y, None]

    def uniform():
        return torch.rand(n_samples, n_partners, generator=generator, device=device)

    flip = (uniform() < flip_probability) & (label_size > size)
    draw = uniform()
    same = start + (draw * size).long().clamp_max(size - 1)
    n_others = label_size - size
    other = (draw * n_others).long().minimum((n_others - 1).clamp_min(0)) + label_start
    other = other + size * (other >= start)
    partners = order[torch.where(flip, other, same)]
    # One pass per partner keeps memory at a single (n_samples, n_features) array.
    total = torch.zeros_like(representations)
    for column in partners.unbind(1):
        total += representations[column]
    return total / n_partners


def _per_row(values, like):
    return values.view(-1, *[1] * (like.ndim - 1))


def _row_norms(values):
    return _per_row(values.flatten(1).norm(dim=1), values).clamp_min(1e-12)


def _l2_step(gradient):
    return gradient / _row_norms(gradient)


def _l2_project(delta, radius):
    return delta * (radius / _row_norms(delta)).clamp_max(1.0)


def _linf_project(delta, radius):
    return delta.clamp(-radius, radius)


#: norm -> (direction of a step, projection onto the ball)
NORMS = {"linf": (torch.sign, _linf_project), "l2": (_l2_step, _l2_project)}


@cites_paper
def global_attack(
    encoder,
    X,
    targets,
    *,
    norm="linf",
    radius=0.1,
    step_size=None,
    n_steps=5,
    direction="towards",
    movable=None,
    clip=None,
    generator=None,
):
    r"""Move rows so that their representations approach or leave their targets.

    Parameters
    ----------
    encoder : callable
        Maps rows to representations of shape (n_samples, n_features),
        differentiably. The caller keeps it frozen and in evaluation mode.
    X : Tensor of shape (n_samples, ...)
        Rows, in the units of the network's input.
    targets : Tensor of shape (n_samples, n_features)
        From :func:`partner_means`.
    norm : {"linf", "l2"}, default="linf"
        Ball that holds the perturbation of a row. An L2 step follows the
        normalised gradient, an L-infinity step its sign.
    radius : float, default=0.1
        Radius of the ball, in units of X.
    step_size : float, default=None
        Length of a step; None means ``2.5 * radius / n_steps``, so that the whole
        ball can be crossed.
    n_steps : int, default=5
        Projected gradient steps. 0 returns X.
    direction : {"towards", "away"}, default="towards"
        Descend ("mixup") or ascend the distance; the paper's text says both.
    movable : Tensor of bool, default=None
        Broadcastable to a row; False keeps that input as it is. None moves all.
    clip : tuple of float, default=None
        Valid range of X, for instance (0, 1) for pixels.
    generator : torch.Generator, default=None
        Source of the random start.

    Returns
    -------
    X_adv : Tensor of shape (n_samples, ...)
        Perturbed rows, without gradient.

    Notes
    -----
    Projected gradient steps on :math:`\ell_{adj} = \sum_j \|f'(X_i) - f'(X_j)\|_2^2`
    (Eq. 7) from a random start inside the ball.

    Examples
    --------
    >>> import torch
    >>> from skfairaug.steps import global_attack
    >>> X = torch.zeros(2, 1)
    >>> global_attack(lambda x: x, X, torch.tensor([[1.0], [-1.0]]), radius=0.5)
    tensor([[ 0.5000],
            [-0.5000]])
    """
    if n_steps == 0 or radius == 0:
        return X.detach().clone()
    step_of, project = NORMS[norm]
    step_size = 2.5 * radius / n_steps if step_size is None else step_size
    sign = -1.0 if direction == "towards" else 1.0
    X = X.detach()
    allowed = None if movable is None else movable.to(X.device)

    def freely(values):
        return values if allowed is None else values * allowed

    def place(delta):
        moved = X + project(freely(delta), radius)
        if clip is not None:
            moved = moved.clamp(*clip)
            # Blocked inputs stay even where they lie outside the range.
            moved = moved if allowed is None else torch.where(allowed, moved, X)
        return moved

    noise = torch.rand(X.shape, generator=generator, device=X.device, dtype=X.dtype)
    moved = place((2 * noise - 1) * radius)
    for _ in range(n_steps):
        moved.requires_grad_(True)
        distance = (encoder(moved) - targets).square().sum()
        (gradient,) = torch.autograd.grad(distance, moved)
        with torch.no_grad():
            # Blocked inputs must not take their share of an L2 step.
            step = step_of(freely(gradient))
            moved = place(torch.add(moved - X, step, alpha=sign * step_size))
    return moved.detach()
