"""What the files of one run tell, look after look, reading only what is new.

Input: a run folder, of anybody, on any disk; it may lack any file. Output: stage, model, progress, curves,
the last sample, the newest checkpoint. Follows no link, imports and resolves nothing that a file names; what
cannot be read is a note beside the rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from sgg.config.frozen import FROZEN_NAME
from sgg.config.schema import Config
from sgg.data.summary import SplitRecord
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.files import opened, read_record, refuse_link
from sgg.runs.appended import AppendedLines
from sgg.runs.checkpoint import MARKER, checkpoints
from sgg.runs.folder import COMPLETIONS, CURVES, DATA, PARTS, SAMPLES, TOTAL
from sgg.runs.frozen import config_of_run
from sgg.runs.progress import Curve
from sgg.runs.records import Best, Metrics, read_best, read_metrics, read_starts, read_total
from sgg.runs.training_samples import TrainingSample
from sgg.tracking.names import EVALUATED, FAILED, TOTAL_REWARD
from sgg.watch.pace import Pace, Progress
from sgg.watch.series import Series

T = TypeVar("T")

STEP_SECONDS = "speed/step_s"
_SHOWN = (
    re.compile(r"loss"),
    re.compile(re.escape(TOTAL_REWARD)),
    re.compile("|".join(map(re.escape, EVALUATED))),
    re.compile(r"reward/.+/mean"),
    re.compile(r"reward/no_variance"),
    re.compile(rf"{FAILED}|completion/truncated|completion/length/mean"),
    re.compile(r"speed/tokens_per_s|speed/memory_gb"),
)
"""Names of curves (`sgg.tracking.names`), in the order in which they are shown."""
_MOST_STEPS = 2**53
_MOST_NAMES = 200
"""Different names of which values are kept."""


class _Completion(Struct):
    """A row of an evaluation's completions, as far as it is shown."""

    image_id: str | int
    text: str


@dataclass(frozen=True)
class Sample:
    """A completion, and where it comes from."""

    text: str
    image_id: str
    step: int | None = None
    kind: str = ""
    """fixed or rotating; empty in an evaluation."""
    reward: dict[str, float | None] = field(default_factory=dict)
    """Each term's value."""
    total: float | None = None


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run from its files."""

    stage: str
    model: str
    progress: Progress | None
    """None before the first step or completion."""
    curves: dict[str, Series]
    """Those that are shown, in their order."""
    metrics: Metrics | None
    sample: Sample | None
    checkpoint: tuple[str, float] | None
    """Name of the newest complete one, and its age in seconds by this machine's clock."""
    best: tuple[Best, float | str | None] | None
    """The best one, and the last value of its metric; None where none is kept."""
    restarts: int
    notes: tuple[str, ...]


class RunFiles:
    """One run folder that is looked at again and again."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._rows = AppendedLines(run_dir / CURVES, Curve)
        self._samples = AppendedLines(run_dir / SAMPLES, TrainingSample)
        self._parts: dict[Path, AppendedLines[_Completion]] = {}
        self._config: Config | None = None
        self._damage: dict[str, str] = {}
        """Of files that are read on: what was met in them."""
        self._series: dict[str, Series] = {}
        self._pace = Pace()
        self._step: int | None = None
        self._completions: dict[Path, int] = {}
        self._sample: Sample | None = None
        self._notes: list[str] = []

    def look(self, now_s: float, clock_s: float) -> RunFacts:
        """Read what is new.

        Args:
            now_s: seconds of a clock that never jumps.
            clock_s: time of day, as file times are.

        """
        self._notes = []
        self._tried(self._read_config)
        self._followed(CURVES, self._read_curves)
        self._followed(SAMPLES, self._read_samples)
        self._followed(PARTS, self._read_completions)
        metrics = self._tried(lambda: read_metrics(self._run_dir))
        starts = self._tried(lambda: read_starts(self._run_dir)) or []
        progress = self._progress(now_s, clock_s, len(starts), metrics)
        config = self._config
        return RunFacts(
            stage="" if config is None else config.stage.name.name,
            model="" if config is None else _model(config),
            progress=progress,
            curves={name: self._series[name] for name in shown_names(self._series)},
            metrics=metrics,
            sample=self._sample,
            checkpoint=self._tried(lambda: _newest(self._run_dir, clock_s)),
            best=self._best(),
            restarts=max(0, len(starts) - 1),
            notes=(*self._notes, *self._damage.values()),
        )

    def _best(self) -> tuple[Best, float | str | None] | None:
        best = self._tried(lambda: read_best(self._run_dir))
        if best is None:
            return None
        values = self._series.get(f"eval/{best.metric}")
        return best, None if values is None else values.last

    def _tried(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (SggError, OSError) as error:
            self._notes.append(explain(error) or str(error))
            return None

    def _followed(self, name: str, read: Callable[[], None]) -> None:
        """Read on in a file; a damaged line of it stays known until the file is another one."""
        try:
            read()
        except SggError as error:
            self._damage[name] = str(error)
        except OSError as error:
            self._notes.append(explain(error) or str(error))

    def _read_config(self) -> None:
        if self._config is None and (self._run_dir / FROZEN_NAME).is_file():
            self._config = config_of_run(self._run_dir)

    def _read_curves(self) -> None:
        for row in self._rows.new(self._forget_curves):
            step = row.pop("step", None)
            if isinstance(step, int):
                self._step = step
            for name, value in row.items():
                if name not in self._series and len(self._series) < _MOST_NAMES:
                    self._series[name] = Series()
                if name in self._series:
                    self._series[name].add(value)
            seconds = row.get(STEP_SECONDS)
            if seconds is not None and not isinstance(seconds, str):
                self._pace.log(seconds)

    def _forget_curves(self) -> None:
        self._damage.pop(CURVES, None)
        self._series.clear()
        self._pace.forget()
        self._step = None

    def _read_samples(self) -> None:
        for row in self._samples.new(lambda: self._forget_sample(SAMPLES)):
            self._sample = Sample(
                row.text, row.image_id, row.step, row.kind.name, row.reward or {}, row.total
            )

    def _forget_sample(self, name: str) -> None:
        self._damage.pop(name, None)
        self._sample = None

    def _read_completions(self) -> None:
        """Of an evaluation, while each rank writes its own file."""
        folder = self._run_dir / PARTS
        refuse_link(folder)
        whole = self._run_dir / COMPLETIONS
        for path in [whole] if whole.is_file() else sorted(folder.glob("rank*.jsonl")):
            self._parts.setdefault(path, AppendedLines(path, _Completion))
            for row in self._parts[path].new(partial(self._forget_part, path)):
                self._completions[path] = self._completions.get(path, 0) + 1
                self._sample = Sample(row.text, str(row.image_id))
        if whole in self._completions:  # the parts have been merged
            self._completions = {whole: self._completions[whole]}

    def _forget_part(self, path: Path) -> None:
        self._forget_sample(PARTS)
        self._completions.pop(path, None)

    def _progress(
        self, now_s: float, clock_s: float, starts: int, metrics: Metrics | None
    ) -> Progress | None:
        if self._step is not None:
            self._pace.see(now_s, self._step)
            began, last = (self._modified(name) for name in (TOTAL, CURVES))
            whole = None
            if (
                starts <= 1 and began is not None and last is not None
            ):  # else it began later than at 0
                whole = (last - began, self._step)
            since = 0.0 if last is None else max(0.0, clock_s - last)
            total = _sound(self._tried(lambda: read_total(self._run_dir)))
            return Progress("step", self._step, total, self._pace.per_step_s(whole), since)
        count = sum(self._completions.values()) if metrics is None else metrics.completions
        if not _sound(count):
            return None
        self._pace.see(now_s, count)
        total = count if metrics is not None else self._completions_in_all()
        return Progress("completion", count, total, self._pace.per_step_s(), 0.0)

    def _modified(self, name: str) -> float | None:
        return self._tried(lambda: _modified(self._run_dir / name))

    def _completions_in_all(self) -> int | None:
        record = self._tried(lambda: read_record(self._run_dir / DATA, SplitRecord))
        if record is None or self._config is None or "images" not in record.report.kept:
            return None
        return _sound(record.report.kept["images"] * self._config.generate.num_completions)


def shown_names(names: dict[str, Series]) -> list[str]:
    """The curves that are shown, in their order: loss, reward, evaluations, failures, lengths, speed."""
    return [*dict.fromkeys(n for form in _SHOWN for n in sorted(names) if form.fullmatch(n))]


def _sound(count: int | None) -> int | None:
    """A count of a file, which anybody may have written; None where it can be none."""
    return count if count is not None and 0 < count <= _MOST_STEPS else None


def _model(config: Config) -> str:
    return config.choices.get("model") or Path(config.model.path).name


def _newest(run_dir: Path, clock_s: float) -> tuple[str, float] | None:
    """By its marker alone: summing the checksums of what it lists would take longer than a look may."""
    for folder in reversed(checkpoints(run_dir)):
        written = _modified(folder / MARKER)
        if written is not None and not folder.is_symlink():
            return folder.name, max(0.0, clock_s - written)
    return None


def _modified(path: Path) -> float | None:
    """When a regular file was last written; None where there is none."""
    try:
        with opened(path, "rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None
