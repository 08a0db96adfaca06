"""`sgg reward FILE` reads other people's files: every completion by its own gold, or one sentence."""

import gzip
import json

import pytest

from sgg.cli.reward import main
from sgg.errors import SggError

GOLD = {"objects": [{"id": "man.1", "bbox": [20, 60, 320, 260]}], "relationships": []}
OTHER = {"objects": [{"id": "dog.1", "bbox": [400, 300, 500, 400]}], "relationships": []}
WORDS = ["reward=r1_sgg_det", "model=qwen2_5_vl_7b", "prompt=open"]


def row(image_id, text=None, **more):
    given = {"image_id": image_id, "index": 0, "text": json.dumps(GOLD) if text is None else text}
    return json.dumps({**given, "width": 560, "height": 420, "gold": GOLD, **more})


def without(name):
    return json.dumps({k: v for k, v in json.loads(row("a")).items() if k != name})


def said(tmp_path, capsys, content, name="c.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    main([str(path), *WORDS])
    return capsys.readouterr().out


def totals(out):
    return {x.split()[0]: float(x.split()[-1]) for x in out.splitlines() if "#" in x}


@pytest.mark.parametrize(
    "content",
    [
        row("a") + "\n" + row("b"),
        row("a") + "\n\n" + row("b") + "\n",
        "\ufeff" + row("a") + "\n" + row("b") + "\n",
        row("a") + "\r\n" + row("b") + "\r\n",
        gzip.compress((row("a") + "\n" + row("b")).encode(), mtime=0),
    ],
    ids=["no final newline", "blank line", "byte order mark", "CRLF", "gzip"],
)
def test_every_completion_is_scored(tmp_path, capsys, content):
    assert totals(said(tmp_path, capsys, content)) == {"a#0": 5, "b#0": 5}


def test_one_line_without_an_end_is_a_completion(tmp_path, capsys):
    assert totals(said(tmp_path, capsys, row("a"))) == {"a#0": 5}


def test_a_run_folder_is_read_as_by_score(tmp_path, capsys):
    said(tmp_path, capsys, row("a"), "completions.jsonl")
    main([str(tmp_path), *WORDS])
    assert totals(capsys.readouterr().out) == {"a#0": 5}


def test_each_row_is_compared_with_its_own_gold(tmp_path, capsys):
    """One image, two golds: each completion is right about its own, and wrong about the other's."""
    own = json.dumps(OTHER)
    content = row("a") + "\n" + row("a", own, gold=OTHER, index=1)
    content += "\n" + row("a", own, index=2) + "\n" + row("a", gold=OTHER, index=3)
    found = totals(said(tmp_path, capsys, content))
    assert (found["a#0"], found["a#1"]) == (5, 5)
    assert max(found["a#2"], found["a#3"]) < 4


def test_each_row_has_its_own_size(tmp_path, capsys):
    """Qwen2's frame is 0..1000 of each: of one text, the box is the whole of two images of two sizes."""
    whole = {"objects": [{"id": "man.1", "bbox": [0, 0, 1000, 1000]}], "relationships": []}
    content = ""
    for index, (width, height) in enumerate([(560, 420), (1120, 100)]):
        gold = {"objects": [{"id": "man.1", "bbox": [0, 0, width, height]}], "relationships": []}
        size = {"width": width, "height": height, "gold": gold}
        content += row("a", json.dumps(whole), index=index, **size) + "\n"
    (tmp_path / "c.jsonl").write_text(content)
    main([f"{tmp_path}/c.jsonl", "reward=r1_sgg_det", "model=qwen2_vl_7b", "prompt=open"])
    assert totals(capsys.readouterr().out) == {"a#0": 5, "a#1": 5}


def test_completions_are_listed_by_their_indices(tmp_path, capsys):
    content = "\n".join(row("a", index=i) for i in (10, 2, 0))
    assert list(totals(said(tmp_path, capsys, content))) == ["a#0", "a#2", "a#10"]


def test_explain_takes_each_completions_own_gold(tmp_path, capsys):
    content = row("a") + "\n" + row("a", gold=OTHER, index=1)
    said(tmp_path, capsys, content)
    main([f"{tmp_path}/c.jsonl", *WORDS, "explain=a"])
    out = capsys.readouterr().out
    assert "a#0: total 5.000" in out
    assert "a#1: total 5.000" not in out
    main([f"{tmp_path}/c.jsonl", *WORDS, "explain=a#1"])
    assert "a#0" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("oops\n", "line 1 is no JSON"),
        ("[1]\n", "line 1 is no JSON object"),
        (json.dumps([json.loads(row("a"))], indent=1) + "\n", "line 1 is no JSON"),
        (row("a").encode("utf-16"), "line 1 is not UTF-8"),
        ("", "no prediction in it"),
        (row("a") + "\n" + row("b", text=3), "line 2, image b: text is 3"),
        (json.dumps({**json.loads(row("a")), "text": None}) + "\n", "text is null"),
        (row("a", index="first") + "\n", 'index is "first"'),
        (row("a") + "\n" + row("b") + "\n" + row("a"), "line 1 and line 3 are both prediction 0"),
        (json.dumps({"image_id": "a", "response": "{}"}), "text is missing"),
        (json.dumps({"image_id": "a", **GOLD}), "text is missing"),
        *((row("a", width=w), "width is") for w in (0, -1, 560.5, "560", None, True)),
        (without("height"), "needs width and height of its image in pixels; height is null"),
        (row("a") + "\n" + without("gold").replace('"a"', '"b"'), "line 2, image b: no gold"),
        (row("a", gold=None), "gold must be"),
        (row("a", gold=[]), "gold must be"),
        (row("a", gold={"objects": []}), "gold must be"),
        (row("a", gold={**GOLD, "relationships": [{"subject": "man.1"}]}), "gold must be"),
        (row("a", width=20_000, height=1), "gold is not sound: bad_size"),
        (row("a", gold={**GOLD, "objects": GOLD["objects"] * 1001}), "gold is not sound: too_many"),
    ],
)
def test_what_cannot_be_scored_is_said(tmp_path, capsys, content, words):
    with pytest.raises(SggError) as told:
        said(tmp_path, capsys, content)
    assert words in str(told.value)
    assert f"{tmp_path}/c.jsonl" in str(told.value)


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ([320, 260, 20, 60], "swapped_box"),
        ([20, 60, 20, 260], "degenerate_box"),
        ([600, 60, 700, 260], "outside_box"),
        ([0.1, 0.1, 0.5, 0.6], "relative_box"),
        ([20, 60, 320], "bad_box"),
        ([20, 60, 320, float("nan")], "bad_box"),
        (None, "bad_box"),
    ],
)
def test_gold_with_a_broken_box_is_refused(tmp_path, capsys, box, kind):
    gold = {"objects": [{"id": "man.1", "bbox": box}], "relationships": []}
    with pytest.raises(SggError, match=rf"line 1, image a: gold is not sound: {kind}"):
        said(tmp_path, capsys, row("a", gold=gold))


@pytest.mark.parametrize(
    ("gold", "kind"),
    [
        ({"objects": GOLD["objects"] * 2, "relationships": []}, "duplicate_id"),
        (
            {**GOLD, "relationships": [{"subject": "man.1", "predicate": "on", "object": "x.2"}]},
            "dangling_relation",
        ),
    ],
)
def test_gold_that_would_lose_a_part_is_refused(tmp_path, capsys, gold, kind):
    with pytest.raises(SggError, match=f"gold is not sound: {kind}"):
        said(tmp_path, capsys, row("a", gold=gold))


def test_gold_past_the_edge_is_clipped_and_said(tmp_path, capsys, caplog):
    gold = {"objects": [{"id": "man.1", "bbox": [20, 60, 320, 430]}], "relationships": []}
    text = json.dumps(
        {"objects": [{"id": "man.1", "bbox": [20, 60, 320, 420]}], "relationships": []}
    )
    assert totals(said(tmp_path, capsys, row("a", text, gold=gold))) == {"a#0": 5}
    assert "gold: box_past_edge 1" in caplog.text
