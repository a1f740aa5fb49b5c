"""The fair rule over a network as a plain torch module."""

import numpy as np
import torch
from torch import fx, nn

from skfairaug._engine._export import check_form, copied_module, follow
from skfairaug._engine._signature import FORMS
from skfairaug.steps.rule import rule_scores, rule_terms


def export_rule(net, signature, rule, by_columns):
    """A module that decides as the fair rule over a net does.

    Parameters
    ----------
    net : skorch.NeuralNet
        The biased one, fitted; copied.
    signature : Signature
        Of its module.
    rule : FairRule
        The fitted rule of `_fair_rule`, with its own classifier of the groups.
    by_columns : bool
        Whether the groups are read from the columns of a table; else from what comes into the
        last linear layer.

    Returns
    -------
    module : fx.GraphModule
        In evaluation mode.

    Raises
    ------
    TypeError
        If the rule has a classifier of groups that is the caller's.
    ValueError
        If the outputs are not understood, or the representation cannot be reached.
    """
    check_form(signature)
    if rule.posterior.group_estimator is not None:
        raise TypeError(
            "the rule was fitted with a group_estimator of your own, "
            f"{type(rule.posterior.group_estimator).__name__}, which is no torch module: only "
            "the default one, group_estimator=None, leaves with the network."
        )
    module = copied_module(net)
    layers = RuleLayers(signature, rule)
    decide = fx.symbolic_trace(layers)
    if by_columns:
        return follow(signature, {"module": module}, [("rule", decide, ("output", "x"))])
    if signature.head is None or not signature.direct:
        raise ValueError(
            "the rule reads the group from what enters the last linear layer, and can leave "
            "with a module whose output is just that layer's. This one does more after it, or "
            "has no such layer."
        )
    head = module.get_submodule(signature.head)
    if head is module:
        module = nn.Identity()
    else:
        parent, _, name = signature.head.rpartition(".")
        setattr(module.get_submodule(parent), name, nn.Identity())
    steps = [("head", head, ("output",)), ("rule", decide, ("head", "output"))]
    return follow(signature, {"module": module}, steps)


class RuleLayers(nn.Module):
    """The fair rule as layers, in double precision: groups, calibration, cells, score.

    Parameters
    ----------
    signature : Signature
        Of the network's module.
    rule : FairRule
        Fitted, with a logistic regression of the groups on standardised columns.
    """

    def __init__(self, signature, rule):
        super().__init__()
        posterior, calibration = rule.posterior, rule.posterior.class_factor
        self.form, self.column = FORMS[signature.form], signature.column
        self.n_classes = rule.n_classes
        weight, bias = _groups(posterior.group_factor, rule.n_groups)
        labels = rule.n_classes - 1 if posterior.by_label else 0
        self.by_label, n_columns = posterior.by_label, weight.shape[1] - labels
        self.groups = _linear(weight[:, :n_columns], bias)
        offsets = np.hstack([np.zeros((rule.n_groups, 1)), weight[:, n_columns:]])
        self.register_buffer("offsets", torch.from_numpy(offsets.T.copy()))
        self.spread = calibration.scale_
        self.calibration = _linear(*_two_sided(calibration.model_))
        self.price = _linear(scores_of_cells(rule))
        self.cut, self.scale = float(rule.finite_cut), float(rule.scale)

    def forward(self, output, columns):
        """An output of the network's form that decides as the rule does."""
        log_proba = self.form.log_proba(output).double()
        group_logits = self.groups(columns.flatten(1).double()).unsqueeze(1)
        if self.by_label:
            group_logits = group_logits + self.offsets
        group_proba = torch.softmax(group_logits, dim=-1)
        class_proba = self._calibrated(log_proba, group_proba)
        cells = class_proba.unsqueeze(2) * group_proba
        scores = self.price(cells.flatten(1))
        if self.n_classes > 2:
            return self.form.say_all(self.scale * (scores - self.cut))
        said = self.form.say(self.scale * (scores[:, 1] - scores[:, 0] - self.cut))
        return said.unsqueeze(1) if self.column else said

    def _calibrated(self, log_proba, group_proba):
        """Class probabilities, see `Calibration`."""
        guess = group_proba.mean(1)[:, 1:]
        if self.n_classes > 2:
            odds = torch.log_softmax(log_proba, dim=1)
            bent = []
        else:
            odds = log_proba[:, 1:] - log_proba[:, :1]
            bent = [torch.tanh(odds / 2)]
        odds = odds / self.spread
        swayed = (odds.unsqueeze(2) * guess.unsqueeze(1)).flatten(1)
        inputs = torch.cat([odds, *bent, guess, swayed], dim=1)
        return torch.softmax(self.calibration(inputs), dim=1)


def scores_of_cells(rule):
    """Weights (n_classes, n_classes * n_groups) of the rule's scores, linear in the cells."""
    n_cells = rule.n_classes * rule.n_groups
    cells = np.eye(n_cells).reshape(n_cells, rule.n_classes, rule.n_groups)
    terms = rule_terms(cells, rule.shares, rule.goal.constraint)
    return rule_scores(terms, rule.multipliers).T


def _groups(model, n_groups):
    """Weight and bias of the groups' logits on raw columns; of a group not seen, -infinity."""
    scaler, logistic = model[0], model[-1]
    weight, bias = _two_sided(logistic)
    weight = weight / scaler.scale_
    everywhere = np.zeros((n_groups, weight.shape[1])), np.full(n_groups, -np.inf)
    everywhere[0][logistic.classes_] = weight
    everywhere[1][logistic.classes_] = bias - weight @ scaler.mean_
    return everywhere


def _two_sided(logistic):
    """Weight and bias of a logistic regression, a row for every class, of two as well."""
    weight, bias = logistic.coef_, logistic.intercept_
    if len(logistic.classes_) == 2:
        weight, bias = np.vstack([0 * weight, weight]), np.append(0.0, bias)
    return weight, bias


def _linear(weight, bias=None):
    """A linear layer of given weights, in double precision and not to be trained."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, dtype=torch.float64)
    layer.weight.data = torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float64))
    if bias is not None:
        layer.bias.data = torch.from_numpy(np.ascontiguousarray(bias, dtype=np.float64))
    return layer.requires_grad_(False)
