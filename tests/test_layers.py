"""A module imports only from a lower layer, and from the module that defines the name."""

import ast
from pathlib import Path

import pytest

PACKAGE = "skfairaug"
ROOT = Path(__file__).resolve().parents[1] / PACKAGE

LAYERS = {
    "exceptions": 0,
    "_inputs": 0,
    "modules": 0,
    "datasets": 0,
    "metrics": 1,
    "steps": 2,
    "_engine": 3,
    "_finetuner": 4,
    "_augmenter": 4,
    "_reactivator": 4,
    "_rule": 4,
    "rivals": 4,
    "auditing": 5,
    "benchmark": 5,
    "__main__": 6,
}

#: Imports allowed inside a layer: importer -> imported. There is no way back.
SIDEWAYS = {
    "_inputs": {"exceptions"},
    "datasets": {"exceptions", "_inputs"},
    "_finetuner": {"_augmenter", "_reactivator"},
}

#: What lies at the package's root: the estimators, and a folder for each idea.
LISTING = {
    "__init__",
    "__main__",
    "_augmenter",
    "_engine",
    "_finetuner",
    "_inputs",
    "_reactivator",
    "_rule",
    "auditing",
    "benchmark",
    "datasets",
    "exceptions",
    "metrics",
    "modules",
    "rivals",
    "steps",
}


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
PACKAGES = {name for name, path in FILES.items() if path.name == "__init__.py"}


def component(module):
    """`skfairaug.steps.mask` -> `steps`; the package itself -> the empty string."""
    return (module.split(".") + [""])[1]


def imports(tree):
    """(module, names, level) of every import, nested ones too; `import x` has no names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, (), 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", tuple(alias.name for alias in node.names), node.level


def defined_names(tree):
    """Names that a module binds itself, as opposed to importing them."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def layer_complaint(importer, imported):
    """Why component `importer` may not import component `imported`, or None."""
    if importer == imported or imported in SIDEWAYS.get(importer, ()):
        return None
    if LAYERS[imported] < LAYERS[importer]:
        return None
    return f"layer {LAYERS[importer]} imports {imported!r} of layer {LAYERS[imported]}"


def complaints(module, source):
    """What the imports of a module (not an `__init__`) break."""
    found = []
    for target, names, level in imports(ast.parse(source)):
        if level:
            found.append(f"relative import of {target or names}")
            continue
        if target.split(".")[0] != PACKAGE:
            continue
        if target in PACKAGES:
            found.append(f"imports {names or 'a package'} from the __init__ of {target}")
            continue
        if target not in FILES:
            found.append(f"imports {target}, which does not exist")
            continue
        complaint = layer_complaint(component(module), component(target))
        if complaint:
            found.append(complaint)
        own = defined_names(ast.parse(FILES[target].read_text("utf-8")))
        found += [f"{target} does not define {name}" for name in names if name not in own]
    return found


def init_complaints(package, source):
    """What an `__init__` does beyond re-exporting."""
    tree = ast.parse(source)
    found = []
    for target, _, level in imports(tree):
        if level or not target.startswith(f"{package}.") or target in PACKAGES:
            found.append(f"re-exports from {'.' * level}{target}, not a module of {package}")
    for node in tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        dunder = isinstance(node, ast.Assign) and all(
            isinstance(name, ast.Name) and name.id.startswith("__") for name in node.targets
        )
        if not (docstring or dunder or isinstance(node, ast.ImportFrom)):
            found.append(f"line {node.lineno}: only imports and dunder names belong here")
    return found


def test_every_component_has_a_layer():
    components = {component(module) for module in FILES} - {""}
    assert components <= LAYERS.keys(), "give the new module a layer in LAYERS"


def test_the_root_is_the_method():
    found = {path.stem for path in ROOT.iterdir() if not path.name.startswith("__pycache")}
    assert found == LISTING


def test_sideways_imports_stay_in_a_layer_and_run_one_way():
    for importer, targets in SIDEWAYS.items():
        for imported in targets:
            assert LAYERS[importer] == LAYERS[imported]
            assert importer not in SIDEWAYS.get(imported, ())


@pytest.mark.parametrize("module", sorted(FILES.keys() - PACKAGES))
def test_module_imports_from_below(module):
    assert complaints(module, FILES[module].read_text("utf-8")) == []


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_init_only_re_exports(package):
    assert init_complaints(package, FILES[package].read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        ("steps.mask", "from skfairaug._inputs._encoder import Encoder", None),
        ("steps.mask", "from skfairaug.steps.attack import NORMS", None),
        (
            "_inputs._rows",
            "from skfairaug.steps.attack import NORMS",
            "0 imports 'steps'",
        ),
        (
            "_inputs._rows",
            "def f():\n    import skfairaug.steps.attack",
            "0 imports 'steps'",
        ),
        ("steps.mask", "from skfairaug.steps import NORMS", "the __init__ of skfairaug.steps"),
        ("__main__", "import skfairaug", "the __init__ of skfairaug"),
        ("steps.mask", "from .attack import NORMS", "relative import"),
        ("steps.mask", "from skfairaug.steps.attack import torch", "does not define torch"),
        ("steps.mask", "from skfairaug.steps.nowhere import x", "does not exist"),
    ],
)
def test_the_rules_catch(module, line, expected):
    found = complaints(f"{PACKAGE}.{module}", line)
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1
        assert expected in found[0]


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("from skfairaug.steps.mask import density", False),
        ("__all__ = ['density']", False),
        ("from skfairaug.metrics._phi import expected_phi", True),
        ("from .mask import density", True),
        ("def density(): ...", True),
    ],
)
def test_the_rules_for_init_catch(line, caught):
    assert bool(init_complaints(f"{PACKAGE}.steps", line)) == caught
