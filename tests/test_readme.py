"""The README's Python runs as printed, one block after the other."""

import re
import sys
import textwrap
import types
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_first_page_of_the_docs_shows_the_same_quickstart():
    page = (README.parent / "doc" / "index.rst").read_text("utf-8")
    block = re.search(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)[1]
    assert textwrap.indent(block.rstrip(), "   ") in page


def test_python_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    quickstart = blocks[0].strip().splitlines()
    assert len(quickstart) <= 18, "the quickstart is to be short"
    # A registered module, so that classes of the snippet can be pickled.
    module = types.ModuleType("readme_python")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, str(README), "exec"), vars(module))
    assert (tmp_path / "audit.html").stat().st_size > 10_000
