"""The fair rule: the best decision under a bound on the bias that does not see the group.

What is known of a row x is how likely it lies in each (label, group) cell. Accuracy and every
measure of bias are linear in the decision given that, so the best decision under a bound is a
threshold on one linear score of these probabilities.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from skfairaug.metrics._constraints import get_constraint

#: Width over which the kink of the dual is smoothed, in spreads of the score.
SMOOTHING = 0.02

#: Largest multiplier: balanced accuracy that a unit of a gap may cost.
LARGEST = 10.0


class RuleTerms(NamedTuple):
    """What deciding for each class does for a row, from its cell posterior.

    Attributes
    ----------
    gain : ndarray of shape (n_samples, n_classes)
        To balanced accuracy.
    statistics : ndarray of shape (n_samples, n_problems, n_statistics, n_groups)
        To the statistics of the groups, less their mean over groups; one problem, that of
        class 1, for two classes, and one a class for more.
    """

    gain: np.ndarray
    statistics: np.ndarray


def cell_posterior(class_proba, group_proba):
    r"""Probability of every (label, group) cell.

    Parameters
    ----------
    class_proba : ndarray of shape (n_samples, n_classes)
        :math:`p(y | x)`.
    group_proba : ndarray of shape (n_samples, n_classes, n_groups)
        :math:`p(a | x, y)`; the same for every label where the constraint does not look at
        labels.

    Returns
    -------
    q : ndarray of shape (n_samples, n_classes, n_groups)
        :math:`q(y, a | x) = p(y | x)\, p(a | x, y)`.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.steps import cell_posterior
    >>> cell_posterior(np.array([[0.4, 0.6]]), np.array([[[0.5, 0.5], [0.0, 1.0]]]))
    array([[[0.2, 0.2],
            [0. , 0.6]]])
    """
    return class_proba[..., None] * group_proba


def rule_terms(q, shares, constraint):
    r"""What deciding for each class does to accuracy and to the groups' statistics.

    Parameters
    ----------
    q : ndarray of shape (n_samples, n_classes, n_groups)
        Cell posterior of every row.
    shares : ndarray of shape (n_classes, n_groups)
        Share of each cell among all rows.
    constraint : str or Constraint
        The measure of bias, see `skfairaug.metrics.CONSTRAINTS`.

    Returns
    -------
    terms : RuleTerms
        Gain and statistics, the linear forms of the notes.

    Notes
    -----
    With :math:`\pi_y` the share of label y among C labels, the balanced accuracy of a
    decision h is :math:`E[\sum_c h_c(x)\, g_c(x)]` with

    .. math:: g_c(x) = \frac{\sum_a q(c, a | x)}{C\,\pi_c},

    and the statistic of group a for class c is
    :math:`E[h_c(x) \sum_y \kappa_{c,y,a}\, q(y, a | x)]`, with the coefficients of
    :meth:`skfairaug.metrics.Constraint.coefficients`.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.steps import rule_terms
    >>> q = np.array([[[0.1, 0.2], [0.3, 0.4]]])
    >>> terms = rule_terms(q, np.full((2, 2), 0.25), "statistical_parity")
    >>> terms.gain, terms.statistics.round(2).tolist()
    (array([[0.3, 0.7]]), [[[[-0.2, 0.2]]]])
    """
    n_classes = len(shares)
    gain = q.sum(2) / (n_classes * shares.sum(1))
    coefficients = get_constraint(constraint).coefficients(shares)
    statistics = np.einsum("csyg,nyg->ncsg", coefficients, q)
    return RuleTerms(gain, statistics - statistics.mean(-1, keepdims=True))


def fit_multipliers(terms, tolerance):
    r"""Price of each group's statistic: the multipliers of the best rule under the bound.

    Parameters
    ----------
    terms : RuleTerms
        Of rows that neither factor of the cell posterior was fitted to.
    tolerance : float
        Largest gap between the statistics of two groups.

    Returns
    -------
    multipliers : ndarray of shape (n_problems, n_statistics, n_groups)
        :math:`\lambda`, for :func:`rule_scores`.

    Notes
    -----
    They minimise the convex dual

    .. math::
        E\Big[\max_c \big(g_c - \sum_{s,a} \lambda_{c,s,a}\, k_{c,s,a}\big)(x)\Big]
        + \frac\epsilon2 \sum |\lambda|

    with g the gain, k the statistics less their mean over groups, and :math:`\epsilon` the
    tolerance: every statistic is held within half of it around that mean. The maximum is a
    log-sum-exp over 2% of the spread of the gains, so that L-BFGS-B solves it in
    milliseconds. At 0.5 balanced accuracy is that of [1]_; several groups and classes are
    [2]_.

    References
    ----------
    .. [1] A. K. Menon, R. C. Williamson, "The Cost of Fairness in Binary Classification",
       FAT* 2018.
    .. [2] R. Xian, H. Zhao, "A Unified Post-Processing Framework for Group Fairness in
       Classification", arXiv:2405.04025, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.steps import fit_multipliers, rule_scores, rule_terms
    >>> rng = np.random.RandomState(0)
    >>> group = np.repeat([0, 1], 500)
    >>> p = 1 / (1 + np.exp(1.5 - 2 * group - rng.normal(size=1000)))
    >>> q = np.stack([1 - p, p], 1)[:, :, None] * np.eye(2)[group][:, None]
    >>> terms = rule_terms(q, q.mean(0), "statistical_parity")
    >>> scores = rule_scores(terms, fit_multipliers(terms, 0.02))
    >>> chosen = scores[:, 1] > scores[:, 0]
    >>> bool(abs(chosen[group == 0].mean() - chosen[group == 1].mean()) < 0.03)
    True
    """
    gain, statistics = terms
    n_samples, shape = len(gain), statistics.shape[1:]
    spread = (gain - gain.mean(1, keepdims=True)).std()
    width = max(SMOOTHING * spread, np.finfo(float).tiny)

    def dual(parts):
        positive, negative = parts.reshape(2, *shape)
        scores = rule_scores(terms, positive - negative) / width
        chosen = softmax(scores, axis=1)[:, -shape[0] :]
        slope = -np.einsum("nc,ncsg->csg", chosen, statistics).ravel() / n_samples
        value = width * logsumexp(scores, axis=1).mean() + tolerance / 2 * parts.sum()
        return value, np.concatenate([slope, -slope]) + tolerance / 2

    start = np.zeros(2 * int(np.prod(shape)))
    # Where no decision can meet the bound, a price would grow without end.
    bounds = [(0, LARGEST)] * len(start)
    found = minimize(dual, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    positive, negative = found.reshape(2, *shape)
    return positive - negative


def rule_scores(terms, multipliers):
    r"""Score of each class under the rule, which decides for the largest.

    Parameters
    ----------
    terms : RuleTerms
        Of the rows to decide on.
    multipliers : ndarray of shape (n_problems, n_statistics, n_groups)
        From :func:`fit_multipliers`.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes)
        :math:`g_c(x) - \sum_{s,a} \lambda_{c,s,a}\, k_{c,s,a}(x)`. Of two classes the first
        keeps its gain, as what is taken from one is given to the other.

    Examples
    --------
    >>> import numpy as np
    >>> from skfairaug.steps import RuleTerms, rule_scores
    >>> terms = RuleTerms(np.array([[0.4, 0.7]]), np.array([[[[-0.5, 0.5]]]]))
    >>> rule_scores(terms, np.array([[[0.0, 0.2]]])).round(2)
    array([[0.4, 0.6]])
    """
    prices = np.einsum("ncsg,csg->nc", terms.statistics, multipliers)
    scores = np.array(terms.gain)
    scores[:, -prices.shape[1] :] -= prices
    return scores
