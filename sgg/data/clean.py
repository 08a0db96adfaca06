"""Cleaning: a stranger's row becomes an `Example`'s graph, and every issue is counted by kind.

Nothing is corrected in silence: every change and every loss has a kind, a count and the ids of the
first images that show it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sgg.config.data import BoxFormat, Duplicates
from sgg.data.box_check import judge
from sgg.data.box_format import fits, to_corners
from sgg.data.example import RawExample
from sgg.data.units import reach, suspects
from sgg.data.written import looks_numbered
from sgg.scene.graph import MAX_OBJECTS, MAX_RELATIONS, Box, Edge, Node, SceneGraph
from sgg.scene.vocab import VOCABULARIES, Vocabulary, canonical

MAX_ASPECT = 200
"""Widest ratio of sides that Qwen's image processors accept."""
MAX_PIXELS = 64_000_000
"""Largest area. A file of 400 kB may hold 400 megapixels, and each takes up to 12 bytes to decode."""
SHOWN_PER_KIND = 5
FIRST_OBJECTS = 2000
"""Objects whose classes are counted, at least: enough to see whether they are classes."""
_FEW_OBJECTS = 30
_LONE = 0.9
"""Share of at least so many objects that must have a class to themselves to be reported."""

KINDS = {
    "unreadable_row": "the row could not be read; image dropped",
    "no_image": "its file is missing; image dropped",
    "broken_image": "cannot be decoded; image dropped",
    "outside_folder": "its file lies outside data.root and data.image_folder (data.outside=true takes it); "
    "image dropped",
    "wrong_size": "has another size than annotated; image dropped",
    "size_before_turn": "annotated size is the image's before EXIF turns it, and boxes must belong to the "
    "upright image; image dropped",
    "turned": "EXIF turns the image; boxes are taken as those of the upright image",
    "damaged_exif": "EXIF cannot be read, or its orientation is none of 1 to 8; image used",
    "several_frames": "image moves or has pages; the first one is used",
    "wide_grey": "grey of more than 8 bits; scaled to 8",
    "bad_size": "no positive width and height, one over 200 times the other, or over 64 megapixels; "
    "image dropped",
    "too_many": f"more than {MAX_OBJECTS:,} objects or {MAX_RELATIONS:,} relations; image dropped",
    "duplicate_image": "image id seen before; image dropped",
    "bad_box": "not four finite numbers; object dropped",
    "text_box": "numbers of the box are written as texts; read as numbers",
    "relative_box": "box lies in 0..1: shares of the sides, not pixels? Then set data.box_format=xyxy_norm "
    "or xywh_norm; object dropped",
    "pixel_box": "box reaches far past 1, and data.box_format counts in shares of the sides; object dropped",
    "percent_boxes": "no box of the set passes 100, whatever its image's size: percent of the sides, not "
    "pixels? Then multiply them by width / 100 and height / 100; kept",
    "thousandth_boxes": "no box of the set passes 1000, whatever its image's size: thousandths of the sides, "
    "not pixels? Then multiply them by width / 1000 and height / 1000; kept",
    "swapped_box": "second corner lies left of the first or above it; object dropped",
    "degenerate_box": "no area; object dropped",
    "outside_box": "lies wholly outside the image; object dropped",
    "box_past_edge": "reaches over the edge of the image; clipped, or object dropped",
    "tiny_box": "less than a pixel wide or high; kept",
    "no_class": "names no class of the source; object dropped",
    "crowd": "marks a group, not one object (iscrowd); object dropped",
    "duplicate_id": "object id seen before in the image; object dropped",
    "numbered_class": "class looks like an id with its number, each object like a class of its own: write "
    "NAME.NUMBER, or add a name; kept",
    "lone_classes": "nearly all classes occur once, as ids do: does the id name the class? Else add a name; "
    "kept",
    "unknown_class": "class outside the vocabulary; kept, or object dropped",
    "no_predicate": "names no predicate of the source; relation dropped",
    "unknown_predicate": "predicate outside the vocabulary; kept, or relation dropped",
    "dangling_relation": "an end is missing or was dropped; relation dropped",
    "self_relation": "relates an object to itself; kept",
    "duplicate_relation": "the image states it more than once; kept, or dropped but for one",
    "few_relations": "fewer relations than data.min_relations; image dropped",
}
"""What can be wrong, and what is done about it."""


@dataclass(frozen=True)
class Policy:
    """What to do where there is a choice; the fields are those of `DataConfig`."""

    vocabulary: Vocabulary | None = None
    box_format: BoxFormat = BoxFormat.xyxy
    clip_boxes: bool = True
    duplicates: Duplicates = Duplicates.drop
    drop_unknown: bool = False
    min_relations: int = 0


@dataclass
class Report:
    """What was read, what was wrong and what is left."""

    read: Counter[str] = field(default_factory=Counter)
    """images, objects and relations as annotated."""
    kept: Counter[str] = field(default_factory=Counter)
    """images, objects and relations after cleaning."""
    set_aside: Counter[str] = field(default_factory=Counter)
    """images, objects and relations that were sound, and dropped because the config says so: repeated
    relations, images with few relations."""
    boxes: Counter[str] = field(default_factory=Counter)
    """How many boxes lie in their images, by which reading: see `box_format.fits`."""
    units: Counter[str] = field(default_factory=Counter)
    """How far boxes reach: see `units.reach`."""
    classes: Counter[str] = field(default_factory=Counter)
    """Classes of the first objects, where no vocabulary lists them."""
    issues: Counter[str] = field(default_factory=Counter)
    """Items by kind."""
    shown: dict[str, list[str]] = field(default_factory=dict)
    """First image ids by kind, with the reason where the kind does not say it."""
    looked_for: list[str] = field(default_factory=list)
    """The files that the first missing image was looked for as."""
    remarks: list[str] = field(default_factory=list)
    """What the reader chose or missed as a whole, in sentences."""
    dropped_files: dict[str, str | None] = field(default_factory=dict)
    """Stamps (`images.stamp`) of the image files that images were dropped for, by path; None if missing."""
    kept_files: dict[str, str | None] = field(default_factory=dict)
    """Stamps of all others."""
    zero_shot: set[tuple[str, str, str]] = field(default_factory=set)
    """Triplets of the source's zero-shot list that occur."""

    def note(self, kind: str, image_id: str, why: str = "") -> None:
        """Count one item of a kind in an image."""
        assert kind in KINDS, kind
        self.issues[kind] += 1
        shown = self.shown.setdefault(kind, [])
        words = " ".join(why.split())[:_REASON_LENGTH]
        entry = f"{image_id} ({words})" if words else image_id
        if len(shown) < SHOWN_PER_KIND and entry not in shown:
            shown.append(entry)

    def drop_image(self, kind: str, raw: RawExample) -> None:
        """An image is dropped for its file, before `clean` sees it."""
        self.count_read(raw)
        self.note(kind, raw.image_id)
        self.dropped_files |= dict.fromkeys(raw.looked_for)
        if kind == "no_image" and not self.looked_for:
            self.looked_for = list(raw.looked_for) or [raw.image_ref.removeprefix("file:")]

    def count_read(self, raw: RawExample) -> None:
        """An image as annotated."""
        self.read.update(images=1, objects=len(raw.objects), relations=len(raw.relations))

    def undo(self, graph: SceneGraph) -> None:
        """An image that `clean` kept is dropped after all."""
        self.kept["images"] -= 1
        self.kept["objects"] -= len(graph.nodes)
        self.kept["relations"] -= len(graph.edges)

    def judge_set(self) -> None:
        """Note what only the set as a whole shows; once, when all of it was added."""
        self.issues.update(suspects(self.units))
        alone = sum(count == 1 for count in self.classes.values())
        if alone >= max(_FEW_OBJECTS, _LONE * self.classes.total()):
            self.issues["lone_classes"] = alone
            self.shown["lone_classes"] = list(self.classes)[:SHOWN_PER_KIND]

    def add(self, other: Report) -> None:
        """Take in another report, of later rows."""
        self.read += other.read
        self.kept += other.kept
        self.set_aside += other.set_aside
        self.boxes += other.boxes
        self.units += other.units
        if self.classes.total() < FIRST_OBJECTS:
            self.classes += other.classes
        self.issues += other.issues
        self.zero_shot |= other.zero_shot
        self.looked_for = self.looked_for or other.looked_for
        self.dropped_files |= other.dropped_files
        self.kept_files |= other.kept_files
        for kind, ids in other.shown.items():
            mine = self.shown.setdefault(kind, [])
            mine += [i for i in ids if i not in mine][: SHOWN_PER_KIND - len(mine)]


_REASON_LENGTH = 240


def clean(raw: RawExample, policy: Policy, report: Report) -> SceneGraph | None:
    """The graph of a row, or None if the image is dropped; `report` takes every finding.

    Order of events: boxes are checked as annotated, then clipped; relations of dropped objects are
    dangling. Duplicates are counted as annotated.
    """
    report.count_read(raw)
    if raw.broken:
        report.note("unreadable_row", raw.image_id, raw.broken)
        return None
    objects, relations = len(raw.objects), len(raw.relations)
    if objects > MAX_OBJECTS or relations > MAX_RELATIONS:
        report.note("too_many", raw.image_id, f"{objects} objects, {relations} relations")
        return None
    small, large = sorted((raw.width, raw.height))
    if small <= 0 or large > MAX_ASPECT * small or small * large > MAX_PIXELS:
        report.note("bad_size", raw.image_id)
        return None
    boxes = [item.box for item in raw.objects]
    report.boxes.update(fits(boxes, policy.box_format, raw.width, raw.height))
    if not policy.box_format.is_normalised:
        corners = (to_corners(box, policy.box_format, raw.width, raw.height) for box in boxes)
        report.units += reach(corners, raw.width, raw.height)
    nodes, index = _objects(raw, policy, report)
    edges = _relations(raw, index, policy, report)
    if len(edges) < policy.min_relations:
        report.note("few_relations", raw.image_id)
        report.set_aside.update(images=1, objects=len(nodes), relations=len(edges))
        return None
    report.kept.update(images=1, objects=len(nodes), relations=len(edges))
    return SceneGraph(tuple(nodes), tuple(edges))


def _objects(raw: RawExample, policy: Policy, report: Report) -> tuple[list[Node], dict[str, int]]:
    nodes: list[Node] = []
    index: dict[str, int] = {}
    seen: set[str] = set()
    vocabulary = VOCABULARIES.get(raw.columns.get("vocabulary", ""), policy.vocabulary)
    for item in raw.objects:
        if item.id in seen:
            report.note("duplicate_id", raw.image_id)
            continue
        seen.add(item.id)
        if item.problem:
            report.note(item.problem, raw.image_id, item.name)
            continue
        if item.odd:
            report.note(item.odd, raw.image_id)
        box = _box(item.box, raw, policy, report)
        if box is None:
            continue
        known = vocabulary is not None and vocabulary.knows_object(item.name)
        if not known and looks_numbered(item.name):
            report.note("numbered_class", raw.image_id, item.name)
        if vocabulary is None:
            report.classes[item.name] += 1
        elif not known:
            report.note("unknown_class", raw.image_id)
            if policy.drop_unknown:
                continue
        index[item.id] = len(nodes)
        nodes.append(Node(item.name, box))
    return nodes, index


def _box(box: tuple[float, ...], raw: RawExample, policy: Policy, report: Report) -> Box | None:
    found, issues = judge(box, policy.box_format, raw.width, raw.height)
    for kind in issues:
        report.note(kind, raw.image_id)
    return None if "box_past_edge" in issues and not policy.clip_boxes else found


def _relations(
    raw: RawExample, index: dict[str, int], policy: Policy, report: Report
) -> list[Edge]:
    edges: list[Edge] = []
    seen: set[tuple[str, str, str]] = set()
    vocabulary = VOCABULARIES.get(raw.columns.get("vocabulary", ""), policy.vocabulary)
    for item in raw.relations:
        if item.problem:
            report.note(item.problem, raw.image_id, item.predicate)
            continue
        key = (item.subject, canonical(item.predicate), item.object)
        repeated = key in seen
        seen.add(key)
        if repeated:
            report.note("duplicate_relation", raw.image_id)
        if item.subject not in index or item.object not in index:
            report.note("dangling_relation", raw.image_id)
            continue
        if item.subject == item.object:
            report.note("self_relation", raw.image_id)
        if vocabulary is not None and not vocabulary.knows_predicate(item.predicate):
            report.note("unknown_predicate", raw.image_id)
            if policy.drop_unknown:
                continue
        if repeated and policy.duplicates is Duplicates.drop:
            report.set_aside["relations"] += 1
        else:
            edges.append(Edge(index[item.subject], item.predicate, index[item.object]))
    return edges
