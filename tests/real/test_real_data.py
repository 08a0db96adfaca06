"""The readers on real annotations; found through SGG_REALDATA, none of them is in the repository."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from sgg.config.data import (
    BoxFormat,
    DataConfig,
    ImageCheck,
    ImageSource,
    Source,
    SplitConfig,
    VocabularyName,
)
from sgg.data.box_format import fits, suspicion
from sgg.data.paint import paint
from sgg.data.prepare import image_store, prepare
from sgg.data.prepared_split import example
from sgg.scene.boxes import iou
from sgg.scene.vocab import VOCABULARIES

pytestmark = pytest.mark.skipif(
    not os.environ.get("SGG_REALDATA"),
    reason="SGG_REALDATA is not set: the folder of real annotations (docs/data.md) is not here",
)

DICTS = "VG-SGG-dicts-with-attri.json"


@pytest.fixture(scope="session")
def real() -> Path:
    folder = Path(os.environ["SGG_REALDATA"])
    assert folder.is_dir(), f"SGG_REALDATA={folder} is no folder"
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def load(cache, source, root, split=None, **values):
    """(config, prepared): gold alone, painted, unless set otherwise."""
    values = {"image_source": ImageSource.painted, **values}
    data = DataConfig(
        source=Source[source], root=str(root), eval=SplitConfig(**(split or {})), **values
    )
    return data, prepare(data, "eval", cache, quiet=True)


def graph_of(result, image_id):
    return result.gold(result.rows["image_id"][:].index(image_id))["graph"]


def triplets(graph):
    return [graph.triplet(edge) for edge in graph.edges]


# ------------------------------------------------------------------------------------------ VG150


@pytest.fixture(scope="session")
def vg150(real, cache):
    split, vocabulary = {"name": "test"}, VocabularyName.vg150
    return load(cache, "vg", real / "vg150_test", split, vocabulary=vocabulary)


def test_all_of_vg150_test(vg150):
    data, result = vg150
    assert result.report["read"] == {"images": 26446, "objects": 192746, "relations": 183642}
    assert result.report["issues"] == {
        "duplicate_relation": 31416,
        "box_past_edge": 119,
        "degenerate_box": 3,
        "dangling_relation": 2,  # of the degenerate boxes
    }
    assert result.report["kept"] == {
        "images": 26446,
        "objects": 192746 - 3,
        "relations": 183642 - 31416 - 2,
    }
    assert result.report["zero_shot_triplets"] == 5971
    store = image_store(data, "eval")
    for index in (0, 13_000, 26_445):
        item = example(result.rows[index], store)
        assert item.image.size == (item.width, item.height)
        assert len(item.image.getcolors(1 << 16)) > 1


def test_a_graph_of_vg150_by_hand(vg150):
    # [[86, [0,0,137,194]], [73, [0,0,125,104]], [73, [0,98,111,195]]], [[0,1,12], [0,2,12]]; in the
    # dicts, which count from 1, 87 is pant, 74 leg and 13 covering
    graph = graph_of(vg150[1], "2315353")
    assert [n.box for n in graph.nodes] == [(0, 0, 137, 194), (0, 0, 125, 104), (0, 98, 111, 195)]
    assert triplets(graph) == [("pant", "covering", "leg"), ("pant", "covering", "leg")]
    assert [(e.subject, e.object) for e in graph.edges] == [(0, 1), (0, 2)]


def test_vg_sgg_layout_gives_the_graphs_of_the_gold(real, cache, vg150, tmp_path):
    """75 images in the h5 layout, every third of another split; images are files."""
    _, gold = vg150
    rows = [gold.gold(i) for i in range(75)]
    write_vg_sgg(tmp_path, real / "vg150_test" / DICTS, rows)
    options = {"image_source": ImageSource.files, "image_check": ImageCheck.decode, "workers": 1}
    data, result = load(
        cache,
        "vg",
        tmp_path,
        {"name": "test"},
        vocabulary=VocabularyName.vg150,
        image_folder=str(tmp_path / "pictures"),
        **options,
    )
    expected = [row for i, row in enumerate(rows) if i % 3]
    assert result.report["issues"] == {}
    assert result.rows["image_id"] == [row["image_id"] for row in expected]
    store = image_store(data, "eval")
    for index, row in enumerate(expected):
        item = example(result.rows[index], store)
        assert (item.width, item.height) == (row["width"], row["height"]) == item.image.size
        assert [n.name for n in item.graph.nodes] == [n.name for n in row["graph"].nodes]
        assert item.graph.edges == row["graph"].edges
        np.testing.assert_allclose(item.graph.boxes_xyxy, row["graph"].boxes_xyxy, atol=1e-6)


def write_vg_sgg(root, dicts_file, rows):
    """VG-SGG as Xu et al. lay it out: flat arrays over all images, boxes by centre and size."""
    dicts = json.loads(dicts_file.read_text())
    label_of = {name: int(i) for i, name in dicts["idx_to_label"].items()}
    predicate_of = {name: int(i) for i, name in dicts["idx_to_predicate"].items()}
    (root / DICTS).write_text(dicts_file.read_text())
    (root / "pictures").mkdir()
    image_data, h5 = [], {k: [] for k in ("split", "boxes_1024", "labels", "predicates")}
    h5["relationships"], counts = [], []
    for index, row in enumerate(rows):
        graph, width, height = row["graph"], row["width"], row["height"]
        image_data.append({"image_id": int(row["image_id"]), "width": width, "height": height})
        x1, y1, x2, y2 = (graph.boxes_xyxy * (1024 / max(width, height))).T
        first = len(h5["labels"])
        h5["split"].append(2 if index % 3 else 0)
        h5["boxes_1024"] += np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1).tolist()
        h5["labels"] += [[label_of[n.name]] for n in graph.nodes]
        h5["relationships"] += [[e.subject + first, e.object + first] for e in graph.edges]
        h5["predicates"] += [[predicate_of[e.predicate]] for e in graph.edges]
        counts.append((len(graph.nodes), len(graph.edges)))
        image = root / "pictures" / f"{row['image_id']}.jpg"
        # many a folder has PNG data under such names
        paint(graph, width, height).save(image, "JPEG" if index % 2 else "PNG")
    for column, what in enumerate(("box", "rel")):
        ends = np.cumsum([c[column] for c in counts])
        h5[f"img_to_first_{what}"] = ends - [c[column] for c in counts]
        h5[f"img_to_last_{what}"] = ends - 1
    (root / "image_data.json").write_text(json.dumps(image_data))
    with h5py.File(root / "VG-SGG-with-attri.h5", "w") as file:
        for key, values in h5.items():
            file[key] = np.array(values)


# ------------------------------------------------------------------------------------------ others


def test_psg(real, cache):
    _, result = load(cache, "psg", real / "psg", vocabulary=VocabularyName.psg)
    graph = graph_of(result, "107902")
    assert [(n.name, n.box) for n in graph.nodes] == [
        ("person", (49, 162, 207, 617)),
        ("person", (259, 158, 397, 631)),
        ("umbrella", (157, 75, 469, 279)),
        ("tree-merged", (0, 0, 480, 131)),
        ("fence-merged", (0, 112, 480, 323)),
        ("sky-other-merged", (215, 0, 480, 54)),
        ("grass-merged", (0, 285, 480, 640)),
    ]
    text = json.loads((real / "psg" / "psg_one_record_as_text.json").read_text())
    assert [" ".join(t) for t in triplets(graph)] == text
    assert len(text) == 6
    assert result.report["issues"] == {}


def test_gqa(real, cache):
    _, result = load(cache, "gqa", real / "gqa", {"path": "train_sceneGraphs_sample.json"})
    assert result.report["read"] == {"images": 14, "objects": 239, "relations": 755}
    assert result.report["kept"] == result.report["read"]
    assert result.report["issues"] == {"box_past_edge": 2, "self_relation": 2}
    nodes = graph_of(result, "2331146").nodes
    # "2708845": zebra, x 10, y 88, w 234, h 189; "2751039": pole, x 299, y 395, w 15, h 58
    assert [(n.name, n.box) for n in nodes[:2]] == [
        ("zebra", (10, 88, 244, 277)),
        ("pole", (299, 395, 314, 453)),
    ]


@pytest.mark.parametrize(
    ("image_id", "triplet", "box"),
    [
        ("2374375", ("guy", "holding", "guy"), (117, 84, 196, 410)),
        ("2318337", ("bear", "on", "bear"), (179, 262, 199, 296)),
    ],
)
def test_relations_of_an_object_to_itself_survive(real, cache, image_id, triplet, box):
    _, result = load(cache, "gqa", real / "gqa", {"path": "train_sceneGraphs_sample.json"})
    graph = graph_of(result, image_id)
    loops = [e for e in graph.edges if e.subject == e.object]
    assert [graph.triplet(e) for e in loops] == [triplet]
    assert graph.nodes[loops[0].subject].box == box


def test_vrd(real, cache):
    _, result = load(cache, "vrd", real / "vrd", {"name": "val"})
    assert result.report["read"] == {"images": 1000, "objects": 6735, "relations": 7638}
    assert result.report["issues"] == {"duplicate_relation": 160, "self_relation": 26}
    assert result.report["kept"] == {"images": 1000, "objects": 6735, "relations": 7478}
    gold = result.gold(0)
    assert (gold["image_id"], gold["width"], gold["height"]) == ("000000000190", 1024, 768)
    # y1, y2, x1, x2: clock [271, 355, 788, 873], post [357, 481, 819, 854], bush [537, 718, 5, 913]
    assert [(n.name, n.box) for n in gold["graph"].nodes] == [
        ("clock", (788, 271, 873, 355)),
        ("post", (819, 357, 854, 481)),
        ("bush", (5, 537, 913, 718)),
    ]
    assert triplets(gold["graph"]) == [
        ("clock", "on", "post"),
        ("post", "has", "clock"),
        ("bush", "in the front of", "clock"),
    ]


def test_photographs(real, cache):
    data, result = load(
        cache,
        "jsonl",
        real / "photos",
        {"path": "annotations.jsonl"},
        image_source=ImageSource.files,
    )
    assert result.report["issues"] == {}
    assert result.report["kept"] == {"images": 3, "objects": 26, "relations": 22}
    store = image_store(data, "eval")
    items = {row["image_id"]: example(row, store) for row in result.rows}
    sizes = {i: (item.width, item.height) for i, item in items.items()}
    assert sizes == {
        "000000391895": (640, 360),
        "000000184613": (500, 336),
        "000000522418": (640, 480),
    }
    for item in items.values():
        assert item.image.size == (item.width, item.height)
        assert np.asarray(item.image).std() > 20  # a photograph, not a grey field
    names = Counter(item.columns["vocabulary"] for item in items.values())
    assert names == {"vg150": 2, "psg": 1}
    rider = items["000000391895"].graph
    assert triplets(rider)[0] == ("man", "riding", "motorcycle")
    assert rider.nodes[0].box == (339, 22, 495, 325)
    assert iou(rider.boxes_xyxy[:1], rider.boxes_xyxy[3:4])[0, 0] > 0  # he sits on it


# ------------------------------------------------------------------------------------------- COCO

COUNT = 300


def write_coco(root, rows, names, in_one_file):
    """Real gold as COCO-style files: relations by annotation id in it, or by place in rel.json."""
    content = {"images": [], "annotations": [], "categories": []}
    relations, places = [], {}
    for row in rows:
        graph, image_id = row["graph"], int(row["image_id"])
        size = {"width": row["width"], "height": row["height"]}
        content["images"].append({"id": image_id, "file_name": f"{image_id}.jpg", **size})
        first = len(content["annotations"])
        for place, (x1, y1, x2, y2) in enumerate(graph.boxes_xyxy.tolist()):
            category = names["objects"].index(graph.nodes[place].name) + 1
            box = [x1, y1, x2 - x1, y2 - y1]
            item = {"id": first + place, "image_id": image_id, "category_id": category, "bbox": box}
            content["annotations"].append(item | {"iscrowd": 0})
        for edge in graph.edges:
            predicate = names["predicates"].index(edge.predicate) + 1
            ends = {"subject_id": first + edge.subject, "object_id": first + edge.object}
            relations.append({"image_id": image_id, "predicate_id": predicate, **ends})
            places.setdefault(str(image_id), []).append([edge.subject, edge.object, predicate])
    content["categories"] = [{"id": i, "name": n} for i, n in enumerate(names["objects"], 1)]
    predicates = ["__background__", *names["predicates"]]
    root.mkdir()
    if in_one_file:
        content["rel_annotations"] = relations
        content["rel_categories"] = [{"id": i, "name": n} for i, n in enumerate(predicates) if i]
    else:
        rel = {"train": {}, "val": {}, "test": places, "rel_categories": predicates}
        (root / "rel.json").write_text(json.dumps(rel))
    (root / "test.json").write_text(json.dumps(content))


@pytest.mark.parametrize("in_one_file", [True, False], ids=["in one file", "rel.json"])
def test_vg150_in_coco_form_gives_the_same_graphs(vg150, tmp_path, in_one_file):
    _, gold = vg150
    rows = [gold.gold(i) for i in range(0, 26446, 26446 // COUNT)][:COUNT]
    vocabulary = VOCABULARIES["vg150"]
    names = {"objects": vocabulary.objects, "predicates": vocabulary.predicates}
    write_coco(tmp_path / "coco", rows, names, in_one_file)
    values = {"vocabulary": VocabularyName.vg150, "box_format": BoxFormat.xywh, "workers": 1}
    _, result = load(tmp_path / "cache", "coco", tmp_path / "coco", {"name": "test"}, **values)
    assert result.report["issues"].keys() <= {"tiny_box", "self_relation"}
    assert result.warnings == ()
    for index, row in enumerate(rows):
        got = result.gold(index)["graph"]
        assert [n.name for n in got.nodes] == [n.name for n in row["graph"].nodes]
        assert got.edges == row["graph"].edges
        np.testing.assert_allclose(got.boxes_xyxy, row["graph"].boxes_xyxy, atol=1e-6)


def test_boxes_of_a_coco_photograph(real, cache, tmp_path):
    """Its six boxes are COCO's own; read as corners they are suspected at once."""
    source = json.loads((real / "photos" / "coco_39769_boxes.json").read_text())
    classes = {a["category_id"]: a["name"] for a in source["annotations"]}
    cats = [a["id"] for a in source["annotations"] if a["name"] == "cat"]
    couch = next(a["id"] for a in source["annotations"] if a["name"] == "couch")
    content = {
        "images": [source["image"] | {"file_name": "000000039769.jpg"}],
        "annotations": source["annotations"],
        "categories": [{"id": i, "name": n} for i, n in classes.items()],
        "relations": [
            {"subject_id": cat, "predicate": "lying on", "object_id": couch} for cat in cats
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    _, result = load(cache, "coco", tmp_path, {"name": "val"}, box_format=BoxFormat.xywh)
    graph = result.gold(0)["graph"]
    assert triplets(graph) == [("cat", "lying on", "couch")] * 2
    assert graph.nodes[2].box == pytest.approx((1.08, 0, 639.64, 473.53))
    assert result.report["issues"] == {}
    _, wrong = load(cache, "coco", tmp_path, {"name": "val"}, box_format=BoxFormat.xyxy)
    assert "set data.box_format=xywh" in wrong.warnings[-1]


@pytest.mark.parametrize("source", ["vg150", "gqa", "vrd", "psg"])
@pytest.mark.parametrize("as_corners", [True, False])
def test_no_real_set_is_taken_for_another_box_format(real, cache, vg150, source, as_corners):
    """And all of them are, written the other way."""
    if source == "vg150":
        result = vg150[1]
    else:
        paths = {
            "gqa": {"path": "train_sceneGraphs_sample.json"},
            "vrd": {"name": "val"},
            "psg": {},
        }
        _, result = load(cache, source, real / source, paths[source])
    counts = {read_as: Counter() for read_as in (BoxFormat.xyxy, BoxFormat.xywh)}
    for index in range(0, len(result), max(1, len(result) // 500)):
        gold = result.gold(index)
        boxes = gold["graph"].boxes_xyxy
        if not as_corners:
            boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        for read_as, found in counts.items():
            found.update(fits(boxes.tolist(), read_as, gold["width"], gold["height"]))
    suspected = [read_as for read_as, found in counts.items() if suspicion(found, read_as)]
    assert suspected == [BoxFormat.xywh if as_corners else BoxFormat.xyxy]
