"""Parameters declared and described once, in the base class that all who have them share."""

import inspect
import re
from dataclasses import MISSING, dataclass, fields
from typing import dataclass_transform

from skfairaug._inputs._docstrings import docstring_of, entries_of, sections_of

#: Parameters that stand last in every signature, as they do in scikit-learn.
LAST = (
    "sensitive_columns",
    "validation_fraction",
    "debias_fraction",
    "pos_label",
    "random_state",
)

#: Sections of a class's docstring, in numpydoc's order.
SECTIONS = (
    "Parameters",
    "Attributes",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
)


@dataclass_transform(kw_only_default=True, eq_default=False)
def parameters(cls):
    """Make the annotated fields of an estimator, and those of its bases, its parameters.

    ``__init__`` is a dataclass's: it stores every argument unchanged, as scikit-learn
    wants it, and all but `estimator` are keyword-only. ``_parameter_constraints`` are those
    of the class and of its bases. The docstring takes over from the bases what it does not
    say itself: parameters, attributes, the sections Warns and References. Its examples go
    on where those of the bases end. A class that only changes a default gives the field
    anew, and its default is documented.

    Parameters
    ----------
    cls : type
        Subclass of BaseEstimator, or a mixin for one.

    Returns
    -------
    cls : type
        The same class.

    Examples
    --------
    >>> from skfairaug._engine._parameters import parameters
    >>> @parameters
    ... class Base:
    ...     '''Base.
    ...
    ...     Parameters
    ...     ----------
    ...     lr : float, default=0.1
    ...         Learning rate.
    ...     '''
    ...
    ...     lr: float = 0.1
    >>> @parameters
    ... class Slow(Base):
    ...     '''Slow.'''
    ...
    ...     lr: float = 0.01
    >>> print(Slow.__doc__.strip())
    Slow.
    <BLANKLINE>
    Parameters
    ----------
    lr : float, default=0.01
        Learning rate.
    """
    cls = dataclass(eq=False, repr=False, kw_only=True)(cls)
    signature = inspect.signature(cls.__init__)
    own = sorted(signature.parameters.values(), key=_place)
    cls.__init__.__signature__ = signature.replace(parameters=own)
    cls._own_constraints = vars(cls).get("_parameter_constraints", {})
    cls._parameter_constraints = _constraints(cls)
    if cls.__doc__:  # python -OO has none
        cls._own_sections = sections_of(cls.__doc__)
        cls.__doc__ = _whole_docstring(cls)
    return cls


def _place(parameter):
    """Sort key: `self`, `estimator`, the others in the order of the bases, and LAST."""
    if parameter.kind is not parameter.KEYWORD_ONLY:
        return 0
    return 2 + LAST.index(parameter.name) if parameter.name in LAST else 1


def _constraints(cls):
    """Constraints of all parameters, those of a class before those of its bases."""
    given = {}
    for base in reversed(cls.__mro__):
        given |= vars(base).get(
            "_own_constraints", vars(base).get("_parameter_constraints", {})
        )
    return {field.name: given[field.name] for field in fields(cls) if field.name in given}


def _whole_docstring(cls):
    """The docstring of a class with what those of its bases add."""
    bases = [vars(base).get("_own_sections", {}) for base in reversed(cls.__mro__)]
    own = bases[-1]
    sections = {"": own[""], **{name: own.get(name, "") for name in SECTIONS}}
    sections["Parameters"] = "\n".join(_parameter_entries(cls, bases))
    sections["Attributes"] = "\n".join(_attribute_entries(bases))
    for name in ("Warns", "References"):
        sections[name] = next((one[name] for one in bases[::-1] if name in one), "")
    examples = [one["Examples"] for one in bases if "Examples" in one]
    sections["Examples"] = "\n".join(examples)
    return docstring_of(sections)


def _parameter_entries(cls, bases):
    entries = {}
    for sections in bases:
        entries |= entries_of(sections.get("Parameters", ""))
    defaults = {field.name: field.default for field in fields(cls)}
    for name in list(inspect.signature(cls).parameters):
        if name in entries:
            yield _with_default(entries[name], defaults[name])


def _attribute_entries(bases):
    """First what the class adds, then what all of its kind have."""
    entries = {}
    for sections in bases:
        given = entries_of(sections.get("Attributes", ""))
        new = {name: text for name, text in given.items() if name not in entries}
        entries = new | {name: given.get(name, text) for name, text in entries.items()}
    return entries.values()


def _with_default(entry, default):
    """An entry that states the default of this class."""
    if default is MISSING:
        return entry
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    head, _, rest = entry.partition("\n")
    head = re.sub(r"default=.*$", lambda _: f"default={shown}", head)
    return f"{head}\n{rest}"
