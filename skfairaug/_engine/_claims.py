"""What an estimator says of its result, and when it warns."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skfairaug.exceptions import FairnessNotReachedWarning
from skfairaug.metrics._rows_needed import rows_needed

#: A claim below this is a warning.
LIKELY = 0.5

#: Balanced accuracy above chance that a constant decision may seem to have.
USELESS = 0.01


def store_claims(estimator, verdict):
    """Give an estimator the attributes that say how it does on rows not seen yet."""
    estimator.threshold_ = verdict.threshold
    estimator.balanced_accuracy_ = verdict.balanced_accuracy
    estimator.bias_ = verdict.bias
    estimator.bias_standard_error_ = verdict.standard_error
    estimator.probability_inside_ = verdict.probability
    estimator.objective_ = verdict.objective


def warn_unless_reached(verdict, goal, selection, *, remedies, stacklevel):
    """Warn where the bound was not reached, or is more likely missed than kept.

    Parameters
    ----------
    verdict : Verdict
        What was chosen.
    goal : Goal
        What was asked for.
    selection : Selection
        The rows that chose.
    remedies : str
        What may help, the end of a sentence.
    stacklevel : int
        See `warnings.warn`; 1 is the caller of this function.
    """
    chance = 1.0 / selection.n_classes
    constant = verdict.balanced_accuracy <= chance + USELESS
    unlikely = verdict.probability < LIKELY and goal.caution > 0
    if verdict.reached and abs(verdict.bias) < goal.tolerance and not constant and not unlikely:
        return
    only = "by more than a constant decision " if constant else ""
    promise = f" with probability {goal.confidence:g}" if goal.confidence is not None else ""
    warnings.warn(
        f"{goal.constraint.name} within {goal.tolerance:g}{promise} was not reached {only}on "
        f"the validation data: the best result has bias {verdict.bias:+.3f} (standard error "
        f"{verdict.standard_error:.3f}) at balanced accuracy {verdict.balanced_accuracy:.3f} "
        f"(chance is {chance:.3f}), and is inside with probability {verdict.probability:.2f}. "
        f"{_rows_wanted(goal, selection)}Otherwise {remedies}",
        FairnessNotReachedWarning,
        stacklevel=stacklevel + 1,
    )


def warn_interrupted(*, stacklevel):
    """Say that Ctrl-C ended the training, and that the result is the best until then.

    Parameters
    ----------
    stacklevel : int
        See `warnings.warn`; 1 is the caller of this function.
    """
    warnings.warn(
        "the training was interrupted (KeyboardInterrupt): what is kept is the best network "
        "until then. Fit again for the whole training.",
        ConvergenceWarning,
        stacklevel=stacklevel + 1,
    )


def _rows_wanted(goal, selection):
    """How many rows the bound would need, in a sentence; empty where no number is known."""
    if selection.n_classes != 2:
        return ""
    shape = selection.n_groups, 2
    cells = selection.groups * 2 + selection.y
    shares = np.bincount(cells, minlength=2 * selection.n_groups).reshape(shape) / len(cells)
    if not shares.all():
        return ""
    rate = float(selection.y.mean())
    asked = 0.95 if goal.confidence is None else goal.confidence
    try:
        needed = rows_needed(
            shares,
            np.full(shape, rate),
            constraint=goal.constraint,
            tolerance=goal.tolerance,
            probability=asked,
        )
    except ValueError:  # more than any number of rows
        return ""
    if needed <= len(cells):
        return ""
    read = shares if goal.constraint.labels else shares.sum(1, keepdims=True)
    smallest = read[:, list(goal.constraint.labels) or [0]].min()
    return (
        f"Even a fair classifier would need about {needed} validation rows to be inside with "
        f"probability {asked:g}, {max(1, round(needed * smallest))} of them in the "
        f"smallest cell, which has {round(smallest * len(cells))}. "
    )
