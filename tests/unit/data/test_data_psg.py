"""OpenPSG's psg.json: xyxy boxes, classes from 0 over things then stuff, splits by id list."""

from __future__ import annotations

import pytest
from data_files import config, picture, prepared, triplets, write_json

from sgg.errors import SggError
from sgg.options import Pictures


def row(image_id, categories=(1, 2), relations=((0, 1, 0),), file="train2017/1.jpg", **more):
    boxes = [[10.5, 10, 50, 60], [0, 0, 100, 80], [5, 5, 9, 9]]
    return {
        "image_id": image_id,
        "file_name": file,
        "width": 100,
        "height": 80,
        "annotations": [
            {"bbox": box, "category_id": c} for box, c in zip(boxes, categories, strict=False)
        ],
        "relations": [list(r) for r in relations],
        **more,
    }


def psg_folder(root, rows, test=("2",), **more):
    content = {
        "data": rows,
        "test_image_ids": list(test),
        "thing_classes": ["person", "dog"],
        "stuff_classes": ["sky-other-merged"],
        "predicate_classes": ["over", "beside"],
    }
    write_json(root / "psg.json", content | more)
    return root


def psg_config(root, split=None, **values):
    return config("psg", root, {"name": split}, **({"pictures": Pictures.painted} | values))


def test_boxes_classes_and_relations(tmp_path):
    rows = [row("1", (1, 2, 0), [(0, 1, 0), (2, 0, 1)])]
    result = prepared(psg_config(psg_folder(tmp_path, rows)), tmp_path)
    graph = result.gold(0)["graph"]
    assert [(n.name, n.box) for n in graph.nodes] == [
        ("dog", (10.5, 10, 50, 60)),
        ("sky-other-merged", (0, 0, 100, 80)),
        ("person", (5, 5, 9, 9)),
    ]
    assert triplets(graph) == [("dog", "over", "sky-other-merged"), ("person", "beside", "dog")]


@pytest.mark.parametrize(
    ("split", "ids"), [("train", ["1", "3"]), ("test", ["2"]), (None, ["1", "2", "3"])]
)
@pytest.mark.parametrize("listed", ["2", 2])
@pytest.mark.parametrize("written", [str, int])
def test_splits(tmp_path, split, ids, listed, written):
    """Numbers and text of the same digits are the same id: test images must not reach training."""
    folder = psg_folder(tmp_path, [row(written(i)) for i in (1, 2, 3)], [listed])
    assert prepared(psg_config(folder, split), tmp_path).rows["image_id"] == ids


def test_names_of_pictures_lie_below_the_coco_folder(tmp_path):
    rows = [row("1"), row("2", file="val2017/2.jpg"), row("3", file="val2017/3.jpg")]
    psg_folder(tmp_path / "psg", rows)
    picture(tmp_path / "coco" / "train2017" / "1.jpg")
    picture(tmp_path / "coco" / "val2017" / "2.jpg", (80, 100))
    images = str(tmp_path / "coco")
    data = psg_config(tmp_path / "psg", images=images, pictures=Pictures.files)
    result = prepared(data, tmp_path)
    assert result.rows["image_id"] == ["1"]
    assert result.report["amiss"] == {"wrong_size": 1, "no_image": 1}


@pytest.mark.parametrize(
    ("bad", "image_id", "reason"),
    [
        (row("9", (3, 0)), "9", "IndexError"),
        (row("9", (-1, 0)), "9", "IndexError"),
        (row("9", relations=[(0, 1, 2)]), "9", "IndexError"),
        (row("9", relations=[(0, 1, -1)]), "9", "IndexError"),
        (row("9", relations=[(0, 1)]), "9", "ValueError"),
        (row("9", width=None), "9", "TypeError"),
        (["no", "row"], "#1", "TypeError"),
    ],
)
def test_rows_of_another_form(tmp_path, bad, image_id, reason):
    result = prepared(psg_config(psg_folder(tmp_path, [row("1"), bad]), "train"), tmp_path)
    assert result.report["amiss"] == {"unreadable_row": 1}
    assert result.report["shown"]["unreadable_row"][0].startswith(f"{image_id} ({reason}")


def test_ends_past_the_annotations_are_dangling(tmp_path):
    rows = [row("1", relations=[(0, 1, 0), (0, 2, 0), (-1, 0, 0)])]
    result = prepared(psg_config(psg_folder(tmp_path, rows)), tmp_path)
    assert result.report["amiss"] == {"dangling_relation": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"data": []}, "has no predicate_classes, stuff_classes, thing_classes"),
        ([], "has no data, predicate_classes"),
    ],
)
def test_files_of_another_form(tmp_path, content, words):
    write_json(tmp_path / "psg.json", content)
    with pytest.raises(SggError, match=rf"^data\.root: .*psg\.json {words}"):
        prepared(psg_config(tmp_path), tmp_path)


def test_an_unknown_split(tmp_path):
    with pytest.raises(SggError, match=r"split name val: psg\.json has train and test"):
        prepared(psg_config(psg_folder(tmp_path, [row("1")]), "val"), tmp_path)
