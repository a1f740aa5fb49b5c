"""How fairness is measured: hard and soft bias, Phi, thresholds, scorers."""

from skfairaug.metrics._cells import cell_counts
from skfairaug.metrics._constraints import CONSTRAINTS, Constraint, get_constraint
from skfairaug.metrics._hard import (
    average_odds_difference,
    bias,
    bias_amplification,
    bias_by_class,
    equal_opportunity_difference,
    equalized_odds_difference,
    statistical_parity_difference,
)
from skfairaug.metrics._inside import probability_inside
from skfairaug.metrics._multiple import holm
from skfairaug.metrics._phi import expected_phi, phi_score
from skfairaug.metrics._rows_needed import rows_needed
from skfairaug.metrics._scorers import make_fairness_scorer, phi_scorer
from skfairaug.metrics._soft import soft_bias
from skfairaug.metrics._threshold import ThresholdCurve, choose_threshold, threshold_curve

__all__ = [
    "CONSTRAINTS",
    "Constraint",
    "ThresholdCurve",
    "average_odds_difference",
    "bias",
    "bias_amplification",
    "bias_by_class",
    "cell_counts",
    "choose_threshold",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "expected_phi",
    "get_constraint",
    "holm",
    "make_fairness_scorer",
    "phi_score",
    "phi_scorer",
    "probability_inside",
    "rows_needed",
    "soft_bias",
    "statistical_parity_difference",
    "threshold_curve",
]
