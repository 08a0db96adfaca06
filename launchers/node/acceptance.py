"""Whether a config's environment may have processes load code: only of a run that the user accepts.

The command that starts or submits a run has looked for the user's signature, and says so by the argument
`accepted`, since a node may have another home. Without it, as where somebody starts
`launchers.node` by hand on a stranger's folder, the node looks for the signature itself.
"""

from __future__ import annotations

import re
from pathlib import Path

from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.runs.signature import is_signed_run
from sgg.runs.sweep import resume_command

_LOADS_CODE = re.compile(r"PYTHON.*|LD_.*|PATH|BASH_ENV")
"""Environment variables that say which code a program loads."""


def require_acceptance(config: Config, run_dir: Path) -> None:
    """Let no process start whose environment loads code that the user has not accepted.

    Raises:
        SggError: `hardware.environment` has such a variable, and the run is not signed by the user.

    """
    names = [name for name in config.hardware.environment if _LOADS_CODE.fullmatch(name)]
    if names and not is_signed_run(run_dir):
        raise SggError(
            f"{run_dir}: hardware.environment sets {', '.join(names)}, which may load other code, and the "
            "run has no signature of yours that can be found from here. Nothing was started. See what it "
            f"would run, and start it, by: {resume_command(run_dir)}"
        )
