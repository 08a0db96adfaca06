"""A protocol: everything that two evaluations must share before their figures may be compared.

Typed schema of `conf/protocol/`; the whole of it is written into every metrics.json. Imports no
numpy: `sgg --cfg job` passes through here.
"""

from dataclasses import dataclass, field
from enum import Enum

from sgg.config.data import Duplicates


class Mode(Enum):
    """What is given, and which boxes must agree (Xu et al., arXiv 1701.02426)."""

    sgdet = "sgdet"
    """Nothing is given: both boxes at the threshold, three labels equal."""
    phrdet = "phrdet"
    """The union of the two boxes at the threshold, three labels equal."""
    sgcls = "sgcls"
    """Gold boxes given: a predicted object stands on the gold box that it overlaps most."""
    predcls = "predcls"
    """Gold boxes and labels given: it also takes that box's label."""


class BoxArea(Enum):
    """How wide a box from x1 to x2 is."""

    plain = "plain"
    """x2 - x1."""
    plus_one = "plus_one"
    """x2 - x1 + 1, as if corners were pixels (maskrcnn-benchmark)."""


class Matching(Enum):
    """Which gold objects a predicted object may stand for."""

    every = "every"
    """Every one with its label at the threshold: one prediction may hit several gold relations."""
    best = "best"
    """Only the one with its label that it overlaps most."""


class NgFill(Enum):
    """What ng-R ranks."""

    emitted = "emitted"
    """What was written, several predicates per pair."""
    zero_scores = "zero_scores"
    """Then, up to 100, every other predicate of each written pair, although its score is 0."""


class WithoutPrediction(Enum):
    """Images with gold relations to which no relation was predicted."""

    zero = "zero"
    """Score 0."""
    skip = "skip"
    """Are left out; a completion that failed as a whole scores 0, as R1-SGG's gathering writes a placeholder
    for it."""
    zero_in_recall = "zero_in_recall"
    """Score 0, but mean recall leaves out those for which there is no completion at all."""


class Absent(Enum):
    """What mean recall divides by."""

    all = "all"
    """All predicates of the vocabulary; one that gold never shows counts 0."""
    present = "present"
    """The predicates that gold shows."""


class Unknown(Enum):
    """Predicted names outside the vocabulary."""

    miss = "miss"
    """Stay: they fill ranks and hit nothing."""
    drop = "drop"
    """Are taken out before ranking, relations of a dropped object too."""


class Labels(Enum):
    """How names are read."""

    strict = "strict"
    """As written, up to case and separators; the mapped score stands beside it."""
    mapped = "mapped"
    """Synonyms outside the vocabulary are mapped first (`metrics.synonyms`)."""


class ImageOrder(Enum):
    """Order in which equal scores of different images rank in AP: all scores of text are equal."""

    split = "split"
    """As in the split."""
    sorted = "sorted"
    """By image id as text."""


@dataclass
class ProtocolConfig:
    """One evaluator's conventions. Defaults: what this project holds right."""

    id: str = "sgg"
    """Name in metrics.json."""
    modes: list[Mode] = field(default_factory=lambda: [Mode.sgdet, Mode.phrdet])
    """What is evaluated."""
    cutoffs: list[int] = field(default_factory=lambda: [20, 50, 100])
    """K of R@K; all predictions are always scored, too."""
    iou_threshold: float = 0.5
    """A hit's IoU is at least this, inclusive."""
    box_area: BoxArea = BoxArea.plain
    """Of relation hits."""
    matching: Matching = Matching.every
    graph_constraint: bool = True
    """R ranks the first predicate of each ordered pair of objects only; ng-R ranks all."""
    duplicates: Duplicates = Duplicates.keep
    """Relations that a completion states twice of the same two objects."""
    gold_duplicates: Duplicates | None = None
    """Overrides `data.duplicates` where an evaluator takes gold as annotated."""
    ng_fill: NgFill = NgFill.emitted
    without_prediction: WithoutPrediction = WithoutPrediction.zero
    absent: Absent = Absent.all
    unknown: Unknown = Unknown.miss
    labels: Labels = Labels.strict
    zero_shot: str | None = "source"
    """Triplets unseen in training: `source` for the source's own list, `train` for what gold of
    data.train does not show, a JSON file of [subject, object, predicate] ids, or null."""
    zero_shot_first_object: int = 1
    """Id of the vocabulary's first object in such a file; predicates always count from 1."""
    coco_first_id: int = 1
    """Annotation ids of AP; 0 makes pycocotools miss the first gold box."""
    coco_box_area: BoxArea = BoxArea.plain
    coco_skips_empty: bool = False
    """Whether AP leaves out images without a predicted object; a completion that failed as a whole stays."""
    image_order: ImageOrder = ImageOrder.split
    quirks: list[str] = field(default_factory=list)
    """What is unusual about it."""
