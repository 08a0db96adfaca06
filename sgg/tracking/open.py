"""Where curves go besides the run folder: to the trackers that the config switches on.

A tracker that fails is said once and then left alone, and the others go on: it never stops training; when the
run ends, it is said again (`tracking.state.failure_note`). Keys come from the environment or wandb's own
login, never from the config; nothing of them is written to the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from sgg.config.schema import Config
from sgg.config.tracker import TrackerKind, trackers
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

    def model(self, folder: Path) -> None:
        """The final model is in this folder of the run."""
        ...

    def finish(self, exit_code: int = 0) -> None:
        """Everything has been logged; 0 when the run is complete."""
        ...

    def abandon(self) -> None:
        """It has failed: let go of what would trouble the next run of this process."""
        ...


class FailSafeTracker:
    """A tracker whose first failure is logged, noted in the run folder and ends it, and nothing else."""

    def __init__(self, inner: Tracker, kind: TrackerKind, run_dir: Path) -> None:
        self._inner: Tracker | None = inner
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

    def model(self, folder: Path) -> None:
        """See `Tracker.model`."""
        self._try("model", folder)

    def finish(self, exit_code: int = 0) -> None:
        """See `Tracker.finish`."""
        self._try("finish", exit_code)

    def _try(self, method: str, *args: Any) -> None:
        if self._inner is None:
            return
        try:
            getattr(self._inner, method)(*args)
        except Exception as error:  # whatever a tracker does, training goes on
            log.warning(
                "tracker=%s failed and is left alone from now on: %s", self._kind.name, error
            )
            with suppress(OSError):  # a full disk, which the training will say
                at_end = method in ("model", "finish")
                note_failure(self._run_dir, self._kind.name, self._step, error, at_end)
            with suppress(Exception):  # it has failed already, and that is said
                self._inner.abandon()
            self._inner = None


class Trackers:
    """Those of a run; each is told everything, and none stops it."""

    def __init__(self, started: dict[TrackerKind, FailSafeTracker]) -> None:
        self.started = started
        """Those that have started."""

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        for tracker in self.started.values():
            tracker.log(values, step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """See `Tracker.table`."""
        for tracker in self.started.values():
            tracker.table(name, columns, rows)

    def model(self, folder: Path) -> None:
        """See `Tracker.model`."""
        for tracker in self.started.values():
            tracker.model(folder)

    def finish(self, exit_code: int = 0) -> None:
        """See `Tracker.finish`."""
        for tracker in self.started.values():
            tracker.finish(exit_code)


def open_trackers(config: Config, run_dir: Path, is_main: bool = True) -> Trackers:
    """The configured trackers on the main process, none elsewhere; never raises."""
    started: dict[TrackerKind, FailSafeTracker] = {}
    for kind in trackers(config.tracker) if is_main else ():
        try:
            forget_failure(run_dir, kind.name)
            started[kind] = FailSafeTracker(_OPEN[kind](config, run_dir), kind, run_dir)
        except Exception as error:  # a service that is down must not cost the run
            log.warning("tracker=%s could not start, continuing without: %s", kind.name, error)
            with suppress(OSError):  # a full disk, which the training will say
                note_failure(run_dir, kind.name, None, error)
    return Trackers(started)


def _wandb(config: Config, run_dir: Path) -> Tracker:
    from sgg.tracking.wandb import WandbTracker

    return WandbTracker(config, run_dir)


def _tensorboard(config: Config, run_dir: Path) -> Tracker:
    from sgg.tracking.tensorboard import TensorboardTracker

    return TensorboardTracker(run_dir)


def _trackio(config: Config, run_dir: Path) -> Tracker:
    from sgg.tracking.trackio import TrackioTracker

    return TrackioTracker(config, run_dir)


_OPEN: dict[TrackerKind, Callable[[Config, Path], Tracker]] = {
    TrackerKind.wandb: _wandb,
    TrackerKind.tensorboard: _tensorboard,
    TrackerKind.trackio: _trackio,
}


@contextmanager
def tracking(config: Config, run_dir: Path, is_main: bool = True) -> Iterator[Trackers]:
    """The configured trackers, finished at the end of the block, however it ends."""
    opened = open_trackers(config, run_dir, is_main)
    exit_code = 1
    try:
        yield opened
        exit_code = 0
    except Stopped as stopped:
        exit_code = stopped.exit_code
        raise
    finally:
        opened.finish(exit_code)
        if is_main and (note := failure_note(run_dir)):
            log.warning("%s", note)
