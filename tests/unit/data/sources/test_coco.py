"""COCO-style annotations with relations, in every form that files have."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from data_files import config, prepared, triplets, write_image, write_json

from sgg.config.data import BoxFormat, ImageSource
from sgg.data.prepare import image_store
from sgg.data.prepared_split import example
from sgg.errors import SggError

CATEGORIES = [{"id": 1, "name": "man"}, {"id": 3, "name": "dog", "supercategory": "animal"}]
ANNOTATIONS = [
    {
        "id": 11,
        "image_id": 7,
        "category_id": 1,
        "bbox": [10, 10, 40, 50],
        "iscrowd": 0,
        "area": 2000,
    },
    {
        "id": 12,
        "image_id": 7,
        "category_id": 3,
        "bbox": [40, 30, 50, 40],
        "segmentation": [[1, 2, 3, 4]],
    },
    {"id": 21, "image_id": 8, "category_id": 3, "bbox": [0.5, 1, 9.5, 20]},
]
LAST = ANNOTATIONS[-1]
IMAGES = [
    {"id": 7, "file_name": "a.png", "width": 100, "height": 80},
    {"id": 8, "file_name": "b.png", "width": 100, "height": 80},
    {"id": 9, "file_name": "c.png", "width": 100, "height": 80},
]
PREDICATES = ["near", "holding"]
MAN, DOG = ("man", (10, 10, 50, 60)), ("dog", (40, 30, 90, 70))


def coco(**more):
    """A file's content; no relations unless given."""
    return {"images": IMAGES, "annotations": ANNOTATIONS, "categories": CATEGORIES, **more}


def relation(subject=11, predicate="near", obj=12, **more):
    return {"subject_id": subject, "object_id": obj, "predicate": predicate, **more}


def data_of(root, split=None, **values):
    values = {"image_source": ImageSource.painted, "box_format": BoxFormat.xywh, **values}
    return config("coco", root, {"name": "val", **(split or {})}, **values)


def read(tmp_path, content, split=None, **values):
    """The prepared split of a folder that holds only this file."""
    write_json(tmp_path / "set" / "val.json", content)
    return prepared(data_of(tmp_path / "set", split, **values), tmp_path)


def stated(result):
    return {r["image_id"]: triplets(result.gold(i)["graph"]) for i, r in enumerate(result.rows)}


def refused(tmp_path, content, **values):
    with pytest.raises(SggError) as caught:
        read(tmp_path, content, **values)
    return str(caught.value)


def test_images_boxes_and_classes(tmp_path):
    result = read(tmp_path, coco(relationships=[relation()]))
    assert result.report["issues"] == {}
    assert result.warnings == ()
    assert [(r["image_id"], r["width"], r["height"]) for r in result.rows] == [
        (i, 100, 80) for i in ("7", "8", "9")
    ]
    graphs = [result.gold(i)["graph"] for i in range(3)]
    assert [(n.name, n.box) for n in graphs[0].nodes] == [MAN, DOG]
    assert [(n.name, n.box) for n in graphs[1].nodes] == [("dog", (0.5, 1, 10, 21))]
    assert graphs[2].nodes == ()  # an image without annotations is one
    assert stated(result) == {"7": [("man", "near", "dog")], "8": [], "9": []}


NUMBERED = [{"id": 5, "name": "near"}, {"id": 6, "name": "holding"}]


@pytest.mark.parametrize(
    "more",
    [
        {"relationships": [relation()]},
        {"relations": [relation(image_id=7, id=0)]},
        {"rel_annotations": [relation(11, 5, 12)], "rel_categories": NUMBERED},
        {"rel_annotations": [relation(11, 0, 12)], "rel_categories": PREDICATES},
        {"relations": [relation(11, "0", 12)], "predicates": PREDICATES},
        {"relations": [relation("11", 6, "12")], "predicates": {"6": "near"}},
        {"relations": [relation(11, 6, 12)], "predicate_categories": {"near": 6}},
        {
            "relationships": [{"subject": 11, "object": 12, "predicate_id": 0}],
            "predicates": PREDICATES,
        },
        {"relationships": [{"sub_id": 11, "obj_id": 12, "name": "near"}]},
        {
            "relations": [
                {"subject_id": 11, "object_id": 12, "predicate": {"id": 1, "name": "near"}}
            ]
        },
        {"relations": [], "relationships": [relation()]},
        {"images": [IMAGES[0] | {"relations": [[0, 1, 0]]}, *IMAGES[1:]], "predicates": PREDICATES},
        {"images": [IMAGES[0] | {"relationships": [relation()]}, *IMAGES[1:]]},
        {"images": [IMAGES[0] | {"relations": [[0, 1, "near"]]}, *IMAGES[1:]]},
    ],
    ids=lambda more: re.sub(r"[^a-z_]+", " ", str(sorted(more)))[:60],
)
def test_every_form_of_a_relation(tmp_path, more):
    result = read(tmp_path, coco(**more))
    assert stated(result) == {"7": [("man", "near", "dog")], "8": [], "9": []}
    assert result.report["issues"] == {}
    assert result.warnings == ()


# -------------------------------------------------------------------------------------- rel.json


def reltr(root, rel, name="val.json", **more):
    """The layout of RelTR and EGTR: the boxes of a split, and the relations of all of them."""
    write_json(root / name, coco(**more))
    write_json(root / "rel.json", rel)
    return root


REL = {
    "train": {"1": [[0, 0, 1]]},
    "val": {"7": [[0, 1, 1], [1, 0, 2]], "8": []},
    "test": {},
    "rel_categories": ["__background__", *PREDICATES],
}


def test_relations_beside_the_boxes_count_the_annotations_of_their_image(tmp_path):
    result = prepared(data_of(reltr(tmp_path / "set", REL)), tmp_path)
    both = [("man", "near", "dog"), ("dog", "holding", "man")]
    assert stated(result) == {"7": both, "8": [], "9": []}
    assert result.report["issues"] == {}


@pytest.mark.parametrize("key", ["valid", "validation"])
@pytest.mark.parametrize("pack", [False, True])
def test_other_names_of_the_split_and_packed_files(tmp_path, key, pack):
    rel = {key if k == "val" else k: v for k, v in REL.items()}
    root = reltr(tmp_path / "set", rel)
    for file in root.iterdir() if pack else ():
        with gzip.open(f"{file}.gz", "wt") as packed:
            packed.write(file.read_text())
        file.unlink()
    assert stated(prepared(data_of(root), tmp_path))["7"][0] == ("man", "near", "dog")


def test_the_file_says_which_split_of_rel_json_is_its(tmp_path):
    """data.eval.name is what chooses a file; a file that is named is its own split's."""
    root = reltr(tmp_path / "set", REL, "instances_val2017.json")
    data = data_of(root, {"path": "instances_val2017.json", "name": "test"})
    assert stated(prepared(data, tmp_path))["7"][0] == ("man", "near", "dog")


def test_crowds_are_left_out_and_not_counted(tmp_path):
    crowd = {"id": 10, "image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 80], "iscrowd": 1}
    root = reltr(tmp_path / "set", REL, annotations=[crowd, *ANNOTATIONS])
    result = prepared(data_of(root), tmp_path)
    assert stated(result)["7"] == [("man", "near", "dog"), ("dog", "holding", "man")]
    assert result.report["issues"] == {"crowd": 1}
    lost = coco(annotations=[crowd, *ANNOTATIONS], relations=[relation(), relation(10)])
    assert read(tmp_path / "by id", lost).report["issues"] == {"crowd": 1, "dangling_relation": 1}


@pytest.mark.parametrize(
    ("rel", "words"),
    [
        ({"train": {"7": []}, "rel_categories": []}, "it has no split val; it has train"),
        (REL | {"val": {"70": [[0, 1, 1]]}}, "no image of its split val is in the annotation file"),
        ([], "it is no JSON object"),
        (
            REL | {"val": {"7": [[0, 1, 1]]}, "rel_categories": []},
            "such as 1, but there is no list",
        ),
    ],
)
def test_a_rel_json_that_does_not_belong(tmp_path, rel, words):
    with pytest.raises(SggError, match=rf"^data\.eval\.path: .*rel\.json .*{words}"):
        prepared(data_of(reltr(tmp_path / "set", rel)), tmp_path)


# --------------------------------------------------------------------------- what is wrong is counted


@pytest.mark.parametrize(
    ("more", "issues", "shown"),
    [
        ({"relations": [relation(), relation(11, "on", 99)]}, "dangling_relation", "7"),
        ({"relations": [relation(), relation(11, "on", 21)]}, "dangling_relation", "7"),  # in image 8
        ({"relations": [relation(), relation(98, "on", 99, image_id=8)]}, "dangling_relation", "8"),
        ({"relations": [relation(), {"image_id": 8}]}, "no_predicate", "8 (predicate None)"),
        (
            {"relations": [relation(11, 0), relation(11, 2)], "predicates": ["near", "on"]},
            "no_predicate",
            "7 (predicate 2)",
        ),
        (
            {"relations": [relation(11, 1), relation(11, 0)], "predicates": ["no_relation", "near"]},
            "no_predicate",
            "7 (predicate 0)",
        ),
        (
            {"relations": [relation(11, 0), relation(11, True)], "predicates": ["near", "on"]},
            "no_predicate",
            "7 (predicate True)",
        ),
        (
            {"relations": [relation()], "annotations": [*ANNOTATIONS, LAST | {"id": 3, "category_id": 2}]},
            "no_class",
            "8 (category_id 2)",
        ),
        (
            {"relations": [relation()], "annotations": [*ANNOTATIONS, LAST | {"id": 3, "bbox": [1, 2]}]},
            "bad_box",
            "8",
        ),
        ({"relations": [relation()], "annotations": [*ANNOTATIONS, LAST]}, "duplicate_id", "8"),
        ({"relations": [relation()], "images": [*IMAGES, IMAGES[2]]}, "duplicate_image", "9"),
        ({"relations": [relation()], "images": [*IMAGES, {"id": 5}]}, "unreadable_row", "5 ("),
        (
            {"relations": [relation()], "images": [*IMAGES, {"id": 5, "file_name": "d.png"}]},
            "bad_size",
            "5",
        ),
    ],
)  # fmt: skip
def test_what_is_amiss_costs_itself_and_is_counted(tmp_path, more, issues, shown):
    result = read(tmp_path, coco(**more))
    assert stated(result)["7"] == [("man", "near", "dog")]
    assert result.report["issues"] == {issues: 1}
    assert result.report["shown"][issues][0].startswith(shown)


def test_relations_of_no_image_are_counted_and_said(tmp_path):
    result = read(
        tmp_path, coco(relations=[relation(), relation(98, "on", 99), relation(image_id=70)])
    )
    assert result.report["read"]["relations"] == 3
    # the second has no annotation at all; the ends of the third are in image 7, where it is read
    assert result.report["issues"] == {"dangling_relation": 1, "duplicate_relation": 1}
    assert "2 relations belong to no image of the file" in result.warnings[0]


def test_annotations_of_no_image_are_said(tmp_path):
    result = read(tmp_path, coco(images=IMAGES[:1], relations=[relation()]))
    assert result.warnings == ("val.json: 1 annotations belong to no image of the file; left out.",)


def test_one_name_of_two_numbers_is_one_class_and_said(tmp_path):
    categories = [*CATEGORIES, {"id": 4, "name": "Dog"}]
    annotations = [*ANNOTATIONS, LAST | {"id": 22, "category_id": 4}]
    more = {"relations": [relation(11, 0)], "predicates": [*PREDICATES, "near"]}
    result = read(tmp_path, coco(categories=categories, annotations=annotations, **more))
    assert result.report["issues"] == {}
    assert result.warnings == (
        'val.json: category "dog" has the ids 3, 4; read as one class.',
        'val.json: predicate "near" has the numbers 0, 2; read as one.',
    )


def test_classes_that_may_be_one_off_are_said(tmp_path):
    annotations = [a | {"category_id": a["category_id"] // 2} for a in ANNOTATIONS]
    result = read(tmp_path, coco(annotations=annotations, relations=[relation(21, "on", 21)]))
    assert "annotations have the category_id 0, but the categories begin at 1" in result.warnings[0]


def test_classes_past_the_last_may_be_one_off(tmp_path):
    """Categories 0 to 2, annotations 1 to 3: all but the last get another's name."""
    categories = [{"id": i, "name": name} for i, name in enumerate(("man", "cat", "dog"))]
    result = read(tmp_path, coco(categories=categories, relations=[relation(11, "on", 11)]))
    assert result.report["issues"]["no_class"] == 2
    assert result.warnings[0] == (
        "val.json: annotations have the category_id 3 and never 0, but the categories count from 0 to 2: if "
        "the annotations count from 1, every class is one off."
    )


@pytest.mark.parametrize(
    "names",
    [
        {"rel_categories": [{"id": 1, "name": "near"}, {"id": 2, "name": "holding"}]},
        {"predicates": ["__background__", *PREDICATES]},
    ],
)
def test_predicates_from_0_beside_names_from_1_may_be_one_off(tmp_path, names):
    result = read(tmp_path, coco(relations=[relation(11, 1), relation(11, 0)], **names))
    assert result.report["issues"] == {"no_predicate": 1}
    assert result.warnings[0] == (
        "val.json: relations have the predicate 0, but the names begin at 1: if the relations count from 0, "
        "every predicate is one off."
    )


@pytest.mark.parametrize("name", [None, True, 3, "7", " 7", "", ["man"]])
def test_what_is_no_name_names_nothing(tmp_path, name):
    """Python would make the classes `None`, `True` and `3` of them."""
    categories = [*CATEGORIES, {"id": 4, "name": name}]
    annotations = [*ANNOTATIONS, LAST | {"id": 22, "category_id": 4}]
    predicates = [{"id": 0, "name": "near"}, {"id": 1, "name": name}]
    more = {"relations": [relation(11, 0), relation(11, 1)], "rel_categories": predicates}
    result = read(tmp_path, coco(categories=categories, annotations=annotations, **more))
    assert result.report["issues"] == {"no_class": 1, "no_predicate": 1}
    assert result.report["shown"] == {
        "no_class": ["8 (category_id 4)"],
        "no_predicate": ["7 (predicate 1)"],
    }


def test_predicates_that_may_be_one_off_are_said(tmp_path):
    more = {"relations": [relation(11, 1), relation(11, 2)], "predicates": PREDICATES}
    result = read(tmp_path, coco(**more))
    assert result.report["issues"] == {"no_predicate": 1}
    assert "have the predicate 2 and never 0, but the names count from 0 to 1" in result.warnings[0]


@pytest.mark.parametrize("first", [0, 1])
def test_classes_count_from_0_or_1_with_a_background(tmp_path, first):
    """VG150 in COCO form counts from 1; a background at 0 is no class."""
    categories = [{"id": first, "name": "man"}, {"id": first + 1, "name": "dog"}]
    if first:
        categories.insert(0, {"id": 0, "name": "__background__"})
    classes = {1: first, 3: first + 1}
    annotations = [a | {"category_id": classes[a["category_id"]]} for a in ANNOTATIONS]
    result = read(
        tmp_path, coco(categories=categories, annotations=annotations, relations=[relation()])
    )
    assert stated(result)["7"] == [("man", "near", "dog")]
    assert result.warnings == ()


# ------------------------------------------------------------------------------ files of another form


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "the file is a list, not a JSON object"),
        ({"images": []}, 'the file has no "annotations"'),
        (coco(relations=[]) | {"categories": [{"id": 1}]}, "KeyError('name')"),
        ({"imgs": {}, "objects": [], "categories": []}, 'the file has no "images"; rename its "imgs" to'),
        (coco(images=[{"image_id": 7}]), 'images[0] has no "id"; it has image_id'),
        (coco(annotations=[{"id": 1, "image": 7}]), 'annotations[0] has no "image_id"'),
        (coco(), 'states no relations. They belong into a list "rel_annotations" of the file'),
        (
            coco(relations=[{"from": 11, "to": 12, "label": "near"}]),
            'relations[0] has no "subject_id"; it has from, to, label',
        ),
        (coco(relations=[[11, 12, 0]]), "relations[0] is a list, not a JSON object"),
        (coco(relations=[relation()], rel_annotations=[relation()]), "in rel_annotations and in relations"),
        (coco(relations=[relation(11, 5)]), "predicates by number, such as 5, but there is no list of names"),
    ],
)  # fmt: skip
def test_files_of_another_form(tmp_path, content, words):
    message = refused(tmp_path, content)
    assert message.startswith(f"data.eval.path: {tmp_path}/set/val.json")
    assert words in message


@pytest.mark.parametrize(
    ("key", "other", "words"),
    [
        ("bbox", "box", 'has no "bbox"; rename its "box" to "bbox"'),
        ("category_id", "category", 'has no "category_id"; rename its "category" to "category_id"'),
    ],
)
def test_keys_of_another_name(tmp_path, key, other, words):
    """Every annotation has it: nothing can be read, and the message says what to rename."""
    annotations = [{other if k == key else k: v for k, v in a.items()} for a in ANNOTATIONS]
    message = refused(
        tmp_path, coco(annotations=annotations, images=IMAGES[:2], relations=[relation()])
    )
    assert "none of 2 images is usable" in message
    assert f"7 (annotations[0] of the image {words})" in message


# ------------------------------------------------------------------------------- which file, which images


@pytest.mark.parametrize(
    ("files", "split", "chosen"),
    [
        (["train.json", "val.json"], "val", "val.json"),
        (["annotations.json"], "val", "annotations.json"),
        (["annotations/instances_train2017.json", "annotations/instances_val2017.json"], "val",
         "annotations/instances_val2017.json"),
        (["train/_annotations.coco.json", "valid/_annotations.coco.json"], "val",
         "valid/_annotations.coco.json"),
        (["train.json", "test.json", "meta.json"], "test", "test.json"),
    ],
)  # fmt: skip
def test_the_file_of_a_split(tmp_path, files, split, chosen):
    for file in files:
        name = "held" if file == chosen else "other"
        write_json(tmp_path / "set" / file, coco(relations=[relation(11, name)]))
    result = prepared(data_of(tmp_path / "set", {"name": split}), tmp_path)
    assert stated(result)["7"] == [("man", "held", "dog")]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["train.json"], r"has train\.json, nothing for split val\. .*data\.eval\.name"),
        (["a.json", "b.json"], r"a\.json, b\.json all fit split val"),
        ([], r"holds no JSON file\. Name the annotation file by data\.eval\.path"),
    ],
)
def test_a_split_without_a_file(tmp_path, files, words):
    (tmp_path / "set").mkdir()
    for file in files:
        write_json(tmp_path / "set" / file, coco(relations=[relation()]))
    with pytest.raises(SggError, match=words):
        prepared(data_of(tmp_path / "set"), tmp_path)


@pytest.mark.parametrize(
    ("file", "pictures", "images"),
    [
        ("val.json", "", None),
        ("val.json", "images", None),
        ("val.json", "val2017", None),
        ("val/_annotations.coco.json", "val", None),
        ("annotations/instances_val2017.json", "../coco/val2017", "coco"),
        ("val.json", "../photos", "photos"),
    ],
)
def test_where_images_lie(tmp_path, file, pictures, images):
    root = tmp_path / "set"
    write_json(root / file, coco(relations=[relation()]))
    for name, colour in (("a", "red"), ("b", "lime"), ("c", "blue")):
        write_image(root / pictures / f"{name}.png", colour=colour)
    values = {"image_folder": str(tmp_path / images)} if images else {}
    data = data_of(root, image_source=ImageSource.files, **values)
    result = prepared(data, tmp_path)
    assert result.report["issues"] == {}
    image = example(result.rows[1], image_store(data, "eval")).image
    assert image.getpixel((5, 5)) == (0, 255, 0)


def test_sizes_that_the_file_lacks_are_asked_of_the_images(tmp_path):
    images = [{k: v for k, v in i.items() if k not in ("width", "height")} for i in IMAGES]
    for name in "ab":
        write_image(tmp_path / "set" / f"{name}.png")
    data = data_of(tmp_path / "set", image_source=ImageSource.files)
    write_json(tmp_path / "set" / "val.json", coco(images=images, relations=[relation()]))
    result = prepared(data, tmp_path)
    assert [(r["width"], r["height"]) for r in result.rows] == [(100, 80)] * 2
    assert result.report["issues"] == {"no_image": 1}
    assert result.report["looked_for"] == [f"{tmp_path}/set/c.png"]


def test_boxes_as_corners_are_suspected_and_read_by_the_key(tmp_path):
    boxes = [[10, 10, 50, 60], [40, 30, 90, 70], [60, 50, 90, 79]]
    annotations = [a | {"bbox": b} for a, b in zip(ANNOTATIONS, boxes, strict=True)]
    content = coco(annotations=annotations, relations=[relation()])
    assert "data.box_format=xyxy." in read(tmp_path, content).warnings[-1]
    result = read(tmp_path, content, box_format=BoxFormat.xyxy)
    assert result.warnings == ()
    assert [(n.name, n.box) for n in result.gold(0)["graph"].nodes] == [MAN, DOG]


@pytest.mark.parametrize("box", [[True, 10, 50, 60], [10, 10, None, 60], "10 10 50 60"])
def test_what_python_takes_for_a_number_is_no_box(tmp_path, box):
    annotations = [ANNOTATIONS[0] | {"bbox": box}, *ANNOTATIONS[1:]]
    with pytest.raises(SggError, match=r"none of 1 relations is left(.|\n)*bad_box: 1"):
        read(tmp_path, coco(annotations=annotations, relations=[relation()]))


def test_numbers_as_texts_are_read_and_counted(tmp_path):
    annotations = [ANNOTATIONS[0] | {"bbox": [10, "10", 50, "60"]}, *ANNOTATIONS[1:]]
    report = read(tmp_path, coco(annotations=annotations, relations=[relation()])).report
    assert report["issues"] == {"text_box": 1}


def test_relations_beside_change_the_fingerprint(tmp_path):
    data = data_of(reltr(tmp_path / "set", REL))
    first = prepared(data, tmp_path).fingerprint
    write_json(tmp_path / "set" / "rel.json", REL | {"val": {"7": [[1, 0, 1]]}})
    assert prepared(data, tmp_path).fingerprint != first


def example_in_docs():
    """The JSON of the COCO section."""
    text = (Path(__file__).parents[4] / "docs" / "data.md").read_text()
    section = text.partition("## COCO-style")[2]
    return json.loads(re.search(r"```json\n(.*?)```", section, re.DOTALL)[1])


def test_the_example_in_the_docs(tmp_path):
    result = read(tmp_path, example_in_docs())
    assert stated(result) == {"1": [("man", "wearing", "helmet"), ("man", "riding", "motorcycle")]}
    assert result.report["issues"] == {}
    assert result.warnings == ()
