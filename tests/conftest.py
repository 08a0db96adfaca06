"""Settings for all tests. Its place also puts `strategies` on the import path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Same examples on every run, no time limit per example on busy machines, no folder left behind.
settings.register_profile("sgg", deadline=None, derandomize=True, database=None, max_examples=100)
settings.load_profile("sgg")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items):
    """With `-n 2` a file stays on one worker, which keeps its fixtures; the Slurm tests share one cluster."""
    for item in items:
        path = Path(item.path)
        group = "slurm" if path.parent.name == "slurm" else str(path)
        item.add_marker(pytest.mark.xdist_group(group))
