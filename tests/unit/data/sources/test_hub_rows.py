"""The published row format from every kind of place, with images of every kind."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import (
    BOXES,
    NEAR,
    config,
    line,
    prepared,
    rotated,
    triplets,
    truncated,
    write_image,
)

from sgg.config.data import ImageCheck, ImageSource
from sgg.data.prepare import image_store
from sgg.data.prepared_split import example
from sgg.data.rows_table import open_table
from sgg.data.sources.hub_rows import RowsReader
from sgg.errors import SggError

KEY = "data.eval.path"


def columns(folder: Path, ids=("a", "b"), size=(100, 80)) -> dict[str, list]:
    """Two images in the published columns, images as bytes and path."""
    graph = line("", BOXES, NEAR)
    write_image(folder / "picture.png", size)
    image = {"bytes": (folder / "picture.png").read_bytes(), "path": "picture.png"}
    n = len(ids)
    return {
        "image_id": list(ids),
        "image": [image] * n,
        "prompt_open": ["Say all."] * n,
        "prompt_close": ["Say these."] * n,
        "objects": [json.dumps(graph["objects"])] * n,
        "relationships": [json.dumps(graph["relationships"])] * n,
    }


def dataset(values: dict[str, list]) -> datasets.Dataset:
    return datasets.Dataset.from_dict(values).cast_column("image", datasets.Image())


def parquet(file: Path, values: dict[str, list]) -> Path:
    """A parquet file by pyarrow alone: images stay structs, as many tools write them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(values), file)
    return file


def as_folder(root, values):
    parquet(root / "d" / "data" / "train-00000-of-00001.parquet", values)
    return root / "d", "train"


def as_file(root, values):
    return parquet(root / "rows.parquet", values), None


def as_hub_parquet(root, values):
    dataset(values).to_parquet(str(root / "rows.parquet"))
    return root / "rows.parquet", "train"


def as_saved(root, values):
    dataset(values).save_to_disk(str(root / "saved"))
    return root / "saved", "train"


def as_saved_struct(root, values):
    datasets.Dataset.from_dict(values).save_to_disk(str(root / "saved"))
    return root / "saved", None


def as_dict(root, values):
    datasets.DatasetDict(test=dataset(values)).save_to_disk(str(root / "saved"))
    return root / "saved", "test"


def as_arrow(root, values):
    as_saved(root, values)
    return next((root / "saved").glob("*.arrow")), None


PLACES = [as_folder, as_file, as_hub_parquet, as_saved, as_saved_struct, as_dict, as_arrow]


@pytest.mark.parametrize("place", PLACES, ids=lambda f: f.__name__)
def test_every_place_gives_the_same_rows(tmp_path, place):
    path, split = place(tmp_path, columns(tmp_path))
    data = config("rows", split={"path": str(path), "name": split})
    result = prepared(data, tmp_path)
    assert result.report["issues"] == {}
    assert result.rows["image_id"] == ["a", "b"]
    item = example(result.rows[1], image_store(data, "eval"))
    assert (item.width, item.height) == item.image.size == (100, 80)
    assert item.image.getpixel((5, 5)) == (255, 0, 0)
    assert [n.box for n in item.graph.nodes] == [(10, 10, 50, 60), (40, 30, 90, 70)]
    assert triplets(item.graph) == [("man", "near", "dog")]
    assert item.columns == {"prompt_open": "Say all.", "prompt_close": "Say these."}


def test_paths_below_the_root_and_from_home(tmp_path, monkeypatch):
    parquet(tmp_path / "rows.parquet", columns(tmp_path))
    data = config("rows", tmp_path, {"path": "rows.parquet"})
    assert len(prepared(data, tmp_path)) == 2
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(RowsReader("~/rows.parquet", None, KEY)) == 2


def test_values_as_other_tools_write_them(tmp_path):
    """Plain bytes, image paths, lists instead of JSON text, number ids, no prompts."""
    values = columns(tmp_path, ids=(7, 8))
    graph = line("", BOXES, NEAR)
    del values["prompt_open"], values["prompt_close"]
    values["objects"] = [graph["objects"]] * 2
    values["relationships"] = [graph["relationships"]] * 2
    for name, images in {
        "bytes": [v["bytes"] for v in values["image"]],
        "paths": [str(tmp_path / "picture.png")] * 2,
    }.items():
        file = parquet(tmp_path / f"{name}.parquet", values | {"image": images})
        data = config("rows", split={"path": str(file)})
        result = prepared(data, tmp_path)
        assert result.rows["image_id"] == ["7", "8"]
        item = example(result.rows[0], image_store(data, "eval"))
        assert item.image.size == (100, 80)
        assert triplets(item.graph) == [("man", "near", "dog")]
        assert item.columns == {}


@pytest.mark.parametrize("place", [as_file, as_saved], ids=["parquet", "saved"])
@pytest.mark.parametrize("check", list(ImageCheck))
def test_broken_rows_are_counted(tmp_path, place, check):
    values = columns(tmp_path, ids=["good", "cut", "text", "none", "turned", "json", "form"])
    for index, data in {
        1: truncated(tmp_path / "cut.jpg", (400, 300)).read_bytes(),
        2: b"no image",
        4: rotated(tmp_path / "turned.jpg", (60, 100)).read_bytes(),
    }.items():
        values["image"][index] = {"bytes": data, "path": None}
    values["image"][3] = None
    values["objects"][5] = "[{"
    values["relationships"][6] = '[{"subject": 3}]'
    path, split = place(tmp_path, values)
    data = config("rows", split={"path": str(path), "name": split}, image_check=check)
    result = prepared(data, tmp_path)
    kept = {r["image_id"]: (r["width"], r["height"]) for r in result.rows}
    expected = {"good": (100, 80), "turned": (100, 60)}
    issues = {"no_image": 1, "broken_image": 2, "unreadable_row": 2, "box_past_edge": 1}
    issues["turned"] = 1
    if check is ImageCheck.header:  # cut pixels stay unseen
        expected["cut"] = (400, 300)
        issues["broken_image"] = 1
    assert kept == expected
    assert result.report["issues"] == issues
    assert result.report["read"]["images"] == 7
    image = example(result.rows[len(kept) - 1], image_store(data, "eval")).image
    assert image.size == (100, 60)


def shards(root, *names):
    for name in names:
        parquet(root / name, columns(root, ids=[name]))
    return root


@pytest.mark.parametrize(
    ("names", "split", "found"),
    [
        (["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], "train", None),
        (["train-00000-of-00001-0a1b2c.parquet", "test-00000-of-00001.parquet"], "test", [1]),
        (["train/0000.parquet", "val/0000.parquet"], "val", [1]),
        (["train.parquet", "validation.parquet"], None, [0]),
        (["part-0.parquet", "part-1.parquet"], "train", None),  # no name marks a split
        (["part-0.parquet"], "val", None),
    ],
)
def test_splits_of_parquet_folders(tmp_path, names, split, found):
    table = open_table(str(shards(tmp_path / "d", *names)), split, KEY)
    assert table.rows["image_id"][:] == (names if found is None else [names[i] for i in found])


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["train-00000-of-00001.parquet", "val-00000-of-00001.parquet"], "validation"),
        (["test.parquet"], "train"),
        (["test/0.parquet", "part-0.parquet"], "train"),
    ],
)
def test_a_split_that_is_not_there_is_never_replaced_by_another(tmp_path, names, split):
    folder = shards(tmp_path / "d", *names)
    with pytest.raises(SggError, match=rf"no split '{split}'; it has .*by data\.eval\.name"):
        open_table(str(folder), split, KEY)


def test_a_saved_dict_names_its_splits(tmp_path):
    path, _ = as_dict(tmp_path, columns(tmp_path))
    with pytest.raises(SggError, match=r"data\.eval\.path=.*no split 'train'; it has test\."):
        open_table(str(path), None, KEY)


def test_missing_columns(tmp_path):
    values = columns(tmp_path)
    del values["objects"], values["image"]
    file = parquet(tmp_path / "rows.parquet", values)
    with pytest.raises(
        SggError,
        match=r"data\.eval\.path=.*columns image, objects are missing.*found: image_id, pr",
    ):
        RowsReader(str(file), None, KEY)


def test_an_image_column_without_images(tmp_path):
    file = parquet(tmp_path / "rows.parquet", columns(tmp_path) | {"image": [1.5, 2.5]})
    with pytest.raises(SggError, match="column image holds no images, but Value"):
        RowsReader(str(file), None, KEY)


def nothing(root):
    (root / "d").mkdir()
    return root / "d"


def only_text(root):
    (nothing(root) / "notes.txt").write_text("x")
    return root / "d"


def broken_parquet(root):
    (root / "a.parquet").write_bytes(b"PAR1 no")
    return root / "a.parquet"


def broken_arrow(root):
    (root / "a.arrow").write_bytes(b"no")
    return root / "a.arrow"


def broken_saved(root):
    as_saved(root, columns(root))
    next((root / "saved").glob("*.arrow")).write_bytes(b"no")
    return root / "saved"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (nothing, "no data set there. Give a hub id"),
        (only_text, "no data set there. Give a hub id"),
        (lambda root: only_text(root) / "notes.txt", "no data set there"),
        (broken_parquet, "no readable data set"),
        (broken_arrow, "no readable data set"),
        (broken_saved, "no readable data set"),
        (lambda root: root / "nowhere", "no such folder or file"),
        (lambda root: "one/two/three", "no such folder or file"),
        (lambda root: "nobody/nothing", "no folder here, and the hub does not give it"),
    ],
)
def test_places_without_data(tmp_path, place, words):
    path = place(tmp_path)
    with pytest.raises(SggError, match=rf"(?s)data\.eval\.path={path}: .*{words}"):
        RowsReader(str(path), "train", KEY)


def test_the_hub_message_has_the_way_out():
    with pytest.raises(
        SggError, match=r"hf download --repo-type dataset nobody/nothing.*eval\.path=D"
    ):
        open_table("nobody/nothing", None, KEY)


def test_a_path_is_needed():
    with pytest.raises(SggError, match=r"data\.eval\.path must be given: a hub id, a folder"):
        prepared(config("rows"), Path())


def test_identity_follows_the_content(tmp_path):
    def identity(name, **more):
        return open_table(
            str(parquet(tmp_path / name / "x.parquet", values | more)), None, KEY
        ).identity

    values = columns(tmp_path)
    first = identity("one")
    assert identity("two") == first  # another folder
    assert identity("three", image_id=["a", "c"]) != first


def gold_lines(folder: Path, name: str, rows: list[dict]) -> Path:
    """Rows without images, as JSON lines; gzipped if the name says so."""
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def gold_row(image_id: str, **more) -> dict:
    graph = line("", BOXES, NEAR)
    texts = {k: json.dumps(graph[k]) for k in ("objects", "relationships")}
    return {"image_id": image_id, "image_size": "[100, 80]", **texts, **more}


@pytest.mark.parametrize("name", ["dataset.jsonl", "dataset.jsonl.gz", "mine.jsonl"])
def test_gold_without_images_as_json_lines(tmp_path, name):
    file = gold_lines(tmp_path, name, [gold_row("a"), gold_row("b", image_size=[100, 80])])
    path = tmp_path if name.startswith("dataset") else file
    result = prepared(
        config("rows", split={"path": str(path)}, image_source=ImageSource.painted), tmp_path
    )
    assert result.rows["image_id"] == ["a", "b"]
    assert (result.rows["width"], result.rows["height"]) == ([100, 100], [80, 80])
    assert triplets(result.gold(1)["graph"]) == [("man", "near", "dog")]


def test_gold_without_images_says_how_to_go_without(tmp_path):
    file = gold_lines(tmp_path, "mine.jsonl", [gold_row("a")])
    with pytest.raises(SggError, match=r"data\.image_source=painted"):
        RowsReader(str(file), None, KEY)


@pytest.mark.parametrize(("content", "words"), [("[1]\n", ":1 is no JSON"), ("{\n", "no valid")])
def test_wrong_json_lines(tmp_path, content, words):
    (tmp_path / "mine.jsonl").write_text(content)
    with pytest.raises(SggError, match=words):
        RowsReader(str(tmp_path / "mine.jsonl"), None, KEY)


def test_a_hub_id_below_a_root_names_both_ways_out(tmp_path):
    data = config("rows", tmp_path, {"path": "JosephZ/vg150", "name": "train"})
    words = r"data\.eval\.path=JosephZ/vg150: not below data\.root=.*eval\.path=NAME, or leave data\.root out"
    with pytest.raises(SggError, match=words):
        prepared(data, tmp_path)
