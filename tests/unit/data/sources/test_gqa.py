"""GQA scene graphs: boxes x, y, w, h; relations under the objects."""

from __future__ import annotations

import pytest
from data_files import config, prepared, triplets, write_image, write_json

from sgg.config.data import ImageSource
from sgg.errors import SggError


def item(name, xywh, *relations):
    return {
        "name": name,
        **dict(zip("xywh", xywh, strict=True)),
        "attributes": ["black"],
        "relations": [{"name": r, "object": o} for r, o in relations],
    }


SCENE = {
    "width": 100,
    "height": 80,
    "objects": {
        "71": item("zebra", (10, 20, 30, 40), ("on", "72"), ("near", "71")),
        "72": item("grass", (0, 50, 100, 30), ("under", 71), ("left of", "99")),
    },
}


def gqa(root, content, images=None, **values):
    write_json(root / "train.json", content)
    if images is None:
        values = {"image_source": ImageSource.painted} | values
    return config("gqa", root, {"path": "train.json"}, image_folder=images, **values)


def test_boxes_relations_and_ids(tmp_path):
    result = prepared(gqa(tmp_path, {"2331146": SCENE}), tmp_path)
    gold = result.gold(0)
    assert (gold["image_id"], gold["width"], gold["height"]) == ("2331146", 100, 80)
    assert [(n.name, n.box) for n in gold["graph"].nodes] == [
        ("zebra", (10, 20, 40, 60)),
        ("grass", (0, 50, 100, 80)),
    ]
    assert triplets(gold["graph"]) == [
        ("zebra", "on", "grass"),
        ("zebra", "near", "zebra"),
        ("grass", "under", "zebra"),
    ]
    assert result.report["issues"] == {"dangling_relation": 1, "self_relation": 1}


def test_images(tmp_path):
    write_image(tmp_path / "images" / "1.jpg")
    data = gqa(tmp_path, {"1": SCENE, "2": SCENE}, images=str(tmp_path / "images"))
    result = prepared(data, tmp_path)
    assert result.rows["image_ref"] == [f"file:{tmp_path}/images/1.jpg"]
    assert result.report["issues"] == {"no_image": 1, "dangling_relation": 1, "self_relation": 1}


@pytest.mark.parametrize(
    ("value", "issues"),
    [(True, {"bad_box": 1, "dangling_relation": 1}), ("10", {"text_box": 1})],
)
def test_what_python_takes_for_a_number_is_counted(tmp_path, value, issues):
    def scene(x):
        grass = item("grass", (0, 0, 9, 9))
        return SCENE | {"objects": {"71": item("zebra", (x, 0, 9, 9), ("on", "72")), "72": grass}}

    report = prepared(gqa(tmp_path, {"1": scene(10), "2": scene(value)}), tmp_path).report
    assert report["issues"] == issues


BOX = {"x": 1, "y": 1, "w": 9, "h": 9, "name": "zebra"}


def test_a_file_of_another_form_says_which_form_is_read(tmp_path):
    with pytest.raises(SggError) as error:
        prepared(gqa(tmp_path, {"1": {"nodes": {}}}), tmp_path)
    told = str(error.value)
    assert 'rename its "nodes" to "objects", in train.json' in told
    assert 'data.source=gqa reads {IMAGE_ID: {"width", "height", "objects": {ID: ' in told


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (None, "the image is null, not a JSON object, in "),
        (SCENE | {"objects": []}, "AttributeError"),
        (SCENE | {"width": "x"}, "ValueError"),
        ({"objects": {}}, 'the image has no "width"; it has objects, in train.json)'),
        (
            {"nodes": {}, "width": 9, "height": 9},
            'the image has no "objects"; rename its "nodes" to "objects", in ',
        ),
        (
            SCENE | {"objects": {"1": {"name": "zebra"}}},
            'objects["1"] has no "x"; it has name, in ',
        ),
        (
            SCENE | {"objects": {"1": {"left": 1, "y": 1, "w": 9, "h": 9, "name": "zebra"}}},
            'objects["1"] has no "x"; rename its "left" to "x", in ',
        ),
        (
            SCENE | {"objects": {"1": {"x": 1, "y": 1, "w": 9, "h": 9, "label": "zebra"}}},
            'objects["1"] has no "name"; rename its "label" to "name", in ',
        ),
        (
            SCENE | {"objects": {"1": BOX | {"relations": [{"name": "on", "target": "1"}]}}},
            'objects["1"].relations[0] has no "object"; rename its "target" to "object", in ',
        ),
        (SCENE | {"width": True}, "ValueError: True is no number of pixels"),
    ],
)
def test_scenes_of_another_form(tmp_path, scene, reason):
    result = prepared(gqa(tmp_path, {"1": SCENE, "bad": scene}), tmp_path)
    assert result.rows["image_id"] == ["1"]
    assert result.report["shown"]["unreadable_row"][0].startswith(f"bad ({reason}")


def test_files_of_another_form(tmp_path):
    with pytest.raises(
        SggError, match=r"^data\.eval\.path: .*train\.json is no GQA scene-graph file"
    ):
        prepared(gqa(tmp_path, [SCENE]), tmp_path)


def test_the_file_is_needed(tmp_path):
    data = gqa(tmp_path, {})
    data.eval.path = None
    with pytest.raises(SggError, match=r"data\.eval\.path must be given: the annotation file"):
        prepared(data, tmp_path)
    data.eval.path = "val.json"
    with pytest.raises(
        SggError, match=r"data\.eval\.path: no file .*val\.json.*has: .*train\.json"
    ):
        prepared(data, tmp_path)
