"""Whether a config's environment and checkpoints may bring code in: only of a run that the user accepts.

The command that starts or submits a run has looked for the user's signature, and says so by the argument
`accepted`, since a node may have another home. Without it, as where somebody starts
`launchers.node` by hand on a stranger's folder, the node looks for the signature itself.
"""

from __future__ import annotations

import re
from pathlib import Path

from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.runs.checkpoint_signature import unsigned_checkpoints
from sgg.runs.signature import is_signed_run
from sgg.runs.sweep import resume_command

_LOADS_CODE = re.compile(r"PYTHON.*|LD_.*|PATH|BASH_ENV")
"""Environment variables that say which code a program loads."""


def require_acceptance(config: Config, run_dir: Path) -> None:
    """Let no process start that would load code which the user has not accepted.

    Raises:
        SggError: `hardware.environment` has a variable for that, and the run is not signed by the user; or
            DeepSpeed would unpickle a checkpoint that is not.

    """
    resume = resume_command(run_dir)
    if unsigned := unsigned_checkpoints(run_dir, config):
        raise SggError(
            f"{unsigned[0]} has no signature of yours that can be found from here, and DeepSpeed unpickles "
            f"its state. Nothing was started. See what the run would do, and start it, by: {resume}"
        )
    names = [name for name in config.hardware.environment if _LOADS_CODE.fullmatch(name)]
    if names and not is_signed_run(run_dir):
        raise SggError(
            f"{run_dir}: hardware.environment sets {', '.join(names)}, which may load other code, and the "
            "run has no signature of yours that can be found from here. Nothing was started. See what it "
            f"would run, and start it, by: {resume}"
        )
