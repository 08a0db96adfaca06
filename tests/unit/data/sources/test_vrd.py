"""VRD: boxes [y1, y2, x1, x2], objects repeated in each relation, sizes from the detections."""

from __future__ import annotations

import pytest
from data_files import config, prepared, triplets, write_image, write_json

from sgg.config.data import ImageSource
from sgg.errors import SggError

MAN, DOG, TREE = (
    {"category": 0, "bbox": [10, 60, 20, 50]},
    {"category": 1, "bbox": [30, 70, 40, 90]},
    {"category": 2, "bbox": [0, 80, 0, 100]},
)
OTHER_DOG = DOG | {"bbox": [31, 70, 40, 90]}


def relation(subject, predicate, obj):
    return {"subject": subject, "predicate": predicate, "object": obj}


def vrd(root, relations, split="val", **values):
    images = [{"file_name": n, "width": 100, "height": 80, "id": 1} for n in ("1.jpg", "2.jpg")]
    write_json(root / f"new_annotations_{split}.json", relations)
    write_json(root / f"detections_{split}.json", {"images": [*images, {"id": 3}]})
    write_json(root / "objects.json", ["person", "dog", "tree"])
    write_json(root / "predicates.json", ["on", "next to"])
    return config("vrd", root, {"name": split}, **({"image_source": ImageSource.painted} | values))


def test_boxes_and_objects(tmp_path):
    rows = [
        relation(MAN, 1, DOG),
        relation(DOG, 1, MAN),
        relation(MAN, 0, TREE),
        relation(OTHER_DOG, 0, TREE),
    ]
    result = prepared(vrd(tmp_path, {"1.jpg": rows}), tmp_path)
    gold = result.gold(0)
    assert (gold["image_id"], gold["width"], gold["height"]) == ("1", 100, 80)
    assert [(n.name, n.box) for n in gold["graph"].nodes] == [
        ("person", (20, 10, 50, 60)),
        ("dog", (40, 30, 90, 70)),
        ("tree", (0, 0, 100, 80)),
        ("dog", (40, 31, 90, 70)),
    ]
    edges = [(e.subject, e.object) for e in gold["graph"].edges]
    assert edges == [(0, 1), (1, 0), (0, 2), (3, 2)]
    assert triplets(gold["graph"])[:2] == [
        ("person", "next to", "dog"),
        ("dog", "next to", "person"),
    ]
    assert result.report["issues"] == {}


@pytest.mark.parametrize(
    ("value", "issues"),
    [(True, {"bad_box": 1, "dangling_relation": 1}), ("10", {"text_box": 1})],
)
def test_what_python_takes_for_a_number_is_counted(tmp_path, value, issues):
    odd = relation(MAN, 1, DOG | {"bbox": [value, 70, 40, 90]})
    report = prepared(vrd(tmp_path, {"1.jpg": [relation(MAN, 1, DOG), odd]}), tmp_path).report
    assert report["issues"] == issues


def test_splits_are_files(tmp_path):
    data = vrd(tmp_path, {"1.jpg": []}, "train")
    vrd(tmp_path, {"2.jpg": []}, "val")
    assert prepared(data, tmp_path).rows["image_id"] == ["1"]
    data.eval.name = None  # train is what nobody names
    assert prepared(data, tmp_path).rows["image_id"] == ["1"]
    data.eval.name = "test"
    with pytest.raises(SggError, match=r"data\.root=.*found none of new_annotations_test\.json"):
        prepared(data, tmp_path)


def test_images(tmp_path):
    write_image(tmp_path / "1.jpg")
    data = vrd(tmp_path, {"1.jpg": [], "2.jpg": []}, image_source=ImageSource.files)
    result = prepared(data, tmp_path)
    assert result.rows["image_id"] == ["1"]
    assert result.report["issues"] == {"no_image": 1}


@pytest.mark.parametrize(
    ("name", "rows", "reason"),
    [
        ("unsized.jpg", [], '"images" of detections_val.json has no "unsized.jpg"'),
        ("2.jpg", [relation(MAN | {"category": 3}, 0, DOG)], "no name has the id 3"),
        ("2.jpg", [relation(MAN | {"category": -1}, 0, DOG)], "no name has the id -1"),
        ("2.jpg", [relation(MAN, 2, DOG)], "no name has the id 2"),
        ("2.jpg", [relation(MAN, -1, DOG)], "no name has the id -1"),
        ("2.jpg", [relation(MAN | {"category": True}, 0, DOG)], "no name has the id True"),
        ("2.jpg", [relation(MAN, False, DOG)], "no name has the id False"),
        (
            "2.jpg",
            [{"subj": MAN, "predicate": 0, "object": DOG}],
            '[0] has no "subject"; rename its "subj" to "subject", in new_annotations_val.json)',
        ),
        (
            "2.jpg",
            [{"subject": MAN, "relation": 0, "object": DOG}],
            '[0] has no "predicate"; rename its "relation" to "predicate"',
        ),
        (
            "2.jpg",
            [relation({"box": MAN["bbox"], "category": 0}, 0, DOG)],
            '[0].subject has no "bbox"; rename its "box" to "bbox"',
        ),
        (
            "2.jpg",
            [relation(MAN, 0, {"bbox": DOG["bbox"], "label": 1})],
            '[0].object has no "category"; rename its "label" to "category"',
        ),
        ("2.jpg", None, "TypeError"),
    ],
)
def test_rows_of_another_form(tmp_path, name, rows, reason):
    result = prepared(vrd(tmp_path, {"1.jpg": [], name: rows}), tmp_path)
    assert result.rows["image_id"] == ["1"]
    assert result.report["shown"]["unreadable_row"][0].startswith(f"{name} ({reason}")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("new_annotations_val.json", [], "a JSON object"),
        ("detections_val.json", [], "a JSON object"),
        ("objects.json", {"0": "person"}, "a JSON array"),
        ("predicates.json", {}, "a JSON array"),
    ],
)
def test_files_of_another_form(tmp_path, file, content, words):
    data = vrd(tmp_path, {"1.jpg": []})
    write_json(tmp_path / file, content)
    with pytest.raises(SggError, match=rf"^data\.root: .*{file} has not VRD's form \({words}\)"):
        prepared(data, tmp_path)


@pytest.mark.parametrize("name", [None, 7, "7", {"name": "dog"}])
def test_what_is_no_name_names_nothing(tmp_path, name):
    rows = [relation(MAN, 0, TREE), relation(MAN, 1, TREE), relation(DOG, 0, TREE)]
    data = vrd(tmp_path, {"1.jpg": rows})
    write_json(tmp_path / "objects.json", ["person", name, "tree"])
    write_json(tmp_path / "predicates.json", ["on", name])
    result = prepared(data, tmp_path)
    assert triplets(result.gold(0)["graph"]) == [("person", "on", "tree")]
    assert result.report["issues"] == {"no_class": 1, "no_predicate": 1, "dangling_relation": 1}
