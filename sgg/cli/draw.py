"""`sgg draw`: a graph and its image -> a picture."""

from __future__ import annotations

import argparse
import re
import sys
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from sgg.cli.arguments import is_true, split_arguments, typed_path
from sgg.errors import SggError

if TYPE_CHECKING:
    from sgg.config.protocol import ProtocolConfig
    from sgg.data.graph_file import GraphRow
    from sgg.drawing.layout import Marks
    from sgg.metrics.tally import Task
    from sgg.scene.graph import SceneGraph
    from sgg.text.codec import Parsed

OWN = ("out", "beside", "gold", "frame", "line", "vocabulary")
"""Arguments of this tool; the others are of the protocol."""
_SHOWN = 10
"""Gold relations that are listed as not found."""
_EPILOG = """\
  GRAPH        what `sgg predict` writes, a line of data=jsonl, a row of completions.jsonl, or a file with a
               model's answer
  IMAGE        the image that it is of; without one, the graph is drawn without boxes
arguments of this tool:
  out=FILE     FILE.png or FILE.svg (a new PNG beside GRAPH); nothing is overwritten
  beside=true  draw the graph beside the image, too: every relation can be read, however boxes overlap
  frame=F      what GRAPH's boxes are written in: pixels of IMAGE (pixels), 0..1000 (1000), or pixels of the
               image as resized for the model (504x364)
  line=N       which line of a GRAPH with several; without it, the one that names IMAGE
  gold=FILE    the annotated graph, in pixels and in the same forms: hits are drawn blue, what is wrong
               orange and dashed, and the relations of FILE that are not found are listed
  protocol=P   by which hits are judged (sgg); vocabulary=vg150|psg|shapes, where it needs one

examples:
  sgg draw photo.graph.json photo.jpg
  sgg draw photo.graph.json photo.jpg out=photo.svg beside=true
  sgg draw answer.txt photo.jpg frame=1000 gold=annotations.jsonl
  sgg draw photo.graph.json"""


def main(argv: list[str]) -> None:
    """`sgg draw GRAPH [IMAGE] [key=value …]`: write a picture and print its path."""
    parser = argparse.ArgumentParser(
        prog="sgg draw",
        usage="sgg draw GRAPH [IMAGE] [out=FILE] [beside=true] [gold=FILE] [key=value ...]",
        description="Draw a scene graph on its image.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("graph", metavar="GRAPH", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", metavar="IMAGE", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    words: list[str] = args.rest
    image = None
    if words and (Path(words[0]).exists() or "=" not in words[0]):
        image, words = typed_path(Path(words[0])), words[1:]
    own, overrides = split_arguments(words, OWN)
    if bare := [word for word in overrides if "=" not in word]:
        raise SggError(
            f"{bare[0]}: sgg draw draws one graph a call, and reads GRAPH and IMAGE only."
        )
    if "gold" not in own and (unread := [*overrides, *(k for k in own if k == "vocabulary")]):
        raise SggError(
            f"{unread[0]} would be ignored: it says how gold=FILE is compared. Leave it out."
        )
    _draw(typed_path(args.graph), image, own, overrides)


def _draw(path: Path, image: Path | None, own: dict[str, str], overrides: list[str]) -> None:
    from sgg.data.graph_file import read_graph_row
    from sgg.data.one_image import open_image_file
    from sgg.drawing.layout import layout
    from sgg.drawing.picture_file import write_picture

    beside, frame, line = is_true(own, "beside"), _frame(own), _line(own)
    if image is None and (needing := [key for key in ("gold", "beside") if key in own]):
        raise SggError(f"{needing[0]}= needs IMAGE: sgg draw GRAPH IMAGE {needing[0]}=…")
    task = _task(own, overrides) if "gold" in own else None
    row = read_graph_row(path, image, line)
    upright = open_image_file(image) if image is not None else None
    size = upright.size if upright is not None else frame or row.size or (1000, 1000)
    if image is not None and frame is None and row.size not in (None, size):
        raise SggError(
            f"{row.where} is of an image of {_sides(row.size)} pixels, and {image} has {_sides(size)}. "
            "Give the image that it is of, or, if its boxes are to be scaled, frame=WIDTHxHEIGHT."
        )
    parsed = _read(row, size, frame)
    marks = None
    if task is not None:
        gold = _read(read_graph_row(typed_path(Path(own["gold"])), image), size, None)
        marks = _compared(parsed.graph, gold.graph, task)
    drawn = layout(parsed.graph, size, marks)
    out = _reserved(own.get("out"), path)
    write_picture(out, upright, drawn, beside)
    print(out)
    print(parsed.summary, file=sys.stderr)


def _read(row: GraphRow, size: tuple[int, int], frame: tuple[int, int] | None) -> Parsed:
    from sgg.data.graph_file import FORMS

    parsed = row.parsed(size, frame)
    if not parsed.graph.nodes:
        raise SggError(f"{row.where} has no object that can be drawn ({parsed.summary}). {FORMS}")
    return parsed


def _compared(pred: SceneGraph, gold: SceneGraph, task: Task) -> Marks:
    """What is a hit; prints how much was found and what was not."""
    from sgg.drawing.layout import Marks
    from sgg.metrics.judged import judged, judged_objects

    found, right = judged(pred, gold, task)
    _, right_objects = judged_objects(pred, gold, task)
    print(
        f"protocol {task.protocol.id}: {sum(found)} of {len(found)} gold relations found, "
        f"{sum(right)} of {len(right)} drawn ones are hits",
        file=sys.stderr,
    )
    missed = [edge for edge, is_found in zip(gold.edges, found, strict=True) if not is_found]
    for edge in missed[:_SHOWN]:
        print(f"  not found: {' '.join(gold.triplet(edge))}", file=sys.stderr)
    if len(missed) > _SHOWN:
        print(f"  and {len(missed) - _SHOWN} more", file=sys.stderr)
    return Marks(right_objects, right)


def _task(own: dict[str, str], overrides: list[str]) -> Task:
    from sgg.config.compose import compose_config
    from sgg.errors import did_you_mean
    from sgg.metrics.tally import Task
    from sgg.plan.unread import refuse_unread_by
    from sgg.scene.vocab import VOCABULARIES

    chosen = [] if any(word.startswith("protocol=") for word in overrides) else ["protocol=sgg"]
    config = compose_config(["stage=eval", *chosen, *overrides])
    refuse_unread_by("draw", overrides, config)
    name = own.get("vocabulary")
    if name is not None and name not in VOCABULARIES:
        names = ", ".join(VOCABULARIES)
        raise SggError(f"vocabulary={name}: allowed are {names}.{did_you_mean(name, VOCABULARIES)}")
    if name is None and _needs_vocabulary(config.protocol):
        raise SggError(
            f"protocol={config.protocol.id} compares names by a vocabulary. Say which: "
            f"vocabulary={' or '.join(VOCABULARIES)}."
        )
    return Task(config.protocol, VOCABULARIES[name] if name is not None else None)


def _needs_vocabulary(protocol: ProtocolConfig) -> bool:
    from sgg.config.protocol import Labels, Unknown

    return protocol.labels is Labels.mapped or protocol.unknown is Unknown.drop


def _frame(own: dict[str, str]) -> tuple[int, int] | None:
    """Width and height of the frame; None for pixels of the image."""
    value = own.get("frame", "pixels")
    if value == "pixels":
        return None
    if value == "1000":
        return 1000, 1000
    if found := re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", value):
        return int(found[1]), int(found[2])
    raise SggError(f"frame={value}: allowed are pixels, 1000 and WIDTHxHEIGHT, such as 504x364.")


def _line(own: dict[str, str]) -> int | None:
    value = own.get("line")
    if value is not None and not re.fullmatch(r"[1-9]\d{0,8}", value):
        raise SggError(f"line={value}: a number from 1.")
    return int(value) if value is not None else None


def _reserved(out: str | None, graph: Path) -> Path:
    """Where the picture goes: an empty file that was not there.

    Raises:
        SggError: it is, or a picture has no such suffix.

    """
    from sgg.drawing.picture_file import SUFFIXES

    if out is None:
        stem = graph.name.removesuffix(".json")
        names = chain([f"{stem}.png"], (f"{stem}.{number}.png" for number in count(2)))
        return next(path for path in map(graph.with_name, names) if _is_made(path))
    path = Path(out).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise SggError(f"out={out}: a picture is {' or '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise SggError(f"out={out}: no folder {path.parent}.")
    if not _is_made(path):
        raise SggError(f"out={out} is there already, and sgg draw overwrites nothing.")
    return path


def _is_made(path: Path) -> bool:
    """Whether this call made the file."""
    try:
        path.open("x").close()
    except FileExistsError:
        return False
    return True


def _sides(size: tuple[int, int] | None) -> str:
    assert size is not None
    return f"{size[0]} × {size[1]}"
