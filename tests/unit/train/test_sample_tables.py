"""When trackers get tables of a training's samples, and what stands in them."""

import json

import pytest

from sgg.config.compose import compose_config
from sgg.config.tracker import TrackerKind
from sgg.data.prepare import prepare
from sgg.models.spec import graph_spec
from sgg.runs.folder import SAMPLES
from sgg.runs.training_samples import SampleKind, TrainingSample, append_samples
from sgg.text.codec import render
from sgg.tracking.open import Trackers
from sgg.train.sample_tables import COLUMNS, ROWS, SampleTables


class Kept:
    def __init__(self):
        self.tables = []

    def table(self, name, columns, rows):
        assert columns == COLUMNS
        self.tables.append((name, rows))


@pytest.fixture
def config(tmp_path):
    words = ["stage=grpo", "data.train.limit=4", "data.eval.limit=4", "tracker=tensorboard"]
    return compose_config([*words, f"paths.cache={tmp_path / 'cache'}"])


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def tables(config, tmp_path, kept):
    return SampleTables(config, tmp_path, Trackers({TrackerKind.tensorboard: kept}))


def first(config, tmp_path, split):
    """Id and gold text of the first image."""
    gold = prepare(config.data, split, tmp_path / "cache", quiet=True).gold(0)
    text = render(gold["graph"], graph_spec(config), gold["width"], gold["height"])
    return gold["image_id"], text


def test_gold_and_completion_are_drawn_beside_each_other(config, tmp_path, kept, tables):
    image_id, text = first(config, tmp_path, "train")
    held_out, _ = first(config, tmp_path, "eval")
    rotating, fixed = SampleKind.rotating, SampleKind.fixed
    append_samples(
        tmp_path,
        [
            TrainingSample(1, held_out, fixed, "no graph"),
            TrainingSample(1, image_id, rotating, "older"),
            TrainingSample(2, image_id, rotating, text, {"format": 1.0, "edge_hard": None}, 2.0),
        ],
    )
    tables.logged(2, steps=10)
    [(name, [row]), (other_name, [other])] = kept.tables
    assert (name, other_name) == ("samples/fixed", "samples/rotating")
    assert (row[0], row[1], *row[4:]) == (1, held_out, "no graph", None, "")
    terms = json.dumps({"format": 1.0, "edge_hard": None})
    assert (other[0], other[1], *other[4:]) == (2, image_id, text, 2.0, terms)
    assert other[2].size == other[3].size
    assert other[2].tobytes() == other[3].tobytes(), "the completion is the gold"
    assert row[2].tobytes() != row[3].tobytes(), "the completion has no graph"
    assert max(row[2].size) <= 640


def test_they_are_due_five_times_and_at_the_end(config, tmp_path, kept, tables):
    image_id, text = first(config, tmp_path, "train")
    due = []
    for step in range(1, 24):
        append_samples(tmp_path, [TrainingSample(step, image_id, SampleKind.rotating, text)])
        before = len(kept.tables)
        for _ in range(2):  # a step that is logged twice, as the last one is
            tables.logged(step, steps=23)
        due += [step] * (len(kept.tables) - before)
    assert due == [1, 6, 11, 16, 21, 23]


def test_a_table_is_short(config, tmp_path, kept, tables):
    image_id, _ = first(config, tmp_path, "train")
    texts = [f"text {n}" for n in range(ROWS + 2)]
    append_samples(
        tmp_path, [TrainingSample(1, image_id, SampleKind.rotating, text) for text in texts]
    )
    tables.logged(1, steps=1)
    [(_, rows)] = kept.tables
    assert [row[4] for row in rows] == texts[:ROWS]


@pytest.mark.parametrize("content", ["[]\n", '{"step": 1, "image_id": "../x"}\n'])
def test_a_damaged_file_costs_the_table_and_is_told(content, tmp_path, kept, tables, caplog):
    (tmp_path / SAMPLES).write_text(content)
    tables.logged(1, steps=1)
    assert kept.tables == []
    assert "step 1: its samples are missing at the tracker" in caplog.text


def test_an_image_that_the_split_does_not_have_costs_the_table(tmp_path, kept, tables, caplog):
    append_samples(tmp_path, [TrainingSample(1, "nowhere", SampleKind.rotating, "")])
    tables.logged(1, steps=1)
    assert kept.tables == []
    assert "no image 'nowhere'" in caplog.text


def test_without_a_tracker_nothing_is_read(config, tmp_path):
    (tmp_path / SAMPLES).write_text("[]\n")
    SampleTables(config, tmp_path, Trackers({})).logged(1, steps=1)
