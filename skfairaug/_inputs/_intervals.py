"""Intervals of numbers, for the constraints on parameters."""

import numpy as np
from sklearn.utils import _param_validation


class Interval(_param_validation.Interval):
    """An interval of numbers, as scikit-learn has it, that True and False are not in.

    Python counts them among the integers, so ``steps_per_epoch=True`` would be one step.
    Whoever writes it means a switch, which is no number.
    """

    def is_satisfied_by(self, val):
        """Whether a value is a number of the interval."""
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)
