"""Keys of another name are reported with the name that is read, never as a bare KeyError."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from data_files import BOXES, NEAR, config, jsonl_config, line, prepared, write_image, write_lines

from sgg.config.data import ImageSource
from sgg.errors import SggError


def renamed(old, new):
    """A line, and its objects and relations, with one key of another name."""

    def swap(item):
        return {new if key == old else key: value for key, value in item.items()}

    row = line("a.png", BOXES, NEAR)
    row["objects"] = [swap(o) for o in row["objects"]]
    row["relationships"] = [swap(r) for r in row["relationships"]]
    return swap(row)


CASES = [
    ("image", "file_name", "the line"),
    ("objects", "annotations", "the line"),
    ("relationships", "relations", "the line"),
    ("relationships", "relationshps", "the line"),
    ("id", "label", "objects[0]"),
    ("bbox", "box", "objects[0]"),
    ("bbox", "bboxes", "objects[0]"),
    ("subject", "subject_id", "relationships[0]"),
    ("predicate", "relation", "relationships[0]"),
    ("object", "obj", "relationships[0]"),
]


@pytest.mark.parametrize(("old", "new", "where"), CASES)
def test_a_line(tmp_path, old, new, where):
    write_lines(tmp_path, [renamed(old, new)])
    with pytest.raises(SggError) as caught:
        prepared(jsonl_config(tmp_path, image_source=ImageSource.painted), tmp_path)
    message = str(caught.value)
    assert f'({where} has no "{old}"; rename its "{new}" to "{old}")' in message
    assert "KeyError" not in message


@pytest.mark.parametrize(("old", "new", "where"), [c for c in CASES if c[2] != "the line"])
def test_a_published_row(tmp_path, old, new, where):
    row = renamed(old, new)
    texts = {k: json.dumps(row[k]) for k in ("objects", "relationships")}
    image = {"bytes": write_image(tmp_path / "a.png").read_bytes(), "path": None}
    content = pa.Table.from_pylist([{"image_id": "a", "image": image, **texts}])
    parquet.write_table(content, tmp_path / "a.parquet")
    with pytest.raises(SggError) as caught:
        prepared(config("rows", split={"path": str(tmp_path / "a.parquet")}), tmp_path)
    assert f'({where} has no "{old}"; rename its "{new}" to "{old}")' in str(caught.value)
