"""The rows of a reader, cleaned, in as many processes as asked for.

Input: a `Job` and the indices of the rows. Output: chunks of table rows with their reports, in
order; how many processes there were does not show.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sgg.config.data import ImageCheck
from sgg.data.clean import Policy, Report, clean
from sgg.data.example import RawExample
from sgg.data.images import look_at_file, stamp
from sgg.data.sources.base import Reader, image_digest
from sgg.errors import SggError
from sgg.scene.graph import SceneGraph, Triplet, to_dict
from sgg.scene.vocab import canonical

T = TypeVar("T")

CHUNK = 256
"""Rows that a process cleans at a time."""


@dataclass(frozen=True)
class Job:
    """What to clean, and how."""

    reader: Reader
    policy: Policy
    check: ImageCheck | None
    """How far image files are looked at; None where images are drawn or painted."""
    folders: tuple[Path, ...] | None = None
    """Where image files must lie, without symbolic links; None for anywhere."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows after cleaning."""

    rows: list[dict[str, Any]]
    """Rows of the table, columns as in `prepared_split.Prepared.rows`."""
    report: Report
    count: int
    """Rows before cleaning."""


_job: Callable[[range], Any] | None = None
"""What the processes of `forked` do with a chunk: inherited by fork, for readers are large."""


def clean_all(job: Job, indices: range, workers: int) -> Iterator[Chunk]:
    """Consecutive chunks, in order, from `workers` processes; 0 for one per core of this process.

    Raises:
        SggError: a process was killed.

    """
    chunks = [indices[i : i + CHUNK] for i in range(0, len(indices), CHUNK)]
    return forked(partial(_clean_chunk, job), chunks, workers)


def forked(function: Callable[[range], T], chunks: Sequence[range], workers: int) -> Iterator[T]:
    """`function` of each chunk, in order, from `workers` processes; 0 for one per core.

    The function and what it holds are inherited by fork, not sent; what it returns is sent back.

    Raises:
        SggError: a process was killed.

    """
    global _job
    workers = min(workers or cores(), len(chunks))
    if workers <= 1:
        yield from map(function, chunks)
        return
    _job = function
    try:
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            yield from pool.map(_do, chunks)
    except BrokenProcessPool as error:
        raise SggError(
            f"One of {workers} processes that read data was killed, most likely for want of "
            f"memory. Set data.workers to less than {workers}."
        ) from error
    finally:
        _job = None


def _do(chunk: range) -> Any:
    assert _job is not None
    return _job(chunk)


def cores() -> int:
    """Cores that this process may use: under Slurm fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _clean_chunk(job: Job, indices: range) -> Chunk:
    report, rows = Report(), []
    for index in indices:
        raw = job.reader.read(index)
        odd = set(raw.image_odd)
        kind = _image_problem(raw, job, odd)
        if raw.image_file and job.check is not None:
            of_file = report.dropped_files if kind else report.kept_files
            of_file[raw.image_file] = stamp(raw.image_file)
        if kind:
            report.drop_image(kind, raw)
            continue
        for finding in sorted(odd):
            report.note(finding, raw.image_id)
        graph = clean(raw, job.policy, report)
        if graph is None:
            continue
        report.zero_shot |= _zero_shot(graph, job.reader.zero_shot)
        rows.append(
            {
                "image_id": raw.image_id,
                "image_ref": raw.image_ref,
                "width": raw.width,
                "height": raw.height,
                "graph": json.dumps(to_dict(graph)),
                "columns": json.dumps(dict(raw.columns)),
                "digest": _digest(raw, job.check),
            }
        )
    return Chunk(rows, report, len(indices))


def _digest(raw: RawExample, check: ImageCheck | None) -> str:
    """What tells the row's image apart; empty where it is drawn or painted."""
    if not raw.image_file or check is None:
        return raw.image_digest
    return image_digest(Path(raw.image_file), whole=check is ImageCheck.decode)


def _image_problem(raw: RawExample, job: Job, odd: set[str]) -> str:
    """The kind of what is wrong with a row's image, or an empty string; `odd` takes what is not wrong."""
    if job.check is not None and raw.image_file and _lies_outside(raw.image_file, job.folders):
        return "outside_folder"
    if raw.image_problem or raw.broken or job.check is None:
        return raw.image_problem
    if raw.image_ref.startswith("row:"):  # looked at when the row was read
        return ""
    size, problem = look_at_file(raw.image_ref, job.check is ImageCheck.decode, odd.add)
    annotated = raw.width, raw.height
    if problem or size == annotated:
        return problem
    return "size_before_turn" if "turned" in odd and size[::-1] == annotated else "wrong_size"


def _lies_outside(file: str, folders: tuple[Path, ...] | None) -> bool:
    """Whether a file is none of these folders', by its name or by a link on the way to it."""
    if folders is None:
        return False
    place = Path(os.path.realpath(file))
    return not any(place.is_relative_to(folder) for folder in folders)


def _zero_shot(graph: SceneGraph, listed: frozenset[Triplet]) -> set[Triplet]:
    """The listed triplets that a graph states."""
    if not listed:
        return set()
    names = [canonical(n.name) for n in graph.nodes]
    stated = {(names[e.subject], canonical(e.predicate), names[e.object]) for e in graph.edges}
    return stated & listed
