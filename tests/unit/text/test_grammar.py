"""The grammar of structured completions: what it generates is read whole, what `render` writes is in it."""

import json
import random
import re

import numpy as np
import pytest

from sgg.config.grammar import GrammarConfig, GrammarNames
from sgg.config.model import Frame
from sgg.errors import SggError
from sgg.scene.boxes import FrameSpec
from sgg.scene.graph import Edge, Node, SceneGraph
from sgg.scene.vocab import VOCABULARIES
from sgg.text.codec import ErrorKind, GraphSpec, parse, render
from sgg.text.grammar import CompletionGrammar, between, largest_coordinate

BOUNDS = GrammarConfig(4, 3, 12, 3, 12, GrammarNames.prompt)
FRAMES = {
    "norm1000": FrameSpec(Frame.norm1000),
    "tiny": FrameSpec(Frame.resized_px, 12544, 12544, 28),
    "large": FrameSpec(Frame.resized_px, 3136, 802816, 28),
}
SPECS = [
    (GraphSpec(frame, reasoning, VOCABULARIES.get(name)), VOCABULARIES.get(name))
    for frame in FRAMES.values()
    for reasoning in (False, True)
    for name in ("shapes", "vg150", "psg", None)
]
ITEMS_ONLY = {ErrorKind.degenerate_box, ErrorKind.outside_box, ErrorKind.dangling_relation}
"""What the grammar cannot rule out."""


class Walker:
    """A model that knows nothing: each token that the grammar allows is as likely as any other."""

    def __init__(self, text):
        xgrammar = pytest.importorskip("xgrammar", reason="xgrammar comes with vLLM")
        letters = [chr(i) for i in (10, *range(32, 127))]
        pieces = ['{"', '":"', '","', '":[', "]},", "},{", "bbox", " of", "ing", "10", "00", "]}"]
        self.tokens = [*letters, *pieces, "<end>"]
        end = len(self.tokens) - 1
        info = xgrammar.TokenizerInfo(
            self.tokens, xgrammar.VocabType.RAW, stop_token_ids=[end], add_prefix_space=False
        )
        compiled = xgrammar.GrammarCompiler(info, max_threads=1).compile_grammar(text)
        self.end, self.matcher = end, xgrammar.GrammarMatcher(compiled)
        self.mask = xgrammar.allocate_token_bitmask(1, len(self.tokens))

    def allowed(self):
        self.matcher.fill_next_token_bitmask(self.mask)
        bits = np.unpackbits(self.mask.numpy().view(np.uint8)[0], bitorder="little")
        return np.flatnonzero(bits[: len(self.tokens)])

    def walk(self, seed):
        self.matcher.reset()
        choose, written = random.Random(seed), []
        while True:
            token = int(choose.choice(self.allowed()))
            assert self.matcher.accept_token(token)
            if token == self.end:
                return "".join(written)
            written.append(self.tokens[token])

    def takes(self, text):
        self.matcher.reset()
        return self.matcher.accept_string(text) and self.matcher.is_completed()


@pytest.mark.parametrize(("spec", "vocabulary"), SPECS)
def test_whatever_the_grammar_generates_is_read_without_failure(spec, vocabulary):
    grammar = CompletionGrammar(spec, BOUNDS, vocabulary)
    walker, limit = Walker(grammar.grammar()), grammar.longest()
    graphs = set()
    for seed in range(40):
        text = walker.walk(seed)
        parsed = parse(text, spec, 640, 480)
        assert parsed.failure is None, text
        assert {p.kind for p in parsed.problems} <= ITEMS_ONLY, (parsed.problems, text)
        assert parsed.tags_as_asked
        assert 1 <= len(parsed.graph.nodes) <= BOUNDS.max_objects
        assert len(text) <= limit
        graphs.add(len(parsed.graph.nodes))
    assert len(graphs) > 1


@pytest.mark.parametrize(("spec", "vocabulary"), SPECS)
def test_what_render_writes_is_in_the_grammar(spec, vocabulary):
    walker = Walker(CompletionGrammar(spec, BOUNDS, vocabulary).grammar())
    choose = random.Random(0)
    for _ in range(30):
        graph = drawn(choose, vocabulary)
        text = render(graph, spec, 640, 480)
        assert walker.takes(text), text


def drawn(choose, vocabulary):
    """A graph of boxes that are not all within one cell of the raster, in an image of 640 × 480."""
    objects = vocabulary.objects if vocabulary else ("a man", "grass-merged", "zebra")
    predicates = vocabulary.predicates if vocabulary else ("on", "in front of")
    nodes = [Node(choose.choice(objects), (100.0, 50.0, 400.0, 300.0))]
    for _ in range(choose.randrange(BOUNDS.max_objects)):
        x, y = choose.uniform(0, 630), choose.uniform(0, 470)
        box = (x, y, choose.uniform(x + 0.01, 640), choose.uniform(y + 0.01, 480))
        nodes.append(Node(choose.choice(objects), box))
    choose.shuffle(nodes)
    edges = [
        Edge(choose.randrange(len(nodes)), choose.choice(predicates), choose.randrange(len(nodes)))
        for _ in range(choose.randrange(BOUNDS.max_relationships + 1))
    ]
    return SceneGraph(tuple(nodes), tuple(edges))


GOOD = (
    '{"objects":[{"id":"red circle.1","bbox":[1,2,900,800]},{"id":"blue cross.2","bbox":[5,5,6,6]}],'
    '"relationships":[{"subject":"red circle.1","predicate":"above","object":"blue cross.2"}]}'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("red circle", "red dog"),  # a name outside the vocabulary
        ("blue cross.2", "blue cross.3"),  # ids carry the object's place
        ("red circle.1", "red circle.2"),
        ("900,800", "900,1001"),  # past the frame
        ("900,800", "0900,800"),
        ("900,800", "900.5,800"),
        ("above", "near"),
        ('"objects"', '"things"'),
        (',"bbox"', ', "bbox"'),
        ("[1,2,900,800]", "[1,2,3,4]"),  # no object has an area for certain
        ("[5,5,6,6]", "[500,5,6,600]"),  # ends left of where it begins
    ],
)
def test_what_is_refused(old, new):
    vocabulary = VOCABULARIES["shapes"]
    spec = GraphSpec(FRAMES["norm1000"], vocabulary=vocabulary)
    walker = Walker(CompletionGrammar(spec, BOUNDS, vocabulary).grammar())
    assert walker.takes(GOOD.replace(old, new)) == (old == new)


def test_bounds_hold():
    vocabulary = VOCABULARIES["shapes"]
    walker = Walker(CompletionGrammar(GraphSpec(FRAMES["norm1000"]), BOUNDS, vocabulary).grammar())

    def completion(objects, relations):
        things = ",".join(
            f'{{"id":"red circle.{k}","bbox":[0,0,500,500]}}' for k in range(1, objects + 1)
        )
        one = '{"subject":"red circle.1","predicate":"above","object":"red circle.1"}'
        return f'{{"objects":[{things}],"relationships":[{",".join([one] * relations)}]}}'

    assert walker.takes(completion(4, 3))
    assert walker.takes(completion(1, 0))
    for objects, relations in ((0, 0), (5, 0), (1, 4)):
        assert not walker.takes(completion(objects, relations))


def with_name(name, thought="", predicate="a"):
    graph = GOOD.replace("red circle", name).replace("blue cross", "b").replace("above", predicate)
    return f"<think>{thought}</think><answer>{graph}</answer>"


@pytest.mark.parametrize(
    ("words", "letters", "thought"), [(3, 12, 12), (1, 119, 0), (60, 1, 1), (10, 11, 300)]
)
def test_open_names_and_thoughts_are_counted(words, letters, thought):
    bounds = GrammarConfig(2, 1, thought, words, letters, GrammarNames.prompt)
    spec = GraphSpec(FRAMES["norm1000"], reasoning=True)
    walker = Walker(CompletionGrammar(spec, bounds, None).grammar())
    word = ("Zebra" * letters)[:letters]
    longest = " ".join([word] * words)
    assert walker.takes(with_name("a"))
    assert walker.takes(with_name(longest, "x\n" * (thought // 2)))
    assert walker.takes(with_name(longest.replace(" ", "-"), ">" * thought))
    for name in ("", f"{longest} a", f"{longest}a", "a  b", "a ", "-a", "a_b", "a1"):
        assert not walker.takes(with_name(name)), name
    for ill in ("x" * (thought + 1), "<", "é"):
        assert not walker.takes(with_name("a", ill)), ill
    assert walker.takes(with_name("a", predicate=longest))
    assert not walker.takes(with_name("a", predicate=f"{longest}a"))


@pytest.mark.parametrize("reasoning", [False, True])
@pytest.mark.parametrize("vocabulary", [None, VOCABULARIES["vg150"]])
def test_few_tokens_are_left_to_be_tried_while_a_completion_is_written(reasoning, vocabulary):
    """What masks made beforehand leave open is tried token by token: thousands take milliseconds."""
    xgrammar = pytest.importorskip("xgrammar", reason="xgrammar comes with vLLM")
    letters = [chr(i) for i in (10, *range(32, 127))]
    tokens = [*letters, *(a + b for a in letters for b in letters), "<end>"]
    info = xgrammar.TokenizerInfo(
        tokens, xgrammar.VocabType.RAW, stop_token_ids=[len(tokens) - 1], add_prefix_space=False
    )
    spec = GraphSpec(FRAMES["norm1000"], reasoning, vocabulary)
    grammar = CompletionGrammar(spec, BOUNDS, vocabulary).grammar()
    compiled = xgrammar.GrammarCompiler(info, max_threads=1).compile_grammar(grammar)
    masks = json.loads(compiled.serialize_json())["adaptive_token_mask_cache"]
    # a digit with any other character behind it, where a number may go on or end
    assert max(len(mask["uncertain_indices"]) for _, mask in masks) <= 10 * len(letters)


@pytest.mark.parametrize(("low", "high"), [(0, 9), (0, 1000), (7, 7), (62, 124), (896, 12656)])
def test_numbers_between(low, high):
    pattern = re.compile(between(low, high).replace(" ", "").replace('"', ""))
    taken = [n for n in range(13000) if pattern.fullmatch(str(n))]
    assert taken == list(range(low, high + 1))
    assert not pattern.fullmatch("00")


@pytest.mark.parametrize("frame", FRAMES.values())
def test_no_image_has_a_larger_coordinate(frame):
    largest = largest_coordinate(frame)
    sizes = [(w, h) for w in (1, 28, 50, 199, 640, 2000, 9999) for h in (1, 14, 50, 480, 3000)]
    allowed = [(w, h) for w, h in sizes if max(w, h) <= 200 * min(w, h)]
    assert max(max(frame.size(w, h)) for w, h in allowed) <= largest


def in_threes(text):
    """A tokenizer's count of tokens, three letters each."""
    return -(-len(text) // 3)


def test_a_limit_that_cuts_full_completions_short_is_refused(caplog):
    grammar = CompletionGrammar(GraphSpec(FRAMES["norm1000"], True), BOUNDS, VOCABULARIES["shapes"])
    tokens, letters = grammar.longest(in_threes), grammar.longest()
    assert tokens < letters / 2
    with pytest.raises(SggError, match=rf"takes {tokens + 1} tokens, more than some\.key={tokens}"):
        grammar.check_fits(tokens, "some.key", in_threes)
    with caplog.at_level("INFO"):
        grammar.check_fits(letters + 1, "some.key", in_threes)
        assert not caplog.records
        grammar.check_fits(tokens + 1, "some.key", in_threes)
    assert f"could take {letters + 1} tokens" in caplog.text
