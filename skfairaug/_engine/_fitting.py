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
        with _whole_or_nothing(self):
            if not get_config()["skip_parameter_validation"]:
                self._validate_params()
            return method(self, *args, **kwargs)

    return fit


@contextmanager
def _whole_or_nothing(estimator):
    """Forget an earlier fit, and this one if the block raises, an interrupt included."""
    _forget(estimator)
    before = set(vars(estimator))
    try:
        yield
    except BaseException:
        _forget(estimator)
        for name in vars(estimator).keys() - before:
            delattr(estimator, name)
        raise


def _forget(estimator):
    for name in list(vars(estimator)):
        if name.endswith("_") and not name.startswith("__"):
            delattr(estimator, name)
