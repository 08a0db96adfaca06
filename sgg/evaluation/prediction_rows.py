"""What a row of a prediction file must be: its form, the image that it is for, its numbers.

Each check raises an SggError that begins with the row's place: file, line and, once known, image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Any

from sgg.errors import SggError
from sgg.evaluation.prediction_files import FORMS, Row
from sgg.scene.graph import MAX_OBJECTS, MAX_RELATIONS
from sgg.scene.vocab import Vocabulary

_LARGEST = 1e9
"""Above every side of an image."""


class Form(Enum):
    """What a row is, by the key that holds its prediction."""

    text = auto()
    response = auto()
    objects = auto()
    graph = auto()


_TYPES = {Form.text: (str, "text"), Form.response: (str, "text"), Form.objects: (list, "a list")}


def form_of(row: Row, place: str) -> Form:
    """The form of a row that is no gathered file's."""
    for form, (kind, words) in _TYPES.items():
        if form.name in row:
            value = row[form.name]
            if not isinstance(value, kind):
                raise SggError(f"{place}: {form.name} is {_shown(value)}; it must be {words}.")
            if form is Form.response:
                box_scale(row, place)
            if form is Form.objects:
                refuse_too_many(place, value, row.get("relationships"))
            return form
    raise SggError(f"{place}: no text, response or objects. {FORMS}")


def refuse_too_many(place: str, objects: Any, relations: Any) -> None:
    """Raise SggError if a prediction's graph is larger than is scored."""
    for noun, values, most in (
        ("objects", objects, MAX_OBJECTS),
        ("relations", relations, MAX_RELATIONS),
    ):
        if isinstance(values, list) and len(values) > most:
            raise SggError(f"{place}: {len(values):,} {noun}; at most {most:,} are scored.")


def image_of(row: Row, place: str, file: str | None) -> tuple[str, bool]:
    """The id of the image that a row is for, and whether it is the name of an image file.

    Args:
        file: name of the file that is the row, without its suffix; the id, if the row gives none.

    """
    is_file = "image_id" not in row and file is None
    if "image_id" in row:
        found = row["image_id"]
    elif file is not None:
        found = file
    else:
        name = row.get("image")
        found = str(Path(name)) if isinstance(name, str) and Path(name).name else name
    if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
        raise SggError(f"{place}: no image_id, or one that is neither text nor a whole number.")
    return str(found), is_file


def index_of(row: Row, place: str) -> int:
    """Which of the predictions for its image a row is."""
    index = row.get("index", 0)
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise SggError(f"{place}: index is {_shown(index)}; it must be a whole number, 0 or more.")
    return index


def box_scale(row: Row, place: str) -> tuple[float, float] | None:
    """Width and height of the frame that a prediction of R1-SGG's was written in; None if it says nothing."""
    if "box_scale" not in row:
        return None
    scale = row["box_scale"]
    if isinstance(scale, str):
        try:
            scale = json.loads(scale)
        except (ValueError, RecursionError):
            scale = None
    if not _is_numbers(scale, 2) or not all(0 < v < _LARGEST for v in scale):
        raise SggError(
            f"{place}: box_scale is {_shown(row['box_scale'])}; it must be [width, height] of the frame "
            "that the boxes were written in, two numbers above 0. Without it the boxes are read as the "
            "config says."
        )
    return float(scale[0]), float(scale[1])


def check_gathered(row: Row, place: str, vocabulary: Vocabulary | None) -> None:
    """Refuse an entry of a gathered file whose lists do not fit together."""
    if vocabulary is None or "names_target" not in row:
        raise SggError(
            f"{place}: a gathered file needs names_target in each image and data.vocabulary."
        )
    pairs = row["graph"].get("all_node_pairs") if isinstance(row["graph"], dict) else None
    refuse_too_many(place, row["boxes"], pairs)
    for problem in _gathered_problems(row, len(vocabulary.predicates)):
        raise SggError(f"{place}: {problem}.")


def _gathered_problems(row: Row, predicates: int) -> Iterator[str]:
    boxes, names, graph = row["boxes"], row["names_target"], row["graph"]
    if not isinstance(boxes, list) or not all(_is_numbers(box, 4) for box in boxes):
        yield "boxes must be a list of four numbers each"
        return
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        yield "names_target must be a list of names"
        return
    if len(names) != len(boxes):
        yield f"{len(names)} names_target for {len(boxes)} boxes"
    if graph is None:
        return
    pairs = graph.get("all_node_pairs") if isinstance(graph, dict) else None
    scores = graph.get("all_relation") if isinstance(graph, dict) else None
    if not isinstance(pairs, list) or not isinstance(scores, list):
        yield "graph must hold the lists all_node_pairs and all_relation"
        return
    if len(pairs) != len(scores):
        yield f"{len(scores)} rows of all_relation for {len(pairs)} all_node_pairs"
    for pair in pairs:
        if not _is_pair(pair, len(boxes)):
            yield f"all_node_pairs holds {_shown(pair)}; it must be two places among {len(boxes)} boxes"
    for row_of_scores in scores:
        length = len(row_of_scores) if isinstance(row_of_scores, list) else 0
        if not 1 <= length <= predicates + 1 or not _is_numbers(row_of_scores, length):
            yield (
                f"a row of all_relation must be up to {predicates + 1} numbers, one for each predicate "
                "after one for none"
            )


def _is_numbers(value: Any, count: int) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != count:
        return False
    # a whole number may have more digits than a float takes
    return all(isinstance(v, float) or (type(v) is int and abs(v) < 2**63) for v in value)


def _is_pair(value: Any, boxes: int) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(type(v) is int and 0 <= v < boxes for v in value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
