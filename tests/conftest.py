"""Fixtures that several test packages share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_home():
    """Folder with the public tables: SKFAIRAUG_DATA, else shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    home = Path(os.environ.get("SKFAIRAUG_DATA") or beside).expanduser()
    if not home.is_dir():
        pytest.skip(
            "the public data sets are not here: set SKFAIRAUG_DATA to a folder with adult/, "
            "compas/, bank/ and german/"
        )
    return home
