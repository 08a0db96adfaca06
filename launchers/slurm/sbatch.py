"""The text of a batch script: sbatch's options, what its shell does, and the step that srun starts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def script_text(
    options: Mapping[str, Any],
    setup: Sequence[str],
    srun: Sequence[str],
    command: str,
    teardown: Sequence[str],
) -> str:
    """What sbatch reads and bash runs.

    Args:
        options: sbatch's, by their long names without dashes in front; True for one without a value.
        setup: lines of the shell before the step.
        srun: arguments of srun.
        command: what each task of the step runs, quoted for the shell, which replaces variables in it.
        teardown: lines of the shell after the step; the first sees srun's exit code.

    """
    return "\n".join(
        [
            *("#!/bin/bash", "", "# Parameters"),
            *(_directive(name, value) for name, value in sorted(options.items())),
            *("", "# setup", *setup),
            *("", "# command", f"{shlex.join(['srun', '--unbuffered', *srun])} {command}", ""),
            *("", "# teardown", *teardown),
        ]
    )


def _directive(name: str, value: Any) -> str:
    return f"#SBATCH --{name}" if value is True else f"#SBATCH --{name}={shlex.quote(str(value))}"
