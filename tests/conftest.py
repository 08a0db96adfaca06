"""Settings for all tests. Its place also puts `strategies` on the import path.

`sgg` is imported before any test's own imports: transformers may need its workaround for torchvision.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

import sgg  # noqa: F401

# Same examples on every run, no time limit per example on busy machines, no folder left behind.
EXAMPLES = int(os.environ.get("SGG_EXAMPLES", "100"))
settings.register_profile(
    "sgg", deadline=None, derandomize=True, database=None, max_examples=EXAMPLES
)
settings.load_profile("sgg")

WITHOUT_VLLM = pytest.mark.skip(reason="vLLM is not installed: make setup-vllm")


def pytest_collection_modifyitems(items):
    """Skip with a reason what wants vLLM where there is none."""
    if importlib.util.find_spec("vllm") is None:
        for item in items:
            if item.get_closest_marker("vllm"):
                item.add_marker(WITHOUT_VLLM)


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """A folder whose modules can be imported; Python forgets them when the test ends."""
    folder = tmp_path / "importable"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_relative_to(folder):
            del sys.modules[name]
