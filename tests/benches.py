"""The scripts of bench/ as modules, for tests that hold what they print."""

import importlib
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "bench"


def load(name):
    """`bench/NAME.py`."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)
