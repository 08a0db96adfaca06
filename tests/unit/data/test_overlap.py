"""Train and eval from the same images: reported with counts, by images, by ids and by seed."""

from __future__ import annotations

import json
import logging
import shutil

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from data_files import BOXES, NEAR, line, write_image, write_json, write_lines

from sgg.config.data import DataConfig, ImageCheck, ImageSource, Source, SplitConfig
from sgg.data import overlap
from sgg.data.overlap import shared_images
from sgg.data.prepare import is_prepared, prepare


def both(root, source="jsonl", train=None, evaluated=None, **values):
    """A config with both splits."""
    return DataConfig(
        source=Source[source],
        root=str(root),
        train=SplitConfig(**(train or {"path": "train.jsonl"})),
        eval=SplitConfig(**(evaluated or {"path": "eval.jsonl"})),
        workers=1,
        **values,
    )


def told(data, tmp_path, split="eval"):
    prepared = prepare(data, split, tmp_path / "cache", quiet=True)
    return shared_images(data, split, prepared, tmp_path / "cache")


def coloured(root, name, number):
    """An image of its own."""
    return write_image(root / name, colour=(number, 255 - number, number * 7 % 256), format="PNG")


def folder(root, train, evaluated):
    """Two annotation files over images; names may stand in both."""
    for number, name in enumerate(dict.fromkeys([*train, *evaluated])):
        if not (root / name).exists():
            coloured(root, name, number)
    for file, names in (("train", train), ("eval", evaluated)):
        write_lines(root, [line(n, BOXES, NEAR) for n in names], f"{file}.jsonl")
    return root


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize("check", ImageCheck)
def test_the_same_files(tmp_path, split, check):
    data = both(folder(tmp_path / "set", "abc", "cde"), image_check=check)
    assert told(data, tmp_path, split) == (
        "1 of 3 eval images are train images: 1 by their content. What is measured on them is "
        "memory. Name other files by data.train.path and data.eval.path, or part one by "
        "data.train.limit and data.eval.offset."
    )


def test_nothing_shared_says_nothing(tmp_path):
    assert told(both(folder(tmp_path / "set", "abc", "def")), tmp_path) == ""


def test_a_copy_under_another_name(tmp_path):
    root = folder(tmp_path / "set", "ab", "cd")
    shutil.copy(root / "a", root / "c")
    assert "1 of 2 eval images are train images: 1 by their content" in told(both(root), tmp_path)


def test_an_id_whose_file_differs(tmp_path):
    root = folder(tmp_path / "set", ["train/1.png", "train/2.png"], ["eval/1.png", "eval/3.png"])
    for split in ("train", "eval"):
        lines = (root / f"{split}.jsonl").read_text().splitlines()
        rows = [json.loads(text) | {"image_id": str(i)} for i, text in enumerate(lines)]
        write_lines(root, rows, f"{split}.jsonl")
    sentence = told(both(root), tmp_path)
    assert (
        "2 of 2 eval images are train images: 2 by their ids alone, their files differing"
        in sentence
    )


def test_gold_without_images_is_compared_by_ids(tmp_path):
    root = tmp_path / "set"
    write_lines(root, [line(n, BOXES, NEAR) for n in "ab"], "train.jsonl")
    write_lines(root, [line(n, BOXES, NEAR) for n in "bcd"], "eval.jsonl")
    data = both(root, image_source=ImageSource.painted)
    assert "1 of 3 eval images are train images: 1 by their ids. " in told(data, tmp_path)


def test_one_file_for_both_and_its_parts(tmp_path):
    """As `data=jsonl` is by default."""
    root = folder(tmp_path / "set", "abcd", "")
    file = {"path": "train.jsonl"}
    assert "4 of 4 eval images" in told(both(root, train=file, evaluated=file), tmp_path)
    parted = both(root, train=file | {"limit": 3}, evaluated=file | {"offset": 2})
    assert "1 of 2 eval images" in told(parted, tmp_path)
    parted.eval.offset = 3
    assert told(parted, tmp_path) == ""


@pytest.mark.parametrize("form", ["held", "named"])
def test_published_rows(tmp_path, form):
    root = tmp_path / "set"
    for number, name in enumerate("abcd"):
        coloured(root, f"{name}.png", number)
    texts = {k: json.dumps(line("", BOXES, NEAR)[k]) for k in ("objects", "relationships")}
    for file, names in (("train", "abc"), ("eval", "cd")):
        rows = []
        for name in names:
            content = (root / f"{name}.png").read_bytes()
            image = {"bytes": content, "path": None} if form == "held" else f"{name}.png"
            rows.append({"image_id": f"{file}-{name}", "image": image, **texts})
        parquet.write_table(pa.Table.from_pylist(rows), root / f"{file}.parquet")
    splits = {"train": {"path": "train.parquet"}, "evaluated": {"path": "eval.parquet"}}
    data = both(root, "rows", **splits)
    assert "1 of 2 eval images are train images: 1 by their content" in told(data, tmp_path)


def test_splits_of_one_coco_file(tmp_path):
    """A file whose name states no split is read for both."""
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}],
        "categories": [{"id": 1, "name": "man"}],
        "relations": [{"subject_id": 1, "object_id": 1, "predicate": "on"}],
    }
    write_json(tmp_path / "set" / "annotations.json", content)
    splits = {"train": {"name": "train"}, "evaluated": {"name": "val"}}
    data = both(tmp_path / "set", "coco", **splits, image_source=ImageSource.painted)
    assert "1 of 1 eval images are train images: 1 by their ids" in told(data, tmp_path)


@pytest.mark.parametrize(
    ("train", "evaluated", "shared"),
    [
        ({"seed": 1, "limit": 20}, {"seed": 2, "limit": 8}, None),
        ({"seed": 1, "limit": 20}, {"seed": 1, "limit": 8}, "8 of 8"),
        ({"seed": 1, "limit": 20}, {"seed": 1, "limit": 8, "offset": 15}, "5 of 8"),
        ({"seed": 1, "limit": 20}, {"seed": 1, "limit": 8, "offset": 20}, None),
    ],
)
def test_scenes_by_seed(tmp_path, train, evaluated, shared):
    data = both(tmp_path, "shapes", train, evaluated)
    data.root = None
    sentence = told(data, tmp_path)
    assert sentence.startswith(f"{shared} eval scenes are train scenes") if shared else not sentence
    assert not shared or "are both 1" in sentence


# -------------------------------------------------------------------- what the comparison costs


def test_a_large_split_that_is_not_prepared_is_compared_by_ids(tmp_path, monkeypatch):
    monkeypatch.setattr(overlap, "QUICK", 2)
    data = both(folder(tmp_path / "set", "abc", "cd"))
    assert "1 of 2 eval images are train images: 1 by their ids. " in told(data, tmp_path)
    assert not is_prepared(data, "train", tmp_path / "cache")
    prepare(data, "train", tmp_path / "cache", quiet=True)
    assert "1 by their content" in told(data, tmp_path)


def test_a_large_table_is_compared_by_its_column_of_ids(tmp_path, monkeypatch):
    monkeypatch.setattr(overlap, "QUICK", 0)
    texts = {k: json.dumps(line("", BOXES, NEAR)[k]) for k in ("objects", "relationships")}
    for file, ids in (("train", (1, 2, 3)), ("eval", (3, 4))):
        image = {"bytes": write_image(tmp_path / "p.png").read_bytes(), "path": None}
        rows = [{"image_id": i, "image": image, **texts} for i in ids]
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / f"{file}.parquet")
    splits = {
        "train": {"path": "train.parquet", "offset": 1},
        "evaluated": {"path": "eval.parquet"},
    }
    assert "1 of 2 eval images" in told(both(tmp_path, "rows", **splits), tmp_path)


def test_a_split_that_cannot_be_read_is_a_line_in_the_log(tmp_path, caplog):
    root = folder(tmp_path / "set", "ab", "cd")
    (root / "train.jsonl").unlink()
    with caplog.at_level(logging.INFO, "sgg"):
        assert told(both(root), tmp_path) == ""
    (record,) = caplog.records
    assert "Whether data.train has images of data.eval is not known: data.train.path: no file" in (
        record.getMessage()
    )


def test_the_hub_is_never_asked(tmp_path, monkeypatch):
    """Rows whose other split is a hub id: an evaluation does not download the training set."""
    monkeypatch.setattr(overlap, "_digests", lambda *_: pytest.fail("read"))
    data = both(tmp_path, "rows", {"path": "JosephZ/vg150"}, {"path": "eval.parquet"})
    data.root = None
    assert shared_images(data, "eval", None, tmp_path) == ""
