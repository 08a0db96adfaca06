"""Where the triplets unseen in training come from."""

from __future__ import annotations

import json

import pytest
from data_files import config

from sgg.config.data import ImageSource, VocabularyName
from sgg.config.protocol import ProtocolConfig
from sgg.data.prepare import prepare
from sgg.data.zero_shot import unseen_triplets
from sgg.errors import SggError

BOXES = {"man.1": [10, 10, 50, 60], "dog.2": [40, 30, 90, 70]}


@pytest.fixture
def data(tmp_path):
    """Training shows (man, near, dog); the eval gold that and (dog, near, man)."""
    for name, pairs in (("train", ["man.1"]), ("eval", ["man.1", "dog.2"])):
        other = {"man.1": "dog.2", "dog.2": "man.1"}
        row = {
            "image": "1.png",
            "width": 100,
            "height": 80,
            "objects": [{"id": i, "bbox": b} for i, b in BOXES.items()],
            "relationships": [
                {"subject": s, "predicate": "Near", "object": other[s]} for s in pairs
            ],
        }
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    found = config("jsonl", tmp_path, {"path": "eval.jsonl"}, image_source=ImageSource.painted)
    found.train.path = "train.jsonl"
    return found


def unseen(data, tmp_path, where, **more):
    gold = prepare(data, "eval", tmp_path / "cache", quiet=True)
    protocol = ProtocolConfig(zero_shot=where, **more)
    return unseen_triplets(protocol, data, "eval", tmp_path / "cache", gold)


def test_from_the_training_split(data, tmp_path):
    assert unseen(data, tmp_path, "train") == {("dog", "near", "man")}


def test_a_source_without_a_list_knows_nothing(data, tmp_path):
    assert unseen(data, tmp_path, "source") is None
    assert unseen(data, tmp_path, None) is None


def test_a_file_of_ids(data, tmp_path):
    """VG150 counts objects from 1: 78 is `man`, 37 `dog`, predicate 29 `near`; from 0 they shift."""
    path = tmp_path / "list.json"
    path.write_text("[[78, 37, 29], [999, 1, 1]]")
    data.vocabulary = VocabularyName.vg150
    assert unseen(data, tmp_path, str(path)) == {("man", "near", "dog")}
    shifted = unseen(data, tmp_path, str(path), zero_shot_first_object=0)
    assert shifted == {("men", "near", "door")}


def test_mistakes(data, tmp_path):
    path = tmp_path / "list.json"
    path.write_text('{"a": 1}')
    with pytest.raises(SggError, match=r"need a data\.vocabulary"):
        unseen(data, tmp_path, str(path))
    data.vocabulary = VocabularyName.vg150
    with pytest.raises(SggError, match="no list of"):
        unseen(data, tmp_path, str(path))
