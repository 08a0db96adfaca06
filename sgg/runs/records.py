"""The forms of small JSON files in run and pipeline folders, as far as they are read back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field, structs

from sgg.errors import SggError
from sgg.files import read_record
from sgg.runs.folder import BEST, METRICS, PER_IMAGE, PIPELINE, PROVENANCE, TOTAL

_LONGEST_NAME, _LONGEST_PATH = 240, 1000
"""Characters of a name and of a path of several that sgg may have made."""


class GitState(Struct):
    """`git` of a start; see `code_state.code_record`."""

    revision: str
    dirty: bool | None


class CodeState(Struct):
    """`code` of a start."""

    version: str | None = None
    no_revision: str | None = None


class Start(Struct):
    """One start of a run, as `folder.record_start` notes it."""

    time: str
    command: str
    git: GitState | None = None
    versions: dict[str, str] = field(default_factory=dict)
    host: str = ""
    code: CodeState = field(default_factory=CodeState)
    process: str | None = None
    """None of a start by an earlier version."""


class Provenance(Struct):
    """RUN_DIR/provenance.json."""

    starts: list[Start]


class Total(Struct):
    """RUN_DIR/total.json."""

    steps: int


class Best(Struct):
    """RUN_DIR/best.json: the best checkpoint of a training by evaluations meanwhile."""

    metric: str
    step: int
    value: float
    checkpoint: str
    """Name of its folder in the run's."""
    images: int
    """How many were evaluated."""
    protocol: str
    """Its id; all of it is in config.yaml."""


class PipelineRecord(Struct):
    """FOLDER/pipeline.json."""

    steps: list[str]
    """Names of the run folders in it, in their order."""
    table: list[str] = field(default_factory=list)
    """Those of its table."""


class ProtocolName(Struct):
    """`protocol` of metrics.json, as far as a report names it."""

    id: str


class ProblemCount(Struct):
    """How often a kind of problem was met."""

    completions: int
    items: int


class Metrics(Struct):
    """RUN_DIR/metrics.json; see `evaluation.score`."""

    images: int
    completions: int
    images_with_relations: int
    gold_relations: int
    metrics: dict[str, float]
    intervals: dict[str, Annotated[list[float], Meta(min_length=2, max_length=2)] | None]
    problems: dict[str, ProblemCount]
    recall_per_predicate: dict[str, float]
    protocol: ProtocolName


_Count = Annotated[float, Meta(ge=0, le=1e6)]


class PerImage(Struct):
    """RUN_DIR/per_image.json: columns over the images of the split, in its order."""

    image_ids: list[str]
    recall_sum: list[_Count]
    """Recall without a cutoff of the image's completions, summed over those that count in `R`."""
    recall_count: list[_Count]
    """How many of them count: those of images with gold relations."""
    gold: list[int]
    """Gold relations."""
    found: list[_Count]
    """Those that are found, mean over the completions."""
    failed: list[_Count]
    """Share of the completions that failed as a whole."""


def read_starts(run_dir: Path) -> list[Start]:
    """Each start of the run, as its provenance has them.

    Raises:
        SggError: provenance.json has another form.

    """
    record = read_record(run_dir / PROVENANCE, Provenance)
    return [] if record is None else record.starts


def read_total(run_dir: Path) -> int | None:
    """Steps that the training run will have made; None before it has begun.

    Raises:
        SggError: total.json has another form.

    """
    record = read_record(run_dir / TOTAL, Total)
    return None if record is None else record.steps


def read_best(run_dir: Path) -> Best | None:
    """The best checkpoint of a training run; None before there is one, or where none is kept.

    Raises:
        SggError: best.json is no JSON or has another form, or the checkpoint's name is no folder's.

    """
    file = run_dir / f"{BEST}.json"
    try:
        record = read_record(file, Best)
        if record is not None:
            refuse_no_step(record.checkpoint, file)
        elif file.is_file():
            raise SggError(f"{file}: no JSON.")
    except SggError as error:
        raise SggError(
            f"{error} Remove it: a training that is resumed writes it again from metrics.jsonl; "
            f"of a finished one take model.path={run_dir}/checkpoint-N."
        ) from error
    return record


def read_pipeline(folder: Path) -> PipelineRecord | None:
    """The steps of a pipeline; None where there is none.

    Raises:
        SggError: pipeline.json has another form, or a step's name is no folder's.

    """
    record = read_record(folder / PIPELINE, PipelineRecord)
    for name in () if record is None else (*record.steps, *record.table):
        refuse_no_step(name, folder / PIPELINE)
    return record


def read_metrics(run_dir: Path) -> Metrics | None:
    """metrics.json of a run, if it has been written.

    Raises:
        SggError: it has another form.

    """
    return read_record(run_dir / METRICS, Metrics)


def read_per_image(run_dir: Path) -> PerImage | None:
    """per_image.json of a run; None where an earlier version has evaluated it.

    Raises:
        SggError: it has another form.

    """
    found = read_record(run_dir / PER_IMAGE, PerImage)
    if found is not None and len({len(column) for column in structs.astuple(found)}) != 1:
        raise SggError(f"{run_dir / PER_IMAGE}: its columns have different lengths.")
    return found


def refuse_no_step(name: str, file: Path) -> None:
    """Raise SggError if a name in a file cannot be of a step, which folders are named after."""
    if "/" in name:
        raise SggError(f"{file}: {name[:80]!r} is no name of a step.")
    refuse_outside(name, file)


def refuse_outside(name: str, file: Path) -> None:
    """Raise SggError if a path that a file names is not one below the file's folder."""
    parts = name.split("/")
    odd = any(not part or part in (".", "..") or len(part) > _LONGEST_NAME for part in parts)
    if odd or not name.isprintable() or len(name) > _LONGEST_PATH:
        raise SggError(f"{file}: {name[:80]!r} is no folder below its own.")
