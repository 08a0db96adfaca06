"""The checkpoint that a run starts from where `model.path` names a training that may go on.

RUN_DIR/best, and RUN_DIR before its final model is there, name another checkpoint after the training's next
save. A run's frozen config therefore names the checkpoint itself: resumed, it reads the same weights.
"""

from __future__ import annotations

from pathlib import Path

from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.runs.checkpoint import is_marked_complete, newest_complete
from sgg.runs.folder import BEST, MODEL_FOLDER
from sgg.runs.records import read_best


def lasting_path(path: str) -> str:
    """What to freeze of a `model.path`: the checkpoint of a training that is not finished, else the same.

    Raises:
        SggError: the path is RUN_DIR/best, and there is no such checkpoint.

    """
    local = Path(path).expanduser()
    if names_best(local):
        finished = is_marked_complete(local.parent / MODEL_FOLDER)
        return path if finished else str(best_checkpoint(local.parent, path))
    if not (local / FROZEN_NAME).is_file() or is_marked_complete(local / MODEL_FOLDER):
        return path
    newest = newest_complete(local)
    return path if newest is None else str(newest)


def names_best(local: Path) -> bool:
    """Whether a path is RUN_DIR/best."""
    return local.name == BEST and (local.parent / FROZEN_NAME).is_file()


def best_checkpoint(run_dir: Path, path: str) -> Path:
    """The folder of a run's best checkpoint.

    Args:
        run_dir: of the training.
        path: `model.path`, for the message.

    Raises:
        SggError: there is none, or best.json is damaged.

    """
    best = read_best(run_dir)
    if best is None:
        raise SggError(
            f"model.path={path}: {run_dir} keeps no best checkpoint. Train with stage.evaluate.every_steps=N "
            f"stage.evaluate.keep_best=R@50, or take model.path={run_dir} for the last weights."
        )
    if not (run_dir / best.checkpoint).is_dir():
        raise SggError(
            f"model.path={path}: {best.checkpoint}, the best one by {best.metric}, is no longer in {run_dir}."
        )
    return run_dir / best.checkpoint
