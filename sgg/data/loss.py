"""When too little of a split is left: what is refused, and what is said loudly.

Input: the report of a prepared split as `table` keeps it. Output: an error where nothing is left to
train on or to score, and sentences where more than a stated share was lost. What the config asks to
leave out (repeated relations, images with few relations) is no loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgg.config.data import DataConfig, ImageSource
from sgg.data.box_format import suspicion
from sgg.data.clean import KINDS
from sgg.data.sources.table import SOURCES
from sgg.errors import SggError

LOUD = 0.2
"""Share of images, objects or relations lost above which a run and `sgg prepare` warn."""
_REASONS = 4
"""Kinds that a sentence names, the most frequent first."""
_COSTS = {
    "images": ("image dropped",),
    "objects": ("image dropped", "object dropped"),
    "relations": ("image dropped", "relation dropped"),
}
"""What is counted, and how the meaning of a kind (`KINDS`) says that it costs some of it."""


def refuse_empty(data: DataConfig, split: str, report: Mapping[str, Any]) -> None:
    """Raise where no image is left, or none of the relations that were annotated.

    Raises:
        SggError: with the most frequent reasons, their counts and examples, and the way out.

    """
    read, kept = report["read"], report["kept"]
    images = read.get("images", 0)
    if not images:
        raise SggError(
            f"data.{split}: the source has no image from data.{split}.offset on."
            + "".join(f" {line}" for line in report["remarks"])
        )
    if not kept.get("images"):
        raise SggError(
            _nothing(data, report, f"data.{split}: none of {images:,} images is usable.")
        )
    if read.get("relations") and not kept.get("relations"):
        raise SggError(_none_left(data, split, report))


def without_objects(data: DataConfig, split: str, report: Mapping[str, Any]) -> str:
    """Why a split with objects and no relations is not worth a run: none of its objects is left; else empty.

    No error, for such a split can be looked at: `sgg prepare` shows what is wrong with it.
    """
    objects, left = report["read"].get("objects", 0), report["kept"].get("objects", 0)
    return _none_left(data, split, report) if objects and not left else ""


def _none_left(data: DataConfig, split: str, report: Mapping[str, Any]) -> str:
    read, kept = report["read"], report["kept"]
    gone = next(w for w in ("objects", "relations") if read.get(w) and not kept.get(w))
    head = f"data.{split}: none of {read[gone]:,} {gone} is left, in {read['images']:,} images."
    return _nothing(data, report, head)


def _nothing(data: DataConfig, report: Mapping[str, Any], head: str) -> str:
    lines = [head, *(f"  {line}" for line in reasons(report))]
    return "\n".join([*lines, *report["remarks"], *_ways_out(data, report)])


def warnings(data: DataConfig, split: str, report: Mapping[str, Any]) -> list[str]:
    """Sentences about a split: what its reader missed, whether much was lost, whether boxes look odd."""
    sentences = list(report["remarks"])
    for what in _COSTS:
        read, lost = report["read"].get(what, 0), _lost(report, what)
        if lost > LOUD * read:
            listed = "; ".join(reasons(report, _COSTS[what]))
            sentences.append(
                f"data.{split}: {lost:,} of {read:,} {what} were lost ({lost / read:.0%}). {listed}."
            )
    sentences += [
        f"data.{split}: {kind}: {count:,} ({KINDS[kind]})." for kind, count in _kept(report)
    ]
    return [*sentences, *(f"data.{split}: {line}" for line in _box_suspicion(data, report))]


def _kept(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Findings that cost nothing and cannot be meant, with their counts."""
    objects = report["read"].get("objects", 0)
    shares = {
        "percent_boxes": 0.0,
        "thousandth_boxes": 0.0,
        "lone_classes": 0.0,
        "numbered_class": LOUD,
    }
    counts = {kind: report["issues"].get(kind, 0) for kind in shares}
    return [(kind, n) for kind, n in counts.items() if n > shares[kind] * objects]


def reasons(report: Mapping[str, Any], costs: tuple[str, ...] = ("",)) -> list[str]:
    """The most frequent findings: kind, count, meaning and the first images that show it.

    With `costs`, only those whose meaning has one of these phrases.
    """
    found = [
        item for item in report["issues"].items() if any(cost in KINDS[item[0]] for cost in costs)
    ]
    by_count = sorted(found, key=lambda item: -item[1])
    lines = []
    for kind, count in by_count[:_REASONS]:
        shown = ", ".join(report["shown"].get(kind, [])[:3])
        lines.append(f"{kind}: {count:,} ({KINDS[kind]})" + (f", first {shown}" if shown else ""))
    return lines


def _lost(report: Mapping[str, Any], what: str) -> int:
    """What was read and is neither kept nor set aside by the config's own rules."""
    left = report["kept"].get(what, 0) + report["set_aside"].get(what, 0)
    return int(report["read"].get(what, 0) - left)


def _box_suspicion(data: DataConfig, report: Mapping[str, Any]) -> list[str]:
    if not SOURCES[data.source].reads_box_format:
        return []
    sentence = suspicion(report["boxes"], data.box_format)
    return [sentence] if sentence else []


def _ways_out(data: DataConfig, report: Mapping[str, Any]) -> list[str]:
    lines = _box_suspicion(data, report)
    if "no_image" in report["issues"]:
        lines += _images_missing(data, report["looked_for"])
    if data.drop_unknown and {"unknown_class", "unknown_predicate"} & set(report["issues"]):
        lines.append(
            f"data.drop_unknown=true drops what data.vocabulary={data.vocabulary.name} lacks: choose "
            "another vocabulary, or data.drop_unknown=false."
        )
    form = SOURCES[data.source].form
    if "unreadable_row" in report["issues"] and form:
        lines.append(f"data.source={data.source.name} reads {form} (docs/data.md).")
    return lines


def _images_missing(data: DataConfig, looked_for: list[str]) -> list[str]:
    """What to do where images are missing, and where the first one was looked for."""
    painted = ", or data.image_source=painted to go without"
    if data.image_source is ImageSource.painted:
        painted = ""
    if not looked_for:
        return [
            "The rows neither hold nor name an image. Add them; gold without images needs a column "
            "image_size beside data.image_source=painted, and no column image."
        ]
    where = (
        "Set data.image_folder to the folder of the images"
        if data.image_folder is None
        else f"Put the images below data.image_folder={data.image_folder}, or set it to their folder"
    )
    return [f"{where}{painted}.", f"Looked for {', '.join(looked_for)}."]
