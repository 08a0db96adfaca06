"""The start of a run in its folder: the frozen config is written and signed, or is the same as before."""

from __future__ import annotations

import shlex
from pathlib import Path

from sgg.config.differences import differences
from sgg.config.frozen import FROZEN_NAME, read_frozen, write_frozen
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.runs.checkpoint_signature import unsigned_checkpoint
from sgg.runs.folder import make_folder
from sgg.runs.signature import LASTING_SECRET, sign_run
from sgg.runs.start_checkpoint import lasting_path


def open_run(config: Config, model_is_made: bool = False) -> Path:
    """The run's folder with the frozen config in it: a new one, or the same run's from before.

    Args:
        config: the run's; `paths.run_dir` and `model.path` are set to what is frozen.
        model_is_made: an earlier step of the pipeline makes the weights, and ends before this run starts.

    Raises:
        SggError: the folder holds a run with another config, or a checkpoint that is not this user's; or
            the weights are no longer there.

    """
    run_dir = make_folder(config)
    if not model_is_made:
        config.model.path = lasting_path(config.model.path)
    frozen = run_dir / FROZEN_NAME
    is_run, resume = frozen.is_file(), shlex.join(["sgg", "resume", str(run_dir)])
    if is_run:
        differing = _differences(read_frozen(frozen), config)
        if differing:
            listed = "\n".join(f"  {d}" for d in differing[:8])
            raise SggError(
                f"{run_dir} holds a run with another config:\n{listed}\n"
                f"Resume that one with: {resume}\n"
                "Or take another paths.run_dir."
            )
    if unsigned := unsigned_checkpoint(run_dir, config):
        way = resume if is_run else "remove it, or take another paths.run_dir"
        raise SggError(
            f"{unsigned}: no run of yours has written this checkpoint, or it was changed since, and "
            f"DeepSpeed unpickles its state, which can run any code. {LASTING_SECRET} What to do: {way}"
        )
    if not is_run:
        write_frozen(config, frozen)
    sign_run(run_dir)  # also another user's: this start's own config has said all of it
    return run_dir


_NOT_COMPARED = ("dry_run", "choices", "paths.sweep_dir")


def _differences(old: Config, new: Config) -> list[str]:
    """`key: old -> new` for every leaf that differs."""
    found = differences(old, new)
    return [
        f"{key}: {old} -> {new}"
        for key, (old, new) in sorted(found.items())
        if not any(key == left or key.startswith(f"{left}.") for left in _NOT_COMPARED)
    ]
