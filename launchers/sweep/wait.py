"""Waits for a sweep's jobs, prints changes, and gives up when nothing can move any more."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from launchers.sweep.status import ACTIVE, FolderStatus, status_of
from sgg.errors import Failed

_LOOK_AGAIN_S = 5.0
_PATIENCE_S = 30 * 60.0
"""How long Slurm may be out of reach: longer than a controller takes to start again."""


def wait(folder: Path) -> None:
    """Until nothing is queued or running; Ctrl-C ends the waiting, not the jobs.

    Raises:
        Failed: it would wait for ever, or Slurm has been out of reach for half an hour.

    """
    watch = SweepWatcher(folder)
    try:
        while True:
            status = status_of(folder)
            news = watch.changes(status, time.monotonic())
            if news:
                print(f"{datetime.now():%H:%M:%S} {news}", flush=True)
            if status.note == "" and not any(s.state in ACTIVE for s in status.runs):
                return
            time.sleep(_LOOK_AGAIN_S)
    except KeyboardInterrupt:
        print(f"\nThe jobs go on. Cancel them with: sgg cancel {folder}", flush=True)
        raise


@dataclass
class SweepWatcher:
    """What has been printed of a sweep, and since when Slurm has not answered."""

    folder: Path
    _told: str = ""
    _silent_since_s: float | None = None

    def changes(self, status: FolderStatus, now_s: float) -> str:
        """How the sweep stands, if it has changed since the last look; else nothing.

        Raises:
            Failed: the jobs that are left cannot start, or Slurm has not answered.

        """
        self._give_up_on_silence(status, now_s)
        self._give_up_on_held(status)
        stands = _stands(status)
        news = "" if stands == self._told else stands
        self._told = stands
        return news

    def _give_up_on_silence(self, status: FolderStatus, now_s: float) -> None:
        if status.note == "":
            self._silent_since_s = None
            return
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        if now_s - self._silent_since_s >= _PATIENCE_S:
            raise Failed(
                f"Slurm has not answered for {_PATIENCE_S / 60:.0f} minutes, so the waiting ends; the jobs "
                f"may go on. When it is back: {self._commands()}",
                1,
            )

    def _give_up_on_held(self, status: FolderStatus) -> None:
        """Nothing moves if all that is left is held, or depends on what is."""
        active = [run for run in status.runs if run.state in ACTIVE]
        held = [run for run in active if run.held]
        if held and all(run.held or run.reason == "Dependency" for run in active):
            jobs = " ".join(run.run.jobs[-1] for run in held)
            reasons = ", ".join(sorted({run.reason for run in held}))
            raise Failed(
                f"All jobs that are left are held ({reasons}), so the waiting ends. Release them with: "
                f"scontrol release {jobs}, or end them with: sgg cancel {self.folder}. "
                f"Then: {self._commands()}",
                1,
            )

    def _commands(self) -> str:
        return f"sgg status {self.folder}, and sgg resume {self.folder} wait=true"


def _stands(status: FolderStatus) -> str:
    """Runs by state and the reasons of those that wait: `2 queued (2 Priority), 1 running`."""
    parts = []
    for state, number in sorted(Counter(run.state for run in status.runs).items()):
        reasons = Counter(r.reason for r in status.runs if r.state == state and r.reason)
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        parts.append(f"{number} {state}" + (f" ({why})" if state in ACTIVE and why else ""))
    return ". ".join(filter(None, [", ".join(parts), status.note]))
