"""Choosing among scores and cut-offs, and what is claimed of the choice.

The rows that choose flatter what they chose. So the choice is made once more without each
fold of the rows, and judged on that fold: what is claimed comes from decisions on rows that
had no part in choosing them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from skfairaug._engine._folds import deal
from skfairaug.metrics._cells import one_against_rest
from skfairaug.metrics._constraints import Constraint
from skfairaug.metrics._threshold import ThresholdCurve, choose_threshold

#: Cut-offs of one score that are compared.
MAX_THRESHOLDS = 500

#: Parts of the rows that are left out in turn.
N_FOLDS = 5


@dataclass(frozen=True)
class Goal:
    """What is asked of a classifier: a constraint, how tight, how surely, and by what loss."""

    constraint: Constraint
    tolerance: float
    caution: float = 0.0
    confidence: float | None = None
    penalty: float = 0.0
    margin: float = 0.0  # in units of the bias
    distillation: float = 0.0
    balance: str = "labels"


@dataclass(frozen=True)
class Verdict:
    """What was chosen, and how it does on rows not seen yet."""

    candidate: int
    log_odds: float  # the cut-off on the score; 0 for several classes
    balanced_accuracy: float
    bias: float
    standard_error: float
    probability: float  # that the bias is inside the tolerance
    apparent_bias: float  # on the rows that chose
    objective: float  # there: expected Phi, or the accuracy of what is surely enough inside
    reached: bool  # whether the bound is kept there

    @property
    def threshold(self):
        """The cut-off as a probability of the positive class."""
        return float(expit(self.log_odds))


class Selection:
    """Rows that choose, dealt into folds.

    Rows that the biased model was trained on say nothing of its accuracy, but how many of each
    group are decided for they do say, unless the model treats them otherwise than new rows. So
    they measure the bias too, and where they disagree with the others by more than chance, that
    counts as uncertainty.

    Parameters
    ----------
    y, groups : ndarray of shape (n_samples,), int
        Class and group of each row.
    n_classes, n_groups : int
        How many there are.
    goal : Goal
        What is asked for.
    seed : int
        Which row is in which fold.
    seen : ndarray of bool of shape (n_samples,), default=None
        Rows that the biased model was trained on. None: no row was.
    """

    def __init__(self, y, groups, n_classes, n_groups, goal, *, seed=0, seen=None):
        self.y, self.groups, self.goal = y, groups, goal
        self.n_classes, self.n_groups = n_classes, n_groups
        seen = np.zeros(len(y), dtype=bool) if seen is None else seen
        self.n_sources = 2 if seen.any() else 1
        cell = (seen * n_groups + groups) * n_classes + y
        self.cell = deal(cell, N_FOLDS, seed) * (self.n_sources * n_groups * n_classes) + cell

    def choose(self, candidates):
        """The best of several candidates with its best cut-off.

        Parameters
        ----------
        candidates : list of ndarray
            Scores of the rows: (n_samples,) the larger, the likelier positive; or of
            several classes (n_samples, n_classes), decided for the largest.

        Returns
        -------
        verdict : Verdict
            By expected Phi, or the most accurate that is surely enough inside.
        """
        tables = [self._table(scores) for scores in candidates]
        cuts = np.concatenate([cuts for cuts, _ in tables])
        of = np.repeat(np.arange(len(tables)), [len(cuts) for cuts, _ in tables])
        counts = np.concatenate([counts for _, counts in tables], axis=1)
        whole = counts.sum(0)
        best = self._best(whole)
        held = np.zeros(whole.shape[1:])
        for own in counts:
            held += own[self._best(whole - own)]
        # Rows that the model has seen help to choose; no claim rests on them.
        honest = self._measures(held[None, :1])
        apparent = self._measures(whole[[best]])
        objective, reached = self._worth(apparent)
        return Verdict(
            candidate=int(of[best]),
            log_odds=float(cuts[best]),
            balanced_accuracy=float(honest.balanced_accuracy[0]),
            bias=float(honest.bias[0]),
            standard_error=float(honest.standard_error[0]),
            probability=float(
                honest.probability_inside(self.goal.tolerance, max(self.goal.caution, 1.0))[0]
            ),
            apparent_bias=float(apparent.bias[0]),
            objective=objective,
            reached=reached,
        )

    def _best(self, counts):
        """Position of the best decision in (n_decisions, ...) counts."""
        goal = self.goal
        return choose_threshold(
            self._measures(counts),
            tolerance=goal.tolerance,
            caution=goal.caution,
            confidence=goal.confidence,
        )

    def _worth(self, curve):
        """Objective of a decision on the rows that chose it, and whether it keeps the bound."""
        goal = self.goal
        inside = curve.probability_inside(goal.tolerance, goal.caution)[0]
        accuracy = curve.balanced_accuracy[0]
        if goal.confidence is None:
            reached = abs(curve.bias[0]) < goal.tolerance
            return float(accuracy * inside), bool(reached)
        reached = inside >= goal.confidence
        return float(accuracy if reached else inside), bool(reached)

    # -- two classes: every cut-off; several: the largest score ----------------

    def _table(self, scores):
        """Cut-offs, and decisions (n_folds, n_cuts, n_sources, n_groups, n_classes, C)."""
        if scores.ndim == 2:
            hits = self._count(scores.argmax(1), self.n_classes)
            return np.zeros(1), hits[:, None]
        cuts = _cut_offs(scores)
        above = np.searchsorted(cuts, scores, side="left")  # cuts that a score lies above
        hits = self._count(above, len(cuts) + 1)
        # Of those at or above each place, cumulated from the right.
        positive = hits[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]
        total = hits.sum(-1, keepdims=True)
        decisions = np.stack([total - positive, positive], -1)
        return cuts, np.moveaxis(decisions, -2, 1)

    def _count(self, codes, n_codes):
        shape = N_FOLDS, self.n_sources, self.n_groups, self.n_classes, n_codes
        flat = np.bincount(self.cell * n_codes + codes, minlength=int(np.prod(shape)))
        return flat.reshape(shape)

    def _measures(self, decisions):
        """Curve of decisions counted in (n_decisions, n_sources, n_groups, n_classes, ...)."""
        held, pooled = decisions[:, 0], decisions.sum(1)
        hits = np.diagonal(held.sum(1), axis1=1, axis2=2)
        accuracy = (hits / held.sum((1, 3)).clip(1)).mean(1)
        gap, error, statistics, errors = self._bias(pooled)
        if decisions.shape[1] == 2:
            seen = decisions[:, 1]
            (first, e, *_), (second, f, *_) = self._bias(held), self._bias(seen)
            beyond = np.maximum((first - second) ** 2 - e**2 - f**2, 0.0)
            beyond *= (seen[0].sum() / pooled[0].sum()) ** 2
            error = np.sqrt(error**2 + beyond)
            errors = np.sqrt(errors**2 + beyond[:, None, None] / 2)
        return ThresholdCurve(np.arange(len(gap)), accuracy, gap, error, statistics, errors)

    def _bias(self, decisions):
        """Gap and its error, statistics of the groups and theirs, of counted decisions."""
        constraint, sizes = self.goal.constraint, decisions.sum(-1)
        if self.n_classes == 2:
            rates = decisions[..., 1] / sizes.clip(1)
            return (
                constraint.gap(rates, sizes),
                constraint.standard_error(rates, sizes),
                *constraint.statistics_and_errors(rates, sizes),
            )
        gaps, errors = [], []
        for sums, cells in zip(decisions.swapaxes(1, 2), sizes.swapaxes(1, 2), strict=True):
            counts = np.stack([cells.sum(0) - cells, cells], -1)
            rates = one_against_rest(sums, cells, constraint.mix(counts))
            gaps.append(constraint.class_gaps(rates, counts))
            errors.append(constraint.class_errors(rates, counts))
        pairs = list(zip(gaps, errors, strict=True))
        gap = np.array([constraint.over_classes(one) for one in gaps])
        error = np.array([constraint.over_classes(*pair) for pair in pairs])
        # As two groups, the gap of which is the bias of the class that counts.
        two = [np.stack([one, 0 * one], -1)[..., None] for one in (gap, error)]
        return gap, error, *two


class Best:
    """Keeps the best of what is offered, by expected Phi on the rows that choose.

    Parameters
    ----------
    judge : callable
        ``judge(log_proba)`` is the Verdict on class log-probabilities of those rows.

    Attributes
    ----------
    verdict : Verdict or None
        On the best so far.
    state : dict of str to Tensor
        A copy of what made it: the weights of a network, or a mask.
    """

    def __init__(self, judge):
        self.judge = judge
        self.verdict = None
        self.state = None

    def offer(self, log_proba, state):
        """Judge a candidate; keep a copy of its state if none was better."""
        verdict = self.judge(log_proba)
        if self.verdict is None or self._key(verdict) > self._key(self.verdict):
            self.verdict = verdict
            self.state = {name: value.detach().clone() for name, value in state.items()}
        return verdict

    def _key(self, verdict):
        """Inside the tolerance by the objective; outside it by the smallest bias."""
        inside = verdict.reached
        return inside, verdict.objective if inside else -abs(verdict.apparent_bias)


def _cut_offs(scores):
    """Cut-offs at equal steps of the ranks, with one below all and one above all."""
    ordered = np.sort(scores)
    ranks = np.linspace(0, len(ordered) - 1, min(len(ordered), MAX_THRESHOLDS)).astype(int)
    values = np.unique(ordered[ranks])
    middle = values[:-1] + (values[1:] - values[:-1]) / 2
    return np.concatenate([[-np.inf], middle, [np.inf]])
