"""Rows between the groups."""

import pytest
import torch

from skfairaug.steps import mix_rows


def table(n_samples=400, n_groups=3):
    """Rows whose columns say label and group, then a number of their own."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(2, (n_samples,), generator=generator)
    groups = torch.randint(n_groups, (n_samples,), generator=generator)
    own = torch.rand(n_samples, generator=generator)
    return torch.stack([y.float(), groups.float(), own], 1), y, groups


def mix(X, rows, y, groups, partners=None, seed=0):
    partners = torch.arange(len(X)) if partners is None else partners
    generator = torch.Generator().manual_seed(seed)
    return mix_rows(X, rows, y, groups, partners, generator=generator)


def test_partner_has_the_label_and_another_group():
    X, y, groups = table(n_groups=2)
    rows = torch.arange(400).repeat(3)
    order, mixed = mix(X, rows, y, groups)
    assert torch.equal(order.sort().values, rows.sort().values)
    torch.testing.assert_close(mixed[:, 0], y[order].float())
    # Of two groups a partner is of the other one: the mixture lies strictly between.
    assert ((mixed[:, 1] > 0) & (mixed[:, 1] < 1)).all()
    kept = 1 - (mixed[:, 1] - groups[order]).abs()
    assert kept.mean().item() == pytest.approx(0.5, abs=0.05)  # m is uniform
    assert kept.var().item() == pytest.approx(1 / 12, abs=0.01)


def test_mixture_lies_on_the_segment_between_two_rows():
    X, y = torch.tensor([[0.0, 0.0], [3.0, 9.0]]), torch.tensor([1, 1])
    order, mixed = mix(X, torch.tensor([0, 0, 1, 1, 1]), y, torch.tensor([0, 1]))
    assert order.tolist() == [0, 0, 1, 1, 1]
    torch.testing.assert_close(mixed[:, 1], 3 * mixed[:, 0])
    assert ((mixed[:, 0] >= 0) & (mixed[:, 0] <= 3)).all()
    assert len(mixed.unique(dim=0)) == 5


def test_partners_are_drawn_from_the_rows_that_are_given():
    X, y, groups = table()
    partners = torch.arange(0, 400, 7)
    X[:, 2] = 0
    X[partners, 2] = 1
    rows = torch.tensor([row for row in range(400) if row % 7])
    _, mixed = mix(X, rows, y, groups, partners)
    assert (mixed[:, 2] > 0).all()


def test_a_label_of_one_group_is_mixed_within_it():
    X, y, groups = table(n_groups=2)
    groups[y == 0] = 0
    X[:, 1] = groups
    order, mixed = mix(X, torch.arange(400), y, groups)
    assert (mixed[y[order] == 0, 1] == 0).all()
    inside = mixed[y[order] == 1, 1]
    assert ((inside > 0) & (inside < 1)).all()


def test_one_seed_agrees_and_two_differ():
    X, y, groups = table()
    first, again, other = (
        mix(X, torch.arange(400), y, groups, seed=seed)[1] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
