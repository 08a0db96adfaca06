"""Two runs on the same images: what is said of them, by hand."""

from __future__ import annotations

import pytest
from scoring import evaluated, parsed
from strategies import scene

from sgg.evaluation.comparison import compare_scored
from sgg.text.codec import ErrorKind, Problem

NODES = [("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40)), ("hat", (50, 0, 60, 10))]
GOLD = scene(NODES, [(0, "on", 1), (0, "wears", 2)])
ON, WEARS = scene(NODES, [(0, "on", 1)]), scene(NODES, [(0, "wears", 2)])
NONE = scene(NODES, [])
FAILED = parsed(scene([], []), Problem(ErrorKind.empty))


def compared(after, before, gold=GOLD):
    """Runs by their completions of each image."""
    runs = ([(said, gold) for said in side] for side in (after, before))
    return compare_scored(*(evaluated(*run) for run in runs), ("GRPO", "SFT"))


def test_what_became_of_each_image():
    """One image of each kind: more, fewer, all twice, as many but not all, other ones, no graph."""
    after = [GOLD, NONE, GOLD, ON, WEARS, FAILED, ON]
    before = [ON, ON, GOLD, ON, ON, GOLD, FAILED]
    found = compared(after, before)
    kinds = ["fixed", "broken", "both_right", "both_wrong", "both_wrong", "malformed", "fixed"]
    assert [image.change for image in found.images] == kinds
    assert [image.image_id for image in found.images] == ["0", "1", "2", "3", "4", "5", "6"]
    assert [(i.before, i.after) for i in found.images[:2]] == [(1, 2), (1, 0)]
    assert [(i.gained, i.lost) for i in found.images] == [
        ((1,), ()),
        ((), (0,)),
        ((), ()),
        ((), ()),
        ((1,), (0,)),
        ((), (0, 1)),
        ((0,), ()),
    ]
    assert found.counts == {
        "fixed": 2,
        "broken": 1,
        "both_right": 1,
        "both_wrong": 2,
        "malformed": 1,
    }
    assert [i.image_id for i in found.flipped()] == ["0", "6", "4", "1", "5"]


def test_an_image_without_gold_relations_has_nothing_to_be_missed():
    assert [i.change for i in compared([ON], [NONE], NONE).images] == ["both_right"]


def test_predicates_by_what_was_gained():
    found = compared([WEARS, GOLD, WEARS], [ON, ON, ON])
    counted = [(p.predicate, p.gold, p.before, p.after) for p in found.predicates]
    assert counted == [("wears", 3, 0, 3), ("on", 3, 3, 1)]


def test_several_completions_count_by_their_share():
    """Half of two completions beside all of one; a failure of one of two is not one of the image."""
    found = compared([[ON, FAILED]], [ON])
    assert [(i.change, i.before, i.after) for i in found.images] == [("broken", 1, 0.5)]
    assert [(p.before, p.after) for p in found.predicates if p.predicate == "on"] == [(1, 0.5)]
    assert compared([[FAILED, None]], [ON]).images[0].change == "malformed"


def test_a_real_difference_is_said_in_one_sentence_whichever_side_is_better():
    """Sixteen images of one relation of two more: p is 2 / 2^16, below a thousandth."""
    many = compared([GOLD] * 16, [ON] * 16)
    said = "triplet recall 0.500 → 1.000, +0.500 (95 % +0.500 to +0.500, p < 0.001)"
    assert many.verdict == f"GRPO is better than SFT: {said}"
    turned = compared([ON] * 16, [GOLD] * 16)
    said = "triplet recall 1.000 → 0.500, -0.500 (95 % -0.500 to -0.500, p < 0.001)"
    assert turned.verdict == f"GRPO is worse than SFT: {said}"
    assert many.main.is_real
    assert turned.main.is_real


def test_noise_is_said_to_be_none_of_a_difference():
    """One image of three: p is 1 for a difference that either exchange makes as large."""
    found = compared([GOLD, ON, ON], [ON, ON, ON])
    assert found.verdict.startswith(
        "No difference between GRPO and SFT that 3 images can show: triplet recall 0.500 → 0.667, +0.167"
    )
    assert found.verdict.endswith("p = 1.00)")
    assert not found.main.is_real


def test_p_of_the_other_metrics_is_adjusted_for_their_number():
    """Four others, however many cutoffs cut nothing; failure rate and precision are equal."""
    found = compared([GOLD] * 7 + [ON], [ON] * 8)
    names = {name.partition("@")[0] for name in found.metrics}
    assert names == {"failure_rate", "R", "mR", "precision", "F1"}
    for name, metric in found.metrics.items():
        assert metric.p == pytest.approx(found.metrics[name.partition("@")[0]].p)
    assert found.main.p_holm is None
    assert found.metrics["R@20"].p_holm is None
    changed = found.metrics["mR"]
    assert changed.p == pytest.approx(2 / 2**7, abs=0.012)
    assert changed.p_holm == pytest.approx(4 * changed.p)
    assert found.metrics["mR@20"].p_holm == changed.p_holm
    assert found.metrics["precision"].p_holm == 1
    assert (changed.before, changed.after) == (0.5, 0.9375)


def test_runs_of_other_images_are_not_compared():
    one, two = evaluated((ON, GOLD)), evaluated((ON, GOLD), (ON, GOLD))
    for other in (two, evaluated((ON, ON))):
        with pytest.raises(ValueError, match="different images or gold"):
            compare_scored(one, other)
