"""What is reported of a split: the names, the thirds of predicates, the order of images, synonyms."""

from __future__ import annotations

import pytest
from scoring import ALL_MODES, metrics, scored
from strategies import scene

from sgg.config.protocol import ImageOrder, Labels, Unknown
from sgg.metrics.synonyms import SYNONYMS, renamed
from sgg.metrics.tally import Builder, Task
from sgg.scene.graph import SceneGraph
from sgg.scene.vocab import VOCABULARIES, Vocabulary
from sgg.text.codec import ErrorKind, Parsed, Problem

NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("hat", (50, 50, 60, 60))]
GOLD = scene(NODES, [(0, "on", 1)])
EMPTY = SceneGraph()


def test_every_figure_by_its_name():
    """Two cutoffs, two modes; zero-shot recall only where it is known what training showed."""
    at = ["@1", "@2", ""]
    mine = ["failure_rate", *(f"{m}{k}" for m in ("R", "mR", "precision", "F1") for k in at)]
    mine += [f"{m}{k}" for m in ("ngR", "ngmR", "R_deduplicated") for k in at]
    mine += [f"phrdet {m}{k}" for m in ("R", "mR", "ngR", "ngmR") for k in at]
    mine += ["mR_pooled_present", "object_recall", "object_precision", "duplicate_rate"]
    mine += ["relations_per_image", "images_counted", "AP", "AP50"]
    modes = {"modes": ALL_MODES[:2], "cutoffs": [1, 2]}
    found = scored((GOLD, GOLD), **modes)
    assert set(found.values) == set(mine)
    unseen = frozenset({("man", "on", "dog")})
    more = scored((GOLD, GOLD), **modes, unseen=unseen)
    zero_shot = {f"{m}{k}" for m in ("zR", "ngzR", "phrdet zR", "phrdet ngzR") for k in at}
    assert set(more.values) == {*mine, *zero_shot}
    assert {more.values[name] for name in zero_shot} == {1}
    without = {"relations_per_image", "images_counted", "AP", "AP50"}
    groups = {f"head mR{k}" for k in at}
    assert set(more.intervals) == (set(more.values) - without) | groups
    compared = [
        "failure_rate",
        *(f"{m}{k}" for m in ("R", "mR", "zR", "precision", "F1") for k in at),
    ]
    assert set(more.estimates) == set(compared)


def test_every_cutoff_has_its_own_precision():
    """Right, wrong, right, wrong: 1 of 1, 1 of 2, 2 of 3, 2 of 4; ranks past the last count in none."""
    gold = scene(NODES, [(0, "on", 1), (0, "on", 2)])
    said = scene(NODES, [(0, "on", 1), (1, "on", 0), (0, "on", 2), (2, "on", 0)])
    found = metrics((said, gold), cutoffs=[1, 2, 3])
    assert [found[f"precision{k}"] for k in ("@1", "@2", "@3", "")] == pytest.approx(
        [1, 1 / 2, 2 / 3, 1 / 2]
    )
    assert [found[f"R@{k}"] for k in (1, 2, 3)] == [1 / 2, 1 / 2, 1]
    assert found["F1@3"] == pytest.approx(2 * (2 / 3) / (5 / 3))
    assert found["relations_per_image"] == 4


def test_f1_of_equal_precision_and_recall_is_their_value():
    """One of two said, one of two in gold: 1/2, 1/2 and so 1/2; nothing right gives 0."""
    gold = scene(NODES, [(0, "on", 1), (0, "on", 2)])
    said = scene(NODES, [(0, "on", 1), (1, "on", 0)])
    found = metrics((said, gold), cutoffs=[2])
    assert (found["precision@2"], found["R@2"], found["F1@2"], found["F1"]) == (0.5,) * 4
    assert metrics((GOLD, GOLD))["F1"] == 1
    assert metrics((scene(NODES, [(1, "on", 0)]), gold))["F1"] == 0


def test_thirds_of_the_predicates_by_their_number_in_gold():
    """Seven predicates, two of them not in gold: three, two and two; equal numbers by name."""
    names = ("on", "by", "in", "at", "of", "up", "to")
    counts = {"on": 5, "by": 4, "at": 3, "in": 3, "of": 1}
    edges = [(0, name, 1) for name, n in counts.items() for _ in range(n)]
    gold = scene(NODES, edges)
    said = scene(NODES, [(0, "on", 1), (0, "at", 1)])
    vocabulary = Vocabulary("seven", ("man", "dog", "hat"), names)
    found = scored((said, gold), vocabulary=vocabulary, graph_constraint=False, cutoffs=[1])
    assert [(row["predicate"], row["group"]) for row in found.predicates] == [
        *(("on", "head"), ("by", "head"), ("at", "head")),
        *(("in", "body"), ("of", "body"), ("to", "tail"), ("up", "tail")),
    ]
    assert found.groups["head"] == {
        "predicates": 3,
        "gold": 12,
        "mR@1": pytest.approx(1 / 3),
        "mR": pytest.approx(2 / 3),
    }
    assert found.groups["body"] == {"predicates": 2, "gold": 4, "mR@1": 0, "mR": 0}
    assert found.groups["tail"] == {"predicates": 2, "gold": 0, "mR@1": 0, "mR": 0}
    rows = {row["predicate"]: row for row in found.predicates}
    assert rows["at"] == {
        "predicate": "at",
        "group": "head",
        "gold": 3,
        "predicted": 1,
        "correct": 1,
        "R@1": 0,
        "R": 1,
    }


def test_predicates_outside_the_vocabulary_have_a_row_and_no_group():
    vocabulary = Vocabulary("one", ("man", "dog"), ("near",))
    found = scored((GOLD, GOLD), vocabulary=vocabulary)
    assert [(r["predicate"], r["group"], r["gold"]) for r in found.predicates] == [
        ("on", "", 1),
        ("near", "head", 0),
    ]
    assert (found.values["mR"], found.values["mR_pooled_present"]) == (0, 1)


def test_equal_scores_of_images_rank_as_the_protocol_orders_them():
    """A wrong box in image `b`, a right one in `a`: wrong first 1/2, right first 1."""
    man, away = scene([NODES[0]]), scene([("man", (80, 80, 90, 90))])
    images = [(away, EMPTY), (man, man)]
    assert metrics(*images, ids=["b", "a"])["AP50"] == pytest.approx(1 / 2)
    as_text = metrics(*images, ids=["b", "a"], image_order=ImageOrder.sorted)
    assert as_text["AP50"] == pytest.approx(1)
    kept = metrics(*images, ids=["a", "b"], image_order=ImageOrder.sorted)
    assert kept["AP50"] == pytest.approx(1 / 2)
    # two completions an image keep their order within it; "10" stands before "9"
    several = [([man, away], man), ([away, man], man)]
    one, two = (
        metrics(*several, ids=ids, image_order=ImageOrder.sorted)["AP50"]
        for ids in (["9", "10"], ["1", "2"])
    )
    assert (one < two) is True


def test_gold_of_an_image_with_several_completions_counts_once():
    found = scored(([GOLD, GOLD, EMPTY], GOLD), (GOLD, GOLD))
    assert found.gold_relations == 2
    assert found.values["images_counted"] == 4
    assert scored((GOLD, scene(NODES)), (None, GOLD)).gold_relations == 1


def test_problems_are_counted_by_completion_and_by_item():
    builder = Builder(Task(scored_protocol()), first=True)
    twice = Parsed(GOLD, (Problem(ErrorKind.bad_box, "a"), Problem(ErrorKind.bad_box, "b")))
    builder.add(0, twice, GOLD)
    builder.add(1, None, GOLD)
    tally = builder.tally()
    assert dict(tally.problems_completions) == {"bad_box": 1, "no_completion": 1}
    assert dict(tally.problems_items) == {"bad_box": 2, "no_completion": 1}
    assert tally.failed.tolist() == tally.missing.tolist() == [False, True]


def scored_protocol():
    from sgg.config.protocol import ProtocolConfig

    return ProtocolConfig()


VG150 = VOCABULARIES["vg150"]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        *(("berries", None), ("ladies", "lady"), ("benches", "bench"), ("dogs", "dog")),
        *(("gentleman", "man"), ("bicycle", "bike"), ("grass", None), ("s", None), ("es", None)),
    ],
)
def test_plurals_and_synonyms_of_objects(said, read):
    found = renamed(scene([(said, (0, 0, 1, 1))]), VG150)
    assert found.objects == ({said: read} if read else {})
    assert bool(found) is (read is not None)


def test_a_name_of_the_vocabulary_is_never_renamed_and_the_closest_synonym_is_taken():
    assert renamed(scene([("man", (0, 0, 1, 1))], [(0, "on", 0)]), VG150).objects == {}
    one = Vocabulary("one", ("person",), ("near", "beside"))
    both = Vocabulary("both", ("person", "man"), ("beside",))
    assert SYNONYMS["guy"] == ("man", "person")
    assert renamed(scene([("guy", (0, 0, 1, 1))]), one).objects == {"guy": "person"}
    assert renamed(scene([("guy", (0, 0, 1, 1))]), both).objects == {"guy": "man"}
    said = scene([("person", (0, 0, 1, 1))], [(0, "is next to", 0), (0, "is near", 0)])
    assert renamed(said, one).predicates == {"is next to": "near", "is near": "near"}
    assert renamed(said, both).predicates == {"is next to": "beside", "is near": "beside"}
    own = {"is near": "on"}
    assert renamed(said, one, own).predicates == own


def test_no_synonym_is_the_name_itself():
    assert [name for name, options in SYNONYMS.items() if name in options] == []


def test_a_dropped_object_takes_its_relations_with_it_and_leaves_the_others_in_place():
    """The second of three objects is unknown: the third's relation with the first stays, and hits."""
    said = scene(
        [NODES[0], ("gizmo", (1, 1, 2, 2)), NODES[1]], [(0, "on", 1), (1, "on", 2), (0, "on", 2)]
    )
    options = {"vocabulary": Vocabulary("v", ("man", "dog"), ("on",)), "unknown": Unknown.drop}
    found = metrics((said, GOLD), cutoffs=[1], **options)
    assert (found["R@1"], found["precision"], found["relations_per_image"]) == (1, 1, 1)
    assert found["object_precision"] == 1
    kept = metrics((said, GOLD), cutoffs=[1], **{**options, "unknown": Unknown.miss})
    assert (kept["R@1"], kept["precision"], kept["object_precision"]) == (0, 1 / 3, 2 / 3)
    synonym = scene([("guy", NODES[0][1]), NODES[1]], [(0, "on", 1)])
    strict = scored((synonym, GOLD), **options)
    assert (strict.values["R"], strict.mapped["R"], strict.mapped["mR"]) == (0, 1, 1)
    mapped = scored((synonym, GOLD), **options, labels=Labels.mapped)
    assert (mapped.values["R"], mapped.mapped["R"]) == (1, 1)
