"""Where curves go besides the run folder: wandb, tensorboard or nowhere.

A tracker that fails is said once and then left alone: it never stops training; when the run ends, it is said
again (`tracking.state.failure_note`). Keys come from the environment or wandb's own login, never from the
config; nothing of them is written to the run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from sgg.config.schema import Config
from sgg.config.tracker import TrackerKind
from sgg.errors import Stopped
from sgg.tracking.state import failure_note, forget_failure, note_failure

log = logging.getLogger("sgg")


class Tracker(Protocol):
    """Takes numbers and images. Each start of a run hands over the run's whole history anew."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Numbers of one step; steps do not go back."""
        ...

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """A table of the latest step; a cell may be a PIL image."""
        ...

    def finish(self, exit_code: int = 0) -> None:
        """Everything has been logged; 0 when the run is complete."""
        ...

    def abandon(self) -> None:
        """It has failed: let go of what would trouble the next run of this process."""
        ...


class NoTracker:
    """Takes everything, keeps nothing."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Nothing."""

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Nothing."""

    def finish(self, exit_code: int = 0) -> None:
        """Nothing."""

    def abandon(self) -> None:
        """Nothing."""


class FailSafeTracker:
    """A tracker whose first failure is logged, noted in the run folder and ends it, and nothing else."""

    def __init__(self, inner: Tracker, kind: TrackerKind, run_dir: Path) -> None:
        self._inner: Tracker = inner
        self._kind = kind
        self._run_dir = run_dir
        self._step: int | None = None

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        self._try("log", values, step)
        self._step = step

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """See `Tracker.table`."""
        self._try("table", name, columns, rows)

    def finish(self, exit_code: int = 0) -> None:
        """See `Tracker.finish`."""
        self._try("finish", exit_code)

    def abandon(self) -> None:
        """Nothing: a failure does it."""

    def _try(self, method: str, *args: Any) -> None:
        try:
            getattr(self._inner, method)(*args)
        except Exception as error:  # whatever a tracker does, training goes on
            log.warning("tracker failed and is left alone from now on: %s", error)
            with suppress(OSError):  # a full disk, which the training will say
                at_end = method == "finish"
                note_failure(self._run_dir, self._kind.name, self._step, error, at_end)
            with suppress(Exception):  # it has failed already, and that is said
                self._inner.abandon()
            self._inner = NoTracker()


class TensorboardTracker:
    """Event files in RUN_DIR/tensorboard."""

    def __init__(self, run_dir: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run_dir / "tensorboard"
        earlier = list(folder.glob("events.out.tfevents.*"))
        for file in earlier:  # their steps are handed over again
            file.unlink()
        # a TensorBoard that has read them is told to forget them, too
        self._writer = SummaryWriter(str(folder), purge_step=0 if earlier else None)
        self._step = 0
        self._written: set[str] = set()

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        if step != self._step:
            self._step, self._written = step, set()
        # the end of a training says some of the last step again
        for name in values.keys() - self._written:
            self._writer.add_scalar(name, values[name], step)
        self._written |= values.keys()

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Images by row; texts beside them as Markdown."""
        import numpy as np

        for index, row in enumerate(rows):
            for column, value in zip(columns, row, strict=True):
                tag = f"{name}/{index}/{column}"
                if hasattr(value, "getpixel"):
                    pixels = np.asarray(value.convert("RGB"))
                    self._writer.add_image(tag, pixels, self._step, dataformats="HWC")
                else:
                    self._writer.add_text(tag, f"    {value}", self._step)

    def finish(self, exit_code: int = 0) -> None:
        """See `Tracker.finish`."""
        self._writer.close()

    def abandon(self) -> None:
        """See `Tracker.abandon`."""
        self._writer.close()


def open_tracker(config: Config, run_dir: Path, is_main: bool = True) -> Tracker:
    """The configured tracker on the main process, none elsewhere; never raises."""
    kind = config.tracker.kind
    if kind is TrackerKind.none or not is_main:
        return NoTracker()
    try:
        forget_failure(run_dir)
        return FailSafeTracker(_tracker(config, run_dir), kind, run_dir)
    except Exception as error:  # a service that is down must not cost the run
        log.warning("tracker=%s could not start, continuing without: %s", kind.name, error)
        with suppress(OSError):  # a full disk, which the training will say
            note_failure(run_dir, kind.name, None, error)
        return NoTracker()


def _tracker(config: Config, run_dir: Path) -> Tracker:
    if config.tracker.kind is TrackerKind.wandb:
        from sgg.tracking.wandb import WandbTracker

        return WandbTracker(config, run_dir)
    return TensorboardTracker(run_dir)


@contextmanager
def tracking(config: Config, run_dir: Path, is_main: bool = True) -> Iterator[Tracker]:
    """The configured tracker, finished at the end of the block, however it ends."""
    tracker = open_tracker(config, run_dir, is_main)
    exit_code = 1
    try:
        yield tracker
        exit_code = 0
    except Stopped as stopped:
        exit_code = stopped.exit_code
        raise
    finally:
        tracker.finish(exit_code)
        if is_main and (note := failure_note(run_dir)):
            log.warning("%s", note)
