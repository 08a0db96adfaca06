"""One node's share of a frozen run: `python -m launchers.node RUN_DIR/config.yaml`, one task on each node.

Listens for signals before it imports anything: Slurm may send one while a job starts. Exit codes: 0 done,
2 a user's mistake, 128 + N stopped by signal N, else 1.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from launchers import ACCEPTED, SILENT
from launchers.node.signals import listening


def _main(words: list[str]) -> int:
    with listening() as received:
        from sgg.explain.exit_codes import MISTAKE, run_and_report  # needs no package

        try:
            from launchers.node.agent import run_node_share
            from sgg.config.frozen import FROZEN_NAME
        except ModuleNotFoundError as error:
            print(
                f"sgg: {sys.executable} has no module {error.name}, which sgg needs. It is what "
                "hardware.slurm.python names, or what hardware.slurm.setup and prefix make of that name: "
                "install the packages of sgg there, or name the Python that has them.",
                file=sys.stderr,
            )
            return MISTAKE

        if len(words) != 1 or Path(words[0]).name != FROZEN_NAME:
            sys.exit(f"usage: python -m launchers.node RUN_DIR/{FROZEN_NAME}")
        frozen = Path(words[0]).absolute()
        accepted, silent = (os.environ.pop(name, None) for name in (ACCEPTED, SILENT))
        is_accepted = accepted is not None and Path(accepted) == frozen.parent
        return run_and_report(
            lambda: run_node_share(frozen, received, is_accepted), prints=silent is None
        )


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
