"""What a prepared split gives: the same rows one by one, in blocks, as graphs and as stored."""

import json

import numpy as np
import pytest
from data_files import config, prepared

from sgg.config.data import ScenePlan
from sgg.data import prepared_split
from sgg.data.prepare import image_store
from sgg.scene.graph import from_dict

COUNT = 7
PLAN = ScenePlan(56, 1, 2, 10, 24)


@pytest.fixture
def split(tmp_path):
    return prepared(config("shapes", None, {"limit": COUNT}, shapes=PLAN), tmp_path)


@pytest.mark.parametrize("block", [1, 3, 7, 128])
def test_golds_are_gold_row_by_row(split, block, monkeypatch):
    monkeypatch.setattr(prepared_split, "_AT_ONCE", block)
    one_by_one = [split.gold(index) for index in range(COUNT)]
    assert list(split.golds()) == one_by_one
    assert list(split.golds(range(2, 6))) == one_by_one[2:6]
    assert list(split.golds(range(4, 4))) == []


def test_graphs_and_ids_stand_in_the_splits_order(split):
    golds = [split.gold(index) for index in range(COUNT)]
    assert list(split.graphs()) == [gold["graph"] for gold in golds]
    assert split.image_ids == [gold["image_id"] for gold in golds]
    assert len(set(split.image_ids)) == COUNT
    assert all(graph.nodes for graph in split.graphs())


def test_an_example_is_its_row_with_the_image(split):
    data = config("shapes", None, {"limit": COUNT}, shapes=PLAN)
    store, gold = image_store(data, "eval"), split.gold(3)
    item = split.example(3, store)
    assert (item.image_id, item.graph, item.columns) == (
        gold["image_id"],
        gold["graph"],
        gold["columns"],
    )
    assert item.image.size == (item.width, item.height) == (56, 56)
    np.testing.assert_array_equal(item.image, prepared_split.image_of(gold, store))


def test_stored_gold_is_by_image(split):
    stored = split.stored_gold()
    assert list(stored) == split.image_ids
    gold = split.gold(2)
    width, height, graph = stored[gold["image_id"]]
    assert (width, height, from_dict(json.loads(graph))) == (56, 56, gold["graph"])
