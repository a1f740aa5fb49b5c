"""Docstrings in numpydoc's form: taken apart, and passages said once for all who need them."""

import inspect
import re
from itertools import pairwise

#: The paper whose method this is, as every docstring that needs it cites it.
PAPER = """\
.. [1] Y. Zhang, R. Bao, J. Pei, H. Huang, "Toward Unified Data and Algorithm Fairness via
   Adversarial Data Augmentation and Adaptive Model Fine-tuning", ICDM 2022."""


def cites_paper(function):
    """Decorator: [1]_ in the docstring of a function is the paper of the method."""
    if function.__doc__:  # python -OO has none
        sections = sections_of(function.__doc__)
        examples = sections.pop("Examples", "")
        function.__doc__ = docstring_of(sections | {"References": PAPER, "Examples": examples})
    return function


def sections_of(doc):
    """Section name -> its text; what stands before the first section by the empty name."""
    doc = inspect.cleandoc(doc)
    heads = list(re.finditer(r"^(\w[\w ]*)\n-+\n", doc, re.M))
    found = {"": doc[: heads[0].start()].strip() if heads else doc}
    for head, after in pairwise([*heads, None]):
        found[head[1]] = doc[head.end() : after.start() if after else None].strip("\n")
    return found


def entries_of(text):
    """Name -> entry, its indented description included, of a section such as Parameters."""
    parts = re.split(r"^(?=\S)", text, flags=re.M)
    return {part.split(" :")[0]: part.rstrip("\n") for part in parts if part}


def docstring_of(sections):
    """The docstring of sections in their order; those without text are left out."""
    first, *others = sections.items()
    parts = [first[1]]
    parts += [f"{name}\n{'-' * len(name)}\n{text}" for name, text in others if text]
    return "\n\n".join(parts) + "\n"


def described_as(other):
    """Decorator: a function takes over what its docstring does not say from another's.

    These are the parameters of the same name, and the sections Returns and References.

    Parameters
    ----------
    other : callable
        Has a docstring with them.

    Returns
    -------
    decorate : callable
        Gives the function the whole docstring.
    """

    def decorate(function):
        if function.__doc__:  # python -OO has none
            function.__doc__ = _whole_docstring(function, other.__doc__)
        return function

    return decorate


def _whole_docstring(function, described):
    own, theirs = sections_of(function.__doc__), sections_of(described)
    known = entries_of(theirs["Parameters"]) | entries_of(own.get("Parameters", ""))
    names = list(inspect.signature(function).parameters)
    # "y_true, y_pred" are described together.
    given = [key for key in known if set(key.split(", ")) <= set(names)]
    given.sort(key=lambda key: names.index(key.split(", ")[0]))
    sections = {"": own.pop(""), "Parameters": "\n".join(known[key] for key in given)}
    sections["Returns"] = own.pop("Returns", theirs.get("Returns", ""))
    sections |= {name: text for name, text in own.items() if name != "Parameters"}
    examples = sections.pop("Examples", "")
    if "[1]_" in str(own) and "References" not in own:
        sections["References"] = theirs["References"]
    return docstring_of(sections | {"Examples": examples})
