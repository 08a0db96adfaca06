"""Our own line format, as people really write it."""

from __future__ import annotations

import codecs
import gzip
import json

import pytest
from data_files import (
    BOXES,
    NEAR,
    jsonl_config,
    line,
    prepared,
    rotated,
    triplets,
    truncated,
    write_image,
    write_lines,
)
from hypothesis import given
from hypothesis import strategies as st

from sgg.config.data import ImageCheck, ImageSource
from sgg.data.prepare import image_store
from sgg.data.prepared_split import example
from sgg.data.sources.jsonl import JsonlReader, parse_items
from sgg.errors import SggError

GOOD = line("a.jpg", BOXES, NEAR)


def reader(folder, rows):
    write_lines(folder, rows)
    return JsonlReader(folder / "annotations.jsonl", folder, "data.eval.path")


def test_a_line(tmp_path):
    row = reader(tmp_path, [GOOD | {"vocabulary": "vg150", "other": 3}]).read(0)
    assert (row.image_id, row.width, row.height) == ("a", 100, 80)
    assert row.image_ref == f"file:{tmp_path}/a.jpg"
    assert [(o.id, o.name, o.box) for o in row.objects] == [
        ("man.1", "man", (10, 10, 50, 60)),
        ("dog.2", "dog", (40, 30, 90, 70)),
    ]
    assert [(r.subject, r.predicate, r.object) for r in row.relations] == NEAR
    assert row.columns == {"vocabulary": "vg150"}
    assert row.broken == row.image_problem == ""


@pytest.mark.parametrize(
    ("image", "more", "image_id"),
    [
        ("a.jpg", {"image_id": 17}, "17"),
        ("cam1/0001.jpg", {}, "cam1/0001"),  # cam2/0001.jpg is another image
        ("photo.v2.png", {}, "photo.v2"),
    ],
)
def test_image_ids(tmp_path, image, more, image_id):
    assert reader(tmp_path, [line(image, {}, **more)]).read(0).image_id == image_id


@pytest.mark.parametrize(
    "content",
    [
        b"%s\r\n%s\r\n",
        b"%s\r%s\r",
        codecs.BOM_UTF8 + b"%s\n%s\n",
        b"\n\n%s\n \t\n%s",
    ],
    ids=["windows", "old mac", "byte order mark", "blank lines"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_line_ends_and_marks(tmp_path, content, pack):
    lines = tuple(json.dumps(GOOD | {"image_id": i}).encode() for i in "xy")
    (tmp_path / "annotations.jsonl").write_bytes(pack(content % lines))
    rows = JsonlReader(tmp_path / "annotations.jsonl", tmp_path, "k")
    assert [rows.read(i).image_id for i in range(len(rows))] == ["x", "y"]
    assert not rows.read(0).broken


def test_text_that_other_programs_split_stays_whole(tmp_path):
    row = line("a.jpg", {"caf\u00e9\u2028sign\x85.1": [1, 1, 9, 9]})
    row = reader(tmp_path, [json.dumps(row, ensure_ascii=False)])
    assert len(row) == 1
    assert row.read(0).objects[0].name == "caf\u00e9\u2028sign\x85"


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"id": "traffic light.12"}, "traffic light"),
        ({"id": "person"}, "person"),
        ({"id": 7, "name": "person"}, "person"),
        ({"id": "7.1"}, "7"),
        ({"id": "x.1", "name": "person"}, "person"),
    ],
)
def test_names_of_objects(item, name):
    objects, relations = parse_items(
        [item | {"bbox": [1, 2, 3, 4]}],
        [{"subject": item["id"], "predicate": "on", "object": item["id"]}],
    )
    assert objects[0].name == name
    assert relations[0].subject == relations[0].object == objects[0].id


@pytest.mark.parametrize(
    "box", [None, "abc", [1, 2, None, 4], [1, 2, "x", 4], [1, 2, 3, 10**400], 7, {}]
)
def test_a_box_that_is_none_costs_its_object_only(box):
    objects, _ = parse_items([{"id": "man.1", "bbox": box}, {"id": "dog.2"}], [])
    assert [len(o.box) for o in objects] == [0, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{broken", "JSONDecodeError"),
        ("[1, 2]", "TypeError"),
        ('"text"', "TypeError"),
        ("{}", 'the line has no "image"'),
        (json.dumps(GOOD | {"objects": None}), "TypeError"),
        (json.dumps(GOOD | {"objects": ["man"]}), "AttributeError"),
        (
            json.dumps(GOOD | {"relationships": [{"subject": "a"}]}),
            'relationships[0] has no "predicate"',
        ),
        (json.dumps(GOOD | {"width": "wide"}), "ValueError"),
        (json.dumps(GOOD | {"width": float("inf")}), "OverflowError"),
        (json.dumps(GOOD | {"image": ""}), "ValueError"),
        (
            json.dumps(line("a.jpg", {7: [1, 1, 2, 2]})),
            'ValueError: object id 7 names no class: add "',
        ),
        ("[" * 100_000, "RecursionError"),
        (
            r'{"image": "a.jpg", "width": 9, "height": 9, "objects": [{"id": "\ud83d.1"}]}',
            "UnicodeEnc",
        ),
        (b"\xff{}", "UnicodeDecodeError"),
    ],
)
def test_broken_lines_are_counted_with_their_number_and_reason(tmp_path, text, reason):
    data = text if isinstance(text, bytes) else text.encode()
    good = json.dumps(GOOD).encode()
    (tmp_path / "annotations.jsonl").write_bytes(b"\n".join([good, b"", data, good]))
    rows = JsonlReader(tmp_path / "annotations.jsonl", tmp_path, "k")
    row = rows.read(1)
    assert row.image_id == "annotations.jsonl:3"
    assert row.broken.startswith(reason)
    assert not rows.read(2).broken


def test_names_in_another_encoding_are_not_mangled_in_silence(tmp_path):
    text = json.dumps(line("a.jpg", {"café.1": [1, 1, 9, 9]}), ensure_ascii=False)
    (tmp_path / "annotations.jsonl").write_bytes(text.encode("latin-1"))
    row = JsonlReader(tmp_path / "annotations.jsonl", tmp_path, "k").read(0)
    assert row.broken.startswith("UnicodeDecodeError")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no lines"),
        (b" \n\t\n", "has no lines"),
        (b'[\n{"image": "a.jpg"}\n]', r"one JSON array; needed is one object a line.*jq"),
        ("{}".encode("utf-16"), "is UTF-16; write it as UTF-8"),
        (gzip.compress(b'{"image": "a.jpg"}', mtime=0)[:-9], "is damaged gzip data"),
    ],
)
def test_files_of_another_form(tmp_path, content, words):
    file = tmp_path / "annotations.jsonl"
    file.write_bytes(content)
    with pytest.raises(SggError, match=rf"^data\.eval\.path: .*annotations\.jsonl.*{words}"):
        len(JsonlReader(file, tmp_path, "data.eval.path"))


def test_a_missing_file_names_its_neighbours(tmp_path):
    write_lines(tmp_path, [GOOD], "anotations.jsonl")
    with pytest.raises(SggError, match=r"data\.eval\.path: no file .*has: anotations\.jsonl"):
        JsonlReader(tmp_path / "annotations.jsonl", tmp_path, "data.eval.path")


def test_the_image_is_asked_where_the_size_is_missing(tmp_path):
    write_image(tmp_path / "a.jpg", (100, 80))
    rotated(tmp_path / "turned.jpg", (60, 100))
    truncated(tmp_path / "cut.png", (100, 80))
    (tmp_path / "text.jpg").write_text("no image")
    names = ["a.jpg", "turned.jpg", "cut.png", "text.jpg", "missing.jpg"]
    write_lines(tmp_path, [line(n, BOXES, NEAR, size=None) for n in names])
    result = prepared(jsonl_config(tmp_path), tmp_path)
    sizes = {r["image_id"]: (r["width"], r["height"]) for r in result.rows}
    assert sizes == {"a": (100, 80), "turned": (100, 60)}
    # upright, the turned image ends at y = 60: dog.2 reaches to 70
    assert result.report["issues"] == {
        "broken_image": 2,
        "no_image": 1,
        "turned": 1,
        "box_past_edge": 1,
    }
    assert result.gold(1)["graph"].nodes[1].box == (40, 30, 90, 60)
    data = jsonl_config(tmp_path, image_check=ImageCheck.header)  # sees no cut pixels
    assert prepared(data, tmp_path).rows["image_id"] == ["a", "turned", "cut"]


def test_painted_lines_without_a_size_need_their_image(tmp_path):
    write_image(tmp_path / "a.jpg", (100, 80))
    write_lines(tmp_path, [line(n, BOXES, size=None) for n in ("a.jpg", "missing.jpg")])
    result = prepared(jsonl_config(tmp_path, image_source=ImageSource.painted), tmp_path)
    assert result.rows["image_id"] == ["a"]
    assert result.report["issues"] == {"no_image": 1}


def test_places_of_images(tmp_path):
    """Below the folder, beside it, anywhere, through links of file or folder."""
    root, other = tmp_path / "root", tmp_path / "other"
    colours = {"in": "red", "up": "lime", "far": "blue", "link": "white", "dir": "yellow"}
    write_image(root / "sub" / "in.png", colour=colours["in"])
    write_image(other / "up.png", colour=colours["up"])
    write_image(tmp_path / "elsewhere" / "far.png", colour=colours["far"])
    (root / "link.png").symlink_to(write_image(other / "target.png", colour=colours["link"]))
    write_image(other / "dir.png", colour=colours["dir"])
    (root / "dir").symlink_to(other)
    names = {
        "in": "sub/in.png",
        "up": "../other/up.png",
        "far": str(tmp_path / "elsewhere/far.png"),
        "link": "link.png",
        "dir": "dir/dir.png",
    }
    write_lines(root, [line(n, BOXES, image_id=k) for k, n in names.items()])
    inside = prepared(jsonl_config(root), tmp_path)
    assert inside.report["shown"]["outside_folder"] == ["up", "far", "link", "dir"]
    data = jsonl_config(root, outside=True)
    result = prepared(data, tmp_path)
    assert result.report["issues"] == {}
    store = image_store(data, "eval")
    for row in result.rows:
        item = example(row, store)
        expected = {"lime": (0, 255, 0), "red": (255, 0, 0), "blue": (0, 0, 255)}
        expected |= {"white": (255, 255, 255), "yellow": (255, 255, 0)}
        assert item.image.getpixel((50, 40)) == expected[colours[item.image_id]]


def test_images_in_a_folder_of_their_own(tmp_path):
    write_lines(tmp_path / "notes", [GOOD])
    write_image(tmp_path / "photos" / "a.jpg")
    data = jsonl_config(tmp_path / "notes", image_folder=str(tmp_path / "photos"))
    result = prepared(data, tmp_path)
    assert triplets(result.gold(0)["graph"]) == [("man", "near", "dog")]
    with pytest.raises(SggError, match=r"data\.image_folder=.*nowhere: no such folder"):
        prepared(jsonl_config(tmp_path / "notes", image_folder=str(tmp_path / "nowhere")), tmp_path)


TEXT = st.text(st.characters(), max_size=5)  # lone surrogates, too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "bbox", "subject", "predicate"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*GOOD, "image_id", "vocabulary"], JSON)))
def test_no_line_is_a_crash(tmp_path_factory, row):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    result = reader(folder, [GOOD | row]).read(0)
    assert result.broken or result.image_id
    for item in result.objects:
        item.name.encode()
