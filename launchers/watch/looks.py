"""One look after another at a folder: where its runs stand, and what their files tell.

Works for a run, a pipeline, a sweep and a part of one, also where only the disk is shared with them: that a
run elsewhere lives is seen from its lease, which its owner renews.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from launchers.node.last_output import error_in
from launchers.sweep.status import FolderStatus, RunStatus, status_of
from launchers.sweep.status_table import log_of
from launchers.watch.slurm_looks import SlurmLooks
from sgg.errors import SggError
from sgg.files import read_end
from sgg.runs.lease import PATIENCE_S, Entry, newest
from sgg.runs.sweep import resume_command
from sgg.watch.run_files import RunFacts, RunFiles
from sgg.watch.snapshot import ORDER, Row, RunView, Snapshot

_LOG_END = 20_000
"""Bytes of a log that are searched for an error."""
_GOES_ON = ("running", "starting", "unknown")


class Watcher:
    """What has been seen of a folder so far, and which of its runs the user looks at."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        day: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds and never jumps; `day` gives the time of day, as file times are."""
        self._folder, self._clock, self._day = folder, clock, day
        self._slurm = SlurmLooks(clock)
        self._files: dict[Path, RunFiles] = {}
        self._ended: dict[Path, RunFacts] = {}
        self._beats: dict[Path, tuple[int, float, bool]] = {}
        """Of runs elsewhere: the last heartbeat, when it was first seen, whether it came while we looked."""
        self._chosen: Path | None = None
        self._order: list[Path] = []
        self.is_opened = False
        """Whether the chosen point of a sweep is shown whole."""
        self.is_over = False
        """Whether nothing goes on, so that further looks would show the same."""

    def choose(self, distance: int) -> None:
        """Move the mark among a sweep's points."""
        if not self._order:
            return
        place = self._order.index(self._chosen) if self._chosen in self._order else -1
        self._chosen = self._order[min(max(0, place + distance), len(self._order) - 1)]

    def look(self) -> Snapshot:
        """How the folder stands now.

        Raises:
            SggError: nothing that sgg has started is there, or its record cannot be read.

        """
        status = status_of(self._folder, self._slurm.states)
        views = [self._view(status, run) for run in status.runs]
        self.is_over = _is_over(status, views)
        points: dict[int, list[RunView]] = {}
        for run, view in zip(status.runs, views, strict=True):
            points.setdefault(run.run.point, []).append(view)
        resume = resume_command(self._folder) if status.can_go_on else ""
        if len(points) == 1:
            rows = tuple(
                Row(run.run.step, "", view) for run, view in zip(status.runs, views, strict=True)
            )
            shown = self._waiting(status, _active(views))
            rows = rows if len(rows) > 1 else ()
            return Snapshot(str(self._folder), rows, None, shown, status.note, resume)
        return self._sweep(status, points, resume)

    def _sweep(
        self, status: FolderStatus, points: dict[int, list[RunView]], resume: str
    ) -> Snapshot:
        assert status.record is not None
        rows, folders = [], []
        by_state = sorted(
            points, key=lambda point: (ORDER.index(_active(points[point]).state), point)
        )
        for point in by_state:
            record, active = status.record.points[point], _active(points[point])
            steps = f" {Path(active.name).name}" if len(points[point]) > 1 else ""
            words = " ".join(word.lstrip("+") for word in record.overrides)
            rows.append(Row(record.name.partition("_")[0] + steps, words, active))
            folders.append(status.folder / active.name)
        self._order = folders
        if self._chosen not in folders:  # its point has gone on to the next step
            self._chosen = (
                folders[0] if self._chosen is None else _same_point(self._chosen, folders)
            )
        chosen = folders.index(self._chosen)
        shown = self._waiting(status, rows[chosen].run) if self.is_opened else None
        return Snapshot(str(self._folder), tuple(rows), chosen, shown, status.note, resume)

    def _view(self, status: FolderStatus, run: RunStatus) -> RunView:
        run_dir = status.run_dir(run)
        facts = self._facts(run_dir, run.state)
        state, reason = run.state, run.reason
        own = run.ending is not None and run.ending.reason == reason
        if own and run.ending is not None:
            reason = run.ending.shown
        where = _owner(run_dir) if state != "finished" else ""
        if state == "unknown":
            state, reason = self._by_heartbeat(run_dir, reason)
        if state == "queued" and status.record is None and where and not status.can_go_on:
            state, reason = "starting", ""  # its process loads libraries and data
        if state == "running" and facts.progress is None:
            state = "starting"
        log = log_of(status, run.run)
        said = _error(log) if state in ("failed", "lost") else ""
        return RunView(
            name=run.run.folder or str(self._folder),
            state=state,
            reason="" if state in ("running", "finished") else reason,
            where=where,
            log="" if log is None else str(log),
            said="" if said in reason else said,
            facts=facts,
        )

    def _facts(self, run_dir: Path, state: str) -> RunFacts:
        if run_dir in self._ended and state == "finished":
            return self._ended[run_dir]
        files = self._files.setdefault(run_dir, RunFiles(run_dir))
        facts = files.look(self._clock(), self._day())
        if state == "finished":
            self._ended[run_dir] = facts
        else:
            self._ended.pop(run_dir, None)
        return facts

    def _by_heartbeat(self, run_dir: Path, reason: str) -> tuple[str, str]:
        """State and reason of a run whose process cannot be asked for from here."""
        entry, now_s = _lease(run_dir), self._clock()
        if entry is None or entry.is_free:
            return "unknown", reason
        beat, since_s, has_come = self._beats.get(run_dir, (entry.beat, now_s, False))
        if beat != entry.beat:
            beat, since_s, has_come = entry.beat, now_s, True
        self._beats[run_dir] = (beat, since_s, has_come)
        if now_s - since_s >= PATIENCE_S:
            return "lost", f"it has not renewed its lease for {now_s - since_s:.0f} s"
        if has_come:
            return "running", ""
        return "unknown", f"{reason}; looking whether it renews its lease"

    def _waiting(self, status: FolderStatus, view: RunView) -> RunView:
        """With the place in Slurm's queue, if it waits there."""
        run = next(r for r in status.runs if (r.run.folder or str(self._folder)) == view.name)
        if view.state != "queued" or not run.run.jobs or status.record is None:
            return view
        if status.record.launcher != "slurm":
            return view
        place = self._slurm.place(run.run.jobs[-1])
        if place is None:
            return view
        start = f", expected to start {place.start}" if place.start else ""
        said = f"place {place.place} of {place.waiting} in its partition{start}"
        return replace(view, reason=", ".join(filter(None, [view.reason, said])))


def _active(views: list[RunView]) -> RunView:
    """The run that a reader wants to see: at work, else next, else what went wrong, else the last."""
    for wanted in (
        ("running", "starting"),
        ("queued", "unknown"),
        tuple(set(ORDER) - {"finished"}),
    ):
        if found := [view for view in views if view.state in wanted]:
            return found[0]
    return views[-1]


def _same_point(before: Path, folders: list[Path]) -> Path:
    """The run of the point that another run is of."""
    beside = [folder for folder in folders if folder.parent == before.parent]
    return beside[0] if beside else folders[0]


def _is_over(status: FolderStatus, views: list[RunView]) -> bool:
    states = {view.state for view in views}
    if states & {*_GOES_ON}:
        return False
    if "queued" not in states:
        return True
    return status.record is None and status.can_go_on


def _owner(run_dir: Path) -> str:
    entry = _lease(run_dir)
    return "" if entry is None or entry.is_free or entry.owner is None else str(entry.owner)


def _lease(run_dir: Path) -> Entry | None:
    """The lease in force; one that cannot be read says nothing, and its run has other files."""
    try:
        return newest(run_dir)
    except (SggError, OSError):
        return None


def _error(log: Path | None) -> str:
    if log is None:
        return ""
    try:
        return error_in(read_end(log, _LOG_END))
    except (SggError, OSError) as error:
        return str(error)
