"""Whether a node may start a run: only one that its user has made or accepted, checked as `sgg resume` does.

The command that starts or submits a run has looked for the user's signature and checked the config, and says
so by `SGG_ACCEPTED_RUN`, since a node may have another home. Without that, as where somebody starts
`launchers.node` by hand on a stranger's folder, the node looks itself.
"""

from __future__ import annotations

from pathlib import Path

from launchers.kinds import checked_config
from sgg.errors import SggError
from sgg.runs.checkpoint_signature import unsigned_checkpoint
from sgg.runs.signature import is_signed_run
from sgg.runs.sweep import resume_command


def require_acceptance(run_dir: Path) -> None:
    """Let no process of a run start that its user has neither made nor accepted.

    Raises:
        SggError: the run is not signed by the user, its config cannot run, or DeepSpeed would unpickle a
            checkpoint that is not signed.

    """
    resume = resume_command(run_dir)
    if not is_signed_run(run_dir):  # before the config is checked, which imports what it names
        raise SggError(
            f"{run_dir}: the run has no signature of yours that can be found from here, and its config says "
            f"what runs. Nothing was started. See what it would run, and start it, by: {resume}"
        )
    if unsigned := unsigned_checkpoint(run_dir, checked_config(run_dir)):
        raise SggError(
            f"{unsigned} has no signature of yours that can be found from here, and DeepSpeed unpickles "
            f"its state. Nothing was started. See what the run would do, and start it, by: {resume}"
        )
