"""Bounds of a parameter that is a number."""

from sklearn.utils import _param_validation


class Interval(_param_validation.Interval):
    """scikit-learn's constraint of a parameter to an interval, in which True is no number.

    Python counts bools as integers, so that ``steps_per_epoch=True`` would train one step.
    """

    def is_satisfied_by(self, val):
        """Whether `val` is a number of the interval."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)
