"""The reward of method.md: P_i grows by gamma P_i, the others pay for it."""

import pytest
import torch

from skfairaug.steps.select import reward


def test_two_types_by_hand():
    new = reward(torch.tensor([0.4, 0.6]), 0)
    torch.testing.assert_close(new, torch.tensor([0.44, 0.56]))


def test_three_types_by_hand():
    # P_1 = 0.5 gains 0.2 * 0.5 = 0.1; the other two lose 0.05 each.
    new = reward(torch.tensor([0.3, 0.5, 0.2]), 1, rate=0.2, floor=0.0)
    torch.testing.assert_close(new, torch.tensor([0.25, 0.6, 0.15]))


def test_gain_above_one_and_loss_below_zero_are_cut():
    # P_0 <- min(1, 1.9 * 0.9), P_1 <- max(0, 0.1 - 0.81): all to type 0, but for the floor.
    new = reward(torch.tensor([0.9, 0.1]), 0, rate=0.9)
    torch.testing.assert_close(new, torch.tensor([0.95, 0.05]))
    new = reward(torch.tensor([0.9, 0.1]), 0, rate=0.9, floor=0.0)
    torch.testing.assert_close(new, torch.tensor([1.0, 0.0]))


def test_renormalised_after_a_cut():
    # 0.8 + 0.4, cut to 1; 0.18 - 0.2, cut to 0; 0.02 - 0.2, cut to 0.
    new = reward(torch.tensor([0.8, 0.18, 0.02]), 0, rate=0.5, floor=0.0)
    torch.testing.assert_close(new, torch.tensor([1.0, 0.0, 0.0]))
    # 0.55, 0.45 - 0.025, 0.05 - 0.025 - cut: 0.55 + 0.425 + 0 -> a sum below one.
    new = reward(torch.tensor([0.5, 0.48, 0.02]), 0, rate=0.1, floor=0.0)
    torch.testing.assert_close(new, torch.tensor([0.55, 0.455, 0.0]) / 1.005)


@pytest.mark.parametrize("n_types", [2, 3, 7])
@pytest.mark.parametrize("winner", [0, 1])
def test_sums_to_one_above_the_floor_for_ever(n_types, winner):
    probabilities = torch.full((n_types,), 1 / n_types)
    for _ in range(200):
        probabilities = reward(probabilities, torch.tensor(winner))
        assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)
        assert probabilities.min() >= 0.05 - 1e-6
    assert probabilities[winner] == probabilities.max()
    expected = 1 - 0.05 * (n_types - 1)
    assert probabilities[winner].item() == pytest.approx(expected, abs=1e-4)


def test_loser_recovers():
    probabilities = torch.tensor([0.95, 0.05])
    for _ in range(40):
        probabilities = reward(probabilities, 1)
    assert probabilities[1] > 0.9


def test_floor_of_all_is_uniform():
    torch.testing.assert_close(
        reward(torch.tensor([0.9, 0.1]), 0, floor=0.5), torch.tensor([0.5, 0.5])
    )
    uniform = torch.tensor([0.5, 0.5])
    assert torch.isfinite(reward(uniform, 0, rate=0.0, floor=0.5)).all()


@pytest.mark.parametrize("winner", [0, torch.tensor(0)])
def test_one_type_is_certain(winner):
    assert reward(torch.tensor([1.0]), winner).tolist() == [1.0]


def test_given_probabilities_are_not_changed():
    given = torch.tensor([0.5, 0.5])
    reward(given, 0)
    assert given.tolist() == [0.5, 0.5]
