"""Rows of prediction files that are not as they must be: read whole, or one sentence that names the place."""

import gzip
import json
import random

import pytest
from strategies import PX, completion

from sgg.errors import SggError
from sgg.evaluation.predictions import read_predictions
from sgg.scene.graph import MAX_OBJECTS, MAX_RELATIONS
from sgg.scene.vocab import VOCABULARIES

TEXT = completion([("man.1", [0, 0, 500, 500])], [])
VG150 = VOCABULARIES["vg150"]


def row(image_id="7", **more):
    return {"image_id": image_id, "index": 0, "text": TEXT, **more}


def lines(*rows, end="\n"):
    return "".join(json.dumps(r) + end for r in rows)


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_predictions(path, VG150)


def refused(path, content):
    with pytest.raises(SggError) as told:
        read(path, content)
    return str(told.value)


TWO = lines(row("a"), row("b"))


@pytest.mark.parametrize(
    "content",
    [
        TWO,
        TWO.rstrip("\n"),
        lines(row("a"), row("b"), end="\r\n"),
        lines(row("a")) + "\n  \n\r\n" + lines(row("b")),
        "\ufeff" + TWO,
        "\ufeff\n" + TWO,
        gzip.compress(TWO.encode(), mtime=0),
        gzip.compress(("\ufeff" + TWO.rstrip("\n")).encode(), mtime=0),
        lines(row("a", index=3), {"image": "b.png", "text": TEXT}),
    ],
)
def test_every_prediction_is_read(tmp_path, content):
    """No line end at the end, blank lines, byte order marks, gzip by any name."""
    found = read(tmp_path / "c.jsonl", content)
    assert list(found.by_image) == ["a", "b"]
    for image_id in ("a", "b"):
        ((parsed, text),) = found.parsed(image_id, PX, 1000, 1000)
        assert parsed.failure is None
        assert text == TEXT


def test_line_separators_inside_of_a_text_end_no_line(tmp_path):
    text = "\u2028 \u0085 \x0b" + TEXT
    rows = [json.dumps(row("a", text=text), ensure_ascii=False), json.dumps(row("b"))]
    assert list(read(tmp_path / "c.jsonl", "\n".join(rows)).by_image) == ["a", "b"]


@pytest.mark.parametrize("at", [1, 30, -2])
def test_a_last_line_cut_short_is_left_out_and_said(tmp_path, caplog, at):
    content = lines(row("a")) + json.dumps(row("b"))[:at]
    assert list(read(tmp_path / "c.jsonl", content).by_image) == ["a"]
    assert f"{tmp_path}/c.jsonl, line 2 is the last one and cut short" in caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TWO.encode("utf-16"), "line 1 is not UTF-8"),
        (TWO.encode("utf-16-le"), "line 1 is not UTF-8"),
        (TWO.encode("utf-32"), "line 1 is not UTF-8"),
        (lines(row("a")).encode() + "é\n".encode("latin-1"), "line 2 is no JSON"),
        ("", "no prediction in it"),
        ("\ufeff", "no prediction in it"),
        (gzip.compress(b"", mtime=0), "no prediction in it"),
        (gzip.compress(TWO.encode(), mtime=0)[:-9], "damaged gzip"),
        (gzip.compress(TWO.encode(), mtime=0)[:20] + b"xxxxxxxx", "damaged gzip"),
        ("oops\n", "line 1 is no JSON"),
        ('{"image_id": "a"', "line 1 is no JSON"),
        (json.dumps([row()], indent=1), "jq -c"),
        (json.dumps([row()]), "jq -c"),
        (json.dumps(row(), indent=1), "line 1 is no JSON"),
        ("[" * 100_000 + "\n", "line 1 is no JSON"),
        ("3\n", "line 1 is no JSON object"),
        (lines(row("a"), row(text=None)), "line 2, image 7: text is null; it must be text"),
        (lines(row(text=3)), "text is 3"),
        (lines({"image_id": "7", "objects": {}}), "objects is {}; it must be a list"),
        (lines({"image_id": "7", "response": None}), "response is null"),
        (lines({"image_id": "7", "text": None, "objects": []}), "text is null"),
        (lines({"image_id": "7"}), "no text, response or objects"),
        (lines({"text": TEXT}), "line 1: no image_id"),
        (lines({"image": "", "text": TEXT}), "line 1: no image_id"),
        *((lines(row(image_id)), "line 1: no image_id") for image_id in (None, True, 1.5, [], "")),
        *(
            (lines(row(index=index)), f"index is {json.dumps(index)}; it must be a whole number")
            for index in ("first", "0", -1, 1.5, True, None, [0])
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path, content, said):
    message = refused(tmp_path / "c.jsonl", content)
    assert said in message
    assert f"{tmp_path}/c.jsonl" in message


@pytest.mark.parametrize(
    "scale",
    [
        *(0, [0, 500], [1000, -1], "wide", "[1000]", [1, 2, 3], None, [], {}, [True, 1], 1000),
        *(["1000", "500"], [float("nan"), 5], [float("inf"), 5], [10**400, 5], "null"),
    ],
)
def test_an_odd_box_scale_is_said_with_file_line_and_image(tmp_path, scale):
    bad = {"image_id": "9", "response": TEXT, "box_scale": scale}
    good = {"image_id": "8", "response": TEXT, "box_scale": [1000, 500]}
    message = refused(tmp_path / "r.jsonl", lines(good, bad))
    assert f"{tmp_path}/r.jsonl, line 2, image 9: box_scale is " in message
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "9.json").write_text(json.dumps(bad))
    with pytest.raises(SggError, match=r"folder, 9\.json, image 9: box_scale is "):
        read_predictions(folder)


ONE_HOT = [0] * 31 + [1] + [0] * 19
GATHERED = {
    "boxes": [[0, 0, 1, 1], [2, 2, 3, 3]],
    "names_target": ["man", "dog"],
    "graph": {"all_node_pairs": [[0, 1]], "all_relation": [ONE_HOT]},
}


def graph(pairs=([0, 1],), scores=(ONE_HOT,)):
    return {"graph": {"all_node_pairs": list(pairs), "all_relation": list(scores)}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boxes": [[0, 0, 1, 1]]}, "2 names_target for 1 boxes"),
        ({"boxes": [[0, 0, 1], [2, 2, 3, 3]]}, "boxes must be a list of four numbers each"),
        ({"boxes": [[0, 0, 1, "1"], [2, 2, 3, 3]]}, "boxes must be"),
        ({"boxes": 3}, "boxes must be"),
        ({"names_target": ["man", None]}, "names_target must be a list of names"),
        ({"names_target": None}, "names_target must be"),
        (graph(scores=()), "0 rows of all_relation for 1 all_node_pairs"),
        (graph(pairs=([0, 2],)), r"holds [0, 2]; it must be two places among 2 boxes"),
        (graph(pairs=([0, -1],)), "two places among 2 boxes"),
        (graph(pairs=([0],)), "two places among 2 boxes"),
        (graph(pairs=([0, 1.0],)), "two places among 2 boxes"),
        (graph(scores=([],)), "a row of all_relation"),
        (graph(scores=([0] * 52,)), "a row of all_relation"),
        (graph(scores=(["x"] * 51,)), "a row of all_relation"),
        (graph(scores=(7,)), "a row of all_relation"),
        ({"graph": [1]}, "graph must hold the lists"),
        ({"graph": {"all_node_pairs": []}}, "graph must hold the lists"),
    ],
)
def test_uneven_gathered_rows_are_said_with_file_and_image(tmp_path, change, said):
    path = tmp_path / "preds.json"
    assert list(read(path, json.dumps({"7": GATHERED})).by_image) == ["7"]
    message = refused(path, json.dumps({"7": GATHERED, "8": {**GATHERED, **change}}))
    assert said in message
    assert f"{path}, image 8" in message


@pytest.mark.parametrize("packed", [False, True])
def test_one_prediction_given_twice_is_refused_by_both_lines(tmp_path, packed):
    """Equal or not: one of them is not meant."""
    for second in (row("b", index=1), row("b", index=1, text="other")):
        content = lines(row("b"), row("b", index=1), row("a"), second).encode()
        message = refused(tmp_path / "c.jsonl", gzip.compress(content) if packed else content)
        assert "line 2 and line 4 are both prediction 1 for image b" in message
    without = [{"image_id": "b", "text": TEXT}, row("a"), {"image_id": "b", "text": TEXT}]
    message = refused(tmp_path / "c.jsonl", lines(*without))
    assert "line 1 and line 3 are both prediction 0 for image b" in message
    assert "tell them apart by index" in message


TWICE = "is given twice in one object; leave one."


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("twice", "key"),
    [
        ('{"image_id": "b", "text": "{}", "text": ""}', "text"),
        ('{"image_id": "b", "text": "", "text": ""}', "text"),  # equal, yet not meant
        ('{"image_id": "b", "image_id": "c", "text": ""}', "image_id"),
        ('{"image_id": "b", "index": 0, "index": 1, "text": ""}', "index"),
        ('{"image_id": "b", "objects": [], "objects": []}', "objects"),
        ('{"image_id": "b", "objects": [{"id": "a.1", "id": "b.1"}]}', "id"),
        (
            '{"image_id": "b", "response": "", "box_scale": [1, 1], "box_scale": [2, 2]}',
            "box_scale",
        ),
        ('{"image_id": "b", "text": "", "gold": {"objects": [], "objects": []}}', "objects"),
    ],
)
def test_a_key_twice_in_a_row_is_refused_with_its_place(tmp_path, twice, key, packed):
    """Python's reader would take the last one, and nobody would know."""
    content = (lines(row("a")) + twice + "\n").encode()
    path = tmp_path / "c.jsonl"
    message = refused(path, gzip.compress(content) if packed else content)
    assert message == f'{path}, line 2: "{key}" {TWICE}'


def test_a_key_twice_in_a_file_of_one_object_is_refused(tmp_path):
    entry = json.dumps(GATHERED)
    path = tmp_path / "preds.json"
    assert refused(path, f'{{"7": {entry}, "8": {entry}, "7": {entry}}}') == f'{path}: "7" {TWICE}'
    long = f'{{"{"k" * 99}": 1, "{"k" * 99}": 2}}'
    assert refused(path, long) == f'{path}: "{"k" * 60}" {TWICE}'
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "7.json").write_text('{"response": "", "response": "{}"}')
    with pytest.raises(SggError) as told:
        read_predictions(folder)
    assert str(told.value) == f'{folder}/7.json: "response" {TWICE}'


def test_two_files_for_one_image_are_refused_by_both_names(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps({"image_id": "7", "response": TEXT}))
    with pytest.raises(SggError, match=r"a\.json and b\.json are both prediction 0 for image 7"):
        read_predictions(tmp_path)


def test_the_index_orders_the_predictions_for_an_image(tmp_path):
    rows = [row(i, index=k, text=f"{i} {k}") for i in ("a", "b") for k in (0, 1, 2, 10, 11)]
    random.Random(0).shuffle(rows)
    found = read(tmp_path / "c.jsonl", lines(*rows))
    for image_id in ("a", "b"):
        texts = [text for _, text in found.parsed(image_id, PX, 10, 10)]
        assert texts == [f"{image_id} {k}" for k in (0, 1, 2, 10, 11)]


def test_large_files_stay_on_disk(tmp_path):
    """Rows are read again from their lines, not kept."""
    found = read(tmp_path / "c.jsonl", lines(*(row(str(i)) for i in range(50))))
    kept = json.dumps(row("49")).encode()
    path = tmp_path / "c.jsonl"
    path.write_bytes(path.read_bytes().replace(kept, kept.replace(b"man", b"dog")))
    ((parsed, _),) = found.parsed("49", PX, 1000, 1000)
    assert parsed.graph.nodes[0].name == "dog"


def test_folders_of_neither_form_are_told(tmp_path):
    with pytest.raises(SggError, match=r"neither completions\.jsonl"):
        read_predictions(tmp_path)
    (tmp_path / "completions.jsonl.gz").write_bytes(gzip.compress(TWO.encode()))
    assert list(read_predictions(tmp_path).by_image) == ["a", "b"]


@pytest.mark.parametrize(
    ("objects", "relations", "said"),
    [
        (MAX_OBJECTS, MAX_RELATIONS, ""),
        (MAX_OBJECTS + 1, 1, "1,001 objects; at most 1,000 are scored"),
        (2, MAX_RELATIONS + 1, "1,001 relations; at most 1,000 are scored"),
    ],
)
def test_a_graph_with_too_many_items_is_refused_with_its_place(tmp_path, objects, relations, said):
    graph = {
        "objects": [{"id": f"man.{n}", "bbox": [0, 0, 5, 5]} for n in range(objects)],
        "relationships": [{"subject": "man.0", "predicate": "on", "object": "man.1"}] * relations,
    }
    entry = {
        "boxes": [[0, 0, 5, 5]] * objects,
        "names_target": ["man"] * objects,
        "graph": {"all_node_pairs": [[0, 1]] * relations, "all_relation": [[0, 1]] * relations},
    }
    cases = {
        "a.jsonl": (lines({"image_id": "7", **graph}), "a.jsonl, line 1, image 7"),
        "b.json": (json.dumps({"7": entry}), "b.json, image 7"),
    }
    for name, (content, place) in cases.items():
        if said:
            assert f"{place}: {said}" in refused(tmp_path / name, content)
        else:
            assert len(read(tmp_path / name, content).by_image) == 1
