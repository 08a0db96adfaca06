"""One rank of a run: `python -m launchers.rank RUN_DIR/config.yaml`, started by the node's supervisor."""

from __future__ import annotations

import sys
from pathlib import Path

from sgg.explain.exit_codes import run_and_report
from sgg.stages import run_stage


def run(frozen: Path) -> None:
    """The run, then goodbye to the other ranks. One that fails leaves at once: they may wait for ever."""
    run_stage(frozen)
    from sgg.distributed import leave

    leave()


if __name__ == "__main__":
    sys.exit(run_and_report(lambda: run(Path(sys.argv[1]))))
