"""Eq. 10: weights by hand, the counterfactual gap, the columns that follow the group."""

import pytest
import torch

from skfairaug.steps.importance import counterfactual_gap, group_columns, importance_weights


def binary(p):
    return torch.stack([1 - p, p], 1)


def test_weights_by_hand():
    gap = torch.tensor([0.0, 0.25, 1.0])
    # 20 * (0.15 - 0.05 + 0.1 * gap) + 1
    expected = torch.tensor([3.0, 3.5, 5.0])
    for bias in (0.15, -0.15):
        torch.testing.assert_close(importance_weights(torch.tensor(bias), gap), expected)
    # 10 * (0.3 - 0.1 + 0.5 * gap) + 1
    weights = importance_weights(
        torch.tensor(0.3), gap, tolerance=0.1, scale=10.0, gap_scale=0.5
    )
    torch.testing.assert_close(weights, torch.tensor([3.0, 4.25, 8.0]))


def test_fair_rows_weigh_one_and_counterfactual_ones_more():
    # 20 * (0 - 0.05 + 0.1 * gap) + 1: below one up to gap = 0.5
    weights = importance_weights(torch.tensor(0.0), torch.tensor([0.0, 0.49, 1.0]))
    torch.testing.assert_close(weights, torch.tensor([1.0, 1.0, 2.0]))


@pytest.mark.parametrize("bias", [-1.0, -0.05, 0.0, 0.02, 0.3])
def test_never_below_one(bias):
    gap = torch.linspace(0, 2, 50)
    assert importance_weights(torch.tensor(bias), gap).min() >= 1
    assert importance_weights(torch.tensor(bias), gap, scale=0.0).eq(1).all()


def test_gradient_of_weights():
    bias = torch.tensor(-0.3, dtype=torch.float64, requires_grad=True)
    gap = torch.rand(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(importance_weights, (bias, gap))
    importance_weights(bias, gap).sum().backward()
    assert bias.grad.item() == pytest.approx(-5 * 20.0)
    torch.testing.assert_close(gap.grad, torch.full_like(gap, 2.0))


def test_gap_of_two_groups():
    # p depends on the sensitive column 0 and on column 1.
    X = torch.tensor([[0.0, 0.1], [1.0, 0.3]])
    values = torch.tensor([[0.0], [1.0]])
    gap = counterfactual_gap(
        lambda x: binary(x[:, 1] * (1 + x[:, 0])), X, torch.tensor([0]), values
    )
    torch.testing.assert_close(gap, torch.tensor([0.01, 0.09]))


def test_rows_are_not_changed():
    X = torch.tensor([[0.0, 0.1], [1.0, 0.3]])
    kept = X.clone()
    values = torch.tensor([[5.0, 6.0], [7.0, 8.0]])
    counterfactual_gap(lambda x: binary(x[:, 0]), X, torch.tensor([0, 1]), values)
    assert torch.equal(X, kept)


def test_gap_of_three_groups_is_the_largest_pair():
    X = torch.zeros(1, 3)
    values = torch.tensor([[0.2, 0.0], [0.5, 0.0], [0.6, 0.3]])
    gap = counterfactual_gap(
        lambda x: binary(x[:, 2] + x[:, 0]), X, torch.tensor([2, 0]), values
    )
    # Groups score 0.2, 0.5 and 0.9.
    torch.testing.assert_close(gap, torch.tensor([0.49]))


def test_gap_of_three_classes_is_the_squared_distance():
    table = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    gap = counterfactual_gap(
        lambda x: table[x[:, 0].long()],
        torch.zeros(4, 2),
        torch.tensor([0]),
        torch.tensor([[0.0], [1.0]]),
    )
    torch.testing.assert_close(gap, torch.full((4,), 0.16 + 0.16))


def test_no_columns_no_gap():
    columns, values = torch.empty(0, dtype=torch.long), torch.empty(2, 0)
    gap = counterfactual_gap(lambda x: 1 / 0, torch.ones(3, 2), columns, values)
    assert torch.equal(gap, torch.zeros(3))


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_gradient_of_the_gap(n_classes, n_groups):
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(6, 4, dtype=torch.float64, generator=generator)
    weights = torch.randn(
        4, n_classes, dtype=torch.float64, generator=generator, requires_grad=True
    )
    values = torch.arange(2.0 * n_groups, dtype=torch.float64).view(n_groups, 2)
    columns = torch.tensor([1, 3])

    def gap(weights):
        return counterfactual_gap(lambda x: (x @ weights).softmax(1), X, columns, values)

    assert torch.autograd.gradcheck(gap, weights)


def test_gap_of_a_fair_net_is_zero_with_finite_gradient():
    weight = torch.zeros(3, 2, requires_grad=True)
    gap = counterfactual_gap(
        lambda x: (x @ weight).softmax(1),
        torch.ones(4, 3),
        torch.tensor([0]),
        torch.tensor([[0.0], [1.0]]),
    )
    assert gap.eq(0).all()
    gap.sum().backward()
    assert torch.isfinite(weight.grad).all()


def test_columns_that_follow_from_the_group():
    # Constant everywhere; the group; its complement; varies within; one value in one group.
    X = torch.tensor(
        [
            [4.0, 0.0, 1.0, 0.0, 2.0],
            [4.0, 0.0, 1.0, 1.0, 2.0],
            [4.0, 1.0, 0.0, 0.0, 3.0],
            [4.0, 1.0, 0.0, 1.0, 9.0],
        ]
    )
    columns, values = group_columns(X, torch.tensor([0, 0, 1, 1]))
    assert columns.tolist() == [1, 2]
    assert values.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_columns_of_three_groups():
    # One-hot columns of three groups, and one that tells group 2 from the others.
    groups = torch.tensor([2, 0, 1, 0, 2])
    X = torch.eye(3)[groups]
    X = torch.cat([X, torch.rand(5, 2), (groups == 2).float()[:, None] * 5], 1)
    columns, values = group_columns(X, groups)
    assert columns.tolist() == [0, 1, 2, 5]
    assert values.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5]]


def test_rows_without_such_columns():
    columns, values = group_columns(torch.rand(6, 3), torch.tensor([0, 1, 0, 1, 0, 1]))
    assert columns.shape == (0,)
    assert values.shape == (2, 0)


def test_images_have_no_such_columns():
    columns, values = group_columns(torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 2]))
    assert columns.shape == (0,)
    assert columns.dtype == torch.long
    assert values.shape == (3, 0)
