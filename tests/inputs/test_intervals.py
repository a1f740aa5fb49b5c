"""True and False are no numbers, for any parameter of anything."""

import inspect

import numpy as np
import pytest
from sklearn.utils import _param_validation

import skfairaug
from skfairaug import auditing, datasets, rivals
from skfairaug._inputs._intervals import Interval

#: Everything public with constraints on its parameters: name -> constraints.
CONSTRAINED = {
    name: getattr(thing, "_parameter_constraints", None)
    or getattr(thing, "_skl_parameter_constraints", None)
    for package in (skfairaug, auditing, datasets, rivals)
    for name, thing in inspect.getmembers(package, callable)
}
INTERVALS = [
    (f"{name}.{parameter}", constraint)
    for name, constraints in CONSTRAINED.items()
    for parameter, listed in (constraints or {}).items()
    if isinstance(listed, list)
    for constraint in listed
    if isinstance(constraint, _param_validation.Interval)
]


def test_there_are_such_parameters():
    assert len(INTERVALS) > 60


@pytest.mark.parametrize(
    "constraint", [pytest.param(constraint, id=name) for name, constraint in INTERVALS]
)
def test_true_is_no_number(constraint):
    for value in (True, False, np.True_, np.False_, float("nan")):
        assert not constraint.is_satisfied_by(value)


def test_numbers_are():
    interval = Interval(_param_validation.Integral, 1, None, closed="left")
    assert interval.is_satisfied_by(1)
    assert interval.is_satisfied_by(np.int64(2))
    assert not interval.is_satisfied_by(0)


def test_the_message_says_what_was_expected():
    with pytest.raises(ValueError, match=r"'n_samples' .* must be an int in the range .* True"):
        datasets.make_loans(n_samples=True)
