"""Whose warnings are errors: ours and those of the libraries that we use."""

import configparser
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Distributions that are imported by another name.
IMPORTED = {"scikit-learn": "sklearn", "pillow": "PIL", "pyyaml": "yaml"}


def dependencies():
    """Names by which what setup.cfg asks for at run time and in the tests is imported."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    listed = [config["options"]["install_requires"], extras["test"]]
    names = [re.split(r"[>=<\[ ]", line)[0] for line in "\n".join(listed).split("\n") if line]
    return sorted({IMPORTED.get(name, name) for name in names if not name.startswith("pytest")})


def warn_in(module):
    warnings.warn_explicit("an example", DeprecationWarning, "a_file.py", 1, module=module)


@pytest.mark.parametrize("module", ["skfairaug._engine._training", __name__, *dependencies()])
def test_warnings_of_ours_and_of_what_we_use_are_errors(module):
    for name in (module, f"{module}.part"):
        with pytest.raises(DeprecationWarning, match="an example"):
            warn_in(name)


@pytest.mark.parametrize("module", ["somebodys_package", "torchmetrics.part"])
def test_warnings_of_others_are_not(module):
    with warnings.catch_warnings(record=True) as caught:  # the filters stay
        warn_in(module)
    assert len(caught) == 1
