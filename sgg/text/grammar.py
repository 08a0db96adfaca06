"""GraphSpec + bounds -> a grammar: every text it generates is a completion that `sgg.text.codec` reads whole.

Input: how graphs are written, and how many objects, relations and letters there may be. Output:
text in xgrammar's EBNF, as vLLM takes it, and how long a completion can become. What the grammar generates is
what `codec.render` writes: the same keys in the same order, no spaces, ids that carry the object's place,
whole numbers within the frame. What it cannot say: docs/grammar.md.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sgg.config.grammar import GrammarConfig
from sgg.errors import SggError
from sgg.scene.boxes import FrameSpec
from sgg.scene.vocab import Vocabulary
from sgg.text.codec import GraphSpec

log = logging.getLogger("sgg")

COLUMNS = 16
"""Columns, and rows, of the raster that tells the corners of a box apart."""
THOUGHT = r"[\n -;=-~]"
"""A character of a thought: ASCII without `<`, which begins the tag that ends it."""

_TALL = 10_000
"""Height of an image above every pixel budget."""
_LONGEST = 200
"""Width over height of the longest image that Qwen's image processors take."""


@dataclass(frozen=True)
class CompletionGrammar:
    """What a run's completions are held to."""

    spec: GraphSpec
    bounds: GrammarConfig
    vocabulary: Vocabulary | None
    """Names that may occur; None for any words of letters within the bounds."""

    def grammar(self) -> str:
        """The grammar of all completions; its first rule is `root`."""
        rules = [
            ("root", _root(self.spec, self.bounds)),
            *_objects(self.bounds),
            *_relations(self.bounds),
            *_boxes(self.spec.frame),
            *_names(self.bounds, self.vocabulary),
            *_thought(self.spec, self.bounds),
        ]
        return "".join(f"{name} ::= {body}\n" for name, body in rules)

    def longest(self, count: Callable[[str], int] = len) -> int:
        """How long a completion can become, its end not counted.

        Args:
            count: measures a piece of text. `len` gives characters, and a token has at least one. The
                number of tokens that a tokenizer makes gives those of a full completion in its own writing.

        """
        bounds, largest = self.bounds, largest_coordinate(self.spec.frame)
        name, predicate = self._longest_names(count)
        number = count(f".{bounds.max_objects}")
        box = 4 * count(f"{largest},")
        thing = count('{"id":"') + name + number + count('","bbox":[') + box + count("]},")
        said = sum(map(count, ('{"subject":"', '","predicate":"', '","object":"', '"},')))
        relation = said + 2 * (name + number) + predicate
        total = count('{"objects":[') + bounds.max_objects * thing
        total += count('],"relationships":[') + bounds.max_relationships * relation + count("]}")
        if self.spec.reasoning:
            total += sum(map(count, ("<think>", "</think>", "<answer>", "</answer>")))
            total += count(_words(bounds.max_thought))
        return total

    def check_fits(self, limit: int, key: str, count: Callable[[str], int]) -> None:
        """Raise if a full completion is cut short by a limit; warn if one that is spelled out may be.

        Args:
            limit: tokens of a completion, by the configuration's `key`.
            count: the number of tokens that the tokenizer makes of a text.

        Raises:
            SggError: the grammar allows completions that are longer.

        """
        bounds = self.bounds
        keys = f"grammar.max_objects={bounds.max_objects}, max_relationships={bounds.max_relationships}"
        if self.spec.reasoning:
            keys += f", max_thought={bounds.max_thought}"
        tokens, letters = self.longest(count) + 1, self.longest() + 1
        if tokens > limit:
            raise SggError(
                f"A full completion with {keys} takes {tokens} tokens, more than {key}={limit}: it would be "
                "cut short. Lower the former, or raise the latter."
            )
        if letters > limit:
            log.info(
                "%s=%d holds every completion as the tokenizer would write it; letter by letter, as an "
                "untrained model may, one could take %d tokens and be cut short.",
                key,
                limit,
                letters,
            )

    def _longest_names(self, count: Callable[[str], int]) -> tuple[int, int]:
        """Of an object, and of a predicate."""
        if self.vocabulary is not None:
            names = self.vocabulary.objects, self.vocabulary.predicates
            return max(map(count, names[0])), max(map(count, names[1]))
        word = _words(self.bounds.max_letters).replace(" ", "s")
        both = count(" ".join([word] * self.bounds.max_words))
        return both, both


def largest_coordinate(frame: FrameSpec) -> int:
    """The largest number of a box in any image: of the longest one, shrunk or grown to the budget."""
    sizes = (_LONGEST * _TALL, _TALL), (_LONGEST, 1)
    return max(max(frame.size(*size)) for size in sizes)


def between(low: int, high: int) -> str:
    """The whole numbers low to high, written without leading zeros.

    >>> between(0, 12)
    '([0-9] | "1" [0-2])'
    """
    parts: list[str] = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (digits - 1) if digits > 1 else 0)
        parts += _same_length(str(first), str(min(high, 10**digits - 1)))
    return f"({' | '.join(parts)})"


def _same_length(low: str, high: str) -> list[str]:
    """Alternatives for the numbers between two of the same length, both included."""
    more = len(low) - 1
    if not more:
        return [f"[{low}-{high}]"]
    if low[0] == high[0]:
        return [f'"{low[0]}" {rest}' for rest in _same_length(low[1:], high[1:])]
    start, end, parts = int(low[0]), int(high[0]), []
    if int(low[1:]):
        parts += [f'"{start}" {rest}' for rest in _same_length(low[1:], "9" * more)]
        start += 1
    last = [] if high[1:] == "9" * more else _same_length("0" * more, high[1:])
    end -= bool(last)
    if start <= end:
        parts.append(f"[{start}-{end}] [0-9]{{{more}}}")
    return parts + [f'"{high[0]}" {rest}' for rest in last]


def _root(spec: GraphSpec, bounds: GrammarConfig) -> str:
    graph = _text('{"objects":[') + " first-1"
    if not spec.reasoning:
        return graph
    return f'"<think>" thought "<answer>" {graph} "</answer>"'


def _thought(spec: GraphSpec, bounds: GrammarConfig) -> Iterator[tuple[str, str]]:
    """The thought and the tag behind it."""
    if spec.reasoning:
        # one inside the other: xgrammar makes no masks of a class that a number above 128 counts
        characters = f"({THOUGHT}" * bounds.max_thought + ")?" * bounds.max_thought
        yield "thought", _regex(characters + "</think>", behind=_text("<answer>"))


def _objects(bounds: GrammarConfig) -> Iterator[tuple[str, str]]:
    """Object k after object k - 1: `first-k` while none has been seen to have an area, then `more-k`.

    The last one must have it if no other has: a completion without a usable object is a failure.
    """
    opening = _text('{"id":"')
    for k in range(1, bounds.max_objects + 1):
        numbered = _text(f'{k}","bbox":[')
        last = k == bounds.max_objects
        again = "" if last else f' | box "]}}," first-{k + 1}'
        yield f"first-{k}", f'{opening} name {numbered} (clear-box "]}}" after-{k}{again})'
        if k > 1:
            yield f"more-{k}", f'{opening} name {numbered} box "]}}" after-{k}'
        yield f"after-{k}", f"relations-{k}" + ("" if last else f' | "," more-{k + 1}')


def _relations(bounds: GrammarConfig) -> Iterator[tuple[str, str]]:
    """The relations of k objects, whose ids end in 1 to k."""
    opening = _text('],"relationships":[')
    subject, predicate, obj = map(_text, ('{"subject":"', '","predicate":"', ',"object":"'))
    end = _text('"}')
    for k in range(1, bounds.max_objects + 1):
        others = f'("," relation-{k}){{0,{bounds.max_relationships - 1}}}'
        yield f"relations-{k}", f'{opening} ("" | relation-{k} {others}) "]}}"'
        known = f"name {between(1, k)}"
        yield f"relation-{k}", f"{subject} {known} {predicate} predicate {obj} {known} {end}"


def _boxes(frame: FrameSpec) -> Iterator[tuple[str, str]]:
    """Four numbers: `box` never ends left of or above the raster cell in which it begins.

    `clear-box` ends right of and below that cell, so that it has an area for certain.
    """
    side, largest = frame.size(_TALL, _TALL)[0], largest_coordinate(frame)
    edges = [side * i // COLUMNS for i in range(COLUMNS)]
    cells = [*edges, largest + 1]
    for i, low in enumerate(edges):
        yield f"in-{i}", between(low, cells[i + 1] - 1)
        yield f"from-{i}", between(low, largest)
    for name, step in (("box", 0), ("clear-box", 1)):
        starts = range(COLUMNS - step)
        for i in starts:
            ends = (f'in-{j} "," from-{i + step} "," from-{j + step}' for j in starts)
            yield f"{name}-{i}", f'in-{i} "," ({" | ".join(ends)})'
        yield name, " | ".join(f"{name}-{i}" for i in starts)


def _names(bounds: GrammarConfig, vocabulary: Vocabulary | None) -> Iterator[tuple[str, str]]:
    """`name` is that of an object and the dot behind it, `predicate` a predicate and the quotation mark."""
    ends = {"name": (".", "[1-9]"), "predicate": ('"', _text(',"object":"'))}
    if vocabulary is None:
        word = f"[A-Za-z]{{1,{bounds.max_letters}}}"
        words = f"{word}([ \\-]{word}){{0,{bounds.max_words - 1}}}"
        for rule, (end, behind) in ends.items():
            yield rule, _regex(words + re.escape(end), behind)
        return
    known = {"name": vocabulary.objects, "predicate": vocabulary.predicates}
    for rule, (end, behind) in ends.items():
        yield rule, f"{' | '.join(_text(name + end) for name in known[rule])} (={behind})"


def _regex(pattern: str, behind: str) -> str:
    """The body of a rule that counts characters.

    xgrammar makes the mask of each place in a rule beforehand, but cannot know there which tokens fit that go
    on behind the rule's end. It tries them one by one whenever a completion is there: most of the vocabulary,
    which takes milliseconds, unless the rule has the character that ends it, and says what comes next.

    Args:
        behind: what follows wherever the rule is used.

    """
    return f"Regex({_text(pattern)}) (={behind})"


def _words(letters: int) -> str:
    """So many characters of everyday words, for measuring."""
    return ("thing " * (letters // 6 + 1))[:letters]


def _text(text: str) -> str:
    """A literal of the grammar, whose escapes are JSON's."""
    return json.dumps(text)
