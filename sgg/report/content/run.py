"""One run as a report shows it: what it was, its numbers and curves, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sgg.config.frozen import FROZEN_NAME, MAX_BYTES
from sgg.config.schema import Config
from sgg.data.summary import SplitRecord
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.files import opened, read_bounded, read_record
from sgg.report.content.folders import RunFolder
from sgg.runs.folder import DATA
from sgg.runs.frozen import config_of_run
from sgg.runs.progress import Curve, read_curves
from sgg.runs.records import Metrics, Start, read_metrics, read_starts
from sgg.tracking.state import failure_note

T = TypeVar("T")

LOG = "run.log"
_LOG_BYTES = 1 << 16
"""Of the beginning of a run's log, as far as a report looks."""
_PARAMETERS = re.compile(r": model [^\n]{0,1000}? \(([\d.,]{1,12} (?:m|b)illion parameters)")


@dataclass
class RunContent:
    """One run."""

    label: str
    path: Path
    point: str
    config: Config
    config_text: str
    starts: list[Start] = field(default_factory=list)
    parameters: str = ""
    """Such as "1.61 million parameters"; empty where its log does not say."""
    tracking: str = ""
    """What has to be known where its tracking failed."""
    data: SplitRecord | None = None
    metrics: Metrics | None = None
    curves: list[Curve] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What is wrong with files that could not be read, in sentences."""

    def taken(self, read: Callable[[], T], otherwise: T) -> T:
        """What `read` returns; where its file is damaged, `otherwise`, and what is wrong is noted."""
        try:
            return read()
        except (SggError, OSError) as error:
            self.left_out.append(explain(error) or str(error))
            return otherwise


def read_run(run: RunFolder) -> RunContent:
    """All small files of a run; of a damaged one, what is wrong with it.

    Raises:
        SggError: its frozen config cannot be read.
        OSError: likewise.

    """
    path = run.path
    config = config_of_run(path)
    text = read_bounded(path / FROZEN_NAME, MAX_BYTES).decode()
    content = RunContent(run.label, path, run.point, config, text)
    content.starts = content.taken(lambda: read_starts(path), [])
    content.parameters = content.taken(lambda: _parameters(path / LOG), "")
    content.tracking = content.taken(lambda: failure_note(path), None) or ""
    content.data = content.taken(lambda: read_record(path / DATA, SplitRecord), None)
    content.metrics = content.taken(lambda: read_metrics(path), None)
    content.curves = content.taken(lambda: read_curves(path), [])
    return content


def read_runs(found: Sequence[RunFolder]) -> tuple[list[RunContent], list[str]]:
    """The runs, and why others are left out.

    Raises:
        SggError: there are runs, and the frozen config of none can be read.
        OSError: likewise.

    """
    contents: list[RunContent] = []
    left_out = []
    first: Exception | None = None
    for run in found:
        try:
            contents.append(read_run(run))
        except (SggError, OSError) as error:
            first = first or error
            left_out.append(f"{run.label}: {explain(error) or error}")
    if first is not None and not contents:
        raise first
    return contents, left_out


def _parameters(log: Path) -> str:
    """Parameters of the model, as the opening line has them; empty where it is not there."""
    if not log.exists():
        return ""
    with opened(log, "rb") as file:
        begin = file.read(_LOG_BYTES).decode(errors="replace")
    found = _PARAMETERS.search(begin)
    return found[1] if found else ""


def code_of(start: Start) -> str:
    """The revision of a checkout, or the version of an install."""
    git, code = start.git, start.code
    if git is None:
        return f"sgg {code.version}, no revision: {code.no_revision}"
    return f"{git.revision}{' with changes' if git.dirty else ''}"
