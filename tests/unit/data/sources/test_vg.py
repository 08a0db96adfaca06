"""Visual Genome in both layouts: conventions of boxes, ids and splits."""

from __future__ import annotations

import gzip
import json

import h5py
import numpy as np
import pytest
from data_files import config, prepared, triplets, write_image, write_json

from sgg.config.data import ImageCheck, ImageSource, VocabularyName
from sgg.data.sources import vg
from sgg.errors import SggError

DICTS = {
    "idx_to_label": {"1": "man", "2": "dog", "3": "tree"},
    "idx_to_predicate": {"1": "near", "2": "on"},
}
GOLD = [
    {
        "image_id": "11",
        "size": [100, 80],
        "objects": [[0, [10, 10, 50, 60]], [2, [0.5, 0, 100, 80]]],
        "relations": [[0, 1, 1], [1, 0, 0]],
    },
    {"image_id": 12, "size": [50, 50], "objects": [[1, [1, 2, 3, 4]]], "relations": []},
]


def gold_folder(root, rows=GOLD, name="vg150_test.json"):
    write_json(root / "VG-SGG-dicts-with-attri.json", DICTS)
    if name.endswith(".gz"):
        with gzip.open(root / name, "wt") as file:
            json.dump(rows, file)
    else:
        write_json(root / name, rows)
    return root


def vg_config(root, split="test", path=None, **values):
    values = {"image_source": ImageSource.painted, **values}
    return config("vg", root, {"name": split, "path": path}, **values)


def graphs(result):
    return {
        r["image_id"]: (
            [(n.name, n.box) for n in result.gold(i)["graph"].nodes],
            triplets(result.gold(i)["graph"]),
        )
        for i, r in enumerate(result.rows)
    }


@pytest.mark.parametrize("name", ["vg150_test.json", "vg150.json", "vg150-test_2.json.gz"])
def test_gold_classes_count_from_0(tmp_path, name):
    result = prepared(vg_config(gold_folder(tmp_path, name=name)), tmp_path)
    assert graphs(result) == {
        "11": (
            [("man", (10, 10, 50, 60)), ("tree", (0.5, 0, 100, 80))],
            [("man", "on", "tree"), ("tree", "near", "man")],
        ),
        "12": ([("dog", (1, 2, 3, 4))], []),
    }
    assert result.rows["width"] == [100, 50]
    assert result.report["issues"] == {}


def test_gold_of_another_split_is_never_taken(tmp_path):
    gold_folder(tmp_path, GOLD[:1], "vg150_test.json")
    gold_folder(tmp_path, GOLD[1:], "vg150_val.json")
    assert prepared(vg_config(tmp_path, "test"), tmp_path).rows["image_id"] == ["11"]
    assert prepared(vg_config(tmp_path, "val"), tmp_path).rows["image_id"] == ["12"]
    with pytest.raises(
        SggError,
        match=r"data\.eval\.path: data\.root has vg150_test\.json, vg150_val\.json, nothing"
        r" for split train\. .*data\.eval\.name",
    ):
        prepared(vg_config(tmp_path, None), tmp_path)
    named = prepared(vg_config(tmp_path, "train", "vg150_val.json"), tmp_path)
    assert named.rows["image_id"] == ["12"]
    with pytest.raises(SggError, match=r"data\.eval\.path: no file .*vg150_no\.json"):
        prepared(vg_config(tmp_path, "train", "vg150_no.json"), tmp_path)


@pytest.mark.parametrize(
    ("row", "image_id"),
    [
        ({"image_id": 5, "size": [9, 9], "objects": [[3, [1, 1, 2, 2]]], "relations": []}, "5"),
        ({"image_id": 5, "size": [9, 9], "objects": [], "relations": [[0, 0, 2]]}, "5"),
        ({"image_id": 5, "size": [9], "objects": [], "relations": []}, "5"),
        ({"size": [9, 9], "objects": [], "relations": []}, "#2"),
        ([1, 2], "#2"),
    ],
)
def test_gold_rows_of_another_form(tmp_path, row, image_id):
    result = prepared(vg_config(gold_folder(tmp_path, [*GOLD, row])), tmp_path)
    assert result.report["issues"] == {"unreadable_row": 1}
    assert result.report["shown"]["unreadable_row"][0].startswith(f"{image_id} (")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"nodes": []}, 'the image has no "objects"; rename its "nodes" to "objects"'),
        ({"rels": []}, 'the image has no "relations"; rename its "rels" to "relations"'),
        ({"img_size": [9, 9]}, 'the image has no "size"; rename its "img_size" to "size"'),
        ({"objects": [{"bbox": [1, 1, 9, 9]}]}, "objects[0] is not [class, box]: {"),
        ({"objects": [[True, [1, 1, 9, 9]]]}, "no name has the id True: the dicts have 3"),
        ({"objects": [[3, [1, 1, 9, 9]]]}, "no name has the id 3: the dicts have 3"),
        ({"relations": [[0, 1]]}, "relations[0] is not [subject, object, predicate]: [0, 1]"),
    ],
)
def test_what_is_wrong_in_a_gold_row_is_said_with_the_key_and_the_file(tmp_path, row, reason):
    [key] = row
    missing = {"nodes": "objects", "rels": "relations", "img_size": "size"}.get(key, "")
    bad = {k: v for k, v in GOLD[0].items() if k != missing} | {"image_id": "9"} | row
    result = prepared(vg_config(gold_folder(tmp_path, [*GOLD, bad])), tmp_path)
    [shown] = result.report["shown"]["unreadable_row"]
    assert shown.startswith(f"9 ({reason}")
    assert shown.endswith(", in vg150_test.json)")


def test_a_truth_value_or_text_in_a_gold_box_is_counted(tmp_path):
    objects = [[0, [True, 10, 50, 60]], [2, ["0.5", 0, 100, "80"]]]
    row = GOLD[0] | {"objects": objects, "relations": []}
    result = prepared(vg_config(gold_folder(tmp_path, [row])), tmp_path)
    assert result.report["issues"] == {"bad_box": 1, "text_box": 1}


def test_ends_past_the_objects_are_dangling(tmp_path):
    row = GOLD[0] | {"relations": [[0, 1, 1], [0, 7, 1], [-1, 0, 1]]}
    result = prepared(vg_config(gold_folder(tmp_path, [row])), tmp_path)
    assert result.report["issues"] == {"dangling_relation": 2}
    assert result.report["kept"]["relations"] == 1


# one group of images per h5 split; 1592 is corrupt upstream and stands in no h5
IMAGE_DATA = [
    {"image_id": 10, "width": 1024, "height": 512},
    {"image_id": 1592, "width": 7, "height": 7},
    {"image_id": 11, "width": 512, "height": 1024},
    {"image_id": 12, "width": 2048, "height": 1024},
    {"image_id": 13, "width": 512, "height": 256},
    {"image_id": 14, "width": 300, "height": 200},
    {"image_id": 15, "width": 1024, "height": 1024},
]
H5 = {
    # images      10  11  12  13  14  15
    "split": [0, 0, 2, 0, 2, 2],
    "img_to_first_box": [0, 2, 3, 5, -1, 7],
    "img_to_last_box": [1, 2, 4, 6, -1, 7],
    "img_to_first_rel": [0, 1, 2, 4, -1, -1],
    "img_to_last_rel": [0, 1, 3, 4, -1, -1],
    # centre x, centre y, width, height, as if the longer side were 1024
    "boxes_1024": [
        [100, 60, 40, 20],  # 10: scale 1 -> 80 50 120 70
        [500, 200, 101, 51],  # 10: -> 449.5 174.5 550.5 225.5
        [256, 512, 512, 1024],  # 11: the whole image
        [100, 60, 40, 20],  # 12: scale 2 -> 160 100 240 140
        [512, 256, 2, 2],  # 12: -> 1022 510 1026 514
        [100, 60, 40, 20],  # 13: scale 0.5 -> 40 25 60 35
        [1020, 60, 40, 20],  # 13: -> 500 25 520 35, past the edge at 512
        [512, 512, 100, 100],  # 15
    ],
    "labels": [[1], [2], [3], [2], [1], [3], [3], [1]],
    "relationships": [[0, 1], [2, 2], [4, 3], [3, 4], [6, 5]],  # counted over all images
    "predicates": [[1], [2], [2], [1], [1]],
}


def h5_folder(root, h5=None, images=IMAGE_DATA, dicts=DICTS):
    root.mkdir(exist_ok=True)
    write_json(root / "VG-SGG-dicts-with-attri.json", dicts)
    write_json(root / "image_data.json", images)
    with h5py.File(root / "VG-SGG-with-attri.h5", "w") as file:
        for key, values in (h5 or H5).items():
            file[key] = np.array(values, dtype=np.int64 if "rel" in key else np.int32)
    return root


@pytest.fixture
def one_val_image(monkeypatch):
    monkeypatch.setattr(vg, "VAL_IMAGES", 1)


@pytest.mark.usefixtures("one_val_image")
def test_h5_boxes_classes_relations_and_splits(tmp_path):
    h5_folder(tmp_path)
    val, train, test = (
        prepared(vg_config(tmp_path, s), tmp_path) for s in ("val", "train", "test")
    )
    assert graphs(val) == {
        "10": (
            [("man", (80, 50, 120, 70)), ("dog", (449.5, 174.5, 550.5, 225.5))],
            [("man", "near", "dog")],
        )
    }
    assert graphs(train) == {
        "11": ([("tree", (0, 0, 512, 1024))], [("tree", "on", "tree")]),
        "13": (
            [("tree", (40, 25, 60, 35)), ("tree", (500, 25, 512, 35))],
            [("tree", "near", "tree")],
        ),
    }
    assert graphs(test) == {
        "12": (
            [("dog", (160, 100, 240, 140)), ("man", (1022, 510, 1026, 514))],
            [("man", "on", "dog"), ("dog", "near", "man")],
        )
    }
    assert train.report["issues"] == {"box_past_edge": 1, "self_relation": 1}
    assert val.report["issues"] == test.report["issues"] == {}
    assert len({val.fingerprint, train.fingerprint, test.fingerprint}) == 3


@pytest.mark.usefixtures("one_val_image")
def test_image_ids_may_be_text(tmp_path):
    images = [i | {"image_id": str(i["image_id"])} for i in IMAGE_DATA]
    result = prepared(vg_config(h5_folder(tmp_path, images=images), "train"), tmp_path)
    assert result.rows["image_id"] == ["11", "13"]


def test_h5_wins_over_gold_beside_it(tmp_path):
    gold_folder(h5_folder(tmp_path))
    assert prepared(vg_config(tmp_path), tmp_path).rows["image_id"] == ["12"]


@pytest.mark.usefixtures("one_val_image")
def test_images_in_one_folder_or_as_vg_packs_them(tmp_path):
    root, flat, packed = h5_folder(tmp_path / "vg"), tmp_path / "flat", tmp_path / "packed"
    for folder, names in {
        flat: ["11", "13"],
        packed / "VG_100K": ["11"],
        packed / "VG_100K_2": ["13"],
    }.items():
        for name in names:
            write_image(folder / f"{name}.jpg", {"11": (512, 1024), "13": (512, 256)}[name])
    for images in (flat, packed):
        data = vg_config(root, "train", image_folder=str(images), image_source=ImageSource.files)
        result = prepared(data, tmp_path)
        assert result.rows["image_id"] == ["11", "13"]
        assert result.report["issues"] == {"box_past_edge": 1, "self_relation": 1}
    (packed / "VG_100K_2" / "13.jpg").unlink()
    data.image_check = ImageCheck.header
    assert prepared(data, tmp_path).report["issues"] == {"no_image": 1, "self_relation": 1}


@pytest.mark.usefixtures("one_val_image")
def test_an_unknown_class_id_costs_its_image(tmp_path):
    h5 = H5 | {"labels": [[1], [2], [9], [2], [1], [3], [3], [1]]}
    result = prepared(vg_config(h5_folder(tmp_path, h5), "train"), tmp_path)
    assert result.rows["image_id"] == ["13"]
    assert result.report["shown"]["unreadable_row"] == [
        "11 (no name has the id 9: the dicts have 3, in image_data.json)"
    ]


@pytest.mark.parametrize("layout", [gold_folder, h5_folder])
def test_zero_shot_triplets(tmp_path, layout):
    # [subject, object, predicate], counted from 1: man on tree, tree near man, dog on dog, man on dog
    write_json(
        layout(tmp_path) / "zeroshot_triplets.json", [[1, 3, 2], [3, 1, 1], [2, 2, 2], [1, 2, 2]]
    )
    report = prepared(vg_config(tmp_path), tmp_path).report
    assert report["zero_shot_triplets"] == (2 if layout is gold_folder else 1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda r: (r / "image_data.json").unlink(), r"found none of image_data\*\.json"),
        (
            lambda r: write_json(r / "image_data.json", IMAGE_DATA[1:]),
            r"lists 5 images, .*h5 6; they do",
        ),
        (lambda r: write_json(r / "image_data.json", {}), r"lists 0 images"),
        (
            lambda r: write_json(r / "image_data.json", {"a": 1}),
            r"is no list of images with image_id",
        ),
        (lambda r: (r / "VG-SGG-with-attri.h5").write_bytes(b"no"), r"has not the VG-SGG layout"),
        (lambda r: h5_folder(r, {"split": [0]}), r"has not the VG-SGG layout .*img_to_first_box"),
        (
            lambda r: write_json(r / "VG-SGG-dicts-with-attri.json", {}),
            r"has not the form of VG-SGG-dic",
        ),
        (
            lambda r: write_json(r / "zeroshot_triplets.json", [[1, 9, 1]]),
            r"no list of \[subject, object",
        ),
        (lambda r: (r / "VG-SGG-dicts-with-attri.json").write_text("{"), r"no valid JSON file"),
    ],
)
def test_h5_folders_that_do_not_belong_together(tmp_path, damage, words):
    damage(h5_folder(tmp_path))
    with pytest.raises(SggError, match=rf"^data\.root.*{words}"):
        prepared(vg_config(tmp_path), tmp_path)


def test_folders_of_another_form(tmp_path):
    with pytest.raises(SggError, match=r"^data\.root=.*found none of VG-SGG-dicts.*has: nothing"):
        prepared(vg_config(tmp_path), tmp_path)
    gold_folder(tmp_path, rows={"a": 1})
    with pytest.raises(SggError, match=r"^data\.root: .*vg150_test\.json is no gold file"):
        prepared(vg_config(tmp_path), tmp_path)


def test_an_unknown_split(tmp_path):
    with pytest.raises(SggError, match=r"split name dev: VG has train, val, test"):
        prepared(vg_config(gold_folder(tmp_path), "dev"), tmp_path)


def test_the_vocabulary_is_checked(tmp_path):
    dicts = DICTS | {"idx_to_label": {"1": "man", "2": "dragon", "3": "tree"}}
    gold_folder(tmp_path)
    write_json(tmp_path / "VG-SGG-dicts-with-attri.json", dicts)
    result = prepared(vg_config(tmp_path, vocabulary=VocabularyName.vg150), tmp_path)
    assert result.report["issues"] == {"unknown_class": 1}


def test_gold_files_that_all_fit_a_split_are_not_guessed(tmp_path):
    gold_folder(tmp_path, GOLD[:1], "vg150_test.json")
    gold_folder(tmp_path, GOLD[1:], "vg150_test_2.json")
    with pytest.raises(SggError, match=r"vg150_test\.json, vg150_test_2\.json all fit split test"):
        prepared(vg_config(tmp_path), tmp_path)
    named = prepared(vg_config(tmp_path, path="vg150_test_2.json"), tmp_path)
    assert named.rows["image_id"] == ["12"]
    gold_folder(tmp_path / "two", GOLD, "vg150_a.json")
    gold_folder(tmp_path / "two", GOLD, "vg150_b.json")
    with pytest.raises(SggError, match=r"vg150_a\.json, vg150_b\.json all fit split train"):
        prepared(vg_config(tmp_path / "two", "train"), tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["VG-SGG-a.h5", "VG-SGG-with-attri.h5"], r"VG-SGG-a\.h5, VG-SGG-with-attri\.h5 all fit"),
        (["image_data_a.json", "image_data_b.json"], r"image_data_a\.json, image_data_b\.json all"),
        (["VG-SGG-dicts-a.json"], r"VG-SGG-dicts-a\.json, VG-SGG-dicts-with-attri\.json all fit"),
        (
            ["zeroshot_triplets_a.json", "zeroshot_triplets_b.json"],
            r"zeroshot_triplets_a\.json, zeroshot_triplets_b\.json all fit",
        ),
    ],
)
def test_two_files_of_one_kind_are_not_guessed(tmp_path, names, words):
    h5_folder(tmp_path)
    if names[0].startswith("image_data"):
        (tmp_path / "image_data.json").unlink()
    for name in names:
        file = tmp_path / name
        if not file.exists():
            file.write_text("[]")
    (tmp_path / "zeroshot_triplets.json").unlink(missing_ok=True)
    with pytest.raises(SggError, match=rf"^data\.root=.*{words}.*Leave one of them"):
        prepared(vg_config(tmp_path), tmp_path)


def test_the_plainest_name_wins(tmp_path):
    """VG-SGG.h5 beside VG-SGG-with-attri.h5: they say the same of boxes and relations."""
    expected = prepared(vg_config(h5_folder(tmp_path / "one")), tmp_path).rows[:]
    h5_folder(tmp_path / "two")
    (tmp_path / "two" / "VG-SGG-with-attri.h5").rename(tmp_path / "two" / "VG-SGG.h5")
    (tmp_path / "two" / "VG-SGG-with-attri.h5").write_bytes(b"unread")
    assert prepared(vg_config(tmp_path / "two"), tmp_path).rows[:] == expected


@pytest.mark.parametrize("name", [None, 7, "7", {"name": "dog"}])
def test_what_is_no_name_names_nothing(tmp_path, name):
    folder = gold_folder(tmp_path)
    dicts = {key: names | {"2": name} for key, names in DICTS.items()}
    write_json(folder / "VG-SGG-dicts-with-attri.json", dicts)
    result = prepared(vg_config(folder), tmp_path)
    assert graphs(result) == {
        "11": (
            [("man", (10, 10, 50, 60)), ("tree", (0.5, 0, 100, 80))],
            [("tree", "near", "man")],
        ),
        "12": ([], []),
    }
    assert result.report["issues"] == {"no_class": 1, "no_predicate": 1}
