"""Annotations that pass as sound: numbers, names and ids that Python takes and nobody can have meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data_files import (
    BOXES,
    config,
    jsonl_config,
    line,
    prepared,
    write_image,
    write_json,
    write_lines,
)
from hypothesis import given
from hypothesis import strategies as st

from sgg.config.data import BoxFormat, ImageSource, VocabularyName
from sgg.data.fields import WrongForm
from sgg.data.prepare import prepare
from sgg.data.sources.base import at, distinct_ids, id_at
from sgg.data.vocab_file import is_name
from sgg.data.written import image_id, index, looks_numbered, numbers, pixels

PAINTED = {"image_source": ImageSource.painted}
MAN = BOXES["man.1"]


def report_of(folder, objects, relations=(), **values):
    """The report of one painted image with these items as they are written."""
    row = line("a.jpg", {}) | {"objects": objects, "relationships": list(relations)}
    return prepared(jsonl_config(write_lines(folder, [row]), **PAINTED, **values), folder).report


# ------------------------------------------------------------------------------------------- boxes


@pytest.mark.parametrize(
    ("box", "kind", "kept"),
    [
        ([0.036, 0.143, 0.571, 0.619], "relative_box", 0),
        ([0, 0, 1, 1], "relative_box", 0),
        ([False, False, True, True], "bad_box", 0),
        ([10, 10, True, 60], "bad_box", 0),
        ("1289", "bad_box", 0),
        ("[1, 2, 8, 9]", "bad_box", 0),
        ([[1, 2], [8, 9]], "bad_box", 0),
        ([1, 2, None, 9], "bad_box", 0),
        (None, "bad_box", 0),
        (1289, "bad_box", 0),
        ({"x": 1, "y": 2, "w": 8, "h": 9}, "bad_box", 0),
        (["1", "2", "8", "nan"], "bad_box", 0),
        (["1", "2", "8", ""], "bad_box", 0),
        (["1", "2", "8", "1_0"], "bad_box", 0),
        (["1", "2", "8", "0x9"], "bad_box", 0),
        ([1, 2, float("nan"), 9], "bad_box", 0),
        ([1, 2, float("inf"), 9], "bad_box", 0),
        ([1, 2, 10**400, 9], "bad_box", 0),
        (["1", "2", "8", "9"], "text_box", 1),
        ([1, 2, " 8.5 ", "9e0"], "text_box", 1),
        ([5, 5, 5, 40], "degenerate_box", 0),
        ([50, 40, 20, 60], "swapped_box", 0),
        ([200, 10, 220, 40], "outside_box", 0),
        ([-50, 10, -20, 40], "outside_box", 0),
        ([-5, 10, 20, 40], "box_past_edge", 1),
        ([5, 5, 5.5, 40], "tiny_box", 1),
    ],
)
def test_each_odd_box_is_a_counted_kind(tmp_path, box, kind, kept):
    objects = [{"id": "man.1", "bbox": box}, {"id": "dog.2", "bbox": MAN}]
    report = report_of(tmp_path, objects)
    assert report["issues"] == {kind: 1}
    assert report["kept"]["objects"] == 1 + kept
    assert report["shown"][kind] == ["a"]


def test_a_split_without_any_object_left_can_be_looked_at_and_not_used(tmp_path):
    """`sgg prepare` shows what is wrong; a run is refused."""
    row = line("a.jpg", {"man.1": [0.1, 0.1, 0.5, 0.5]})
    result = prepared(jsonl_config(write_lines(tmp_path, [row]), **PAINTED), tmp_path)
    assert result.report["issues"] == {"relative_box": 1}
    assert result.refusal.startswith(
        "data.eval: none of 1 objects is left, in 1 images.\n  relative"
    )
    assert "data.box_format=xyxy_norm" in result.refusal


def test_relative_boxes_with_relations_are_refused_with_the_key(tmp_path):
    objects = {"man.1": [0.1, 0.1, 0.5, 0.5], "dog.2": [0.3, 0.3, 0.9, 0.9]}
    rows = [line("a.jpg", objects, [("man.1", "near", "dog.2")])]
    data = jsonl_config(write_lines(tmp_path, rows), **PAINTED)
    with pytest.raises(ValueError, match=r"none of 2 objects is left.*\n.*box_format=xyxy_norm"):
        prepared(data, tmp_path)
    data.box_format = BoxFormat.xyxy_norm
    assert prepared(data, tmp_path).report["issues"] == {}


def test_pixels_where_shares_are_asked_for(tmp_path):
    objects = [{"id": "man.1", "bbox": [0.1, 0.1, 0.5, 1.02]}, {"id": "dog.2", "bbox": MAN}]
    report = report_of(tmp_path, objects, box_format=BoxFormat.xyxy_norm)
    assert report["issues"] == {"pixel_box": 1, "box_past_edge": 1}


GOLD = [[10, 10, 50, 60], [40, 30, 90, 70]]


def with_boxes(source, root, boxes):
    """A painted set of one image in the form of a source, with these boxes, corners or sizes."""
    if source == "psg":
        row = {"image_id": 1, "file_name": "1.jpg", "width": 100, "height": 80, "relations": []}
        row["annotations"] = [{"category_id": 0, "bbox": box} for box in boxes]
        lists = {"thing_classes": ["man"], "stuff_classes": [], "predicate_classes": ["on"]}
        write_json(root / "psg.json", {"data": [row], **lists})
        return config("psg", root, **PAINTED)
    if source == "gqa":
        objects = {
            str(i): dict(zip("xywh", box, strict=True), name="man", relations=[])
            for i, box in enumerate(boxes)
        }
        write_json(root / "a.json", {"1": {"width": 100, "height": 80, "objects": objects}})
        return config("gqa", root, {"path": "a.json"}, **PAINTED)
    if source == "vrd":
        first, second = (
            {"category": i, "bbox": [b[1], b[3], b[0], b[2]]} for i, b in enumerate(boxes)
        )
        relation = {"subject": first, "predicate": 0, "object": second}
        size = {"file_name": "1.jpg", "width": 100, "height": 80}
        write_json(root / "new_annotations_val.json", {"1.jpg": [relation]})
        write_json(root / "detections_val.json", {"images": [size]})
        write_json(root / "objects.json", ["man", "dog"])
        write_json(root / "predicates.json", ["on"])
        return config("vrd", root, {"name": "val"}, **PAINTED)
    if source == "vg":
        row = {
            "image_id": 1,
            "size": [100, 80],
            "objects": [[0, b] for b in boxes],
            "relations": [],
        }
        write_json(root / "vg150_test.json", [row])
        dicts = {"idx_to_label": {"1": "man"}, "idx_to_predicate": {"1": "on"}}
        write_json(root / "VG-SGG-dicts.json", dicts)
        return config("vg", root, {"name": "test"}, **PAINTED)
    objects = [{"id": f"man.{i}", "bbox": box} for i, box in enumerate(boxes)]
    return jsonl_config(write_lines(root, [line("1.jpg", {}) | {"objects": objects}]), **PAINTED)


@pytest.mark.parametrize("source", ["jsonl", "psg", "gqa", "vrd", "vg"])
@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ([False, False, True, True], "bad_box"),
        ([10, 10, None, 60], "bad_box"),
        ([10, 10, [50], 60], "bad_box"),
        ([0.1, 0.1, 0.5, 0.6], "relative_box"),
        ([10, 10, "50", 60], "text_box"),
    ],
)
def test_every_source_counts_them(tmp_path, source, box, kind):
    data = with_boxes(source, tmp_path, [box, GOLD[0]])
    report = prepare(data, "eval", tmp_path / "cache", quiet=True) if source != "vrd" else None
    if source == "vrd":  # its one relation goes with the box
        data = with_boxes(source, tmp_path, [box, GOLD[0]])
        if kind != "text_box":
            with pytest.raises(ValueError, match=f"{kind}: 1"):
                prepare(data, "eval", tmp_path / "cache", quiet=True)
            return
        report = prepare(data, "eval", tmp_path / "cache", quiet=True)
    assert report.report["issues"] == {kind: 1}
    assert report.report["read"]["objects"] == 2


# ------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "ids",
    [
        ["man_1", "man_2"],
        ["man1", "man2"],
        ["man-1", "man-2"],
        ["man #1", "man #2"],
        ["man 1", "man 2"],
        ["man:1", "man:2"],
        ["man(1)", "man[2]"],
        ["1_man", "2.man"],
        ["man.1.1", "man.1.2"],
        ["7.1", "7.2"],
    ],
)
def test_ids_that_become_classes_are_counted_and_shown(tmp_path, ids):
    report = report_of(tmp_path, [{"id": i, "bbox": MAN} for i in ids])
    assert report["issues"] == {"numbered_class": 2}
    assert all(entry.startswith("a (") for entry in report["shown"]["numbered_class"])


@pytest.mark.parametrize(
    "name", ["man", "traffic light", "wall_tile", "no.", "T-shirt", "man's", "café"]
)
def test_names_of_classes_do_not_look_like_ids(name):
    assert not looks_numbered(name)


def test_a_vocabulary_knows_its_classes(tmp_path):
    """Those that it lacks are reported twice: as unknown, and why."""
    objects = [{"id": i, "bbox": MAN} for i in ("man_1", "man.2", "gizmo.3")]
    report = report_of(tmp_path, objects, vocabulary=VocabularyName.vg150)
    assert report["issues"] == {"numbered_class": 1, "unknown_class": 2}


@pytest.mark.parametrize("written", [1, "1", " 12 ", 1.5, True, None, ["man"], ""])
def test_ids_that_name_nothing(tmp_path, written):
    rows = [
        line("a.jpg", {}) | {"objects": [{"id": written, "bbox": MAN}]},
        line("b.jpg", {}) | {"objects": [{"id": written, "name": "man", "bbox": MAN}]},
    ]
    report = prepared(jsonl_config(write_lines(tmp_path, rows), **PAINTED), tmp_path).report
    assert report["issues"] == {"unreadable_row": 1}
    assert "names no class" in report["shown"]["unreadable_row"][0]
    assert report["kept"]["objects"] == 1


@pytest.mark.parametrize("name", [5, True, ["man"], {"a": 1}, "12", " "])
def test_names_that_are_none(tmp_path, name):
    objects = [{"id": "man.1", "bbox": MAN}, {"id": "dog.2", "name": name, "bbox": MAN}]
    report = report_of(tmp_path, objects)
    assert report["issues"] == {"no_class": 1}
    assert report["kept"]["objects"] == 1


@pytest.mark.parametrize("predicate", [None, 31, True, "", "31", ["on"]])
def test_predicates_that_are_none(tmp_path, predicate):
    objects = [{"id": i, "bbox": MAN} for i in ("man.1", "dog.2")]
    relations = [
        {"subject": "man.1", "predicate": p, "object": "dog.2"} for p in (predicate, "near")
    ]
    report = report_of(tmp_path, objects, relations)
    assert report["issues"] == {"no_predicate": 1}
    assert report["kept"]["relations"] == 1


@pytest.mark.parametrize("value", [None, 31, True, "31"])
def test_names_of_gqa(tmp_path, value):
    item = {"x": 1, "y": 1, "w": 50, "h": 50, "relations": []}
    relations = [{"name": n, "object": "2"} for n in (value, "on")]
    objects = {
        "1": item | {"name": "man", "relations": relations},
        "2": item | {"name": "dog"},
        "3": item | {"name": value},
    }
    write_json(tmp_path / "a.json", {"1": {"width": 100, "height": 80, "objects": objects}})
    data = config("gqa", tmp_path, {"path": "a.json"}, **PAINTED)
    report = prepared(data, tmp_path).report
    assert report["issues"] == {"no_class": 1, "no_predicate": 1}
    assert report["kept"] == {"images": 1, "objects": 2, "relations": 1}


def scattered(names):
    """One object an image."""
    box = BOXES["dog.2"]  # past the edge, were it x, y, width, height
    return [line(f"{i}.jpg", {f"{name}.1": box}) for i, name in enumerate(names)]


def letters(number):
    """A name without digits that no other number has: 26 letters."""
    return "".join(chr(97 + number // 26**k % 26) for k in range(3))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([letters(i) for i in range(40)], True),
        ([letters(i) for i in range(38)] + ["man", "man"], True),
        ([letters(i) for i in range(20)] + ["man"] * 20, False),
        ([letters(i) for i in range(29)], False),  # too few to tell
    ],
)
def test_classes_that_all_occur_once(tmp_path, names, said):
    data = jsonl_config(write_lines(tmp_path, scattered(names)), **PAINTED)
    result = prepared(data, tmp_path)
    assert set(result.report["issues"]) == ({"lone_classes"} if said else set())
    assert [w.startswith("data.eval: lone_classes: ") for w in result.warnings] == [True] * said
    assert prepared(jsonl_config(tmp_path, vocabulary=VocabularyName.vg150, **PAINTED), tmp_path)


def test_many_numbered_classes_are_a_loud_warning(tmp_path):
    rows = [line(f"{i}.jpg", {f"man_{i}": MAN, "dog.2": MAN}) for i in range(5)]
    data = jsonl_config(write_lines(tmp_path, rows), **PAINTED)
    (warning,) = prepared(data, tmp_path).warnings
    assert warning.startswith("data.eval: numbered_class: 5 (")
    assert "NAME.NUMBER" in warning


# --------------------------------------------------------------------------------------- image ids


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a.jpg", "b.png"], ["a", "b"]),
        (["a.jpg", "a.png", "b.jpg"], ["a.jpg", "a.png", "b"]),
        (["x/a.jpg", "y/a.jpg"], ["x/a", "y/a"]),
        (["a.jpg", "a.jpg"], ["a", "a"]),
        (["a.jpg", "./a.jpg"], ["a", "a"]),
        (["a", "a.jpg"], ["a", "a.jpg"]),
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg", "a.png", "a.jpg.png"]),
        (["a.v1.jpg", "a.v2.jpg"], ["a.v1", "a.v2"]),
    ],
)
def test_ids_of_files(tmp_path, names, ids):
    assert [distinct_ids(names, lambda p: str(p.with_suffix("")))[n] for n in names] == ids
    for name in names:
        write_image(tmp_path / f"{name}", format="PNG")
    write_lines(tmp_path, [line(name, BOXES) for name in names])
    result = prepared(jsonl_config(tmp_path), tmp_path)
    assert result.rows["image_id"] == list(dict.fromkeys(ids))
    assert result.report["issues"] == ({"duplicate_image": 1} if len(set(ids)) < len(ids) else {})


def test_ids_that_are_given_are_kept_and_others_keep_out_of_their_way(tmp_path):
    rows = [
        line("a.jpg", BOXES),
        line("b.jpg", BOXES, image_id="a"),
        line("c.jpg", BOXES, image_id=None),
        "{broken",
        '"text"',
        line("", BOXES),
    ]
    for name in "abc":
        write_image(tmp_path / f"{name}.jpg")
    result = prepared(jsonl_config(write_lines(tmp_path, rows)), tmp_path)
    assert result.rows["image_id"] == ["a.jpg", "a", "c"]
    assert result.report["issues"] == {"unreadable_row": 3}


def test_vrd_tells_files_of_one_stem_apart(tmp_path):
    write_json(tmp_path / "new_annotations_val.json", {"a.jpg": [], "a.png": [], "b.jpg": []})
    images = [{"file_name": n, "width": 9, "height": 9} for n in ("a.jpg", "a.png", "b.jpg")]
    write_json(tmp_path / "detections_val.json", {"images": images})
    write_json(tmp_path / "objects.json", [])
    write_json(tmp_path / "predicates.json", [])
    result = prepared(config("vrd", tmp_path, {"name": "val"}, **PAINTED), tmp_path)
    assert result.rows["image_id"] == ["a.jpg", "a.png", "b"]


NAMES = st.lists(
    st.text("ab./", min_size=1, max_size=6).filter(lambda t: t.strip("./")), max_size=8
)


@given(NAMES)
def test_ids_tell_all_files_apart(names):
    ids = distinct_ids(names, lambda path: str(path.with_suffix("")))
    assert set(ids) == set(names)
    assert len(set(ids.values())) == len({Path(name) for name in names})


# ----------------------------------------------------------------------------------------- numbers

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text("12. x", max_size=4)


@given(SCALARS | st.lists(SCALARS | st.just([1]) | st.just({}), max_size=5))
def test_nothing_written_is_a_crash(value):
    found, odd = numbers(value)
    assert all(type(v) is float for v in found)
    assert odd in ("", "text_box")
    assert isinstance(is_name(value), bool)
    assert len(found) in (0, len(value) if isinstance(value, list) else 0)


@pytest.mark.parametrize("value", [True, False, 3.5, float("nan"), float("inf"), "x", None, [3]])
def test_sides_that_are_none(value):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        pixels(value)
    assert pixels(640.0) == pixels("640") == pixels(640) == 640


@pytest.mark.parametrize("value", [True, "1", 1.0, None])
def test_places_that_are_none(value):
    with pytest.raises(TypeError):
        index(value)
    with pytest.raises(WrongForm, match="no name has the id"):
        at(["a", "b"], value, "no_class")
    with pytest.raises(TypeError):
        id_at(["a", "b"], value, "no_class")


@pytest.mark.parametrize("value", [None, True, "", " ", ["a"], {"a": 1}])
def test_image_ids_that_are_none(tmp_path, value):
    with pytest.raises(ValueError, match="is no image id"):
        image_id(value)
    rows = [line("a.jpg", BOXES) | {"image_id": i, "image_size": [100, 80]} for i in (7, value)]
    for row in rows:
        row["objects"] = json.dumps(row["objects"])
    data = config(
        "rows", split={"path": str(write_lines(tmp_path, rows) / "annotations.jsonl")}, **PAINTED
    )
    result = prepared(data, tmp_path)
    assert result.rows["image_id"] == ["7"]
    assert "is no image id" in result.report["shown"]["unreadable_row"][0]


@pytest.mark.parametrize("size", [[True, 80], [100, 80.5], [100, None]])
def test_sizes_of_rows_that_are_none(tmp_path, size):
    rows = [line(f"{i}.jpg", BOXES, image_id=i) for i in range(2)]
    for row, value in zip(rows, ([100, 80], size), strict=True):
        row["image_size"] = value
    data = config(
        "rows", split={"path": str(write_lines(tmp_path, rows) / "annotations.jsonl")}, **PAINTED
    )
    assert prepared(data, tmp_path).report["issues"] == {"unreadable_row": 1}
