"""`sgg prepare` as a person calls it: counts on the screen, an exit code, words instead of traces."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

OBJECTS = [{"id": "man.1", "bbox": [10, 10, 50, 60]}, {"id": "dog.2", "bbox": [40, 30, 120, 70]}]
NEAR = {"subject": "man.1", "predicate": "near", "object": "dog.2"}


def sgg(*words, home):
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "sgg", *words],
        capture_output=True,
        text=True,
        cwd=home,
        env=environment,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    """Three lines: one good but for a box past the edge, one stated twice, one without an image."""
    root = tmp_path / "mine"
    root.mkdir()
    rows = [
        {"image": f"{name}.jpg", "width": 100, "height": 80, "objects": OBJECTS, "relationships": r}
        for name, r in (("a", [NEAR]), ("b", [NEAR, NEAR]), ("c", []))
    ]
    (root / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in "ab":
        Image.new("RGB", (100, 80), "red").save(root / f"{name}.jpg")
    return root


def cells(output, first):
    """The cells of the table rows that begin with a word."""
    rows = [
        [c.strip() for c in li.strip("|").split("|")] for li in output.splitlines() if "|" in li
    ]
    return [row[1:] for row in rows if row[0] == first]


def test_counts_are_printed(folder, tmp_path):
    words = ["prepare", "data=jsonl", f"data.root={folder}", "data.train.limit=1"]
    first = sgg(*words, home=tmp_path)
    assert first.returncode == 0, first.stderr
    assert cells(first.stdout, "train") == [["read", "kept"]]
    assert cells(first.stdout, "images") == [["1", "1"], ["3", "2"]]
    assert cells(first.stdout, "objects") == [["2", "2"], ["6", "4"]]
    assert cells(first.stdout, "relations") == [["1", "1"], ["3", "2"]]
    assert [row[0] for row in cells(first.stdout, "box_past_edge")] == ["1", "2"]
    assert cells(first.stdout, "duplicate_relation")[0][0] == "1"
    assert cells(first.stdout, "no_image") == [["1", "its file is missing; image dropped", "c"]]
    assert first.stdout.count("fingerprint ") == 2
    assert "prepare eval" in first.stderr  # the bar
    again = sgg(*words, home=tmp_path)
    assert again.stdout == first.stdout
    assert "prepare eval" not in again.stderr  # from the cache


def test_one_part(folder, tmp_path):
    done = sgg("prepare", "data=jsonl", f"data.root={folder}", "split=eval", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert cells(done.stdout, "images") == [["3", "2"]]
    assert not cells(done.stdout, "train")
    assert len(list((tmp_path / "cache" / "sgg").glob("jsonl-eval-*/report.json"))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=jsonl"], "sgg: data.root must be given: the folder that holds the data set"),
        (["data=jsonl", "data.root=nowhere"], "sgg: data.root=nowhere: no such folder."),
        (["data=jsonl", "data.root=."], "sgg: data.train.path: no file "),
        (
            ["data=jsonl", "data.root=.", "split=test"],
            "sgg: split=test: allowed are train, eval and all.",
        ),
    ],
)
def test_mistakes_are_told_in_words(tmp_path, words, message):
    done = sgg("prepare", *words, home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout == ""


def test_data_without_images_is_told_with_the_way_out(folder, tmp_path):
    for image in folder.glob("*.jpg"):
        image.unlink()
    words = ["prepare", "data=jsonl", f"data.root={folder}", "split=eval"]
    done = sgg(*words, home=tmp_path)
    assert done.returncode == 2
    assert "data.eval: none of 3 images is usable." in done.stderr
    assert "no_image: 3" in done.stderr
    assert "data.image_source=painted" in done.stderr
    assert "Traceback" not in done.stderr
    painted = sgg(*words, "data.image_source=painted", home=tmp_path)
    assert painted.returncode == 0, painted.stderr
    assert cells(painted.stdout, "images") == [["3", "3"]]


def boxes_in_xywh(root, name, count=6):
    """Two objects an image, both inverted as corners."""
    objects = [{"id": "man.1", "bbox": [60, 50, 20, 20]}, {"id": "dog.2", "bbox": [50, 40, 30, 30]}]
    rows = []
    for number in range(count):
        image = f"{name}{number}.png"
        Image.new("RGB", (100, 80), (number, len(name), 0)).save(root / image)
        rows.append({"image": image, "objects": objects, "relationships": [NEAR]})
    (root / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.mark.parametrize("words", [["prepare"], ["stage=sft"]], ids=["prepare", "a run"])
def test_boxes_of_another_format_are_refused_with_the_key(tmp_path, words):
    boxes_in_xywh(tmp_path, "train")
    boxes_in_xywh(tmp_path, "eval")
    files = ["data.train.path=train.jsonl", "data.eval.path=eval.jsonl"]
    done = sgg(*words, "data=jsonl", f"data.root={tmp_path}", *files, home=tmp_path)
    assert done.returncode == 2
    assert "data.train: none of 12 objects is left, in 6 images." in done.stderr
    assert "set data.box_format=xywh." in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if words == ["prepare"]:
        more = ["data.box_format=xywh"]
        mended = sgg(*words, "data=jsonl", f"data.root={tmp_path}", *files, *more, home=tmp_path)
        assert mended.returncode == 0, mended.stderr
        assert cells(mended.stdout, "relations") == [["6", "6"], ["6", "6"]]
        assert "Warning" not in mended.stdout


def test_train_and_eval_from_the_same_images_are_said(folder, tmp_path):
    done = sgg("prepare", "data=jsonl", f"data.root={folder}", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "**Warning:** 2 of 2 eval images are train images: 2 by their content." in done.stdout
    assert "**Warning:** data.eval: 1 of 3 images were lost (33%)." in done.stdout
