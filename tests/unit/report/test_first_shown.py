"""Which runs a page shows first, and what its pairs differ in, by hand-made summaries."""

from pathlib import Path

import pytest

from sgg.report.change_groups import change_groups
from sgg.report.content.summary import ChangeRow
from sgg.report.first_shown import first_of_summary
from sgg.report.scored_runs import ScoredRun
from sgg.report.sweep_summary import Group, SweepSummary, Value
from sgg.runs.records import Metrics, ProtocolName


def run(name, seed, recall, step="eval"):
    metrics = Metrics(
        images=1,
        completions=1,
        images_with_relations=1,
        gold_relations=1,
        metrics={"R": recall},
        intervals={},
        problems={},
        recall_per_predicate={},
        protocol=ProtocolName("shapes"),
    )
    values = {"R": recall}
    return ScoredRun(
        name, Path(name), step, {}, seed, None, "finished", "", metrics, values, None, None
    )


def group(label, *runs):
    mean = sum(one.values["R"] for one in runs) / len(runs)
    values = {"R": Value(mean, None, None, len(runs))}
    return Group(label, {}, runs[0].step, list(runs), values, None, "", {})


def summary(*groups):
    return SweepSummary("s", [], list(groups), groups[0].label, {"R": "R"}, frozenset())


def test_where_the_baseline_is_the_best_the_next_best_is_beside_it():
    first = first_of_summary(
        summary(
            group("a", run("a0", "0", 0.8), run("a1", "1", 0.9)),
            group("b", run("b0", "0", 0.5), run("b1", "1", 0.5)),
            group("c", run("c0", "0", 0.7), run("c1", "1", 0.6)),
        )
    )
    assert first.runs == ["a1", "c1", "a0", "c0"]
    assert (first.partner, first.beside) == ("c1", "the same seed of c")


def test_a_single_run_that_finds_more_than_the_first_one_is_named():
    best = group("a", run("a0", "0", 0.8), run("a1", "1", 0.9))
    said = "Of single runs b0 has the highest triplet recall, 0.950 beside 0.900."
    first = first_of_summary(summary(best, group("b", run("b0", "0", 0.95), run("b1", "1", 0.5))))
    assert (first.best, first.highest) == ("a1", said)
    assert first.note.endswith(f"triplet recall. {said}")
    assert (
        first.note_on_both
        == f"{first.note.removesuffix(f'. {said}')}; beside b1, the same seed of b. {said}"
    )
    assert first_of_summary(summary(best, group("b", run("b0", "0", 0.7)))).highest == ""


def test_without_a_run_of_the_same_seed_nothing_is_said_to_stand_beside():
    groups = group("a", run("a0", "0", 0.5)), group("b", run("b1", "1", 0.9))
    first = first_of_summary(summary(*groups))
    assert (first.runs, first.partner) == (["b1", "a0"], "")
    assert first.note_on_both == first.note


def test_the_partner_is_of_the_same_step():
    groups = (
        group("a", run("a/sft", "0", 0.3, "sft")),
        group("a", run("a/grpo", "0", 0.5, "grpo")),
        group("b", run("b/sft", "0", 0.4, "sft")),
        group("b", run("b/grpo", "0", 0.9, "grpo")),
    )
    assert first_of_summary(summary(*groups)).runs == ["b/grpo", "a/grpo"]


@pytest.mark.parametrize(
    ("pair", "title"),
    [
        (("b0", "a0"), "Configurations at the same seed"),
        (("b0", "a1"), "Configurations at different seeds"),
        (("a/grpo", "a0"), "Steps of one configuration"),
        (("a1", "a0"), "Seeds of one configuration: how much chance alone changes"),
        (("b0 (2)", "a0"), "Other pairs"),
    ],
)
def test_pairs_are_told_apart_by_what_they_differ_in(pair, title):
    groups = (
        group("a", run("a0", "0", 0.5), run("a1", "1", 0.5)),
        group("b", run("b0", "0", 0.5)),
        group("a", run("a/grpo", "0", 0.5, "grpo")),
    )
    [found] = change_groups([ChangeRow(*pair)], summary(*groups))
    assert (found.title, found.rows) == (title, [ChangeRow(*pair)])
