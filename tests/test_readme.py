"""The README's quickstart runs as printed."""

import re
import sys
import types
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_quickstart_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 1, "README.md has exactly one python block, the quickstart"
    # A registered module, so that classes of the snippet can be pickled.
    module = types.ModuleType("readme_quickstart")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks[0], str(README), "exec"), vars(module))
