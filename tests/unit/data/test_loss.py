"""Data that is mostly lost: refused when nothing is left, said loudly above a share."""

from __future__ import annotations

import pytest
from data_files import BOXES, NEAR, jsonl_config, line, prepared, raw, write_image, write_lines
from test_box_format import folder_in, sound_either_way

from sgg.config.data import BoxFormat, Duplicates, ImageSource, VocabularyName
from sgg.data.clean import Policy, Report, clean
from sgg.errors import SggError

PAINTED = {"image_source": ImageSource.painted}


def refusal(data, tmp_path):
    with pytest.raises(SggError) as caught:
        prepared(data, tmp_path)
    return str(caught.value)


def inverted(count=6):
    """Two objects an image, both inverted as corners: as x, y, width, height they fit."""
    objects = {"man.1": [60, 50, 20, 20], "man.2": [50, 40, 30, 30]}
    return [line(f"{i}.png", objects, [("man.1", "near", "man.2")]) for i in range(count)]


def test_no_relation_left_is_refused_with_reasons_and_the_way_out(tmp_path):
    data = jsonl_config(write_lines(tmp_path, inverted()), **PAINTED)
    for _ in range(2):  # again from the cache
        message = refusal(data, tmp_path).splitlines()
        assert message == [
            "data.eval: none of 12 objects is left, in 6 images.",
            "  swapped_box: 12 (second corner lies left of the first or above it; object dropped), "
            "first 0, 1, 2",
            "  dangling_relation: 6 (an end is missing or was dropped; relation dropped), first 0, "
            "1, 2",
            "The boxes look like xywh (x, y, width, height): read so, 12 of 12 lie in their image; "
            "as xyxy (x1, y1, x2, y2), 0 do. If they are, set data.box_format=xywh.",
        ]
    data.box_format = BoxFormat.xywh
    assert prepared(data, tmp_path).report["kept"] == {"images": 6, "objects": 12, "relations": 6}


def test_objects_without_relations_are_no_loss_but_relations_without_objects_are(tmp_path):
    """Gold without any relation passes; gold that had some and kept none does not."""
    root = write_lines(tmp_path / "plain", [line("a.png", BOXES), line("b.png", BOXES)])
    assert prepared(jsonl_config(root, **PAINTED), tmp_path).warnings == ()
    rows = [line("a.png", BOXES, [("man.1", "near", "cat.9")]), line("b.png", BOXES)]
    root = write_lines(tmp_path / "lost", rows)
    message = refusal(jsonl_config(root, **PAINTED), tmp_path)
    assert message.startswith("data.eval: none of 1 relations is left, in 2 images.\n  dangling")


def test_everything_outside_the_vocabulary_names_the_keys(tmp_path):
    root = write_lines(tmp_path, [line("a.png", {"gizmo.1": BOXES["man.1"]})])
    values = {"vocabulary": VocabularyName.vg150, "drop_unknown": True, **PAINTED}
    message = prepared(jsonl_config(root, **values), tmp_path).refusal
    assert "none of 1 objects is left" in message
    assert "data.drop_unknown=true drops what data.vocabulary=vg150 lacks" in message


def test_missing_images_never_ask_for_a_key_that_is_set(tmp_path):
    root = write_lines(tmp_path, [line("a.png", BOXES, NEAR)])
    assert "Set data.image_folder to the folder of the images" in refusal(
        jsonl_config(root), tmp_path
    )
    (tmp_path / "pictures").mkdir()
    message = refusal(jsonl_config(root, image_folder=str(tmp_path / "pictures")), tmp_path)
    assert "Set data.image_folder" not in message
    assert f"Put the images below data.image_folder={tmp_path}/pictures" in message


def some_lost(tmp_path, lost, count=10):
    """Images of which the first few have no image."""
    rows = [line(f"{i}.png", BOXES, NEAR) for i in range(count)]
    for i in range(lost, count):
        write_image(tmp_path / f"{i}.png")
    return prepared(jsonl_config(write_lines(tmp_path, rows)), tmp_path)


def test_a_fifth_may_be_lost_quietly_and_more_not(tmp_path):
    assert some_lost(tmp_path / "quiet", 2).warnings == ()
    images, objects, relations = some_lost(tmp_path / "loud", 3).warnings
    assert images == (
        "data.eval: 3 of 10 images were lost (30%). no_image: 3 (its file is missing; image dropped), "
        "first 0, 1, 2."
    )
    assert objects.startswith("data.eval: 6 of 20 objects were lost (30%)")
    assert relations.startswith("data.eval: 3 of 10 relations were lost (30%)")


def test_what_the_config_sets_aside_is_no_loss(tmp_path):
    """Repeated relations and images of few relations; kept ones are none either."""
    rows = [line("a.png", BOXES, NEAR * 4), line("b.png", BOXES), line("c.png", BOXES)]
    root = write_lines(tmp_path, rows)
    for more in ({"min_relations": 1}, {"duplicates": Duplicates.keep}, {}):
        assert prepared(jsonl_config(root, **PAINTED, **more), tmp_path).warnings == ()


def test_what_was_lost_before_an_image_was_set_aside_is_a_loss():
    report = Report()
    example = raw(
        [("man.1", "man", BOXES["man.1"]), ("dog.2", "dog", (5, 5, 5, 5))],
        [("man.1", "near", "dog.2")],
    )
    assert clean(example, Policy(min_relations=1), report) is None
    assert report.set_aside == {"images": 1, "objects": 1, "relations": 0}
    assert report.read == {"images": 1, "objects": 2, "relations": 1}


def test_boxes_that_are_sound_either_way_are_a_warning(tmp_path):
    boxes = list(sound_either_way(12))
    rows = [
        line(f"{i}.png", {"man.1": boxes[2 * i], "man.2": boxes[2 * i + 1]}, size=(640, 480))
        for i in range(6)
    ]
    result = prepared(jsonl_config(write_lines(tmp_path, rows), **PAINTED), tmp_path)
    assert result.report["issues"] == {}
    (warning,) = result.warnings
    assert warning.startswith("data.eval: The boxes look like xywh")
    assert warning.endswith("set data.box_format=xywh.")


def test_corners_read_as_sizes_are_a_warning(tmp_path):
    root = folder_in(tmp_path, BoxFormat.xyxy)
    result = prepared(jsonl_config(root, box_format=BoxFormat.xywh, **PAINTED), tmp_path)
    assert any("data.box_format=xyxy" in w for w in result.warnings)


def test_a_loss_names_only_what_costs_that(tmp_path):
    """Bad boxes cost objects and their relations, never an image."""
    rows = [line(f"{i}.png", BOXES | {"bad.9": [0, 0, "x", 1]}, NEAR) for i in range(6)]
    for i in range(3):
        write_image(tmp_path / f"{i}.png")
    images, objects, relations = prepared(
        jsonl_config(write_lines(tmp_path, rows)), tmp_path
    ).warnings
    assert "no_image: 3" in images
    assert "bad_box" not in images + relations
    assert "no_image: 3" in objects
    assert "bad_box: 3" in objects
    assert "no_image: 3" in relations
