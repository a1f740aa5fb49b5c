"""ParetoSelector: the most accurate candidate of a search that is fair enough."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skfairaug._inputs._checks import check_caution, check_tolerance
from skfairaug.benchmark._front import pareto_front, read_cv_results, read_frame
from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics._threshold import ThresholdCurve, choose_threshold


@dataclass(frozen=True)
class ParetoSelector:
    r"""Choose among the candidates of a search by expected Phi.

    Pass it as ``refit=`` to a :class:`~sklearn.model_selection.GridSearchCV` or
    :class:`~sklearn.model_selection.RandomizedSearchCV` that scores balanced accuracy
    and bias.

    Parameters
    ----------
    accuracy : str, default="balanced_accuracy"
        Scorer of the balanced accuracy.
    bias : str, default="bias"
        Scorer of the bias. Only its size counts, so it may keep the sign, be turned
        round (as :func:`~skfairaug.metrics.make_fairness_scorer` does) or be absolute.
    tolerance : float, default=0.05
        Bound epsilon on the size of the bias, in (0, 1].
    caution : float, default=1.0
        How many times the standard error of the mean bias to allow for; 0 trusts the
        mean.

    See Also
    --------
    ParetoDisplay : Draws the candidates and the choice.

    Notes
    -----
    With the mean :math:`\rho` of the balanced accuracy over the n splits, the mean
    :math:`\hat\mu` of the bias, the standard deviation s of the latter and the caution
    c, the choice maximises

    .. math::
       \rho \cdot P(|b| < \epsilon), \qquad b \sim N(\hat\mu, (c\,s / \sqrt n)^2)

    among the candidates with :math:`|\hat\mu| < \epsilon`, by the rule of
    :func:`~skfairaug.metrics.choose_threshold`. If there is none, it is the least biased
    one, with a :class:`~skfairaug.exceptions.FairnessNotReachedWarning`. A single split
    has no standard error; its means are trusted.

    A scorer that keeps the sign (``absolute=False``, two groups) measures better: luck
    that favours one group in one split and the other in the next cancels, while the
    mean of absolute values adds it up.

    The halving searches of scikit-learn 1.9 take one score only and ignore a callable
    `refit`. Give them ``scoring=phi_scorer(...)``, or a callable that returns a dict
    with the two scores and a ``"score"`` to eliminate by, and call the selector on
    ``cv_results_`` afterwards: of such results it reads the last iteration.

    Examples
    --------
    >>> from skfairaug.benchmark import ParetoSelector
    >>> results = {
    ...     "split0_test_balanced_accuracy": [0.80, 0.75, 0.70],
    ...     "split1_test_balanced_accuracy": [0.80, 0.75, 0.70],
    ...     "split0_test_bias": [-0.12, -0.02, -0.01],
    ...     "split1_test_bias": [-0.10, -0.03, -0.01]}
    >>> selector = ParetoSelector(tolerance=0.05)
    >>> selector(results)
    1
    >>> selector.front(results)
    array([ True,  True,  True])
    """

    accuracy: str = "balanced_accuracy"
    bias: str = "bias"
    tolerance: float = 0.05
    caution: float = 1.0

    def __post_init__(self):
        """Refuse wrong numbers before a search spends its time."""
        for name in ("accuracy", "bias"):
            scorer = getattr(self, name)
            if not isinstance(scorer, str) or not scorer:
                raise ValueError(f"{name} must be the name of a scorer; got {scorer!r}.")
        check_tolerance(self.tolerance)
        check_caution(self.caution)

    def __call__(self, cv_results):
        """Index of the candidate to refit.

        Parameters
        ----------
        cv_results : dict of str to array-like
            ``cv_results_`` of a search.

        Returns
        -------
        index : int
            Position in the results.

        Raises
        ------
        ValueError
            If a scorer is missing, or every candidate failed.
        """
        candidates = self.read(cv_results)
        index = self.choose(candidates)
        if candidates.bias[index] >= self.tolerance:
            warnings.warn(
                f"No candidate has a mean bias within {self.tolerance:g}: the least biased "
                f"one, number {index}, has {candidates.bias[index]:.3f} at balanced accuracy "
                f"{candidates.accuracy[index]:.3f}. Search further, or allow more.",
                FairnessNotReachedWarning,
                stacklevel=2,
            )
        return index

    def front(self, cv_results):
        """Mark the candidates that none other beats on the means.

        Parameters
        ----------
        cv_results : dict of str to array-like, or DataFrame
            As for :meth:`read`.

        Returns
        -------
        front : ndarray of shape (n_candidates,), bool
            As from :func:`pareto_front`.
        """
        candidates = self.read(cv_results)
        return pareto_front(candidates.accuracy, candidates.bias)

    def read(self, results, by="method"):
        """Read means and standard errors of balanced accuracy and bias.

        Parameters
        ----------
        results : dict of str to array-like, or DataFrame
            ``cv_results_`` of a search (a DataFrame of it does as well), or the results
            of :func:`compare`.
        by : str, default="method"
            Column of the results of a comparison that tells the candidates.

        Returns
        -------
        candidates : Candidates
            ``labels``, ``accuracy``, ``bias`` (its size), ``accuracy_error`` and
            ``bias_error``. NaN for those that failed on a split, and of a halving
            search for all that were eliminated.
        """
        if not isinstance(results, Mapping | pd.DataFrame):
            raise TypeError(
                "results must be the cv_results_ of a search, or a DataFrame of them or of a "
                f"comparison; got {results!r}."
            )
        if f"mean_test_{self.bias}" not in results and by in results:
            return read_frame(results, self.accuracy, self.bias, by)
        if not isinstance(results, Mapping):
            results = {name: results[name].to_numpy() for name in results}
        candidates = read_cv_results(results, self.accuracy, self.bias)
        if "iter" in results:
            iteration = np.asarray(results["iter"])
            candidates.accuracy[iteration < iteration.max()] = np.nan
        return candidates

    def choose(self, candidates):
        """Index of the best candidate, be it inside the tolerance or not.

        Parameters
        ----------
        candidates : Candidates
            As from :meth:`read`.

        Returns
        -------
        index : int
            Position among the candidates.

        Raises
        ------
        ValueError
            If every candidate failed.
        """
        judged = np.flatnonzero(candidates.judged)
        if not len(judged):
            raise ValueError(
                f"None of the {len(candidates.judged)} candidates has both scores; look at "
                "the search's warnings, or set error_score='raise'."
            )
        curve = ThresholdCurve(
            judged,
            candidates.accuracy[judged],
            candidates.bias[judged],
            np.nan_to_num(candidates.bias_error[judged]),
        )
        best = choose_threshold(curve, tolerance=self.tolerance, caution=self.caution)
        return int(judged[best])
