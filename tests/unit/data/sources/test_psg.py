"""OpenPSG's psg.json: xyxy boxes, classes from 0 over things then stuff, splits by id list."""

from __future__ import annotations

import gzip

import pytest
from data_files import config, prepared, triplets, write_image, write_json

from sgg.config.data import ImageSource
from sgg.errors import SggError


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
    return config("psg", root, {"name": split}, **({"image_source": ImageSource.painted} | values))


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


def test_names_of_images_lie_below_the_coco_folder(tmp_path):
    rows = [row("1"), row("2", file="val2017/2.jpg"), row("3", file="val2017/3.jpg")]
    psg_folder(tmp_path / "psg", rows)
    write_image(tmp_path / "coco" / "train2017" / "1.jpg")
    write_image(tmp_path / "coco" / "val2017" / "2.jpg", (80, 100))
    images = str(tmp_path / "coco")
    data = psg_config(tmp_path / "psg", image_folder=images, image_source=ImageSource.files)
    result = prepared(data, tmp_path)
    assert result.rows["image_id"] == ["1"]
    assert result.report["issues"] == {"wrong_size": 1, "no_image": 1}


def renamed(item, old, new):
    return {new if key == old else key: value for key, value in item.items()}


@pytest.mark.parametrize(
    ("bad", "image_id", "reason"),
    [
        (row("9", (3, 0)), "9", "no name has the id 3: there are 3, from 0 on, in psg.json)"),
        (row("9", (-1, 0)), "9", "no name has the id -1"),
        (row("9", (True, 0)), "9", "no name has the id True"),
        (row("9", relations=[(0, 1, 2)]), "9", "no name has the id 2"),
        (row("9", relations=[(0, 1, -1)]), "9", "no name has the id -1"),
        (row("9", relations=[(0, 1)]), "9", "relations[0] is not [subject, object, predicate]"),
        (row("9", width=None), "9", "TypeError"),
        (["no", "row"], "#1", "the image is a list, not a JSON object, in psg.json)"),
        (
            renamed(row("9"), "annotations", "objects"),
            "9",
            'the image has no "annotations"; rename its "objects" to "annotations", in psg.json)',
        ),
        (
            renamed(row("9"), "relations", "triples"),
            "9",
            'the image has no "relations"; rename its "triples" to "relations"',
        ),
        (
            renamed(row("9"), "file_name", "path"),
            "9",
            'the image has no "file_name"; rename its "path" to "file_name"',
        ),
        (
            row("9") | {"annotations": [{"bbox": [0, 0, 9, 9], "label": 1}]},
            "9",
            'annotations[0] has no "category_id"; rename its "label" to "category_id"',
        ),
        (
            row("9") | {"annotations": [{"box": [0, 0, 9, 9], "category_id": 1}]},
            "9",
            'annotations[0] has no "bbox"; rename its "box" to "bbox"',
        ),
    ],
)
def test_rows_of_another_form(tmp_path, bad, image_id, reason):
    result = prepared(psg_config(psg_folder(tmp_path, [row("1"), bad]), "train"), tmp_path)
    assert result.report["issues"] == {"unreadable_row": 1}
    assert result.report["shown"]["unreadable_row"][0].startswith(f"{image_id} ({reason}")


def test_what_python_takes_for_a_number_is_no_box(tmp_path):
    odd = row("2")
    odd["annotations"][0] = odd["annotations"][0] | {"bbox": [True, 0, 9, 9]}
    report = prepared(psg_config(psg_folder(tmp_path, [row("1"), odd])), tmp_path).report
    assert report["issues"] == {"bad_box": 1, "dangling_relation": 1}


def test_ends_past_the_annotations_are_dangling(tmp_path):
    rows = [row("1", relations=[(0, 1, 0), (0, 2, 0), (-1, 0, 0)])]
    result = prepared(psg_config(psg_folder(tmp_path, rows)), tmp_path)
    assert result.report["issues"] == {"dangling_relation": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"data": [], "thing_classes": [], "stuff_classes": [], "predicates": []},
            'the file has no "predicate_classes"; rename its "predicates" to "predicate_classes"',
        ),
        ({"data": []}, 'the file has no "thing_classes"; it has data'),
        ([], "the file is a list, not a JSON object"),
    ],
)
def test_files_of_another_form(tmp_path, content, words):
    write_json(tmp_path / "psg.json", content)
    with pytest.raises(
        SggError, match=r"^data\.root: .*psg\.json is not in OpenPSG's form"
    ) as error:
        prepared(psg_config(tmp_path), tmp_path)
    assert f"{words}. Needed are " in str(error.value)


def test_an_unknown_split(tmp_path):
    with pytest.raises(SggError, match=r"split name val: psg\.json has train and test"):
        prepared(psg_config(psg_folder(tmp_path, [row("1")]), "val"), tmp_path)
    with pytest.raises(SggError, match=r"split name dev: PSG has train, val, test"):
        prepared(psg_config(tmp_path, "dev"), tmp_path)


# ----------------------------------------------------------------------- several files in a folder


def write_psg(root, name, ids, test=()):
    """A file of that name with images of those ids."""
    root.mkdir(exist_ok=True)
    psg_folder(root.parent / "made", [row(i) for i in ids], test)
    (root.parent / "made" / "psg.json").rename(root / name)


def ids_of(root, split, path=None):
    data = config("psg", root, {"name": split, "path": path}, image_source=ImageSource.painted)
    return prepared(data, root.parent).rows["image_id"]


SETS = {
    "a file each": {
        "psg_train.json": ("12", ""),
        "psg_val.json": ("3", ""),
        "psg_test.json": ("4", ""),
    },
    # the whole list in each of them, as filtering the complete file leaves it
    "a file each, list kept": {"psg_train.json": ("12", "34"), "psg_test.json": ("4", "34")},
    "the challenge's": {"psg_train_val.json": ("123", "3"), "psg_val_test.json": ("34", "4")},
    "complete and parts": {"psg.json": ("124", "4"), "psg_val.json": ("3", "")},
    "of an unmarked name": {"psg_all.json": ("124", "4"), "psg_val.json": ("3", "")},
}


@pytest.mark.parametrize("files", SETS.values(), ids=list(SETS))
@pytest.mark.parametrize(("split", "ids"), [("train", ["1", "2"]), ("test", ["4"])])
def test_each_split_comes_from_the_file_that_holds_it(tmp_path, files, split, ids):
    for name, (images, test) in files.items():
        write_psg(tmp_path / "psg", name, images, test)
    assert ids_of(tmp_path / "psg", split) == ids


def test_validation_has_a_file_of_its_own(tmp_path):
    for name, (images, test) in SETS["a file each"].items():
        write_psg(tmp_path / "psg", name, images, test)
    assert ids_of(tmp_path / "psg", "val") == ["3"]


@pytest.mark.parametrize(
    ("name", "split", "ids"),
    [
        ("psg_train_val.json", "train", ["1", "2"]),
        ("psg_train_val.json", "val", ["3"]),
        ("psg_val_test.json", "val", ["3"]),
        ("psg_val_test.json", "test", ["4"]),
    ],
)
def test_the_challenge_files_hold_two_splits_each(tmp_path, name, split, ids):
    """The list of the one is its validation split, that of the other its test split."""
    for file, (images, test) in SETS["the challenge's"].items():
        write_psg(tmp_path / "psg", file, images, test)
    assert ids_of(tmp_path / "psg", split, name) == ids


def test_validation_in_two_files_is_not_guessed(tmp_path):
    for file, (images, test) in SETS["the challenge's"].items():
        write_psg(tmp_path / "psg", file, images, test)
    with pytest.raises(
        SggError, match=r"psg_train_val\.json, psg_val_test\.json all fit split val"
    ):
        ids_of(tmp_path / "psg", "val")


@pytest.mark.parametrize(
    ("names", "split", "words"),
    [
        (["psg_a.json", "psg_b.json"], "train", r"psg_a\.json, psg_b\.json all fit split train"),
        (
            ["psg_a.json", "psg_b.json"],
            None,
            r"psg_a\.json, psg_b\.json all fit .*by data\.eval\.path",
        ),
        (
            ["psg_train.json", "psg_val.json"],
            "test",
            r"nothing for split test\. Choose another split by",
        ),
        (["psg_train.json"], "test", r"has psg_train\.json, nothing for split test"),
    ],
)
def test_what_the_names_do_not_decide_is_refused(tmp_path, names, split, words):
    for name in names:
        write_psg(tmp_path / "psg", name, "12")
    with pytest.raises(SggError, match=rf"^data\.eval\.path: .*{words}"):
        ids_of(tmp_path / "psg", split)


def test_a_file_that_is_named_is_read_whole_unless_it_states_two_parts(tmp_path):
    write_psg(tmp_path / "psg", "mine.json", "12")
    write_psg(tmp_path / "psg", "both.json", "1234", "4")
    assert ids_of(tmp_path / "psg", "test", "mine.json") == ["1", "2"]
    assert ids_of(tmp_path / "psg", "test", "both.json") == ["4"]
    assert ids_of(tmp_path / "psg", None, "both.json") == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("split", "test", "which"), [("test", "", "none"), ("train", "12", "each")]
)
def test_an_empty_split_says_why(tmp_path, split, test, which):
    write_psg(tmp_path / "psg", "psg.json", "12", test)
    words = rf"psg\.json: {which} of its images is listed in test_image_ids.*by data\.eval\.path"
    with pytest.raises(SggError, match=words):
        ids_of(tmp_path / "psg", split)


def test_json_that_is_no_annotation_file_does_not_count(tmp_path):
    write_psg(tmp_path / "psg", "psg_one.json", "12")
    write_json(tmp_path / "psg" / "psg_one_as_text.json", ["a on b"])
    with gzip.open(tmp_path / "psg" / "psg_two.json.gz", "wt") as file:
        file.write("[]")
    assert ids_of(tmp_path / "psg", None) == ["1", "2"]


def test_of_a_file_and_its_packed_copy_the_plain_one_is_read(tmp_path):
    write_psg(tmp_path / "psg", "psg_train.json", "12")
    with gzip.open(tmp_path / "psg" / "psg_train.json.gz", "wt") as file:
        file.write("{}")
    assert ids_of(tmp_path / "psg", "train") == ["1", "2"]


@pytest.mark.parametrize("name", [None, True, 7, "7", {"name": "dog"}, ["dog"]])
def test_what_is_no_name_names_nothing(tmp_path, name):
    rows = [row("1", (0, 2, 1), [(0, 1, 0), (0, 1, 1), (2, 0, 0)])]
    more = {"thing_classes": ["person", name], "predicate_classes": ["over", name]}
    result = prepared(psg_config(psg_folder(tmp_path, rows, **more)), tmp_path)
    assert triplets(result.gold(0)["graph"]) == [("person", "over", "sky-other-merged")]
    issues = {"no_class": 1, "no_predicate": 1, "dangling_relation": 1}
    assert result.report["issues"] == issues
    assert result.report["shown"]["no_class"] == [f"1 ({name})"]
