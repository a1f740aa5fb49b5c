"""Public docstrings: numpydoc's rules, the defaults they state, the examples they run."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate
from sklearn.base import BaseEstimator

import skfairaug

ROOT = Path(__file__).resolve().parents[1]

PUBLIC_MODULES = [
    "skfairaug",
    "skfairaug.auditing",
    "skfairaug.benchmark",
    "skfairaug.datasets",
    "skfairaug.metrics",
    "skfairaug.modules",
    "skfairaug.rivals",
    "skfairaug.steps",
]

with open(ROOT / "pyproject.toml", "rb") as file:
    CHECKS = tomllib.load(file)["tool"]["numpydoc_validation"]["checks"]
assert CHECKS[0] == "all"
IGNORED = set(CHECKS[1:])


def public_objects():
    """(dotted name, object) of the classes and functions in the public `__all__`s."""
    for name in PUBLIC_MODULES:
        module = importlib.import_module(name)
        for public in module.__all__:
            obj = getattr(module, public)
            if inspect.isclass(obj) or inspect.isroutine(obj):
                yield f"{name}.{public}", obj
    exceptions = importlib.import_module("skfairaug.exceptions")
    for public, obj in vars(exceptions).items():
        if inspect.isclass(obj) and obj.__module__ == exceptions.__name__:
            yield f"{exceptions.__name__}.{public}", obj


def is_record(obj):
    """Whether a class only holds what others make: a tuple, a dataclass, a warning."""
    if not inspect.isclass(obj) or issubclass(obj, BaseEstimator):
        return False
    return issubclass(obj, tuple | BaseException) or dataclasses.is_dataclass(obj)


def own_methods(cls):
    """(name, function) of the public methods and properties that skfairaug defines."""
    for name in dir(cls):
        if name.startswith("_"):
            continue
        obj = inspect.getattr_static(cls, name)
        function = getattr(obj, "__func__", None) or getattr(obj, "fget", None) or obj
        if callable(function) and str(getattr(function, "__module__", "")).startswith(
            skfairaug.__name__
        ):
            yield name, function


OBJECTS = dict(public_objects())
METHODS = {
    f"{name}.{method}": function
    for name, obj in OBJECTS.items()
    if inspect.isclass(obj)
    for method, function in own_methods(obj)
}


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_api_page_lists_every_public_name(name):
    listed = re.findall(r"^   (\w+)$", (ROOT / "doc" / "api.rst").read_text("utf-8"), re.M)
    public = {public for public in importlib.import_module(name).__all__ if public[0] != "_"}
    assert public - set(listed) == set()


@pytest.mark.parametrize("name", sorted(OBJECTS | METHODS))
def test_docstring_follows_numpydoc(name):
    ignored = set(IGNORED)
    if name in METHODS:
        ignored |= {"EX01"}  # the example of the class serves its methods
    elif is_record(OBJECTS[name]):
        ignored |= {"EX01", "PR01"}  # fields are documented as attributes
    errors = [f"{c}: {text}" for c, text in validate(name)["errors"] if c not in ignored]
    assert errors == []


def documented_types(obj):
    """Parameter name -> type text, from the Parameters section."""
    doc = ClassDoc(obj) if inspect.isclass(obj) else FunctionDoc(obj)
    return {
        name.strip().lstrip("*"): parameter.type
        for parameter in doc["Parameters"]
        for name in parameter.name.split(",")
    }


def same_value(text, value):
    """Whether documentation text such as ``"auto"`` or ``1e-3`` names `value`."""
    try:
        documented = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text in (repr(value), getattr(value, "__name__", None))
    return documented == value and isinstance(documented, bool) == isinstance(value, bool)


def default_complaints(obj):
    types, found = documented_types(obj), []
    if inspect.isclass(obj) and issubclass(obj, BaseException):
        return found
    for name, parameter in inspect.signature(obj).parameters.items():
        if name not in types or types[name] in ("None", "Ignored"):
            continue
        stated = re.search(r"default=(.+?)\.?$", types[name])
        if parameter.default is parameter.empty:
            if stated:
                found.append(f"{name} has no default, {stated[1]} is documented")
        elif not stated:
            found.append(f"{name} does not state its default {parameter.default!r}")
        elif not same_value(stated[1], parameter.default):
            found.append(f"{name} is documented as {stated[1]}, is {parameter.default!r}")
    return found


@pytest.mark.parametrize("name", sorted(OBJECTS | METHODS))
def test_documented_defaults_equal_the_signature(name):
    assert default_complaints((OBJECTS | METHODS)[name]) == []


def test_wrong_defaults_are_found():
    def function(a, b=1, c="x", d=None, e=0):
        """Do nothing.

        Parameters
        ----------
        a : int, default=3
            No default.
        b : int, default=2
            Another default.
        c : {"x", "y"}, default="x"
            Right.
        d : int
            Not stated.
        e : bool, default=False
            Another type.
        """

    assert default_complaints(function) == [
        "a has no default, 3 is documented",
        "b is documented as 2, is 1",
        "d does not state its default None",
        "e is documented as False, is 0",
    ]


def doctests():
    """Every docstring with examples, private modules and the user guide included."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for info in pkgutil.walk_packages(skfairaug.__path__, "skfairaug."):
        if not info.name.endswith("__main__"):
            module = importlib.import_module(info.name)
            yield from (test for test in finder.find(module) if test.examples)
    parser = doctest.DocTestParser()
    for page in sorted((ROOT / "doc").rglob("*.rst")):
        name = str(page.relative_to(ROOT))
        if not name.startswith(("doc/_build", "doc/auto_examples", "doc/generated")):
            test = parser.get_doctest(page.read_text("utf-8"), {}, name, str(page), 0)
            if test.examples:
                yield test


@pytest.mark.parametrize("test", list(doctests()), ids=lambda test: test.name)
def test_examples_run(test):
    report = []
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    results = runner.run(test, out=report.append)
    assert results.failed == 0, "".join(report)
