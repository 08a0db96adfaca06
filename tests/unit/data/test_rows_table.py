"""Shards that give a column different types, that are missing, or that no split's name marks."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from data_files import BOXES, NEAR, config, line, prepared, triplets, write_image

from sgg.data.rows_table import open_table
from sgg.errors import SggError

KEY = "data.eval.path"
OBJECTS = line("", BOXES)["objects"]
RELATIONS = line("", BOXES, NEAR)["relationships"]


def shard(folder, number, relations, count=2, **more):
    """One image in lists instead of JSON text, as arrow writes Python's objects."""
    folder.mkdir(parents=True, exist_ok=True)
    image = {"bytes": write_image(folder / "p.png").read_bytes(), "path": None}
    row = {"image_id": str(number), "image": image, "objects": OBJECTS, "relationships": relations}
    name = f"train-{number:05}-of-{count:05}.parquet"
    parquet.write_table(pa.Table.from_pylist([row | more]), folder / name)


@pytest.mark.parametrize("empty", [0, 1])
def test_a_shard_whose_lists_are_all_empty_is_read_like_the_others(tmp_path, empty):
    """Arrow knows no type for such a list."""
    for number in (0, 1):
        shard(tmp_path / "set", number, [] if number == empty else RELATIONS)
    data = config("rows", split={"path": str(tmp_path / "set")})
    result = prepared(data, tmp_path)
    stated = [triplets(result.gold(i)["graph"]) for i in (0, 1)]
    assert stated[empty] == []
    assert stated[1 - empty] == [("man", "near", "dog")]
    (remark,) = result.report["remarks"]
    assert remark.startswith(f"{KEY}: column relationships is list<element: ")
    assert f"list<element: null> in train-0000{empty}-of-00002.parquet" in remark


def test_numbers_of_other_widths_and_images_that_one_shard_lacks(tmp_path):
    folder = tmp_path / "set"
    shard(folder, 0, RELATIONS)
    shard(folder, 1, RELATIONS, image=None, image_id=7)
    table = parquet.read_table(folder / "train-00001-of-00002.parquet")
    assert str(table.schema.field("image").type) == "null"
    ids = [
        r["image_id"]
        for r in open_table(str(folder / "train-00001-of-00002.parquet"), None, KEY).rows
    ]
    assert ids == [7]
    with pytest.raises(
        SggError, match=r"Column image_id is string in .*, and int64 in train-00001"
    ):
        open_table(str(folder), None, KEY)
    shard(folder, 1, RELATIONS, image=None)
    rows = open_table(str(folder), None, KEY).rows
    assert [r["image"] is None for r in rows] == [False, True]


@pytest.mark.parametrize(
    ("column", "value"), [("objects", "[]"), ("relationships", "[]"), ("image", "1.png")]
)
def test_shards_without_a_common_type_name_the_column_and_the_files(tmp_path, column, value):
    shard(tmp_path / "set", 0, RELATIONS)
    shard(tmp_path / "set", 1, RELATIONS, **{column: value})
    with pytest.raises(SggError) as caught:
        open_table(str(tmp_path / "set"), None, KEY)
    message = str(caught.value)
    assert f"{KEY}: the shards do not fit together. Column {column} is " in message
    assert "train-00000-of-00002.parquet, and string in train-00001-of-00002.parquet" in message


def test_a_column_that_a_shard_lacks(tmp_path):
    shard(tmp_path / "set", 0, RELATIONS, prompt_open="Say all.")
    shard(tmp_path / "set", 1, RELATIONS)
    rows = open_table(str(tmp_path / "set"), None, KEY).rows
    assert [r["prompt_open"] for r in rows] == ["Say all.", None]
    file = tmp_path / "set" / "train-00001-of-00002.parquet"
    parquet.write_table(parquet.read_table(file).drop_columns("objects"), file)
    result = prepared(config("rows", split={"path": str(tmp_path / "set")}), tmp_path)
    assert result.report["issues"] == {"unreadable_row": 1}
    assert result.report["remarks"] == [
        f"{KEY}: column {name} is missing in train-00001-of-00002.parquet."
        for name in ("objects", "prompt_open")
    ]


def test_what_pyarrow_says_deep_down_is_kept(tmp_path):
    """The outermost message says only that an error occurred."""
    shard(tmp_path / "set", 0, RELATIONS)
    file = tmp_path / "set" / "train-00000-of-00002.parquet"
    content = bytearray(file.read_bytes())
    content[4:600] = b"\xff" * 596  # the footer stays
    file.write_bytes(content)
    with pytest.raises(SggError, match=r"(?s)no readable data set \(.*; caused by: .*\)\.$"):
        open_table(str(file), None, KEY)


def test_missing_shards_are_said(tmp_path):
    for number in (0, 2, 4):
        shard(tmp_path / "set", number, RELATIONS, count=5)
    result = prepared(config("rows", split={"path": str(tmp_path / "set")}), tmp_path)
    assert result.rows["image_id"] == ["0", "2", "4"]
    assert result.report["remarks"] == [
        f"{KEY}: 2 of 5 shards are missing (number 1, 3); the rest is read."
    ]
    one = tmp_path / "set" / "train-00000-of-00005.parquet"  # named itself: nothing is missing
    assert open_table(str(one), None, KEY).remarks == ()


def test_files_without_a_split_beside_files_with_one(tmp_path):
    shard(tmp_path / "set", 0, RELATIONS, count=1)
    (tmp_path / "set" / "train-00000-of-00001.parquet").rename(tmp_path / "set" / "more.parquet")
    shard(tmp_path / "set", 0, RELATIONS, count=1)
    with pytest.raises(SggError, match=r"more\.parquet may belong to any split.*say train\."):
        open_table(str(tmp_path / "set"), "train", KEY)


def test_a_saved_dict_that_lacks_a_folder(tmp_path):
    table = datasets.Dataset.from_dict({"image_id": ["1"]})
    datasets.DatasetDict(train=table, test=table).save_to_disk(str(tmp_path / "set"))
    for file in (tmp_path / "set" / "test").iterdir():
        file.unlink()
    (tmp_path / "set" / "test").rmdir()
    with pytest.raises(SggError, match="lists the split 'test', but its folder is missing"):
        open_table(str(tmp_path / "set"), "test", KEY)


def test_shards_of_the_published_form_that_do_not_fit_say_why(tmp_path):
    """No image in either: what was done about the column is said even where nothing is usable."""
    objects = [{"id": "man.1", "bbox": [1, 2, 30, 35]}]
    relation = {"subject": "man.1", "predicate": "on", "object": "man.1"}
    for number, relations in enumerate(([], [relation])):
        row = {
            "image_id": str(number),
            "image": None,
            "objects": objects,
            "relationships": relations,
        }
        file = tmp_path / f"train-0000{number}-of-00002.parquet"
        parquet.write_table(pa.Table.from_pylist([row]), file)
    with pytest.raises(SggError, match="column relationships is list"):
        prepared(config("rows", split={"path": str(tmp_path)}), tmp_path / "cache")
