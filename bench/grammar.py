"""What a grammar's masks cost on the published vocabulary: `python bench/grammar.py [--write]`.

Qwen2.5-VL's tokenizer and the 151,936 rows of its head; masks as vLLM and the trainer have xgrammar make
them, with the bounds of `grammar=bounded`. Prompts are open and closed, without and with a thought. Written
completions have names of VG150, and where the prompt is open every second one is made up; their tokens are
the tokenizer's, or one for each character. Drawn ones take each token that a mask allows with equal
probability, and are read: `failed` counts those that are failures or beyond a bound. Prints CPU time:
seconds to compile the grammar, one thread, and µs a token to make its mask and to take it.
"""

from __future__ import annotations

import argparse
import random
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgrammar
from page import put

from sgg.config.grammar import GrammarConfig, GrammarNames
from sgg.config.model import Family
from sgg.models.families import FAMILIES
from sgg.models.narrow import SIZE
from sgg.models.qwen_vocabulary import build_tokenizer
from sgg.scene.graph import Edge, Node, SceneGraph
from sgg.scene.vocab import VOCABULARIES, Vocabulary
from sgg.text.codec import GraphSpec, parse, render
from sgg.text.grammar import CompletionGrammar

MARK = "<!-- bench/grammar.py -->"
PAGE = Path(__file__).parents[1] / "docs" / "grammar.md"
FAMILY = FAMILIES[Family.qwen2_5_vl]
ROWS = SIZE.vocabulary_rows
FRAME = FAMILY.frame_spec(3136, 512 * 28**2)
WIDTH, HEIGHT = 640, 427
BOUNDS = GrammarConfig(10, 10, 240, 3, 12, GrammarNames.prompt)
"""Those of `grammar=bounded`."""
VG150 = VOCABULARIES["vg150"]
THOUGHT = (
    "A man in a blue jacket stands on the snow beside his skis; 2 people behind him look at the hill. "
    "I begin with the largest objects, then what they hold, and at last how they relate to each other."
)


@dataclass(frozen=True)
class Case:
    """One kind of prompt."""

    name: str
    vocabulary: Vocabulary | None
    reasoning: bool

    @property
    def spec(self) -> GraphSpec:
        return GraphSpec(FRAME, self.reasoning, self.vocabulary)

    @property
    def grammar(self) -> CompletionGrammar:
        return CompletionGrammar(self.spec, BOUNDS, self.vocabulary)


CASES = [
    Case("open", None, False),
    Case("open, thought", None, True),
    Case("closed", VG150, False),
    Case("closed, thought", VG150, True),
]


class Timed:
    """The masks of one grammar."""

    def __init__(self, grammar: str, tokenizer: Any) -> None:
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=ROWS)
        started = time.thread_time()
        compiled = xgrammar.GrammarCompiler(info, max_threads=1).compile_grammar(grammar)
        self.compile_s = time.thread_time() - started
        self._matcher = xgrammar.GrammarMatcher(compiled)
        self._mask = xgrammar.allocate_token_bitmask(1, ROWS)

    def follow(self, ids: list[int]) -> list[float]:
        """µs of each token of a completion that the grammar takes."""
        self._matcher.reset()
        return [self._step(lambda token=token: token) for token in ids]

    def draw(self, draw: np.random.Generator, end: int) -> tuple[list[int], list[float]]:
        """A completion of tokens drawn with equal probability, without its end; µs of each."""
        self._matcher.reset()
        ids: list[int] = []
        took: list[float] = []

        def chosen() -> int:
            bits = np.unpackbits(self._mask.numpy().view(np.uint8)[0], bitorder="little")
            ids.append(int(draw.choice(np.flatnonzero(bits))))
            return ids[-1]

        while not ids or ids[-1] != end:
            took.append(self._step(chosen))
        return ids[:-1], took

    def _step(self, choose: Callable[[], int]) -> float:
        """µs to make a mask and to take the token that is chosen by it."""
        started = time.thread_time()
        self._matcher.fill_next_token_bitmask(self._mask)
        filled = time.thread_time()
        token = choose()
        chosen = time.thread_time()
        assert self._matcher.accept_token(token), token
        return 1e6 * (filled - started + time.thread_time() - chosen)


def written(case: Case, count: int) -> Iterator[str]:
    """Completions as a trained model writes them."""
    draw = random.Random(0)
    for _ in range(count):
        objects = draw.randint(1, BOUNDS.max_objects)
        nodes = tuple(Node(named(draw, VG150.objects, case), box(draw)) for _ in range(objects))
        edges = tuple(
            Edge(
                draw.randrange(objects),
                named(draw, VG150.predicates, case),
                draw.randrange(objects),
            )
            for _ in range(draw.randint(0, BOUNDS.max_relationships))
        )
        text = render(SceneGraph(nodes, edges), case.spec, WIDTH, HEIGHT)
        yield text.replace("<think>", f"<think>{THOUGHT}", 1)


def named(draw: random.Random, known: tuple[str, ...], case: Case) -> str:
    if case.vocabulary is not None or draw.random() < 0.5:
        return draw.choice(known)
    lengths = (draw.randint(1, BOUNDS.max_letters) for _ in range(draw.randint(1, 3)))
    words = ("".join(draw.choices(string.ascii_letters, k=length)) for length in lengths)
    return draw.choice(" -").join(words)


def box(draw: random.Random) -> tuple[float, float, float, float]:
    """In pixels, larger than a cell of the grammar's raster."""
    x, y = draw.uniform(0, 500), draw.uniform(0, 300)
    return x, y, draw.uniform(x + 100, WIDTH), draw.uniform(y + 100, HEIGHT)


def rows(case: Case, tokenizer: Any, count: int, drawn: int) -> Iterator[str]:
    """The table's rows of one kind of prompt."""
    timed = Timed(case.grammar.grammar(), tokenizer)
    end = tokenizer.eos_token_id

    def row(completions: str, took: list[float]) -> str:
        values = [
            f"{v:,.0f}" for v in (np.mean(took), *np.percentile(took, [50, 95, 99]), max(took))
        ]
        return " | ".join([f"| {case.name}", f"{timed.compile_s:.1f}", completions, *values]) + " |"

    texts = list(written(case, count))
    for how, split in {"the tokenizer's tokens": lambda text: [text], "characters": list}.items():
        took = []
        for text in texts:
            took += timed.follow(
                [*(i for part in split(text) for i in tokenizer(part)["input_ids"]), end]
            )
        yield row(f"{count} written, {how}", took)
    took, failed, generator = [], 0, np.random.default_rng(0)
    for _ in range(drawn):
        ids, times = timed.draw(generator, end)
        took += times
        failed += fails(tokenizer.decode(ids), case)
    yield row(f"{drawn} drawn, {failed} failed", took)


def fails(text: str, case: Case) -> bool:
    """Whether a completion is a failure, or larger than the bounds allow."""
    parsed = parse(text, case.spec, WIDTH, HEIGHT)
    return (
        parsed.failure is not None
        or len(parsed.graph.nodes) > BOUNDS.max_objects
        or len(parsed.graph.edges) > BOUNDS.max_relationships
        or len(text) > case.grammar.longest()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--written", type=int, default=30, help="of each kind of prompt (30)")
    parser.add_argument("--drawn", type=int, default=100, help="of each kind of prompt (100)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/grammar.md")
    args = parser.parse_args()
    tokenizer = build_tokenizer(FAMILY)
    lines = [
        "| prompt | compile, s | completions | mean, µs | p50 | p95 | p99 | max |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        for line in rows(case, tokenizer, args.written, args.drawn):
            print(line, flush=True)
            lines.append(line)
    if args.write:
        put(MARK, "\n".join(lines), PAGE)


if __name__ == "__main__":
    main()
