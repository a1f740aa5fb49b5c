"""Eq. 7: partners of the wanted label and group, steps inside the ball."""

import pytest
import torch

from skfairaug.steps.attack import NORMS, global_attack, partner_means


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def cells(n_labels, n_groups, per_cell):
    """Labels and groups of `per_cell` shuffled rows of every cell."""
    codes = torch.arange(n_labels * n_groups).repeat_interleave(per_cell)
    codes = codes[torch.randperm(len(codes), generator=generator())]
    return codes // n_groups, codes % n_groups


def one_partner(y, groups, flip_probability, seed=0):
    """Which row each row draws: with one partner, its number is the mean."""
    numbers = torch.arange(len(y), dtype=torch.float64)[:, None]
    means = partner_means(
        numbers,
        y,
        groups,
        n_partners=1,
        flip_probability=flip_probability,
        generator=generator(seed),
    )
    return means.ravel().long()


# -- partners -----------------------------------------------------------------


def test_only_partner_there_is():
    z = torch.tensor([[0.0], [2.0], [5.0], [7.0]])
    y, groups = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    torch.testing.assert_close(partner_means(z, y, groups, flip_probability=0.0), z)
    flipped = partner_means(z, y, groups, flip_probability=1.0)
    torch.testing.assert_close(flipped.ravel(), torch.tensor([2.0, 0.0, 7.0, 5.0]))


@pytest.mark.parametrize("n_groups", [2, 3, 5])
@pytest.mark.parametrize("n_labels", [1, 2, 4])
def test_partners_share_the_label_and_flip_the_group(n_labels, n_groups):
    y, groups = cells(n_labels, n_groups, per_cell=30)
    for flip in (0.0, 1.0):
        partners = one_partner(y, groups, flip)
        assert torch.equal(y[partners], y)
        assert ((groups[partners] != groups) == bool(flip)).all()


@pytest.mark.parametrize("n_groups", [2, 3])
def test_groups_flip_as_often_as_wanted(n_groups):
    y, groups = cells(2, n_groups, per_cell=1000)
    partners = one_partner(y, groups, 0.3)
    flipped = (groups[partners] != groups).double().mean().item()
    standard_error = (0.3 * 0.7 / len(y)) ** 0.5
    assert flipped == pytest.approx(0.3, abs=4 * standard_error)


def test_other_groups_are_drawn_by_their_size():
    y = torch.zeros(4000, dtype=torch.long)
    groups = torch.tensor([0] * 1000 + [1] * 2000 + [2] * 1000)
    partners = one_partner(y, groups, 1.0)
    share = (groups[partners[groups == 0]] == 1).double().mean().item()
    assert share == pytest.approx(2 / 3, abs=0.06)
    share = (groups[partners[groups == 1]] == 0).double().mean().item()
    assert share == pytest.approx(1 / 2, abs=0.05)


def test_every_row_of_a_cell_is_drawn_alike():
    y, groups = torch.zeros(8, dtype=torch.long), torch.tensor([0] * 5 + [1] * 3)
    drawn = torch.cat([one_partner(y, groups, 0.5, seed) for seed in range(500)])
    counts = torch.bincount(drawn, minlength=8) / len(drawn)
    # Five rows stay with 1/2, three flip into theirs with 1/2, and so the other way.
    expected = torch.tensor([1 / 10] * 5 + [1 / 6] * 3)
    torch.testing.assert_close(counts, expected, atol=0.02, rtol=0)


def test_label_with_one_group_keeps_its_group():
    y, groups = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    partners = one_partner(y, groups, 1.0)
    assert torch.equal(y[partners], y)


def test_mean_of_many_partners_nears_the_cell_mean():
    y, groups = cells(2, 2, per_cell=20)
    z = torch.randn(len(y), 3, generator=generator())
    means = partner_means(
        z, y, groups, n_partners=4000, flip_probability=1.0, generator=generator()
    )
    for label in (0, 1):
        for group in (0, 1):
            others = z[(y == label) & (groups != group)]
            expected = others.mean(0).expand(20, 3)
            got = means[(y == label) & (groups == group)]
            torch.testing.assert_close(got, expected, atol=0.1, rtol=0)


def test_same_generator_same_partners():
    y, groups = cells(2, 2, per_cell=20)
    z = torch.randn(len(y), 3, generator=generator())
    first, again, other = (
        partner_means(z, y, groups, generator=generator(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_gradient_is_that_of_the_sum_over_partners():
    encoder = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh()).double()
    rng = generator()
    x = torch.randn(4, dtype=torch.float64, generator=rng, requires_grad=True)
    partners = torch.randn(8, 5, dtype=torch.float64, generator=rng)
    summed = (encoder(x) - partners).square().sum()
    (brute,) = torch.autograd.grad(summed, x)
    z = encoder(x)
    (short,) = torch.autograd.grad(z, x, 2 * 8 * (z - partners.mean(0)).detach())
    torch.testing.assert_close(short, brute)


# -- attack -------------------------------------------------------------------


@pytest.fixture
def problem():
    """A smooth encoder, rows in [0, 1] and targets that are out of reach."""
    rng = generator()
    weights = torch.randn(6, 4, generator=rng)
    X = torch.rand(40, 6, generator=rng)
    targets = torch.tanh(X @ weights) + 0.5 * torch.randn(40, 4, generator=rng)

    def encoder(x):
        return torch.tanh(x.flatten(1) @ weights)

    return encoder, X, targets


def size(delta, norm):
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


@pytest.mark.parametrize(
    ("norm", "expected"),
    [("linf", [[0.5, 0.5], [-0.5, 0.5]]), ("l2", [[0.3, 0.4], [-0.3, 0.4]])],
)
def test_goes_to_the_nearest_point_of_the_ball(norm, expected):
    targets = torch.tensor([[3.0, 4.0], [-3.0, 4.0]])
    moved = global_attack(
        lambda x: x, torch.zeros(2, 2), targets, norm=norm, radius=0.5, n_steps=100,
        step_size=0.05, generator=generator(),
    )  # fmt: skip
    torch.testing.assert_close(moved, torch.tensor(expected), atol=1e-4, rtol=0)


def test_one_step_by_hand():
    # Both coordinates rise by the step from the random start, and stop at the wall.
    X, targets = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    start = (2 * torch.rand(1, 2, generator=generator()) - 1) * 0.01
    settings = {"radius": 0.01, "n_steps": 1, "step_size": 0.002, "generator": generator()}
    moved = global_attack(lambda x: x, X, targets, norm="linf", **settings)
    torch.testing.assert_close(moved, (start + 0.002).clamp(-0.01, 0.01))


@pytest.mark.parametrize("clip", [None, (0.0, 1.0)])
@pytest.mark.parametrize("direction", ["towards", "away"])
@pytest.mark.parametrize("norm", list(NORMS))
@pytest.mark.parametrize("radius", [0.05, 0.7])
def test_stays_in_its_ball_and_range(problem, norm, direction, clip, radius):
    encoder, X, targets = problem
    moved = global_attack(
        encoder, X, targets, norm=norm, radius=radius, direction=direction, clip=clip,
        generator=generator(),
    )  # fmt: skip
    assert size(moved - X, norm).max() <= radius * (1 + 1e-5)
    assert size(moved - X, norm).min() > 0
    if clip is not None:
        assert moved.min() >= clip[0]
        assert moved.max() <= clip[1]
    assert torch.isfinite(moved).all()
    assert not moved.requires_grad


@pytest.mark.parametrize("clip", [(0.1, 0.3), (-1 / 3, 0.7)])
def test_range_holds_to_the_last_bit(clip):
    X = clip[0] + (clip[1] - clip[0]) * torch.rand(200, 8, generator=generator())
    X = X.clamp(*clip)
    for sign in (-9.0, 9.0):
        targets = torch.full_like(X, sign)
        moved = global_attack(lambda x: x, X, targets, radius=0.5, clip=clip)
        assert moved.min() >= torch.tensor(clip[0])
        assert moved.max() <= torch.tensor(clip[1])


@pytest.mark.parametrize("norm", list(NORMS))
def test_direction(problem, norm):
    encoder, X, targets = problem

    def distance(rows):
        return (encoder(rows) - targets).square().sum(1)

    before = distance(X)
    for direction, sign in (("towards", -1), ("away", 1)):
        moved = global_attack(
            encoder, X, targets, norm=norm, radius=0.1, n_steps=10, direction=direction,
            generator=generator(),
        )  # fmt: skip
        assert (sign * (distance(moved) - before) > 0).all()


@pytest.mark.parametrize("norm", list(NORMS))
def test_blocked_columns_do_not_move(problem, norm):
    encoder, X, targets = problem
    movable = torch.tensor([True, False, True, True, False, True])
    moved = global_attack(encoder, X, targets, norm=norm, radius=0.5, movable=movable)
    assert torch.equal(moved[:, ~movable], X[:, ~movable])
    assert (moved[:, movable] != X[:, movable]).all(0).any()


def test_blocked_columns_out_of_range_do_not_move(problem):
    encoder, X, targets = problem
    X[:, 1] = 7.0
    movable = torch.tensor([True, False, True, True, True, True])
    moved = global_attack(encoder, X, targets, movable=movable, clip=(0.0, 1.0))
    assert torch.equal(moved[:, 1], X[:, 1])


def test_blocked_columns_take_no_share_of_an_l2_step():
    # Column 0 holds all but a thousandth of the gradient and is blocked: column 1 must
    # still cross the whole ball.
    X, targets = torch.zeros(3, 2), torch.tensor([[1000.0, 1.0]]).expand(3, 2)
    moved = global_attack(
        lambda x: x, X, targets, norm="l2", radius=0.5, n_steps=5,
        movable=torch.tensor([False, True]), generator=generator(),
    )  # fmt: skip
    torch.testing.assert_close(moved, torch.tensor([[0.0, 0.5]]).expand(3, 2))


@pytest.mark.parametrize("settings", [{"n_steps": 0}, {"radius": 0}, {"radius": 0.0}])
def test_no_step_or_no_ball_is_the_identity(problem, settings):
    encoder, X, targets = problem
    moved = global_attack(encoder, X, targets, **settings)
    assert torch.equal(moved, X)
    assert moved is not X


@pytest.mark.parametrize("norm", list(NORMS))
def test_images(norm):
    X = torch.rand(5, 3, 4, 4, generator=generator())
    convolution = torch.nn.Conv2d(3, 2, 3)
    targets = torch.zeros(5, 8)
    moved = global_attack(
        lambda x: convolution(x).flatten(1), X, targets, norm=norm, radius=0.2,
        clip=(0.0, 1.0), movable=torch.tensor([True, False, True])[:, None, None],
    )  # fmt: skip
    assert moved.shape == X.shape
    assert torch.equal(moved[:, 1], X[:, 1])
    assert size(moved - X, norm).max() <= 0.2 * (1 + 1e-5)


@pytest.mark.parametrize("norm", list(NORMS))
def test_same_generator_same_rows(problem, norm):
    encoder, X, targets = problem
    # One short step: further on every start ends in the same corner.
    first, again, other = (
        global_attack(encoder, X, targets, norm=norm, n_steps=1, step_size=0.01,
                      generator=generator(seed))
        for seed in (0, 0, 1)
    )  # fmt: skip
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_leaves_inputs_and_weights_alone(problem):
    _, X, targets = problem
    layer = torch.nn.Linear(6, 4)
    X.requires_grad_(True)
    kept = X.detach().clone()
    global_attack(layer, X, targets, generator=generator())
    assert torch.equal(X, kept)
    assert X.grad is None
    assert layer.weight.grad is None


def test_double_rows_stay_double(problem):
    _, X, _ = problem
    moved = global_attack(lambda x: x, X.double(), X.double() + 1, norm="l2")
    assert moved.dtype == torch.float64


def test_no_gradient_no_step():
    """Where the encoder is flat an L2 step has no direction; it must not divide by zero."""
    X = torch.rand(4, 3, generator=generator())
    moved = global_attack(lambda x: 0 * x, X, torch.zeros(4, 3), norm="l2", radius=0.3)
    assert torch.isfinite(moved).all()
    assert size(moved - X, "l2").max() <= 0.3 * (1 + 1e-5)
