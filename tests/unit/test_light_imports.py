"""Everything up to the config imports without the heavy libraries: `sgg --help` stays quick."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "trl", "vllm", "transformers"]
LIGHT = [
    *("graph", "boxes", "vocab", "options", "codec", "prompt", "similarity", "match"),
    *("reward.terms", "reward.score", "reward.trl_adapter"),
    *("metric.protocol", "metric.tally", "metric.summary", "metric.intervals", "metric.exchange"),
    *("config", "validate", "plan", "spec", "data.check", "data.build"),
    *("predictions", "score"),
]

SCRIPT = """
import importlib, json, sys
modules, heavy = json.loads(sys.argv[1])
found = {}
for module in modules:
    importlib.import_module(f"sgg.{module}")
    found[module] = [name for name in heavy if name in sys.modules]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded():
    """By module, the heavy libraries that are there after it; one fresh process imports them all."""
    command = [sys.executable, "-c", SCRIPT, json.dumps([LIGHT, HEAVY])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", LIGHT)
def test_module_imports_nothing_heavy(loaded, module):
    """The first module that fails is the one to mend; those after it only come later."""
    assert loaded[module] == []


@pytest.mark.parametrize("tool", ["score", "reward"])
def test_help_of_a_tool_comes_without_hydra(tool):
    code = f"""
import sys
from sgg.main import _tool
try:
    _tool("{tool}", ["--help"])
finally:
    assert not {{"hydra", "omegaconf", "antlr4"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
