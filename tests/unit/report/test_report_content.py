"""What a report takes from run folders: which runs, under which names, pictures within their limits."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import scoring
from PIL import Image
from report_folders import IMAGES, answer, image_id, write_pipeline
from strategies import scene

from sgg.errors import SggError
from sgg.files import write_json
from sgg.report.content.evaluations import evaluated
from sgg.report.content.folders import runs_of
from sgg.report.content.gallery import cards
from sgg.report.content.picture import LARGEST, SIDE, jpeg, limit_of, overlay, shown_size
from sgg.report.content.predicates import PredicateRow, predicate_rows, worst
from sgg.report.content.run import read_runs
from sgg.report.content.summary import duration_text, what_was_run
from sgg.report.content.training import training_of
from sgg.report.first_shown import first_of_points
from sgg.report.gallery_data import gallery_note
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    base = tmp_path_factory.mktemp("content")
    return write_pipeline(base / "all", base / "cache")


@pytest.fixture(scope="module")
def runs(pipeline):
    return read_runs(runs_of([pipeline]))[0]


def test_runs_are_called_after_their_steps_points_and_folders(pipeline, tmp_path):
    assert [run.label for run in runs_of([pipeline])] == ["before", "grpo", "after"]
    alone = pipeline / "before"
    assert [r.label for r in runs_of([alone, pipeline])] == [
        *("before", "all/before", "all/grpo", "all/after"),
    ]
    assert [r.label for r in runs_of([alone, alone])] == ["before", "before (2)"]
    with pytest.raises(SggError, match="no run there"):
        runs_of([tmp_path])
    write_json(tmp_path / "pipeline.json", {"steps": [], "table": []})
    with pytest.raises(SggError, match=r"no run there \(pipeline.json names none\)"):
        runs_of([tmp_path])


def test_of_a_sweep_the_runs_that_have_begun_are_there(tmp_path):
    points = [PointRecord("000_a", ["seed=0"]), PointRecord("001_b", ["seed=1"])]
    records = [RunRecord(i, "eval", None, f"points/{p.name}") for i, p in enumerate(points)]
    SweepRecord("local", 1, "/", "2026", [], points, records).write(tmp_path)
    with pytest.raises(SggError, match="none of its 2 runs has begun"):
        runs_of([tmp_path])
    (tmp_path / "points/001_b").mkdir(parents=True)
    (tmp_path / "points/001_b/config.yaml").touch()
    [run] = runs_of([tmp_path])
    assert (run.label, run.point) == ("001_b", "001_b")


def test_one_unreadable_run_is_left_out_and_only_unreadable_ones_are_refused(pipeline, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/config.yaml").write_text("[")
    found, left_out = read_runs(runs_of([pipeline / "before", tmp_path / "bad"]))
    assert [run.label for run in found] == ["before"]
    assert left_out[0].startswith("bad: ")
    with pytest.raises(SggError):
        read_runs(runs_of([tmp_path / "bad"]))


def test_what_was_run_stands_once(runs):
    line = what_was_run(runs)
    assert line.startswith(
        "eval → grpo · tiny_qwen2_vl · jsonl, 30 evaluated images · protocol sgg"
    )
    assert "seed 0" in line


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (560, "9 min"), (8000, "2 h 13 min")])
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_a_card_holds_what_both_runs_found_and_why_not(runs):
    found = evaluated(runs, None)
    first, *_ = shown = list(cards(found.runs, 7))
    assert len(shown) == 7
    before, after = first.index["runs"]
    assert (before["found"], before["failed"] != "", after["found"]) == (0, True, 1)
    assert after["change"] == "fixed"
    assert after["missed"] == ["on"]
    assert first.block["runs"][1]["missed"] == ["“under” ≠ “on”", ""]
    assert first.block["runs"][1]["by"] == [-1, 1]
    assert first.block["runs"][0]["text"] == answer(0, 0)
    assert shown[3].index["id"] == image_id(3)
    assert len(list(cards(found.runs))) == IMAGES


def test_evaluations_by_another_protocol_are_not_compared(pipeline, tmp_path):
    """Their labels are named, and the larger group stays."""
    found = read_runs(runs_of([pipeline]))[0]
    found[0].config.protocol.iou_threshold = 0.3
    result = evaluated(found, None)
    assert len(result.runs) == 1
    assert result.runs[0].comparison is None
    assert len(result.elsewhere) == 1


def test_the_note_says_where_all_runs_are(runs):
    found = evaluated(runs, None).runs
    note = gallery_note(found, found[:1], 7)
    assert f"The first 7 of {IMAGES} images" in note
    assert note.endswith("1 of 2 runs are here; the tables of metrics have all of them.")
    assert "runs are here" not in gallery_note(found, found, 7)


def test_predicates_with_enough_gold_are_called_the_worst(runs):
    rows = predicate_rows([run.scored for run in evaluated(runs, None).runs])
    assert {row.name: (row.gold, row.hits) for row in rows}["on"] == (30, [6, 18])
    few = PredicateRow("rare", "tail", 3, [0])
    many = PredicateRow("left of", "head", 50, [20])
    assert worst([few, many], [[0]]) == [many]
    assert worst([few], [[0]]) == [few]


def test_each_configuration_counts_as_much_in_the_order_of_the_worst_predicates():
    """By run `on` is the worse one, .333 to .500; by configuration `in` is, .425 to .450."""
    on = PredicateRow("on", "head", 50, [0, 10, 40])
    inside = PredicateRow("in", "head", 50, [40, 25, 10])
    assert worst([on, inside], [[0, 1], [2]]) == [inside, on]
    assert worst([on, inside], [[0, 1, 2]]) == [on, inside]


def test_hits_of_a_predicate_are_counted_not_averaged_over_images():
    """Ten of ten in one image, none of one in another: 10 of 11, where the mean over images is .5."""

    def row_of_cups(count):
        names = [(f"cup {i}", (50 * i, 0, 50 * i + 40, 40)) for i in range(count + 1)]
        return scene(names, [(i, "on", i + 1) for i in range(count)])

    many, one = row_of_cups(10), row_of_cups(1)
    nothing = replace(one, edges=())
    scored = scoring.evaluated((many, many), (nothing, one))
    assert [row["R"] for row in scored.predicates] == [0.5]
    [row] = predicate_rows([scored])
    assert (row.gold, row.hits) == (11, [10])
    assert row.recall(0) == pytest.approx(10 / 11)
    of_two = scoring.evaluated(([many, replace(many, edges=many.edges[:5])], many))
    assert predicate_rows([of_two])[0].hits == [7.5], "the mean of ten and five"


def test_the_best_point_of_several_sweeps_is_the_one_that_finds_most(runs):
    """`before` finds .400 and `after` .700; outside of a sweep there is no best one."""
    found = evaluated(runs, None).runs
    assert first_of_points(found).note == ""
    points = [replace(one, run=replace(one.run, point=one.run.label)) for one in found]
    first = first_of_points(points)
    assert first.runs == ["after"]
    assert first.note == "At first: after, the run with the highest triplet recall."
    assert first_of_points(points[:1]).runs == ["before"]


def test_training_samples_are_drawn_beside_their_gold(runs):
    found = training_of(runs[1], None)
    assert [image["id"] for image in found.images] == [image_id(0), image_id(1)]
    steps = found.images[0]["steps"]
    assert [(s["step"], s["found"], s["total"]) for s in steps] == [
        (0, 1, 1),
        (20, 0, 21),
        (40, 2, 41),
    ]
    assert training_of(runs[0], None) is None


def test_a_picture_keeps_to_its_bytes_and_its_size():
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    small = base64.b64decode(jpeg(Image.fromarray(noise), 20_000))
    assert len(small) <= 45_000, "grain of the worst kind, at the lowest quality"
    assert max(Image.open(io.BytesIO(small)).size) == SIDE * 3 // 2
    plain = base64.b64decode(jpeg(Image.new("RGBA", (112, 112))))
    assert Image.open(io.BytesIO(plain)).size == (112, 112)
    assert limit_of(1) == LARGEST
    assert 1000 * limit_of(1000) * 4 / 3 < 45e6


def test_an_overlay_is_in_the_pixels_of_the_shown_picture():
    graph = scene([("a", (0, 0, 50, 100)), ("b", (100, 0, 200, 100))], [(0, "left of", 1)])
    assert shown_size(200, 100) == (SIDE, SIDE // 2)
    found = overlay(graph, 200, 100, [False])
    assert found["b"][1]["p"][:2] == [SIDE // 2, 0]
    [arrow] = found["a"]
    assert (arrow["s"], arrow["o"], arrow["m"], arrow["l"]) == (0, 1, "miss", "left of")
    assert all(0 <= v <= SIDE for v in arrow["p"])
    assert "t" not in arrow, "its label stands on its line"


def test_an_overlay_has_the_lines_of_labels_that_stand_far_from_what_they_name():
    found = overlay(scene([("traffic light", (90, 40, 100, 50))] * 14), 200, 100)
    lines = [box["t"] for box in found["b"] if "t" in box]
    assert lines
    scale = SIDE / 200
    for *_, x, y in lines:
        assert 90 * scale - 1 <= x <= 100 * scale + 1
        assert 40 * scale - 1 <= y <= 50 * scale + 1
