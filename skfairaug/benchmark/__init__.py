"""Comparisons on the same splits, and how to choose from them."""

from skfairaug.benchmark._compare import compare
from skfairaug.benchmark._front import pareto_front
from skfairaug.benchmark._pareto import ParetoDisplay
from skfairaug.benchmark._selector import ParetoSelector
from skfairaug.benchmark._summary import summarize
from skfairaug.benchmark._tolerance import ToleranceDisplay

__all__ = [
    "ParetoDisplay",
    "ParetoSelector",
    "ToleranceDisplay",
    "compare",
    "pareto_front",
    "summarize",
]
