"""report.html marks as hits what the protocol counts as hits, and what metrics.json counts."""

from __future__ import annotations

import errno
import json
import re

import pytest
from PIL import Image

from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.evaluation.predictions import read_predictions
from sgg.report.page import write_report
from sgg.runs.folder import COMPLETIONS

PERSON, DOG = {"id": "person.1", "bbox": [0, 0, 10, 10]}, {"id": "dog.2", "bbox": [20, 20, 40, 40]}
FLAT = {"id": "person.1", "bbox": [0, 0, 10, 4.6]}
"""IoU .46 with the gold box; .509 where a box's sides count one pixel more."""
ON = {"subject": "person.1", "predicate": "on", "object": "dog.2"}
NEAR = {"subject": "person.1", "predicate": "near", "object": "dog.2"}


@pytest.fixture
def gallery(tmp_path):
    """Marks of the gallery: of the gold relations and of the prediction's."""
    root, run_dir = tmp_path / "set", tmp_path / "run"
    root.mkdir()
    run_dir.mkdir()
    Image.new("RGB", (100, 80)).save(root / "a.png")

    def drawn(gold, objects, relations, *words):
        row = {"image": "a.png", "objects": [PERSON, DOG], "relationships": gold}
        (root / "annotations.jsonl").write_text(json.dumps(row))
        said = {"image_id": "a", "index": 0, "objects": objects, "relationships": relations}
        (run_dir / COMPLETIONS).write_text(json.dumps(said) + "\n")
        config = compose_config(
            [
                *("stage=eval", "data=jsonl", f"data.root={root}", f"paths.cache={tmp_path}/cache"),
                *("data.duplicates=keep", f"paths.run_dir={run_dir}", *words),
            ]
        )
        write_frozen(config, run_dir / FROZEN_NAME)
        page = write_report([run_dir]).read_text()
        block = json.loads(re.search(r'id="image-0">(.*?)</script>', page)[1])
        [pred] = block["runs"]
        arrows = [arrow["m"] for arrow in pred["graph"]["a"]]
        partners = [["hit" if i >= 0 else "miss" for i in pred[side]] for side in ("by", "of")]
        reasons = [["miss" if why else "hit" for why in pred[side]] for side in ("missed", "wrong")]
        assert partners == reasons
        assert arrows == partners[1]
        return partners

    return drawn


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        ([], "miss"),
        (["protocol.iou_threshold=0.4"], "hit"),
        (["protocol.box_area=plus_one"], "hit"),
        (["protocol.box_area=plus_one", "protocol.iou_threshold=0.51"], "miss"),
    ],
)
def test_a_hit_has_the_protocols_overlap(gallery, words, mark):
    assert gallery([ON], [FLAT, DOG], [ON], *words) == [[mark], [mark]]


@pytest.mark.parametrize(
    ("words", "found", "right"),
    [
        ([], ["miss"], ["miss", "miss"]),
        (["protocol.graph_constraint=false"], ["hit"], ["miss", "hit"]),
    ],
)
def test_a_pairs_second_predicate_counts_where_the_protocol_counts_it(gallery, words, found, right):
    assert gallery([NEAR], [PERSON, DOG], [ON, NEAR], *words) == [found, right]


def test_completions_are_not_read_through_a_link(gallery, tmp_path):
    """Neither by the report nor by a tool that is given the folder; a link that is named itself is read."""
    gallery([ON], [FLAT, DOG], [ON])
    run_dir, elsewhere = tmp_path / "run", tmp_path / "elsewhere.jsonl"
    (run_dir / COMPLETIONS).rename(elsewhere)
    (run_dir / COMPLETIONS).symlink_to(elsewhere)
    page = write_report([run_dir]).read_text()
    assert "Left out: " in page
    assert "a symbolic link to" in page
    assert 'id="image-0"' not in page
    with pytest.raises(OSError, match="a symbolic link to") as error:
        read_predictions(run_dir)
    assert error.value.errno == errno.ELOOP
    assert read_predictions(run_dir / COMPLETIONS).by_image.keys() == {"a"}
