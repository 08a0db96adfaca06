"""`sgg prepare` survives any data set: folders of three sources with one file spoilt at a time.

No traceback, no more than ten seconds of computing, no program, nothing written but the cache.
"""

import json
import os
import shutil
from importlib import import_module

import h5py
import pytest
from PIL import Image
from spoiling import HUGE, read_by, troubles

QUICK, ALL = 40, 400
LOADED = (
    *("sgg.cli.prepare", "sgg.data.prepare", "sgg.data.overlap", "sgg.data.sources.table"),
    *("sgg.plan.validate", "sgg.plan.unread", "sgg.report.data_summary", "datasets"),
)
OBJECTS = [{"id": "man.1", "bbox": [10, 10, 50, 60]}, {"id": "dog.2", "bbox": [40, 30, 90, 70]}]
NEAR = [{"subject": "man.1", "predicate": "near", "object": "dog.2"}]
SIZE = {"width": 100, "height": 80}
DICTS = {
    "idx_to_label": {"1": "man", "2": "dog", "3": "tree"},
    "idx_to_predicate": {"1": "near", "2": "on"},
}
GOLD = [
    {
        "image_id": str(number),
        "size": [100, 80],
        "objects": [[0, [10, 10, 50, 60]], [2, [0.5, 0, 100, 80]]],
        "relations": [[0, 1, 1], [1, 0, 0]],
    }
    for number in (1, 2)
]
H5 = {
    "labels": [[1], [2], [3], [1]],
    "boxes_1024": [[500, 400, 400, 400], [600, 500, 200, 200]] * 2,
    "predicates": [[1], [2]],
    "relationships": [[0, 1], [2, 3]],
    "img_to_first_box": [0, 2],
    "img_to_last_box": [1, 3],
    "img_to_first_rel": [0, 1],
    "img_to_last_rel": [0, 1],
    "split": [2, 2],
}


def jsonl(folder):
    rows = [
        {"image": f"{name}.png", **SIZE, "objects": OBJECTS, "relationships": NEAR}
        for name in "abc"
    ]
    (folder / "annotations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def coco(folder):
    images = [{"id": n, "file_name": f"{name}.png", **SIZE} for n, name in enumerate("abc")]
    annotations = [
        {
            "id": 10 * n + c,
            "image_id": n,
            "category_id": c,
            "bbox": [10, 10, 20 + c, 20],
            "iscrowd": 0,
        }
        for n in range(3)
        for c in (1, 2)
    ]
    relations = {str(n): [[0, 1, 0]] for n in range(3)}
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "man"}, {"id": 2, "name": "dog"}],
    }
    (folder / "val.json").write_text(json.dumps(content))
    rel = {"val": relations, "rel_categories": ["near", "on"]}
    (folder / "rel.json").write_text(json.dumps(rel))


def vg_gold(folder):
    (folder / "VG-SGG-dicts-with-attri.json").write_text(json.dumps(DICTS))
    (folder / "vg150_test.json").write_text(json.dumps(GOLD))


def vg_h5(folder):
    (folder / "VG-SGG-dicts-with-attri.json").write_text(json.dumps(DICTS))
    images = [{"image_id": n, **SIZE, "url": f"https://x/VG_100K/{n}.jpg"} for n in (1, 2)]
    (folder / "image_data.json").write_text(json.dumps(images))
    with h5py.File(folder / "VG-SGG-with-attri.h5", "w") as file:
        for key, values in H5.items():
            file[key] = values


def told(source, folder, *words):
    """The words that prepare a folder."""
    return " ".join(
        ["prepare", f"data={source}", f"data.root={folder}", "split=eval", "data.workers=1", *words]
    )


IMAGES = ("a.png", "b.png", "c.png")
PAINTED = ("data.image_source=painted", "data.vocabulary=none")
SETS = {
    "jsonl": (jsonl, told("jsonl", "jsonl"), ("annotations.jsonl", "a.png")),
    "coco": (coco, told("coco", "coco"), ("val.json", "rel.json", "a.png")),
    "vg_gold": (
        vg_gold,
        told("vg150_raw", "vg_gold", *PAINTED),
        ("VG-SGG-dicts-with-attri.json", "vg150_test.json"),
    ),
    "vg_h5": (
        vg_h5,
        told("vg150_raw", "vg_h5", *PAINTED),
        ("VG-SGG-dicts-with-attri.json", "image_data.json", "VG-SGG-with-attri.h5"),
    ),
}
"""How a data set is written, the words that prepare it, and the files of it that are spoilt."""
TOOLS = {f"{name}/{file}": (words,) for name, (_, words, files) in SETS.items() for file in files}
CACHE = "cache"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The data sets, sound."""
    for name in LOADED:  # once, before processes are forked
        import_module(name)
    folder = tmp_path_factory.mktemp("strange_data") / "base"
    for name, (write, _, _) in SETS.items():
        (folder / name).mkdir(parents=True)
        write(folder / name)
        for image in IMAGES:
            Image.new("RGB", (100, 80)).save(folder / name / image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", CACHE)  # below the folder that the command is typed in
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield folder


@pytest.mark.parametrize("name", SETS)
def test_a_sound_set_is_prepared(base, name):
    root = base.with_name("sound")
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root)
    code, said = read_by(SETS[name][1], root, [root / CACHE])
    assert code == 0, said[-3000:]
    assert "issue" not in said


@pytest.mark.parametrize("file", ["jsonl/annotations.jsonl", "coco/val.json"])
def test_annotations_that_memory_does_not_hold_are_told(base, file):
    root = base.with_name("huge")
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root)
    os.truncate(root / file, HUGE)
    code, said = read_by(*TOOLS[file], root, [root / CACHE])
    assert code == 2
    assert f"{file} (1,100 MiB on the disk) does not fit into memory" in said


def found_in(base, seeds):
    return [trouble for seed in seeds for trouble in troubles(base, seed, TOOLS, [CACHE])]


def test_a_spoilt_set_is_prepared_or_refused(base):
    found = found_in(base, range(QUICK))
    assert not found, "\n".join(found)


@pytest.mark.thorough
def test_hundreds_of_spoilt_sets_are_prepared_or_refused(base):
    found = found_in(base, range(QUICK, ALL))
    assert not found, "\n".join(found)
