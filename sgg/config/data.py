"""`data`: where examples come from and how they are cleaned."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING


class VocabularyName(Enum):
    """Class lists that a prompt can be closed over; `none` where any name may occur."""

    none = "none"
    vg150 = "vg150"
    psg = "psg"
    shapes = "shapes"


class Source(Enum):
    """Which reader a data set needs; `sgg.data.sources.table` has a record of each."""

    rows = "rows"
    """Published row format: image, objects and relationships as JSON strings (VG150, PSG)."""
    vg = "vg"
    """Raw Visual Genome in the VG-SGG layout (h5 and dicts), or its gold as one JSON file."""
    psg = "psg"
    """OpenPSG's psg.json."""
    coco = "coco"
    """COCO-style annotations with relations."""
    gqa = "gqa"
    """GQA scene graphs."""
    vrd = "vrd"
    """VRD relations."""
    jsonl = "jsonl"
    """Our own graph format, one JSON object a line, beside a folder of images."""
    shapes = "shapes"
    """Synthetic scenes, drawn when needed."""


class BoxFormat(Enum):
    """What the four numbers of an annotated box mean."""

    xyxy = "xyxy"
    """Left, top, right, bottom, in pixels."""
    xywh = "xywh"
    """Left, top, width, height, in pixels: COCO's way."""
    xyxy_norm = "xyxy_norm"
    """Left, top, right, bottom, as shares of the image's sides, 0 to 1."""
    xywh_norm = "xywh_norm"
    """Left, top, width, height, as shares of the image's sides, 0 to 1."""

    @property
    def has_size(self) -> bool:
        """Whether the last two numbers are width and height."""
        return self in (BoxFormat.xywh, BoxFormat.xywh_norm)

    @property
    def is_normalised(self) -> bool:
        """Whether the numbers are shares of the image's sides."""
        return self in (BoxFormat.xyxy_norm, BoxFormat.xywh_norm)

    @property
    def meaning(self) -> str:
        """The four numbers by name."""
        return "x, y, width, height" if self.has_size else "x1, y1, x2, y2"


class ImageSource(Enum):
    """Where the images of annotated examples come from."""

    files = "files"
    """The source's own images."""
    painted = "painted"
    """Painted from the gold, each box a pattern that its class decides: for gold without images."""


class Duplicates(Enum):
    """What happens to a relation that an image states twice."""

    drop = "drop"
    keep = "keep"


class SplitName(Enum):
    """Name of a split of the data."""

    train = "train"
    eval = "eval"


class ImageCheck(Enum):
    """How far images are looked at when data is prepared."""

    decode = "decode"
    """Every image is decoded once: finds truncated files before a job does."""
    header = "header"
    """Only opened: finds missing files and wrong sizes."""


@dataclass
class ScenePlan:
    """What the synthetic scenes look like; see `sgg.data.shapes`."""

    side: int = 112
    """Width and height of the image, pixels."""
    min_objects: int = 1
    """Fewest shapes of a scene."""
    max_objects: int = 4
    """Most shapes of a scene."""
    min_side: int = 20
    """Smallest side of a shape, pixels."""
    max_side: int = 44
    """Largest side of a shape, pixels."""
    nested: float = 0.35
    """Chance that a scene of two or more has one shape inside another."""


@dataclass
class SplitConfig:
    """One split of a data set: train or eval."""

    path: str | None = None
    """Hub id, folder or file; null where `data.root` says all."""
    name: str | None = None
    """Split name as the source knows it."""
    offset: int = 0
    """Examples to pass over."""
    limit: int | None = None
    """Examples to take after the offset; null for all."""
    seed: int = 0
    """Stream of a synthetic source."""


@dataclass
class DataConfig:
    """Where examples come from and how they are cleaned."""

    source: Source = MISSING
    root: str | None = None
    """Folder of a raw data set; splits may name files below it."""
    image_folder: str | None = None
    """Folder of the images, where it is not the root."""
    outside: bool = False
    """Use image files that lie outside these folders, by the name in a row or by a symbolic link."""
    image_source: ImageSource = ImageSource.files
    train: SplitConfig = field(default_factory=SplitConfig)
    eval: SplitConfig = field(default_factory=SplitConfig)
    vocabulary: VocabularyName = VocabularyName.none
    """Class lists for closed prompts and for the unknown-class check."""
    box_format: BoxFormat = BoxFormat.xyxy
    """What the four numbers of a box mean, where the source does not fix it."""
    clip_boxes: bool = True
    """Clip boxes to the image; if false, boxes past the edge are dropped."""
    duplicates: Duplicates = Duplicates.drop
    """Relations that an image states twice."""
    drop_unknown: bool = False
    """Drop objects and predicates outside the vocabulary; they are counted either way."""
    min_relations: int = 0
    """Images with fewer relations after cleaning are dropped (counted)."""
    image_check: ImageCheck = ImageCheck.decode
    workers: int = 0
    """Processes for preparing; 0 for one per core."""
    shapes: ScenePlan = field(default_factory=ScenePlan)
