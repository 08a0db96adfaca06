"""Where curves go besides the run folder: wandb, tensorboard or nowhere.

A tracker that fails is told once and then left alone: it never stops training. Keys come from the
environment or wandb's own login, never from the config; nothing of them is written to the run.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from pathlib import Path
from typing import Any, Protocol

from sgg.config import Config, TrackerKind
from sgg.literal import plain

log = logging.getLogger("sgg")

IDENTITY = "tracker.json"


class Tracker(Protocol):
    """Takes numbers and pictures."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Numbers of one step."""
        ...

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """A table; a cell may be a PIL image."""
        ...

    def finish(self) -> None:
        """Everything has been logged."""
        ...


class NoTracker:
    """Takes everything, keeps nothing."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Nothing."""

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class Guarded:
    """A tracker whose first failure is logged and ends it, and nothing else."""

    def __init__(self, inner: Tracker) -> None:
        self._inner: Tracker = inner

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        self._try("log", values, step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """See `Tracker.table`."""
        self._try("table", name, columns, rows)

    def finish(self) -> None:
        """See `Tracker.finish`."""
        self._try("finish")

    def _try(self, method: str, *args: Any) -> None:
        try:
            getattr(self._inner, method)(*args)
        except Exception as error:  # whatever a tracker does, training goes on
            log.warning("tracker failed and is left alone from now on: %s", error)
            self._inner = NoTracker()


class WandbTracker:
    """Weights & Biases: online with a key, offline without, one identity over all starts."""

    def __init__(self, config: Config, run_dir: Path) -> None:
        import wandb

        mode: Any = os.environ.get("WANDB_MODE") or ("online" if _wandb_key() else "offline")
        tracker = config.tracker
        self._wandb = wandb
        self._run = wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            group=tracker.group or default_group(config),
            job_type=config.stage.name.name,
            name=run_dir.name,
            id=identity(run_dir),
            resume="allow",
            tags=sorted(f"{k}:{v}" for k, v in config.choices.items() if len(f"{k}:{v}") <= 64),
            config=plain(config),
            dir=str(run_dir),
            mode=mode,
            settings=wandb.Settings(silent=True, disable_git=True, save_code=False),
        )
        if mode == "offline":
            log.info(
                "wandb is offline: no key (WANDB_API_KEY or `wandb login`), or WANDB_MODE=offline; "
                "later: wandb sync %s/wandb/offline-run-*",
                run_dir,
            )

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        self._run.log(values | {"step": step}, step=step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """See `Tracker.table`."""
        cells = [[self._cell(value) for value in row] for row in rows]
        self._run.log({name: self._wandb.Table(columns=columns, data=cells)})

    def finish(self) -> None:
        """See `Tracker.finish`."""
        self._run.finish(quiet=True)

    def _cell(self, value: Any) -> Any:
        return self._wandb.Image(value) if hasattr(value, "getpixel") else value


class TensorboardTracker:
    """Event files in RUN_DIR/tensorboard."""

    def __init__(self, run_dir: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run_dir / "tensorboard"))

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Pictures by row; texts beside them as Markdown."""
        import numpy as np

        for index, row in enumerate(rows):
            for column, value in zip(columns, row, strict=True):
                tag = f"{name}/{index}/{column}"
                if hasattr(value, "getpixel"):
                    self._writer.add_image(tag, np.asarray(value), dataformats="HWC")
                else:
                    self._writer.add_text(tag, f"    {value}")

    def finish(self) -> None:
        """See `Tracker.finish`."""
        self._writer.close()


def open_tracker(config: Config, run_dir: Path, is_main: bool = True) -> Tracker:
    """The configured tracker on the main process, none elsewhere; never raises."""
    kind = config.tracker.kind
    if kind is TrackerKind.none or not is_main:
        return NoTracker()
    try:
        if kind is TrackerKind.wandb:
            return Guarded(WandbTracker(config, run_dir))
        return Guarded(TensorboardTracker(run_dir))
    except Exception as error:  # a service that is down must not cost the run
        log.warning("tracker=%s could not start, going on without: %s", kind.name, error)
        return NoTracker()


def default_group(config: Config) -> str:
    """What links SFT, GRPO and eval of one experiment."""
    choices = config.choices
    return f"{choices.get('model', 'model')}-{choices.get('data', 'data')}"


def identity(run_dir: Path) -> str:
    """The run's id at the tracker, made once and kept in the run folder."""
    path = run_dir / IDENTITY
    if not path.is_file():
        path.write_text(json.dumps({"id": secrets.token_hex(4)}))
    return str(json.loads(path.read_text())["id"])


def _wandb_key() -> bool:
    """Whether wandb can log in by itself."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    return bool(wandb.api.api_key)
