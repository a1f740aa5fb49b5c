"""The fair rule, fitted: cell posterior, multipliers and cut-off, chosen on rows left out."""

import numpy as np

from skfairaug._engine._posterior import CellPosterior
from skfairaug._engine._selection import Selection
from skfairaug.steps.rule import RuleTerms, fit_multipliers, rule_scores, rule_terms

#: Tolerances that multipliers are fitted for, as shares of the one asked for, and what they
#: are multiplied by: a few numbers, so that the choice among them flatters itself little.
SHARES = (1.0, 0.6, 0.3, 0.0)
FACTORS = (0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.8)

#: Parts of the rows that are left out in turn to estimate the cell posterior.
N_FOLDS = 4


class FairRule:
    """The best decision under a bound on the bias, for rows whose group is not known.

    Parameters
    ----------
    n_classes, n_groups : int
        How many there are.
    goal : Goal
        What is asked for.
    group_estimator : classifier or None
        Unfitted; see `CellPosterior`.
    seed : int
        Which rows are left out when.

    Attributes
    ----------
    posterior : CellPosterior
        Both factors, fitted on all rows.
    multipliers : ndarray of shape (n_problems, n_statistics, n_groups)
        Price of each group's statistic.
    cut : float
        Cut-off on the score; 0 for several classes.
    scale : float
        What brings scores to the spread of the biased model's log-odds.
    verdict : Verdict
        How it does on rows not seen yet.
    """

    def __init__(self, n_classes, n_groups, goal, *, group_estimator=None, seed=0):
        self.n_classes, self.n_groups, self.goal, self.seed = n_classes, n_groups, goal, seed
        self.posterior = CellPosterior(
            n_classes,
            n_groups,
            by_label=bool(goal.constraint.labels),
            group_estimator=group_estimator,
            n_folds=N_FOLDS,
            seed=seed,
        )

    def fit(self, log_proba, columns, y, groups, *, labelled=None):
        """Estimate the cell posterior, then choose multipliers and cut-off.

        Parameters
        ----------
        log_proba : ndarray of shape (n_samples, n_classes)
            Class log-probabilities of the biased model.
        columns : ndarray of shape (n_samples, n_columns)
            What the group is read from.
        y, groups : ndarray of shape (n_samples,), int
            Class and group of each row; a group of -1 is not known.
        labelled : ndarray of bool of shape (n_samples,), default=None
            Rows that the biased model was not trained on: they calibrate it and say how
            accurate it is; all rows whose group is known measure the bias. None: all.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of all rows, as `scores` gives them, from models that did not see the row.
        """
        labelled = np.ones(len(y), dtype=bool) if labelled is None else labelled
        q = self.posterior.fit(log_proba, columns, y, groups, labelled=labelled)
        known = groups >= 0
        y, groups, seen = y[known], groups[known], ~labelled[known]
        shape = self.n_classes, self.n_groups
        cells = np.bincount((y * self.n_groups + groups)[~seen], minlength=np.prod(shape))
        self.shares = cells.reshape(shape) / cells.sum()
        terms = rule_terms(q[known], self.shares, self.goal.constraint)
        held = RuleTerms(*(term[~seen] for term in terms))
        gap = self.goal.constraint.gap_tolerance(self.goal.tolerance, *shape)
        fitted = [fit_multipliers(held, share * gap) for share in SHARES]
        tried = [factor * one for one in fitted for factor in FACTORS]
        self.selection = Selection(y, groups, *shape, self.goal, seed=self.seed + 1, seen=seen)
        scores = [_decisive(rule_scores(terms, one)) for one in tried]
        self.verdict = self.selection.choose(scores)
        self.multipliers = tried[self.verdict.candidate]
        self.cut, self.scale = self.verdict.log_odds, 1.0
        self.scale = _spread(_decisive(log_proba[known])) / max(
            _spread(scores[self.verdict.candidate]), np.finfo(np.float32).tiny
        )
        return self._scores_of(q)

    def scores(self, log_proba, columns):
        """Scores of rows, from what the biased model says of them and their columns.

        Parameters
        ----------
        log_proba : ndarray of shape (n_samples, n_classes)
            Class log-probabilities of the biased model.
        columns : ndarray of shape (n_samples, n_columns)
            What the group is read from.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds, positive where the rule decides for class 1; of several classes, one
            for each, the largest of which is decided for.
        """
        return self._scores_of(self.posterior.predict(log_proba, columns))

    def _scores_of(self, q):
        terms = rule_terms(q, self.shares, self.goal.constraint)
        return self.scale * (_decisive(rule_scores(terms, self.multipliers)) - self.finite_cut)

    def numbers(self):
        """What it decides by, given both factors' probabilities, and how it calibrates."""
        model = self.posterior.class_factor.model_
        return {
            "multipliers": self.multipliers,
            "shares": self.shares,
            "cut": self.finite_cut,
            "scale": self.scale,
            "calibration": model.coef_,
            "intercept": model.intercept_,
        }

    @property
    def finite_cut(self):
        """The cut-off, finite for a constant decision too."""
        return self.cut if np.isfinite(self.cut) else np.sign(self.cut) * LARGEST


#: Stands for an infinite cut-off, that of a constant decision.
LARGEST = 1e6


def _decisive(scores):
    """What decides: of two classes the difference, of more the scores themselves."""
    return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


def _spread(scores):
    """Standard deviation of scores, of several classes about each row's mean."""
    return float(
        (scores - scores.mean(-1, keepdims=True) if scores.ndim == 2 else scores).std()
    )
