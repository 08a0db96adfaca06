"""Every form of predictions, right and wrong."""

from __future__ import annotations

import gzip
import json

import pytest
from strategies import PX, completion

from sgg.errors import SggError
from sgg.evaluation.predictions import read_predictions
from sgg.scene.vocab import VOCABULARIES

TEXT = completion(
    [("man.1", [0, 0, 500, 500]), ("dog.2", [100, 100, 1000, 1000])], [("man.1", "on", "dog.2")]
)


def write(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def first(predictions, image_id="7", width=2000, height=1000):
    ((parsed, _),) = predictions.parsed(image_id, PX, width, height)
    return parsed


def test_our_completions_and_several_for_an_image(tmp_path):
    rows = [{"image_id": "7", "index": i, "text": TEXT} for i in (0, 1)]
    found = read_predictions(write(tmp_path / "completions.jsonl", rows))
    assert [len(p.graph.edges) for p, _ in found.parsed("7", PX, 2000, 1000)] == [1, 1]
    assert found.parsed("8", PX, 10, 10) == [(None, "")]
    assert read_predictions(tmp_path).by_image.keys() == {"7"}  # the run folder that holds it


def test_a_last_line_that_a_kill_cut_is_left_out(tmp_path):
    path = write(tmp_path / "completions.jsonl", [{"image_id": "7", "index": 0, "text": TEXT}])
    path.write_text(path.read_text() + '{"image_id": "8", "ind')
    assert read_predictions(path).by_image.keys() == {"7"}


def test_graphs_are_in_pixels_of_the_image(tmp_path):
    row = {"image_id": 7, **json.loads(TEXT)}
    parsed = first(read_predictions(write(tmp_path / "graphs.jsonl", [row])))
    assert parsed.graph.nodes[0].box == (0, 0, 500, 500)
    path = tmp_path / "graphs.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps({"image": "a/7.jpg", **json.loads(TEXT)})).encode()))
    assert list(read_predictions(path).by_image) == ["a/7"]


@pytest.mark.parametrize(
    ("images", "ids", "read"),
    [
        (["a.jpg", "a.png", "b.jpg"], ["a.jpg", "a.png", "b"], ["a.jpg", "a.png", "b"]),
        (["a.jpg", "a.png", "b.jpg"], [], ["a.jpg", "a.png", "b"]),
        (["a.jpg"], ["a.jpg", "a.png"], ["a.jpg"]),
        (["./a.jpg"], ["a.jpg", "a"], ["a.jpg"]),
        (["a.jpg"], ["a"], ["a"]),
    ],
)
def test_the_name_of_a_file_is_the_image_that_its_annotation_is(tmp_path, images, ids, read):
    """a.jpg and a.png are two images, whose ids are their whole names."""
    rows = [{"image": image, **json.loads(TEXT)} for image in images]
    path = write(tmp_path / "graphs.jsonl", rows)
    assert list(read_predictions(path, ids=ids).by_image) == read


def test_r1sgg_completions_are_in_the_frame_of_their_box_scale(tmp_path):
    """Frame 1000 × 500 of an image of 2000 × 1000: all coordinates double."""
    row = {"image_id": "7", "response": TEXT, "box_scale": [1000.0, 500.0]}
    (tmp_path / "7.json").write_text(json.dumps(row))
    parsed = first(read_predictions(tmp_path))
    assert parsed.graph.nodes[1].box == (200, 200, 2000, 2000)
    row["box_scale"] = "[1000.0, 500.0]"
    assert first(read_predictions(write(tmp_path / "a.jsonl", [row]))).graph == parsed.graph
    row["response"] = "nothing"
    assert first(read_predictions(write(tmp_path / "a.jsonl", [row]))).failure is not None


@pytest.mark.parametrize(
    ("scale", "box", "kinds"),
    [
        ([1.0, 1.0], [0.1, 0.2, 0.5, 0.9], []),
        ([9000.0, 9000.0], [8000, 8000, 8999, 8999], []),
        ([500.5, 500.5], [500.2, 0, 501, 9], []),
        ([500.0, 500.0], [600, 0, 700, 9], ["outside_box"]),
        ([500.0, 500.0], [0.1, 0.2, 0.5, 0.9], ["unit_box"]),
    ],
)
def test_boxes_of_r1sgg_completions_are_judged_in_their_own_frame(tmp_path, scale, box, kinds):
    """Not in the image of 2000 × 1000; relations between undeclared objects survive the change of frame."""
    graph = {
        "objects": [{"id": "man.1", "bbox": box}],
        "relationships": [{"subject": "man.1", "predicate": "on", "object": "dog.2"}],
    }
    row = {"image_id": "7", "response": json.dumps(graph), "box_scale": scale}
    parsed = first(read_predictions(write(tmp_path / "a.jsonl", [row])))
    assert [p.kind.value for p in parsed.problems] == [*kinds, "dangling_relation"]
    assert parsed.loose == (("man", "on", "dog"),)


def test_r1sgg_gathered_file(tmp_path):
    """`on` is the 31st predicate of VG150; where no relation has a score, the prediction had failed."""
    one_hot = [0] * 51
    one_hot[31] = 1
    row = {
        "boxes": [[0, 0, 1, 1], [2, 2, 3, 3]],
        "names_target": ["man", "dog"],
        "graph": {"all_node_pairs": [[0, 1]], "all_relation": [one_hot]},
    }
    failed = {**row, "graph": {"all_node_pairs": [[0, 0]], "all_relation": [[0.0] * 51]}}
    path = tmp_path / "preds.json"
    path.write_text(json.dumps({"7": row, "8": failed, "9": {**row, "graph": None}}))
    found = read_predictions(path, VOCABULARIES["vg150"])
    graph = first(found).graph
    assert graph.triplet(graph.edges[0]) == ("man", "on", "dog")
    assert first(found, "8").failure is not None
    assert first(found, "9").graph.edges == ()
    with pytest.raises(SggError, match=r"data\.vocabulary"):
        first(read_predictions(path))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", "not json\n", "line 1 is no JSON"),
        ("a.jsonl", "[1]\n", "no JSON object"),
        ("a.json", '{"image_id": "7"}\n{"image_id": "8"}\n', r"ends in \.jsonl: rename it"),
        ("a.jsonl", '{"image_id": "7"}\n', "no text, response or objects"),
        ("a.jsonl", '{"text": "x"}\n', "no image_id"),
        ("a.jsonl", "\n", "no prediction in it"),
        ("a.json", '{"7": {"text": "x"}}', "has no boxes"),
        ("a.json", "{", "no JSON"),
        ("a.json", "[]", "no JSON object"),
    ],
)
def test_wrong_files_are_told_in_words(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(SggError, match=words):
        read_predictions(tmp_path / name)


def test_missing_paths_and_empty_folders(tmp_path):
    with pytest.raises(SggError, match="no such file"):
        read_predictions(tmp_path / "gone")
    with pytest.raises(SggError, match=r"neither completions\.jsonl"):
        read_predictions(tmp_path)


def test_the_digest_changes_with_the_content(tmp_path):
    path = tmp_path / "7.json"
    digests = set()
    for text in ("a", "b"):
        path.write_text(json.dumps({"response": text}))
        digests |= {read_predictions(tmp_path).digest(), read_predictions(tmp_path).digest()}
    assert len(digests) == 2
