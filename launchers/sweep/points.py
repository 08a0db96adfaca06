"""The points of a sweep: composed, checked and frozen, all of them before the first one starts.

Input: lines of overrides, one a point. Output: run folders that `launchers.node` can run, and the
records of them for sweep.json. Submits nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sgg.config.compose import Composer
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.pipeline import Step, freeze_steps, plan_steps
from sgg.plan.presence import Preflight
from sgg.plan.unread import refuse_unread
from sgg.plan.use import Use
from sgg.plan.validate import validate
from sgg.runs.folder import new_names
from sgg.runs.open_run import open_run
from sgg.runs.sweep import CODE, POINTS, SWEEP, PointRecord, RunRecord, resume_command

_SLUG_LENGTH = 60
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Point:
    """One combination of values."""

    number: int
    record: PointRecord
    config: Config
    """As composed: its pipeline, if it has one."""
    steps: list[Step]
    """Its runs; one without a pipeline."""

    def write_frozen(self) -> None:
        """Write the run folders."""
        if self.config.pipeline is None:
            open_run(self.steps[0].config)
        else:
            folder = Path(self.steps[0].config.paths.run_dir or "").parent
            freeze_steps(self.config.pipeline, self.steps, folder)

    def runs(self, folder: Path) -> list[RunRecord]:
        """Records of its runs, with paths from the sweep's folder."""
        return [
            RunRecord(
                self.number,
                step.name,
                step.init_from,
                str(Path(step.config.paths.run_dir or "").relative_to(folder)),
            )
            for step in self.steps
        ]


def sweep_folders(config: Config) -> Iterator[Path]:
    """Folders that a new sweep may have: the configured one, or new names until one can be made.

    Raises:
        SggError: the configured one holds another sweep.

    """
    if config.paths.sweep_dir is not None:
        folder = Path(config.paths.sweep_dir).expanduser().resolve()
        refuse_another_sweep(folder)
        return iter([folder])
    return new_names(Path(config.paths.root).resolve() / "sweep")


def refuse_another_sweep(folder: Path) -> None:
    """Raise SggError if the folder holds a sweep, or code that its runs would take for their own."""
    if (folder / CODE).exists() and not (folder / SWEEP).is_file():
        raise SggError(
            f"paths.sweep_dir={folder} holds {CODE}/ and no sweep. Remove {folder / CODE}, or take another "
            "folder."
        )
    if (folder / SWEEP).is_file():
        raise SggError(
            f"paths.sweep_dir={folder} holds a sweep. Resume it with `{resume_command(folder)}`, "
            "or take another folder."
        )


def compose_points(
    lines: Sequence[list[str]],
    composer: Composer,
    folder: Path,
    check: Callable[[Config], None],
    launcher: str = "local",
    records: Sequence[PointRecord] | None = None,
    first: int = 0,
) -> list[Point]:
    """All points of a sweep, checked; writes nothing.

    Args:
        check: what the launcher wants of a config.
        launcher: its name.
        records: of the points; None to name them after what sets them apart.
        first: number of the first point, where the sweep has others before.

    Raises:
        SggError: some points cannot run; the message says which and why.

    """
    preflight = Preflight()
    points: list[Point] = []
    problems: dict[str, list[str]] = {}
    named = _name_points(lines) if records is None else records
    for number, (line, record) in enumerate(zip(lines, named, strict=True), first):
        try:
            config, steps = _steps(line, composer, folder / POINTS / record.name, launcher)
            for step in steps:
                if not config.dry_run:  # which shows a job for another machine
                    check(step.config)
                    preflight.check(step.config, model_is_made=step.init_from is not None)
            points.append(Point(number, record, config, steps))
        except Exception as error:
            message = explain(error)
            if message is None:
                raise
            problems.setdefault(message, []).append(record.name)
    if problems:
        raise _cannot_run(problems, len(lines))
    uses = [Use(step.config, launcher, is_sweep=True) for point in points for step in point.steps]
    refuse_unread((word for line in lines for word in line), uses)
    return points


def _steps(
    words: list[str], composer: Composer, folder: Path, launcher: str
) -> tuple[Config, list[Step]]:
    config = composer.compose(words)
    if config.paths.run_dir is not None:
        raise SggError(
            f"paths.run_dir={config.paths.run_dir}: points of a sweep have folders of their own below "
            "paths.sweep_dir. Leave it out; `sgg resume SWEEP_DIR` resumes a sweep."
        )
    if config.pipeline is not None:
        return config, plan_steps(config.pipeline, words, folder, composer, launcher)
    config.paths.run_dir = str(folder)
    validate(config)
    return config, [Step(config.stage.name.name, None, config)]


def _name_points(lines: Sequence[list[str]]) -> list[PointRecord]:
    """Points named after what sets them apart: `003_reward-soft_recall_seed-1`."""
    shared = set(lines[0]).intersection(*lines)
    digits = max(3, len(str(len(lines) - 1)))
    records = []
    for number, line in enumerate(lines):
        own = [word for word in line if word not in shared]
        records.append(point_record(number, own, digits))
    return records


def point_record(number: int, own: Sequence[str], digits: int = 3) -> PointRecord:
    """A point named after what sets it apart."""
    slug = re.sub(r"[^A-Za-z0-9.+]+", "-", "_".join(w.lstrip("+") for w in own)).strip("-.")
    return PointRecord(f"{number:0{digits}d}_{slug[:_SLUG_LENGTH]}".rstrip("_"), list(own))


def _cannot_run(problems: dict[str, list[str]], total: int) -> SggError:
    parts = [
        f"{message}\n  (in {len(names)} of {total} points, first {names[0]})"
        for message, names in list(problems.items())[:_SHOWN_PROBLEMS]
    ]
    further = len(problems) - _SHOWN_PROBLEMS
    if further > 0:
        parts.append(f"… and {further} further problems.")
    return SggError("\n".join([*parts, "Nothing was started."]))
