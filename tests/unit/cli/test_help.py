"""Help of a tool comes at once."""

import subprocess
import sys

import pytest

from sgg.config.argv import TOOLS


@pytest.mark.parametrize("tool", sorted(TOOLS))
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
