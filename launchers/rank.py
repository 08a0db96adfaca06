"""One rank of a run: `python -m launchers.rank RUN_DIR/config.yaml`, started by the node's supervisor."""

from __future__ import annotations

import sys
from pathlib import Path

from sgg.cli import guarded
from sgg.main import run_frozen

if __name__ == "__main__":
    sys.exit(guarded(lambda: run_frozen(Path(sys.argv[1]))))
