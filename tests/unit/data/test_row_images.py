"""Images that published rows name: found where they lie here, or the places that were looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from data_files import BOXES, NEAR, config, line, prepared, write_image

from sgg.config.compose import compose_config
from sgg.config.data import ImageCheck
from sgg.data.prepare import image_store, prepare
from sgg.data.prepared_split import example
from sgg.data.row_images import Places, shortest_names
from sgg.errors import SggError


def row(name, image_id="1"):
    graph = line("", BOXES, NEAR)
    texts = {k: json.dumps(graph[k]) for k in ("objects", "relationships")}
    return {"image_id": image_id, "image": name, **texts}


def as_struct(name):
    return {"bytes": None, "path": name}


def as_path_alone(name):
    return {"path": name}


def parquet_of(folder, *images, file="train.parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row(image, str(i)) for i, image in enumerate(images)]
    parquet.write_table(pa.Table.from_pylist(rows), folder / file)
    return folder


def rows_config(folder, **values):
    return config("rows", values.pop("root", None), {"path": str(folder), "name": None}, **values)


def colour(data, tmp_path, index=0):
    """The top left pixel of a prepared image."""
    item = example(prepared(data, tmp_path).rows[index], image_store(data, "eval"))
    return item.image.getpixel((0, 0))


@pytest.mark.parametrize("form", [str, as_struct, as_path_alone])
@pytest.mark.parametrize("check", ImageCheck)
def test_relative_names_lie_beside_the_table(tmp_path, form, check):
    parquet_of(tmp_path / "set", form("images/1.png"), form("images/2.png"))
    write_image(tmp_path / "set" / "images" / "1.png", colour="red")
    write_image(tmp_path / "set" / "images" / "2.png", (50, 30), colour="blue")
    data = rows_config(tmp_path / "set", image_check=check)
    result = prepared(data, tmp_path)
    assert [(r["width"], r["height"]) for r in result.rows] == [(100, 80), (50, 30)]
    assert colour(data, tmp_path, 0)[0] > 200
    assert colour(data, tmp_path, 1)[2] > 200


def beside_a_file(root, image):
    return {"folder": parquet_of(root / "set", "1.png") / "train.parquet"}, image(root / "set")


def beside_the_shards(root, image):
    parquet_of(root / "set" / "data", "1.png")
    return {"folder": root / "set"}, image(root / "set" / "data")


def above_the_shards(root, image):
    parquet_of(root / "set" / "data", "1.png")
    return {"folder": root / "set"}, image(root / "set")


def below_images(root, image):
    parquet_of(root / "set", "1.png")
    return {"folder": root / "set", "image_folder": str(root / "pictures")}, image(
        root / "pictures"
    )


def below_the_root(root, image):
    parquet_of(root / "set" / "tables", "1.png")
    values = {"folder": "tables", "root": root / "set"}
    return values, image(root / "set")


def in_json_lines(root, image):
    (root / "set").mkdir()
    (root / "set" / "dataset.jsonl").write_text(json.dumps(row("1.png")) + "\n")
    return {"folder": root / "set"}, image(root / "set")


def saved(root, image):
    """`save_to_disk` of names that were never loaded: the files stay outside."""
    values = {k: [v] for k, v in row("1.png").items()}
    datasets.Dataset.from_dict(values).save_to_disk(str(root / "set"))
    return {"folder": root / "set"}, image(root / "set")


def saved_dict(root, image):
    values = {k: [v] for k, v in row("1.png").items()}
    table = datasets.Dataset.from_dict(values)
    datasets.DatasetDict(train=table).save_to_disk(str(root / "set"))
    return {"folder": root / "set"}, image(root / "set")


PLACES = [
    beside_a_file,
    beside_the_shards,
    above_the_shards,
    below_images,
    below_the_root,
    in_json_lines,
    saved,
    saved_dict,
]


@pytest.mark.parametrize("place", PLACES, ids=lambda f: f.__name__)
def test_every_place(tmp_path, place):
    values, file = place(tmp_path, lambda folder: write_image(folder / "1.png", colour="lime"))
    data = rows_config(**values)
    assert colour(data, tmp_path) == (0, 255, 0)
    file.unlink()
    with pytest.raises(SggError) as caught:
        prepared(data, tmp_path / "other")
    message = str(caught.value)
    assert "data.eval: none of 1 images is usable." in message
    assert str(file) in message.splitlines()[-1]
    assert ("Set data.image_folder" in message) == ("image_folder" not in values)


PUBLISHER = "/home/publisher/sets/vg/images/1.png"


FOREIGN = [
    *((PUBLISHER, place) for place in ("vg/images/1.png", "images/1.png", "1.png")),
    *((r"C:\sets\vg\images\1.png", place) for place in ("vg/images/1.png", "1.png")),
    *((r"images\1.png", place) for place in ("images/1.png", "1.png")),
]


@pytest.mark.parametrize(("name", "place"), FOREIGN)
def test_names_of_another_machine(tmp_path, name, place):
    parquet_of(tmp_path / "set", name)
    write_image(tmp_path / "pictures" / place, colour="lime")
    data = rows_config(tmp_path / "set", image_folder=str(tmp_path / "pictures"))
    assert colour(data, tmp_path) == (0, 255, 0)


def test_a_name_that_is_right_here_is_taken_first(tmp_path):
    file = write_image(tmp_path / "elsewhere" / "1.png", colour="lime")
    parquet_of(tmp_path / "set", str(file))
    write_image(tmp_path / "set" / "1.png", colour="red")
    assert colour(rows_config(tmp_path / "set", outside=True), tmp_path) == (0, 255, 0)


def test_a_folder_that_the_name_repeats(tmp_path):
    """data.root is the images folder itself, and names begin with images/."""
    parquet_of(tmp_path / "set", "images/1.png")
    write_image(tmp_path / "all" / "images" / "1.png", colour="lime")
    data = rows_config(tmp_path / "set", root=tmp_path / "all" / "images")
    assert colour(data, tmp_path) == (0, 255, 0)


def test_two_rows_never_share_a_file_that_their_names_tell_apart(tmp_path):
    """train/1.png and val/1.png: a lone 1.png is neither."""
    parquet_of(tmp_path / "set", "/data/train/1.png", "/data/val/1.png")
    write_image(tmp_path / "pictures" / "1.png")
    write_image(tmp_path / "pictures" / "val" / "1.png")
    data = rows_config(tmp_path / "set", image_folder=str(tmp_path / "pictures"))
    result = prepared(data, tmp_path)
    assert result.rows["image_id"] == ["1"]
    assert result.report["issues"] == {"no_image": 1}
    assert result.report["looked_for"] == [
        "/data/train/1.png",
        *(f"{tmp_path}/{f}/data/train/1.png" for f in ("pictures", "set")),
        *(f"{tmp_path}/{f}/train/1.png" for f in ("pictures", "set")),
    ]


def test_a_relative_name_keeps_its_folders_beside_the_table(tmp_path):
    """Only data.image_folder is said to be the images' own folder."""
    parquet_of(tmp_path / "set", "val/1.png")
    write_image(tmp_path / "set" / "1.png")
    with pytest.raises(SggError, match="none of 1 images"):
        prepared(rows_config(tmp_path / "set"), tmp_path)
    assert prepared(rows_config(tmp_path / "set", image_folder=str(tmp_path / "set")), tmp_path)


def test_rows_that_hold_their_images_need_no_file(tmp_path):
    held = {
        "bytes": write_image(tmp_path / "1.png", colour="lime").read_bytes(),
        "path": "gone.png",
    }
    parquet_of(tmp_path / "set", held, as_struct("2.png"))
    write_image(tmp_path / "set" / "2.png", colour="blue")
    data = rows_config(tmp_path / "set")
    assert [colour(data, tmp_path, i) for i in (0, 1)] == [(0, 255, 0), (0, 0, 255)]


def test_rows_without_any_image_say_so(tmp_path):
    parquet_of(tmp_path / "set", None)
    with pytest.raises(SggError, match="The rows neither hold nor name an image") as caught:
        prepared(rows_config(tmp_path / "set"), tmp_path)
    assert "data.image_folder" not in str(caught.value)


def test_images_put_in_any_place_later_are_found(tmp_path):
    parquet_of(tmp_path / "set", "1.png", "2.png")
    write_image(tmp_path / "set" / "1.png")
    (tmp_path / "pictures").mkdir()
    data = rows_config(tmp_path / "set", image_folder=str(tmp_path / "pictures"))
    assert prepared(data, tmp_path).report["issues"] == {"no_image": 1}
    write_image(tmp_path / "set" / "2.png")
    assert prepared(data, tmp_path).report["issues"] == {}


def test_another_copy_of_the_table_has_its_own_images(tmp_path):
    parquet_of(tmp_path / "one", "1.png")
    write_image(tmp_path / "one" / "1.png", colour="red")
    first = prepared(rows_config(tmp_path / "one"), tmp_path)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    write_image(tmp_path / "two" / "1.png", colour="lime")
    second = rows_config(tmp_path / "two")
    assert prepared(second, tmp_path).fingerprint == first.fingerprint
    assert colour(second, tmp_path) == (0, 255, 0)


def test_a_broken_file_is_counted_and_found_when_it_is_mended(tmp_path):
    parquet_of(tmp_path / "set", "1.png", "2.png")
    write_image(tmp_path / "set" / "1.png")
    (tmp_path / "set" / "2.png").write_bytes(b"no image")
    data = rows_config(tmp_path / "set")
    assert prepared(data, tmp_path).report["issues"] == {"broken_image": 1}
    write_image(tmp_path / "set" / "2.png")
    assert prepared(data, tmp_path).report["issues"] == {}


def test_images_must_be_a_folder(tmp_path):
    parquet_of(tmp_path / "set", "1.png")
    with pytest.raises(SggError, match=r"^data\.image_folder=nowhere: no such folder"):
        prepared(rows_config(tmp_path / "set", image_folder="nowhere"), tmp_path)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ([], 1),
        (["a/1.png", "a/2.png"], 1),
        (["a/1.png", "b/1.png"], 2),
        (["x/a/1.png", "y/a/1.png", "x/a/2.png"], 3),
        (["1.png", "a/1.png"], 2),
        ([r"C:\a\1.png", r"D:\a\1.png"], 3),
    ],
)
def test_how_short_a_name_may_be(names, parts):
    assert shortest_names(names) == parts


def test_a_name_out_of_the_folder_is_taken_as_written(tmp_path):
    file = write_image(tmp_path / "images" / "1.png")
    (tmp_path / "tables").mkdir()
    found = Places(None, (tmp_path / "tables",)).find("../images/1.png")
    assert found.file is not None
    assert found.file.samefile(file)


# ------------------------------------------------------------------- through the command line's words


def table_of(folder: Path) -> None:
    write_image(folder / "images" / "1.jpg", (60, 40))
    objects = '[{"id": "man.1", "bbox": [1, 2, 30, 35]}]'
    image = {"bytes": None, "path": "images/1.jpg"}
    content = {"image_id": "1", "image": image, "objects": objects, "relationships": "[]"}
    parquet.write_table(pa.Table.from_pylist([content]), folder / "train.parquet")


@pytest.mark.parametrize("more", [False, True], ids=["beside the table", "with data.image_folder"])
def test_composed(tmp_path, more):
    table_of(tmp_path / "set")
    words = ["data=vg150", f"data.train.path={tmp_path}/set"]
    words += [f"data.image_folder={tmp_path}/set"] if more else []
    composed = compose_config(words)
    assert len(prepare(composed.data, "train", tmp_path / "cache", quiet=True)) == 1
