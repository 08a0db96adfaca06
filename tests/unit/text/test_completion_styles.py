"""How models write graphs: what is read of each style, and which kinds say what was odd (docs/rewards.md)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from strategies import PX, completion, scene

from sgg.config.model import Frame
from sgg.config.reward import SimilarityKind
from sgg.reward.case import ScoredCompletion
from sgg.reward.terms import form
from sgg.scene.boxes import FrameSpec
from sgg.scene.match import assign
from sgg.scene.vocab import Vocabulary
from sgg.text.codec import FAILURES, ErrorKind, GraphSpec, parse
from sgg.text.prompt import FORM

K = ErrorKind
TAGGED = GraphSpec(PX.frame, reasoning=True)
MAN, DOG = {"id": "man.1", "bbox": [0, 0, 10, 10]}, {"id": "dog.2", "bbox": [20, 20, 40, 40]}
ON = {"subject": "man.1", "predicate": "on", "object": "dog.2"}
BY = {"subject": "dog.2", "predicate": "by", "object": "man.1"}
OBJECTS, A, B = json.dumps([MAN, DOG]), json.dumps([ON]), json.dumps([BY])
GOOD = f'{{"objects": {OBJECTS}, "relationships": {A}}}'
CAT = completion([("cat.1", [1, 1, 5, 5])])
EMPTY = completion()
BOX = '{"bbox_2d": [1, 2, 3, 4], "label": "man"}'
MAN_ON_DOG, DOG_BY_MAN = ("man", "on", "dog"), ("dog", "by", "man")
BOTH = (["man", "dog"], [MAN_ON_DOG])
ONE_CAT = (["cat"], [])
NO_RENAMES = ([], [])


def read(text, spec=PX):
    """((names, relations), kinds) of a completion for a 100 × 100 image."""
    parsed = parse(text, spec, 100, 100)
    graph = parsed.graph
    said = [node.name for node in graph.nodes], [graph.triplet(edge) for edge in graph.edges]
    return said, [problem.kind for problem in parsed.problems]


def form_of(text, spec=PX):
    """(`format`, `format_graded`) of a completion."""
    parsed, gold = parse(text, spec, 100, 100), scene()
    case = ScoredCompletion(
        parsed, gold, assign(parsed.graph, gold, 100, 100, SimilarityKind.exact), text
    )
    return form.format(case), form.format_graded(case)


# ---- what is around the graph costs nothing


AROUND = {
    "bare": GOOD,
    "prose": f"The image shows a man.\n{GOOD}\nI hope this helps {{really}}.",
    "fence": f"```\n{GOOD}\n```",
    "fence with a language": f"```json\n{GOOD}\n```",
    "several fences": f"```python\nprint({{'a': 1}})\n```\n```json\n{GOOD}\n```\n```\nend\n```",
    "a list of one graph": f"[{GOOD}]",
    "a wrapper": f'{{"scene_graph": {GOOD}}}',
    "a wrapper with other keys": f'{{"image": 3, "answer": {GOOD}, "confidence": 0.9}}',
    "a wrapper of a list": f'{{"result": [{GOOD}]}}',
    "a wrapper of three levels": f'{{"data": {{"result": [{{"graph": {GOOD}}}]}}}}',
    "a wrapper that does not close": f'{{"scene_graph": {GOOD}',
    "a wrapper with a syntax error": f'{{"scene_graph": {GOOD}, "note": none}}',
    "other keys before its own": f'{{"image": "a.jpg", "size": [1, {{"w": 2}}], {GOOD[1:]}',
    "other keys before its own, wrapped": f'{{"a": [{{"b": [1, {{"c": 2}}], {GOOD[1:]}]}}',
    "other keys after its own": f'{GOOD[:-1]}, "size": [1, 2]}}',
    "relations before objects": f'{{"relationships": {A}, "objects": {OBJECTS}}}',
    "spaces": f'{{ \n "objects" \t: {OBJECTS} ,\n "relationships"\n:\n{A}}}',
    "one detection before": f"{BOX}\n{GOOD}",
    "detections before": f"Found: {', '.join([BOX] * 500)}\n{GOOD}",
    "a list of detections before": f"```json\n[{', '.join([BOX] * 2000)}]\n```\n```json\n{GOOD}\n```",
    "a numbered list before": "\n".join(f"{i}. {BOX}" for i in range(300)) + GOOD,
    "broken detections before": f"{', '.join([BOX[:-1] + ',}'] * 3000)}\n{GOOD}",
    "stray quotes and braces before": f'He said {{"hello}} and 5" {{"a": {{ {GOOD}',
    "detections after": f"{GOOD}\nBoxes: [{BOX}, {BOX}]",
    "a mention of the keys before": f'The "objects" and "relationships": {GOOD}',
    "a thought": f"<think>A man.</think>{GOOD}",
    "a thought and answer tags": f"<think>A man.</think>\n<answer>{GOOD}</answer>",
    "tags in capitals": f"<THINK>A man.</THINK>\n<Answer>{GOOD}</ANSWER>",
    "answer tags in a fence": f"<think></think>```xml\n<answer>\n{GOOD}\n</answer>\n```",
    "an answer that does not close": f"<think>A man.</think><answer>{GOOD}",
    "a thought that the prompt opened": f"A man on a dog.</think><answer>{GOOD}</answer>",
    "a draft in the thought": f"<think>First {CAT}. No.</think><answer>{GOOD}</answer>",
    "a draft in the thought, no answer tags": f"<think>First {CAT}. No.</think>{GOOD}",
    "a draft before </think>": f"First {CAT}. No.</think>{GOOD}",
    "a draft in answer tags in the thought": f"<think><answer>{CAT}</answer></think>{GOOD}",
    "thoughts in thoughts": f"<think>a<think>{CAT}</think>{CAT}</think>{GOOD}",
    "the answer in the thought": f"<think>so <answer>{GOOD}</answer></think>",
    "the answer in the thought, no answer tags": f"<think>so {GOOD}</think> Done.",
    "a graph beside answer tags": f"{CAT}<answer>{GOOD}</answer>{CAT}",
    "answer tags around nothing": f"<answer>see below</answer>{GOOD}<answer></answer>",
    "answer tags without a graph before": f"<answer>{BOX}</answer><answer>{GOOD}</answer>",
    "answer tags opened twice": f"<answer><answer>{GOOD}</answer></answer>",
    "a closing answer tag alone": f"{GOOD}</answer>",
    "an inch in a text before": f'{{"caption": "a 19\\" screen", {GOOD[1:]}',
    "inches in texts before": f'{{"a": "1\\"", "b": {{"c": "2\\" \\\\"}}, {GOOD[1:]}',
    "a brace in a text before": f'{{"caption": "a smiley \\":-}}\\" drawn", {GOOD[1:]}',
    "an opened brace in a text before": f'{{"caption": "he said \\"hi {{\\" there", {GOOD[1:]}',
    "names beside a wrapper": f'{{"objects": ["man", "dog"], "scene_graph": {GOOD}}}',
    "counts beside a wrapper": f'{{"objects": 2, "relationships": 2, "scene_graph": {GOOD}}}',
    "counts after a wrapper": f'{{"scene_graph": {GOOD}, "objects": 2, "relationships": 2}}',
    "an empty list beside a wrapper": f'{{"relationships": [], "graph": {GOOD}}}',
    "boxes beside a wrapper": f'{{"objects": [{BOX}], "scene_graph": {GOOD}}}',
    "a wrapper by a graph's key": f'{{"objects": {GOOD}}}',
    "wrappers by a graph's keys": f'{{"objects": {{"relationships": {{"objects": {GOOD}}}}}}}',
    "other tags": f"<box>{GOOD}</box><|im_end|> 1 < 2",
}


@pytest.mark.parametrize("style", AROUND)
def test_what_stands_around_the_graph_costs_nothing(style):
    assert read(AROUND[style]) == (BOTH, [])
    assert form_of(AROUND[style]) == (1, 1)


WITHOUT_TAGS = {style for style, text in AROUND.items() if "answer" not in text.lower()} | {
    "a wrapper with other keys",
    "an answer that does not close",
    "a thought that the prompt opened",
    "a draft in answer tags in the thought",
    "the answer in the thought",
    "a graph beside answer tags",
    "answer tags around nothing",
    "answer tags without a graph before",
    "answer tags opened twice",
    "a closing answer tag alone",
}


@pytest.mark.parametrize("style", AROUND)
def test_where_tags_are_asked_for_they_alone_are_missed(style):
    assert read(AROUND[style], TAGGED) == (BOTH, [])
    missed = style in WITHOUT_TAGS
    assert parse(AROUND[style], TAGGED, 100, 100).tags_as_asked != missed
    assert form_of(AROUND[style], TAGGED) == ((0, 0.75) if missed else (1, 1))


# ---- several graphs: the last whole one with a usable object


CUT_CAT = CAT[: CAT.index("]}") + 3]
BROKEN_CAT = CAT.replace('"relationships": [', '"relationships": [no')
SEVERAL = {
    "a draft and its correction": (f"{CAT} No, rather: {GOOD}", BOTH, []),
    "a graph said twice": (f"{GOOD}\n{GOOD}", BOTH, []),
    "a list of two graphs": (f"[{CAT}, {GOOD}]", BOTH, []),
    "two answers": (f"<answer>{CAT}</answer><answer>{GOOD}</answer>", BOTH, []),
    "an answer in a cut answer": (f"<answer>{CUT_CAT}<answer>{GOOD}</answer>", BOTH, []),
    "an empty graph first": (f"I start from {EMPTY}:\n{GOOD}", BOTH, []),
    "an empty graph last": (f"{GOOD} and else {EMPTY}", BOTH, []),
    "an empty answer last": (f"<answer>{GOOD}</answer><answer>{EMPTY}</answer>", BOTH, []),
    "the prompt's form first": (f"In the form {FORM}:\n{GOOD}", BOTH, []),
    "the prompt's form last": (f"{GOOD}\nThis has the form {FORM}.", BOTH, []),
    "the form in texts": (f"{FORM.replace('x1,y1,x2,y2', chr(34) * 2)} {GOOD}", BOTH, []),
    "a form with dots": (f'{{"objects": [...], "relationships": [...]}} {GOOD}', BOTH, []),
    "a broken draft": (f"{BROKEN_CAT} {GOOD}", BOTH, []),
    "objects of another form first": (f'{{"objects": [{BOX}]}} {GOOD}', BOTH, []),
    "objects alone first": (f'{{"objects": {OBJECTS}}} {GOOD}', BOTH, []),
    "objects alone last": (f'{GOOD} {{"objects": {OBJECTS[:-1]}, {BOX}]}}', BOTH, []),
    "one relation last": (f'{GOOD}: see {{"relationships": {B}}}', BOTH, []),
    "in two parts": (f'{{"objects": {OBJECTS}}}\n{{"relationships": {A}}}', BOTH, []),
    "in two parts of a list": (f'[{{"objects": {OBJECTS}}}, {{"relationships": {A}}}]', BOTH, []),
    "in two parts the other way round": (
        f'{{"relationships": {A}}}\n{{"objects": {OBJECTS}}}',
        BOTH,
        [],
    ),
    "relations, none and objects": (
        f'{{"relationships": {A}}} {{"relationships": []}} {{"objects": {OBJECTS}}}',
        BOTH,
        [],
    ),
    "relations twice and objects": (
        f'{{"relationships": {B}}} {{"relationships": {A}}} {{"objects": {OBJECTS}}}',
        BOTH,
        [],
    ),
    "in two parts after a draft": (
        f'{{"objects": [{json.dumps(MAN)}]}} {{"relationships": {B}}} '
        f'{{"objects": {OBJECTS}}} {{"relationships": {A}}}',
        BOTH,
        [],
    ),
    "a last graph that is cut": (f"{GOOD} {CUT_CAT}", BOTH, [K.truncated]),
    "a last graph that is cut at once": (f'{GOOD} {{"objects": [', BOTH, [K.truncated]),
    "a last answer that is cut": (f"<answer>{GOOD}</answer><answer>{CUT_CAT}", BOTH, [K.truncated]),
    "a last graph that is broken": (f"{GOOD} {BROKEN_CAT}", BOTH, [K.malformed]),
    "a second part that is cut": (
        f'{{"objects": {OBJECTS}}}\n{{"relationships": {A[:-1]}, {{"subj',
        BOTH,
        [K.truncated],
    ),
    "a first part that is broken": (
        f'{{"relationships": {A[:-1]} oh]}}\n{{"objects": {OBJECTS}}}',
        BOTH,
        [K.malformed],
    ),
    "two graphs beside names": (
        f'{{"objects": ["man"], "draft": {CAT}, "final": {GOOD}}}',
        BOTH,
        [],
    ),
    "objects inside of an object with relations": (
        f'{{"relationships": {A}, "graph": {{"objects": {OBJECTS}}}}}',
        BOTH,
        [],
    ),
    "two broken graphs": (f"{BROKEN_CAT} {GOOD[:-2]}", BOTH, [K.truncated]),
    "two graphs without a usable object": (
        f'{EMPTY} {{"objects": [{BOX}], "relationships": []}}',
        NO_RENAMES,
        [K.bad_object, K.empty],
    ),
}


@pytest.mark.parametrize("style", SEVERAL)
def test_of_several_graphs_the_last_whole_one_is_read(style):
    """That there were several is said, and costs `format`; an error after the graph that is read is one."""
    text, said, kinds = SEVERAL[style]
    found, problems = read(text)
    assert found == said
    assert sorted(problems, key=str) == sorted([K.several_graphs, *kinds], key=str)
    failed = bool(FAILURES & set(kinds))
    assert (parse(text, PX, 100, 100).failure is not None) == failed
    assert form_of(text) == (0, 0.25 if failed else 0.5)


def test_text_after_too_many_broken_graphs_is_not_read():
    """One bound on the work: past it the text counts as cut off."""
    broken = '{"objects": [no] '
    assert read(broken * 15 + GOOD) == (BOTH, [K.several_graphs])
    assert read(broken * 16 + GOOD) == (NO_RENAMES, [K.truncated, K.several_graphs, K.empty])
    assert read(GOOD + broken * 16) == (BOTH, [K.several_graphs])


# ---- thoughts that do not close


UNCLOSED = {
    "a draft": f"<think>I see {GOOD}. But",
    "a draft in capitals": f"<THINK>I see {GOOD}. But",
    "a cut draft": f"<think>I see {CUT_CAT}",
    "a mention of the tags": f"<think>In <answer> and </answer>: {GOOD}",
    "an answer that is cut at once": f"<think>I see {GOOD}. <answer>",
    "after a closed one": f"<think>a {CAT}</think><think>b {GOOD}",
    "no draft": "<think>I see a man",
}


@pytest.mark.parametrize("style", UNCLOSED)
def test_a_thought_that_was_asked_for_and_does_not_close_gives_no_graph(style):
    text = UNCLOSED[style]
    assert read(text, TAGGED) == (NO_RENAMES, [K.truncated, K.no_json])
    assert parse(text, TAGGED, 9, 9).problems[0].item == "<think>"
    assert parse(text, TAGGED, 9, 9).failure is K.truncated
    assert form_of(text, TAGGED) == (0, 0)


@pytest.mark.parametrize("style", UNCLOSED)
def test_a_thought_that_nobody_asked_for_hides_nothing(style):
    said = {"a cut draft": ONE_CAT, "no draft": NO_RENAMES}.get(style, BOTH)
    kinds = {"a cut draft": [K.truncated], "no draft": [K.no_json]}.get(style, [])
    assert read(UNCLOSED[style]) == (said, kinds)


def test_answer_tags_beside_an_unclosed_thought_count():
    assert read(f"<think>so {CAT} <answer>{GOOD}</answer>", TAGGED) == (BOTH, [])
    assert read(f"<think>so {CAT} <answer>{GOOD[:-2]}", TAGGED) == (BOTH, [K.truncated])
    assert read(f"{GOOD}<think>or {CAT}", TAGGED) == (BOTH, [])
    text = f"<think>so</think><answer>{GOOD}</answer><think>or {CAT}"
    assert read(text, TAGGED) == (BOTH, [])
    assert parse(text, TAGGED, 9, 9).tags_as_asked


def test_an_opened_answer_tag_leaves_the_thought_a_thought():
    for spec in (PX, TAGGED):
        assert read(f"<think>so {CAT}</think><answer>", spec) == (NO_RENAMES, [K.no_json])
        assert read(f"<think>so {CAT}</think><answer>none</answer>", spec) == (
            NO_RENAMES,
            [K.no_json],
        )


# ---- keys that come again


@pytest.mark.parametrize(
    ("text", "said", "problems"),
    [
        (
            f'{{"objects": {OBJECTS}, "relationships": {A}, "relationships": {B}}}',
            (BOTH[0], [MAN_ON_DOG, DOG_BY_MAN]),
            [(K.duplicate_key, "relationships")],
        ),
        (
            f'{{"objects": [{json.dumps(MAN)}], "objects": [{json.dumps(DOG)}], "relationships": {A}}}',
            BOTH,
            [(K.duplicate_key, "objects")],
        ),
        (
            f'{{"objects": [{json.dumps(MAN)}], "relationships": {A}, "objects": [{json.dumps(DOG)}],'
            f'"relationships": {B}}}',
            (BOTH[0], [MAN_ON_DOG, DOG_BY_MAN]),
            [(K.duplicate_key, "objects"), (K.duplicate_key, "relationships")],
        ),
        (
            f'{{"objects": {OBJECTS}, "objects": {OBJECTS}, "relationships": {A}}}',
            BOTH,
            [(K.duplicate_key, "objects"), (K.duplicate_id, "man.1"), (K.duplicate_id, "dog.2")],
        ),
        (
            f'{{"objects": {OBJECTS}, "relationships": {A}, "objects": [{{"id": "ma',
            BOTH,
            [(K.truncated, ""), (K.duplicate_key, "objects")],
        ),
        (
            f'{{"objects": {OBJECTS}, "relationships": {A}, "relationships": {B[:-1]}, {{"su',
            (BOTH[0], [MAN_ON_DOG, DOG_BY_MAN]),
            [(K.truncated, ""), (K.duplicate_key, "relationships")],
        ),
        (
            f'{{"objects": {OBJECTS}, "relationships": {A}, "relationships": {B},}}',
            (BOTH[0], [MAN_ON_DOG, DOG_BY_MAN]),
            [(K.trailing_comma, ""), (K.duplicate_key, "relationships")],
        ),
        (
            f'{{"objects": {OBJECTS}, "relationships": {A}, "objects": null}}',
            BOTH,
            [(K.duplicate_key, "objects")],
        ),
        (
            f'{{"\\u006fbjects": {OBJECTS}, "relationships": {A}, "objects": []}}',
            BOTH,
            [(K.duplicate_key, "objects")],
        ),
        (f'{{"a": 1, "a": 2, "objects": {OBJECTS}, "relationships": {A}}}', BOTH, []),
        (GOOD.replace('"id"', '"id": "cat.9", "id"', 1), BOTH, [(K.duplicate_key, "man.1")]),
        (GOOD.replace('"bbox"', '"bbox": [], "bbox"', 1), BOTH, [(K.duplicate_key, "man.1")]),
        (
            GOOD.replace('"on"', '"by", "predicate": "on"'),
            BOTH,
            [(K.duplicate_key, "man.1 on dog.2")],
        ),
        (
            GOOD.replace('"subject"', '"subject": "dog.2", "subject"')[:-1] + ",}",
            BOTH,
            [(K.trailing_comma, ""), (K.duplicate_key, "man.1 on dog.2")],
        ),
        (
            GOOD.replace('"id"', '"id": "cat.9", "x": 1,}, {"id"', 1)[:-2],
            BOTH,
            [(K.truncated, ""), (K.bad_box, "cat.9")],
        ),
        (GOOD.replace('"bbox"', '"x": {"y": 1, "y": 2}, "bbox"', 1), BOTH, []),
        (
            GOOD.replace('"id"', '"id": "cat.9", "id"', 1).replace("[0,", "[" + "9" * 5000 + ","),
            (["dog"], []),
            [(K.bad_box, "man.1"), (K.dangling_relation, "man.1 on dog.2")],
        ),
    ],
)
def test_a_key_that_comes_again(text, said, problems):
    """Lists are joined, since models in a loop open them again; in an item the last value counts."""
    parsed = parse(text, PX, 100, 100)
    assert read(text)[0] == said
    assert [(p.kind, p.item) for p in parsed.problems] == problems
    assert form_of(text)[0] == (not problems)


# ---- ids


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("man", "man"),
        ("man 1", "man 1"),
        ("man_1", "man_1"),
        ("man1", "man1"),
        ("man-1", "man-1"),
        ("man#1", "man#1"),
        ("1", "1"),
        ("man.", "man."),
        ("man.one", "man.one"),
        ("man.1a", "man.1a"),
        ("man. 1", "man. 1"),
        ("man.-1", "man.-1"),
        ("man.1.2", "man.1"),
        ("0.1.2", "0.1"),
        ("man[1]", "man[1]"),
    ],
)
def test_an_odd_id_is_said_and_kept_as_it_is(written, name):
    """The class is the id without its last number: no guess at what else might be one."""
    ids = [(written, [0, 0, 10, 10]), ("dog.2", [20, 20, 40, 40])]
    text = completion(ids, [(written, "on", "dog.2")])
    assert read(text) == (([name, "dog"], [(name, "on", "dog")]), [K.odd_id])
    assert parse(text, PX, 9, 9).problems[0].item == written
    assert parse(text, PX, 9, 9).failure is None
    assert form_of(text) == (0, 0.5)


@pytest.mark.parametrize(
    "written", ["man.1", "man.01", "man.100", " man.1 ", "st. paul.3", "a 1.2"]
)
def test_a_class_name_a_dot_and_a_number_are_as_asked(written):
    assert read(completion([(written, [0, 0, 10, 10])]))[1] == []


@pytest.mark.parametrize("written", [1, 1.5, None, True, ["man", 1], {"name": "man"}])
def test_an_id_that_is_no_text_costs_the_object(written):
    text = completion([(written, [0, 0, 10, 10]), ("dog.2", [20, 20, 40, 40])])
    assert read(text) == ((["dog"], []), [K.bad_object])


def test_of_equal_ids_without_a_number_the_first_stays():
    text = completion([("man", [0, 0, 10, 10]), ("man", [20, 20, 40, 40]), ("Man", [1, 1, 9, 9])])
    assert read(text) == ((["man"], []), [K.odd_id, K.duplicate_id, K.duplicate_id])
    assert parse(text, PX, 100, 100).graph.nodes[0].box == (0, 0, 10, 10)


def test_an_id_without_its_number_is_another_id():
    text = completion(
        [("man.1", [0, 0, 10, 10]), ("dog", [20, 20, 40, 40])], [("man", "on", "dog")]
    )
    assert read(text) == ((["man", "dog"], []), [K.odd_id, K.dangling_relation])


@pytest.mark.parametrize("key", ["label", "name", "category", "class"])
@pytest.mark.parametrize(
    ("written", "label", "name", "kinds"),
    [
        ("man.1", "man", "man", []),
        ("traffic_light.1", "Traffic Light", "traffic_light", []),
        ("man.1", "person", "man", [K.other_label]),
        ("object.1", "man", "object", [K.other_label]),
        ("1", "man", "1", [K.odd_id, K.other_label]),
        ("man", "man", "man", [K.odd_id]),
        ("man.1", 7, "man", []),
        ("man.1", None, "man", []),
    ],
)
def test_a_label_that_contradicts_the_id_is_said_and_not_read(key, written, label, name, kinds):
    item = {"id": written, key: label, "bbox": [0, 0, 10, 10]}
    text = json.dumps({"objects": [item], "relationships": []})
    assert read(text) == (([name], []), kinds)
    assert parse(text, PX, 9, 9).failure is None


def test_other_keys_of_an_object_are_passed_over():
    item = {"id": "man.1", "bbox": [0, 0, 10, 10], "score": 0.9, "attributes": ["tall"]}
    assert read(json.dumps({"objects": [item], "relationships": []})) == ((["man"], []), [])


# ---- other names for what was asked for: never read, never silent


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


NOBODY = [K.bad_object, K.bad_object, K.empty, K.dangling_relation]
STRANGE = {
    "boxes as bbox_2d": (changed('"bbox"', '"bbox_2d"'), [K.bad_box, K.bad_box, *NOBODY[2:]]),
    "boxes as box": (changed('"bbox"', '"box"'), [K.bad_box, K.bad_box, *NOBODY[2:]]),
    "labels instead of ids": (changed('"id"', '"label"'), NOBODY),
    "ids in capitals": (changed('"id"', '"ID"'), NOBODY),
    "objects as lists": (
        '{"objects": [["man.1", 0, 0, 9, 9]], "relationships": []}',
        [K.bad_object, K.empty],
    ),
    "objects by id": (
        '{"objects": {"man.1": [0, 0, 9, 9]}, "relationships": []}',
        [K.missing_list, K.empty],
    ),
    "objects in capitals": (changed('"objects"', '"Objects"'), [K.missing_list, *NOBODY[2:]]),
    "both in capitals": (GOOD.upper(), [K.no_json]),
    "nodes and edges": (
        changed('"objects"', '"nodes"').replace('"relationships"', '"edges"'),
        [K.no_json],
    ),
    "a list of objects alone": (OBJECTS, [K.no_json]),
    "single quotes": (GOOD.replace('"', "'"), [K.no_json]),
    "JSON in a text": (json.dumps({"answer": GOOD}), [K.no_json]),
    "JSON as a text": (json.dumps(GOOD), [K.no_json]),
}


@pytest.mark.parametrize("style", STRANGE)
def test_other_words_for_the_same_are_a_failure_that_says_why(style):
    text, kinds = STRANGE[style]
    assert read(text) == (NO_RENAMES, kinds)
    assert parse(text, PX, 9, 9).failure is kinds[0] or K.empty in kinds


TRIPLES = json.dumps([["man.1", "on", "dog.2"]])
STRANGE_RELATIONS = {
    "relations": (changed('"relationships"', '"relations"'), K.missing_list, "relationships"),
    "in capitals": (
        changed('"relationships"', '"Relationships"'),
        K.missing_list,
        "relationships",
    ),
    "none": (f'{{"objects": {OBJECTS}}}', K.missing_list, "relationships"),
    "a text": (
        f'{{"objects": {OBJECTS}, "relationships": "man on dog"}}',
        K.missing_list,
        "relationships",
    ),
    "triples": (
        f'{{"objects": {OBJECTS}, "relationships": {TRIPLES}}}',
        K.bad_relation,
        "relationships[0]",
    ),
    "source and target": (
        changed('"subject"', '"source"').replace('"object":', '"target":'),
        K.bad_relation,
        "relationships[0]",
    ),
    "relation": (changed('"predicate"', '"relation"'), K.bad_relation, "relationships[0]"),
    "keys in capitals": (changed('"subject"', '"Subject"'), K.bad_relation, "relationships[0]"),
    "places of objects": (
        changed('"subject": "man.1"', '"subject": 0'),
        K.bad_relation,
        "relationships[0]",
    ),
    "several predicates": (changed('"on"', '["on", "by"]'), K.bad_relation, "relationships[0]"),
    "names": (
        changed('"subject": "man.1"', '"subject": "man"'),
        K.dangling_relation,
        "man on dog.2",
    ),
}


@pytest.mark.parametrize("style", STRANGE_RELATIONS)
def test_other_words_for_relations_are_named(style):
    text, kind, item = STRANGE_RELATIONS[style]
    assert read(text) == ((["man", "dog"], []), [kind])
    assert parse(text, PX, 100, 100).problems[0].item == item
    assert form_of(text) == (0, 0.5)


# ---- boxes that cannot be meant


PER_MILLE = GraphSpec(FrameSpec(Frame.norm1000))


@pytest.mark.parametrize(
    ("box", "kinds"),
    [
        ([0.1, 0.2, 0.5, 0.9], [K.unit_box]),
        ([0, 0, 1, 0.5], [K.unit_box]),
        ([0.0, 0.0, 1.0, 0.999], [K.unit_box]),
        (["0.1", "0.2", "0.5", "0.9"], [K.unit_box]),
        ([0, 0, 1, 1], []),
        ([0.0, 0.0, 1.0, 1.0], []),
        ([0.5, 0.5, 1.5, 1], []),
        ([0.5, 0.5, 1, 1.5], []),
        ([-0.5, -0.5, -0.1, -0.1], [K.unit_box, K.outside_box]),
        ([1000, 0, 1001, 9], [K.outside_box]),
        ([0, 1000, 9, 1001], [K.outside_box]),
        ([-9, 0, 0, 9], [K.outside_box]),
        ([0, -9, 9, 0], [K.outside_box]),
        ([999, 999, 1200, 1200], []),
        ([-9, -9, 1, 1], []),
        ([0, 0, 1000, 1000], []),
    ],
)
def test_boxes_in_fractions_or_outside_of_the_frame_are_said_and_kept(box, kinds):
    """norm1000 of an image of 500 × 250: x · .5, y · .25."""
    parsed = parse(completion([("man.1", box)]), PER_MILLE, 500, 250)
    x1, y1, x2, y2 = map(float, box)
    assert parsed.graph.nodes[0].box == pytest.approx((x1 / 2, y1 / 4, x2 / 2, y2 / 4))
    assert [(p.kind, p.item) for p in parsed.problems] == [(kind, "man.1") for kind in kinds]
    assert parsed.failure is None


@pytest.mark.parametrize(("width", "height", "said"), [(1, 1, 0), (1, 9, 0), (9, 1, 0), (2, 2, 1)])
def test_fractions_of_a_frame_of_one_unit_are_as_they_should_be(width, height, said):
    problems = parse(completion([("man.1", [0.1, 0.1, 0.9, 0.9])]), PX, width, height).problems
    assert [p.kind for p in problems] == [K.unit_box] * said


def test_an_object_may_have_several_faults():
    spec = GraphSpec(PX.frame, vocabulary=Vocabulary("v", ("man",), ("on",)))
    item = '{"id": "Q.1", "id": "dog", "name": "man", "bbox": [0.1, 0.1, 0.2, 0.2]}'
    assert read(f'{{"objects": [{item}], "relationships": []}}', spec) == (
        (["dog"], []),
        [K.odd_id, K.duplicate_key, K.other_label, K.unit_box, K.unknown_class],
    )


def test_boxes_of_the_frame_reach_the_gold():
    """The unit of a frame is a thousandth, so a box of fractions is a speck in the corner."""
    text = completion([("man.1", [0.1, 0.1, 0.5, 0.5])])
    assert np.prod(parse(text, PER_MILLE, 100, 100).graph.nodes[0].box[2:]) < 0.01
