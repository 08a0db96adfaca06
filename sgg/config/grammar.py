"""`grammar`: bounds of completions that a grammar holds to the graph's form."""

from dataclasses import dataclass
from enum import Enum


class GrammarNames(Enum):
    """Which names a structured completion may use."""

    prompt = "prompt"
    """Those of the vocabulary where the prompt lists it, else any words."""
    vocabulary = "vocabulary"
    """Those of `data.vocabulary`, whatever the prompt says."""


@dataclass
class GrammarConfig:
    """Bounds of a structured completion, which a grammar holds; see `sgg.text.grammar`."""

    max_objects: int
    """Objects of a graph."""
    max_relationships: int
    """Relations of a graph."""
    max_thought: int
    """Characters between the think tags, where the prompt asks for them."""
    max_words: int
    """Words of a name, where any name may be used."""
    max_letters: int
    """Letters of such a word."""
    names: GrammarNames
