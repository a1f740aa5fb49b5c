"""Parameters that would do nothing: refused, lest a search over them searches nothing."""

import inspect


def check_idle(estimator, names, why):
    """Raise where parameters that have no effect are set away from their defaults.

    Parameters
    ----------
    estimator : estimator
        Whose parameters they are.
    names : iterable of str
        Parameters that have no effect as things are.
    why : str
        What takes their effect, the end of a sentence, with the remedy.
    """
    signature = inspect.signature(type(estimator).__init__).parameters
    idle = [
        f"{name}={getattr(estimator, name)!r}"
        for name in names
        if not is_same(getattr(estimator, name), signature[name].default)
    ]
    if idle:
        raise ValueError(f"{type(estimator).__name__}({', '.join(idle)}) has no effect {why}")


def is_same(value, default):
    """Whether a parameter is at its default; 1.0 and 1 are the same, arrays are no default."""
    if default is None or isinstance(default, str):
        return value is default or (isinstance(value, str) and value == default)
    return bool(value == default)


def check_nested(estimator, params):
    """Raise where a nested parameter is set of a step that is not there.

    Parameters
    ----------
    estimator : estimator
        Its ``_parameter_constraints`` say what a step may be.
    params : dict
        As for `set_params`.
    """
    for name in params:
        step, _, inner = name.partition("__")
        value = params.get(step, getattr(estimator, step, estimator))
        if not inner or not (value is None or isinstance(value, str)):
            continue
        kinds = estimator._parameter_constraints.get(step, ())
        kinds = [kind.__name__ for kind in kinds if isinstance(kind, type)]
        if kinds:
            raise ValueError(
                f"{name} cannot be set: {step} is {value!r}, which has no {inner}. Give "
                f"{step}={kinds[0]}() first, or together with it."
            )
