"""A graph in one file, in each form; and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import completion, scene

from sgg.data.graph_file import read_graph_row
from sgg.errors import SggError
from sgg.files import RECORD_BYTES

OBJECTS = [("man.1", [0, 0, 10, 10]), ("dog.2", [20, 20, 40, 40])]
TEXT = completion(OBJECTS, [("man.1", "on", "dog.2")])
CONTENT = json.loads(TEXT)
GRAPH = scene([("man", (0, 0, 10, 10)), ("dog", (20, 20, 40, 40))], [(0, "on", 1)])


def written(tmp_path, content):
    path = tmp_path / "graph"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    "content",
    [
        CONTENT,
        CONTENT | {"image": "a.jpg", "problems": [], "text": "no graph"},
        {"image_id": "1", "index": 0, "text": TEXT},
        {"image_id": "1", "response": f"<think>so</think><answer>{TEXT}</answer>"},
        TEXT + "\n",
        "\ufeff" + TEXT,
        f"Here it is: ```json\n{TEXT}\n```",
        json.dumps({"image_id": "1", "text": TEXT}) + "\n\n",
    ],
)
def test_each_form_is_read(tmp_path, content):
    row = read_graph_row(written(tmp_path, content))
    assert row.parsed((100, 50)).graph == GRAPH


def test_boxes_are_scaled_from_their_frame_to_the_image(tmp_path):
    row = read_graph_row(written(tmp_path, CONTENT))
    assert row.parsed((500, 2000), (1000, 1000)).graph.nodes[1].box == (10, 40, 20, 80)
    assert not row.parsed((10, 10), (1000, 1000)).problems
    assert row.parsed((10, 10)).problems  # a box outside


def test_objects_with_a_name_may_have_any_id(tmp_path):
    content = {
        "objects": [{"id": 7, "name": "man", "bbox": [0, 0, 10, 10]}, CONTENT["objects"][1]],
        "relationships": [{"subject": 7, "predicate": "on", "object": "dog.2"}],
    }
    assert read_graph_row(written(tmp_path, content)).parsed((50, 50)).graph == GRAPH


def test_the_size_of_the_image_is_told_where_it_stands(tmp_path):
    assert read_graph_row(written(tmp_path, CONTENT | {"width": 64, "height": 32})).size == (64, 32)
    for odd in ({}, {"width": 64}, {"width": 0, "height": 32}, {"width": "64", "height": "32"}):
        assert read_graph_row(written(tmp_path, CONTENT | odd)).size is None


LINES = "".join(
    json.dumps({"image": f"images/{name}", **completed}) + "\n"
    for name, completed in [
        ("a.jpg", CONTENT),
        ("b.jpg", json.loads(completion([("cup.1", [0, 0, 5, 5])]))),
        ("b.jpg", CONTENT),
    ]
)


def test_of_several_lines_the_image_or_a_number_chooses(tmp_path):
    path = written(tmp_path, LINES)
    assert read_graph_row(path, Path("x/a.jpg")).where == f"{path}, line 1"
    assert read_graph_row(path, Path("x/a.jpg"), line=2).where == f"{path}, line 2"
    by_id = written(tmp_path, LINES.replace('"image": "images/a.jpg"', '"image_id": "a"'))
    assert read_graph_row(by_id, Path("a.png")).where == f"{by_id}, line 1"
    for image in (None, Path("b.jpg"), Path("c.jpg")):
        with pytest.raises(SggError, match=r"3 lines.*Say which: line=1"):
            read_graph_row(path, image)
    with pytest.raises(SggError, match=r"line=4: .* has no object there, and 3 lines"):
        read_graph_row(path, None, 4)


@pytest.mark.parametrize(
    ("content", "line", "phrase"),
    [
        (
            {"nodes": [], "edges": []},
            None,
            'the keys are "nodes", "edges". Expected is a JSON object',
        ),
        ({"objects": []}, None, 'has no list "relationships"'),
        ({"objects": [], "relations": []}, None, '"relations"'),
        ({"objects": [{"label": "man"}], "relationships": []}, None, 'objects[0] has no "id"'),
        ({"objects": [], "relationships": [{"subject": 1}]}, None, 'no "predicate"'),
        ([CONTENT], None, "a JSON array"),
        (" \n", None, "empty"),
        (CONTENT, 1, "is one JSON object; leave line out"),
        ("a text", 1, "is not one JSON object a line"),
    ],
)
def test_other_forms_are_refused_with_what_is_expected(tmp_path, content, line, phrase):
    with pytest.raises(SggError, match=re.escape(phrase)):
        read_graph_row(written(tmp_path, content), line=line)


def test_files_of_strangers_are_bounded_and_no_links(tmp_path):
    with pytest.raises(SggError, match="no such file"):
        read_graph_row(tmp_path / "none")
    long = written(tmp_path, "[" + " " * (RECORD_BYTES + 1))
    with pytest.raises(SggError, match="line 1 is longer than 16 MiB"):
        read_graph_row(long)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe{}")
    with pytest.raises(SggError, match="no text in UTF-8"):
        read_graph_row(tmp_path / "bytes")
    (tmp_path / "link").symlink_to(tmp_path / "graph")
    with pytest.raises(OSError, match="link"):
        read_graph_row(tmp_path / "link")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["objects", "relationships", "id", "bbox", "name", "subject", "text", "object"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=50)
@given(JSON)
def test_any_json_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    try:
        parsed = read_graph_row(path).parsed((10, 10))
    except SggError:
        return
    assert parsed.graph.edges == () or parsed.graph.nodes


def test_a_line_of_a_large_file_is_found_without_reading_it_whole(tmp_path):
    other = json.dumps({"image": "other.jpg", **CONTENT, "note": "x" * 1_000_000}) + "\n"
    path = written(tmp_path, other * 17 + json.dumps({"image": "a.jpg", **CONTENT}) + "\n")
    assert path.stat().st_size > RECORD_BYTES
    assert read_graph_row(path, Path("a.jpg")).where.endswith("line 18")
    assert read_graph_row(path, line=3).where.endswith("line 3")
    with pytest.raises(SggError, match=r"18 lines, 17 of them of other\.jpg"):
        read_graph_row(path, Path("other.jpg"))
    with path.open("a") as file:
        file.write("no JSON")
    with pytest.raises(SggError, match="line 19: no JSON object"):
        read_graph_row(path, Path("a.jpg"))
