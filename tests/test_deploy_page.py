"""The guide's page on deployment runs as printed, one block after the other."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "doc" / "user_guide" / "deploy.rst"


# torch's exporters warn of what torch itself will replace.
@pytest.mark.filterwarnings("ignore")
def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.M)
    blocks = [re.sub("^   ", "", block, flags=re.M).strip() for block in blocks]
    assert len(blocks) == 6
    names, without_onnx = {}, not find_spec("onnxruntime") or not find_spec("onnxscript")
    for block in blocks[1:]:
        assert len([line for line in block.splitlines() if line]) <= 10
    for block in blocks:
        if not (without_onnx and "onnx" in block):
            exec(compile(block, str(PAGE), "exec"), names)
    assert (tmp_path / "fair.safetensors").exists()
