"""How `fit` begins and ends: parameters are checked, and a failure leaves nothing behind."""

from contextlib import contextmanager
from functools import wraps

from sklearn import get_config


def fits(method):
    """Make a method `fit` check the parameters first and forget everything if it fails.

    A half-fitted estimator passes for a fitted one: `predict` would then fail on what is
    missing, or answer by an earlier fit.
    """

    @wraps(method)
    def fit(self, *args, **kwargs):
        with _nothing_kept_on_failure(self):
            if not get_config()["skip_parameter_validation"]:
                self._validate_params()
            return method(self, *args, **kwargs)

    return fit


@contextmanager
def _nothing_kept_on_failure(estimator):
    """Take the fitted attributes away if the block raises, an interrupt included."""
    before = set(vars(estimator))
    try:
        yield
    except BaseException:
        for name in list(vars(estimator)):
            fitted = name.endswith("_") and not name.startswith("__")
            if fitted or name not in before:
                delattr(estimator, name)
        raise
