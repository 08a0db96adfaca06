"""RUN_DIR/samples.jsonl: what the model wrote while it trained, one JSON object per completion."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from msgspec import Struct, to_builtins

from sgg.files import converted, opened, write_whole
from sgg.runs.folder import SAMPLES, read_json_lines


class SampleKind(Enum):
    """Which images a sample is of."""

    fixed = "fixed"
    """The same images each time, completed greedily by the weights after the step."""
    rotating = "rotating"
    """Images of the step itself, with completions that GRPO has drawn for it."""

    @property
    def split(self) -> str:
        """The split that its images are of; another split may have other images of the same ids."""
        return "eval" if self is SampleKind.fixed else "train"


class TrainingSample(Struct):
    """One completion."""

    step: int
    """The optimiser step; 0 for the weights that training starts from."""
    image_id: str
    kind: SampleKind
    text: str
    """The completion."""
    reward: dict[str, float | None] | None = None
    """Each term's value, unweighted, None where the term gave no number; None where nothing was rewarded."""
    total: float | None = None
    """Weighted sum of the terms."""


def append_samples(run_dir: Path, samples: Iterable[TrainingSample]) -> None:
    """Add samples of one step, in one write."""
    lines = "".join(_line(sample) for sample in samples)
    with opened(run_dir / SAMPLES, "a") as file:
        file.write(lines)


def forget_samples_after(run_dir: Path, step: int) -> None:
    """Remove samples of later steps, which a resumed run makes again; all of them for step 0."""
    if not (run_dir / SAMPLES).exists():
        return
    kept = [sample for sample in read_samples(run_dir) if 0 < step >= sample.step]
    write_whole(run_dir / SAMPLES, "".join(_line(sample) for sample in kept))


def read_samples(run_dir: Path) -> list[TrainingSample]:
    """The samples in the order in which they were written; none where the run has no such file.

    Raises:
        SggError: a line is of another form, or the file cannot be read.
        OSError: the file may not be read, or is a symbolic link.

    """
    path = run_dir / SAMPLES
    rows = read_json_lines(path)
    return [converted(row, TrainingSample, f"{path}, line {n}") for n, row in enumerate(rows, 1)]


def _line(sample: TrainingSample) -> str:
    return json.dumps(to_builtins(sample)) + "\n"
