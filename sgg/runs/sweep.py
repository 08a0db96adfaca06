"""SWEEP_DIR/sweep.json: which points and runs a sweep has, and which jobs were asked to make them.

    SWEEP_DIR/sweep.json                            this file, written whole after each submission, by the
                                                    owner of SWEEP_DIR (sgg/runs/lease.py) only
    SWEEP_DIR/cancelled/                            which runs `sgg cancel` has ended (cancellation.py)
    SWEEP_DIR/code/                                 the code that all runs use
    SWEEP_DIR/signed/                               who has made or accepted it (signature.py)
    SWEEP_DIR/points/NNN_slug/config.yaml           a run folder (docs/house.md)
    SWEEP_DIR/points/NNN_slug/STEP/config.yaml      the same for a pipeline, below its pipeline.json
    SWEEP_DIR/slurm/                                batch scripts and what jobs print

States are not in it: they are read from the runs and asked of Slurm (`launchers/sweep/status.py`).
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from sgg.errors import SggError
from sgg.files import read_record, write_json
from sgg.runs.code_digest import code_digest
from sgg.runs.folder import PIPELINE
from sgg.runs.folder import POINTS as POINTS
from sgg.runs.folder import SWEEP as SWEEP
from sgg.runs.records import refuse_no_step, refuse_outside
from sgg.runs.signature import is_signed, sign

CODE = "code"
SLURM = "slurm"


Job = Annotated[str, Meta(pattern=r"^(\d{1,20}(_\d{1,20})?|\d{1,20}@[\w./-]{1,80})$")]
"""Slurm's id, ARRAY_INDEX, or a process (`process_id.process_id`)."""


@dataclass
class RunRecord:
    """One run: a point, or one step of a point's pipeline."""

    point: int
    step: str
    """The pipeline's name of the step, else the stage's."""
    after: str | None
    """Step of the same point whose model this run starts from."""
    folder: str
    """Run folder, from SWEEP_DIR."""
    jobs: list[Job] = field(default_factory=list)
    """Of every start, the newest last."""


@dataclass
class PointRecord:
    """One combination of values."""

    name: str
    overrides: list[str]
    """What sets it apart from the other points."""


@dataclass
class ChangeRecord:
    """What `sgg resume` changed in the configs of runs that it started again."""

    time: str
    """ISO 8601 with zone."""
    words: list[str]
    """As typed, such as hardware.slurm.time_min=240."""
    runs: list[str]
    """Run folders, from SWEEP_DIR."""


@dataclass
class SweepRecord:
    """A sweep as it was submitted."""

    launcher: str
    """slurm or local."""
    parallel: int
    """Points at once."""
    cwd: str
    """Folder that relative paths of the configs start from."""
    submitted: str
    """Time, ISO 8601 with zone."""
    overrides: list[str]
    """What all points share."""
    points: list[PointRecord]
    runs: list[RunRecord]
    host: str = ""
    """Local: the machine of the launcher."""
    process: str = ""
    """Local: the launcher (`process_id.process_id`)."""
    retries: int = 0
    """How many times a failed run is restarted automatically."""
    changes: list[ChangeRecord] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write SWEEP_DIR/sweep.json, whole or not at all."""
        write_json(folder / SWEEP, asdict(self))

    def sign(self, folder: Path) -> None:
        """Say that the sweep is the user's, or accepted: its code, where that runs, and what it runs."""
        sign(folder, self._content(folder))

    def is_signed(self, folder: Path) -> bool:
        """Whether this user has made or accepted the sweep."""
        return is_signed(folder, self._content(folder))

    def sign_launch(self, folder: Path) -> None:
        """Say that the user has started these runs in this folder; of local ones also host and process."""
        sign(folder, self._launch(folder))

    def is_signed_launch(self, folder: Path) -> bool:
        """Whether this user has started these runs in this folder, and not in one that it is a copy of.

        Their code is not looked at: ending them runs none.
        """
        return is_signed(folder, self._launch(folder))

    def _launch(self, folder: Path) -> bytes:
        here = [str(folder.resolve())]
        if self.launcher == "local":
            here += [self.host, self.process]
        return f"launch\n{json.dumps([self.launcher, here, self._runs()])}".encode()

    def _runs(self) -> list[list[int | str | None]]:
        return [[run.point, run.step, run.after, run.folder] for run in self.runs]

    def _content(self, folder: Path) -> bytes:
        points = [asdict(point) for point in self.points]
        what = {
            "launcher": self.launcher,
            "cwd": self.cwd,
            "overrides": self.overrides,
            "points": points,
            "runs": self._runs(),
        }
        return f"sweep\n{code_digest(folder / CODE)}\n{json.dumps(what)}".encode()


def read_sweep(folder: Path) -> SweepRecord:
    """The record of a sweep.

    Raises:
        SggError: the folder holds none that can be read, or one of another form.
        OSError: it is a symbolic link.

    """
    path = folder / SWEEP
    record = read_record(path, SweepRecord)
    if record is None:
        raise SggError(f"{folder}: no sweep there ({SWEEP} is missing or damaged).")
    for run in record.runs:
        refuse_outside(run.folder, path)
        for step in (run.step, run.after or run.step):
            refuse_no_step(step, path)
        if not 0 <= run.point < len(record.points):
            raise SggError(f"{path}: {run.folder} is of point {run.point}, which is not there.")
    return record


def resume_command(folder: Path) -> str:
    """The command that resumes a run, a pipeline or a sweep; for a part of one, the whole."""
    whole = sweep_of(folder)
    if whole is None:
        whole = folder.parent if (folder.parent / PIPELINE).is_file() else folder
    return shlex.join(["sgg", "resume", str(whole)])


def sweep_of(folder: Path) -> Path | None:
    """The sweep folder that `folder` is or lies in: a point, or a step of one."""
    folder = folder.resolve()
    return next((f for f in (folder, *folder.parents[:3]) if (f / SWEEP).is_file()), None)
