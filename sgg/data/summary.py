"""What a prepared split holds: counts as read and as kept, and every issue.

For a run it is data.json in its folder, which its HTML report shows.
"""

from __future__ import annotations

import logging
from pathlib import Path

from msgspec import Struct

from sgg.config.schema import Config
from sgg.config.stage import EvalConfig
from sgg.data.clean import KINDS
from sgg.data.overlap import shared_images
from sgg.data.prepared_split import Prepared
from sgg.errors import SggError
from sgg.files import write_json
from sgg.runs.folder import DATA

log = logging.getLogger("sgg")

Rows = list[list[str]]


class SplitReport(Struct):
    """A `clean.Report`, as far as it is shown."""

    read: dict[str, int]
    kept: dict[str, int]
    issues: dict[str, int]
    shown: dict[str, list[str]]
    zero_shot_triplets: int


class SplitRecord(Struct):
    """RUN_DIR/data.json."""

    split: str
    warnings: list[str]
    report: SplitReport


def count_rows(split: str, report: SplitReport) -> Rows:
    """What was read and what is kept, under a head."""
    rows = [[split, "read", "kept"]]
    for what in ("images", "objects", "relations"):
        read, kept = (counts.get(what, 0) for counts in (report.read, report.kept))
        rows.append([what, f"{read:,}", f"{kept:,}"])
    if report.zero_shot_triplets:
        rows.append(["zero-shot triplets", f"{report.zero_shot_triplets:,}", ""])
    return rows


def issue_rows(report: SplitReport) -> Rows:
    """Each kind with its count, meaning and first images, under a head."""
    rows = [["issue", "count", "what it means", "first images"]]
    for kind, count in report.issues.items():
        shown = ", ".join(report.shown.get(kind, [])[:3])
        rows.append([kind, f"{count:,}", KINDS.get(kind, ""), shown])
    return rows


def report_split(config: Config, split: str, prepared: Prepared, run_dir: Path) -> None:
    """Log the split's warnings, and keep its report in the run's folder.

    An evaluation of the train split measures memorisation, so it gets no warning of shared images.

    Raises:
        SggError: the split is unusable, as `prepared.refusal` says.

    """
    if prepared.refusal:
        raise SggError(prepared.refusal)
    sentences = list(prepared.warnings)
    if not (split == "train" and isinstance(config.stage, EvalConfig)):
        shared = shared_images(config.data, split, prepared, Path(config.paths.cache))
        sentences += [shared] if shared else []
    for sentence in sentences:
        log.warning("Warning: %s", sentence)
    content = {
        "split": split,
        "fingerprint": prepared.fingerprint,
        "warnings": sentences,
        "report": prepared.report,
    }
    write_json(run_dir / DATA, content)
