"""The gallery's scripts run from start to end, and a warning ends them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
SLOW = "plot_01", "plot_02", "plot_03", "plot_04", "plot_10"
TIMEOUT = 300  # seconds; a script should need a tenth of it


def test_there_are_examples():
    assert {"plot_01_quickstart.py", "plot_02_pipeline_and_grid_search.py"} <= {
        script.name for script in EXAMPLES
    }


def marked(script):
    """A slow script is run by `make test-all`, and by the gallery of the docs."""
    slow = script.stem.startswith(SLOW)
    return pytest.param(script, marks=[pytest.mark.slow] * slow, id=script.stem)


@pytest.mark.parametrize("script", [marked(script) for script in EXAMPLES])
def test_example_runs(script, tmp_path):
    # plt.show() is right in a gallery and warns where there is no screen.
    no_screen = "ignore:FigureCanvasAgg is non-interactive:UserWarning"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-W", no_screen, str(script)],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
