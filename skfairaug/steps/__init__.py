"""The method as pure functions of tensors; the files' order is the running order."""

from skfairaug.steps.attack import global_attack, partner_means
from skfairaug.steps.distil import distillation_loss, group_offsets
from skfairaug.steps.importance import (
    counterfactual_gap,
    group_columns,
    importance_weights,
)
from skfairaug.steps.mask import (
    binary_mask,
    density,
    masked_forward,
    sparsity_penalty,
    start_mask,
)
from skfairaug.steps.mix import mix_rows
from skfairaug.steps.penalty import bias_penalty, weighted_cross_entropy
from skfairaug.steps.reactivate import reactivate, reestimate_batchnorm
from skfairaug.steps.rule import (
    RuleTerms,
    cell_posterior,
    fit_multipliers,
    rule_scores,
    rule_terms,
)
from skfairaug.steps.select import reward

__all__ = [
    "RuleTerms",
    "bias_penalty",
    "binary_mask",
    "cell_posterior",
    "counterfactual_gap",
    "density",
    "distillation_loss",
    "fit_multipliers",
    "global_attack",
    "group_columns",
    "group_offsets",
    "importance_weights",
    "masked_forward",
    "mix_rows",
    "partner_means",
    "reactivate",
    "reestimate_batchnorm",
    "reward",
    "rule_scores",
    "rule_terms",
    "sparsity_penalty",
    "start_mask",
    "weighted_cross_entropy",
]
