"""What trackers are told of a run besides numbers, and RUN_DIR/tracker.json: its id, and what failed."""

from __future__ import annotations

import secrets
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from sgg.config.schema import Config
from sgg.files import read_json, read_record, write_json
from sgg.runs.folder import CURVES, METRICS, PIPELINE, POINTS, PROVENANCE, SWEEP

TRACKER = "tracker.json"
_LONGEST_GROUP = 128
"""Characters, as of wandb's names of projects: its server may refuse longer ones."""


class _Failure(Struct):
    step: int | None
    at_end: bool
    time: str
    error: str


class _Record(Struct):
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}\Z")] | None = None
    failed: dict[str, _Failure] = {}
    """By the tracker's name."""


def tracker_run_id(run_dir: Path) -> str:
    """The run's id at its trackers, made once: every start of the run is the same run there."""
    state = _read(run_dir)
    if "id" not in state:
        state["id"] = secrets.token_hex(4)
        write_json(run_dir / TRACKER, state)
    return str(state["id"])


def known_run_id(run_dir: Path) -> str | None:
    """The run's id at its trackers; None of a run that was never tracked.

    Raises:
        SggError: tracker.json has another form.

    """
    record = read_record(run_dir / TRACKER, _Record)
    return None if record is None else record.id


def shown_name(run_dir: Path, stage: str) -> str:
    """What the run is called at the tracker: its folder, behind those of its pipeline, point and sweep.

    `demo/sft`, `SWEEP/003_seed-2/grpo`; a point without a pipeline has its stage behind it.
    """
    folder = run_dir.resolve()
    experiment = _experiment(folder)
    if experiment is None:
        return folder.name
    return f"{experiment}/{folder.name if _is_step(folder) else stage}"


def group_of(config: Config, run_dir: Path) -> str:
    """What links runs at the tracker.

    `tracker.group`, or the folder of the run's pipeline or point (`demo`, `SWEEP/003_seed-2`), or the model
    and data choices of a run that has neither.
    """
    choices = config.choices
    by_choices = f"{choices.get('model', 'model')}-{choices.get('data', 'data')}"
    by_folder = (_experiment(run_dir.resolve()) or by_choices)[:_LONGEST_GROUP]
    return config.tracker.group or by_folder


def _experiment(folder: Path) -> str | None:
    """Name of the pipeline or point that a run is of, behind that of its sweep; None of a run on its own."""
    is_step = _is_step(folder)
    whole = folder.parent if is_step else folder
    sweep = whole.parent.parent
    if whole.parent.name == POINTS and (sweep / SWEEP).is_file():
        return f"{sweep.name}/{whole.name}"
    return whole.name if is_step else None


def _is_step(folder: Path) -> bool:
    return (folder.parent / PIPELINE).is_file()


def provenance(run_dir: Path) -> dict[str, Any]:
    """Code, versions, hardware and command of this start."""
    starts = (read_json(run_dir / PROVENANCE) or {}).get("starts", [])
    return starts[-1] if starts else {}


def note_failure(
    run_dir: Path, tracker: str, step: int | None, error: Exception, at_end: bool = False
) -> None:
    """Tracking ended early.

    Args:
        step: the last one that was handed over; None before the first.
        at_end: all was handed over, but not all was taken.

    """
    failure = {
        "step": step,
        "at_end": at_end,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "error": f"{type(error).__name__}: {error}",
    }
    state = _read(run_dir)
    state["failed"] = {**state.get("failed", {}), tracker: failure}
    write_json(run_dir / TRACKER, state)


def forget_failure(run_dir: Path, tracker: str) -> None:
    """A new start tells the tracker everything again."""
    state = _read(run_dir)
    if state.get("failed", {}).pop(tracker, None) is not None:
        write_json(run_dir / TRACKER, state)


def failure_note(run_dir: Path) -> str | None:
    """What a user has to know at the end of a run whose tracking failed; None where it did not.

    Raises:
        SggError: tracker.json has another form.

    """
    record = read_record(run_dir / TRACKER, _Record)
    if record is None or not record.failed:
        return None
    said = [_sentence(name, failure) for name, failure in record.failed.items()]
    where = f"All numbers are in {run_dir}: {CURVES} (curves), {METRICS} (evaluation), report.html."
    return " ".join([*said, where]) + (_way_to_upload(run_dir) if "wandb" in record.failed else "")


def _sentence(tracker: str, failed: _Failure) -> str:
    since = "at its start" if failed.step is None else f"after step {failed.step}"
    missing = "what came later"
    if failed.at_end:
        since, missing = "at the end of the run", "what it had not uploaded by then"
    return f"tracker={tracker} failed {since} ({failed.time}, {failed.error}); {missing} did not reach it."


def _way_to_upload(run_dir: Path) -> str:
    """The command for what wandb has stored in the run folder.

    Its own command would upload steps again that a server has already, so for a run that was tracked
    online it is sgg that tells the server what is missing there.
    """
    if any((run_dir / "wandb").glob("run-*/*.wandb")):
        return f" What is missing is handed over by: sgg resume {shlex.quote(str(run_dir))}"
    if any((run_dir / "wandb").glob("offline-run-*/*.wandb")):
        files = shlex.quote(str(run_dir / "wandb"))
        return f" What it has stored here is uploaded by: wandb sync {files}/offline-run-*"
    return ""


def _read(run_dir: Path) -> dict[str, Any]:
    return read_json(run_dir / TRACKER) or {}
