"""`sgg reward`: the table, the explanation, and its errors; no model is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from strategies import completion, scene

from sgg.cli import reward
from sgg.errors import SggError
from sgg.scene.graph import to_dict

GOLD = scene(
    [("man", (0, 0, 40, 40)), ("dog", (50, 50, 90, 90))],
    [(0, "on", 1), (0, "near", 1), (1, "by", 0)],
)
OBJECTS = [("man.1", [0, 0, 40, 40]), ("dog.2", [50, 50, 90, 60])]
TEXT = completion(OBJECTS, [("man.1", "on", "dog.2"), ("man.1", "near", "man.1")])
HERE = ["reward=hard_recall", "model=tiny_qwen2_vl", "prompt=open"]


@pytest.fixture
def file(tmp_path):
    """Two completions for one 1000 × 1000 image (so that 0..1000 is pixels): one partly right, one broken."""
    path = tmp_path / "completions.jsonl"
    own = {"width": 1000, "height": 1000, "gold": to_dict(GOLD)}
    rows = [{"image_id": "7", "index": i, "text": t, **own} for i, t in enumerate([TEXT, "no"])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_table_has_a_row_per_completion_and_the_means(file, capsys):
    reward.main([str(file), *HERE])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["completion", "format", "edge_hard", "total"]
    assert lines[1] == ["7#0", "1.000", "0.000", "1.000"]
    assert lines[2] == ["7#1", "0.000", "0.000", "0.000", "no_json"]
    assert lines[3] == ["mean", "0.500", "0.000", "0.500"]
    assert lines[4] == ["weight", "1", "5"]


def test_the_table_names_what_was_wrong_without_a_failure(file, capsys):
    """Ids without numbers and a list that comes twice: no failure, and yet the form is not as asked."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[1]["text"] = '{"objects": [{"id": "man", "bbox": [0, 0, 9, 9]}], "relationships": [], '
    rows[1]["text"] += '"relationships": []}'
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reward.main([str(file), *HERE])
    line = capsys.readouterr().out.splitlines()[2]
    assert line.split()[:2] == ["7#1", "0.000"]
    assert line.endswith(" duplicate_key, odd_id")


def test_explain_says_what_keeps_the_nearest_prediction_from_hitting(file, capsys):
    """The dog's box is a quarter of gold's; `near` is said of the man and himself."""
    reward.main([str(file), "explain=7#0", *HERE])
    said = capsys.readouterr().out
    assert "gold 1: man – on – dog  MISSED" in said
    assert "object: IoU 0.25 is below 0.5" in said
    assert "predicate: `on` is not `near`" in said
    assert "prediction 2: man – near – man  hits no gold relation" in said


def test_one_prediction_serves_one_gold_relation(tmp_path, capsys):
    twins = scene(
        [("man", (0, 0, 40, 40)), ("man", (0, 0, 40, 38)), ("dog", (50, 50, 90, 90))],
        [(0, "on", 2), (1, "on", 2)],
    )
    text = completion(
        [("man.1", [0, 0, 40, 39]), ("dog.2", [50, 50, 90, 90])], [("man.1", "on", "dog.2")]
    )
    row = {"image_id": "a", "text": text, "width": 1000, "height": 1000, "gold": to_dict(twins)}
    (tmp_path / "c.jsonl").write_text(json.dumps(row) + "\n")
    reward.main([str(tmp_path / "c.jsonl"), "explain=a", *HERE])
    said = capsys.readouterr().out
    assert "HIT by prediction 1" in said
    assert "it is taken" in said


def test_gold_may_come_from_the_data(tmp_path, capsys):
    """Two synthetic scenes, with empty completions."""
    path = tmp_path / "completions.jsonl"
    from pathlib import Path

    from sgg.config.compose import compose_config
    from sgg.data.prepare import prepare

    words = ["data=shapes", "data.eval.limit=2", f"paths.cache={tmp_path / 'cache'}"]
    prepared = prepare(compose_config(words).data, "eval", Path(tmp_path / "cache"), quiet=True)
    rows = [{"image_id": prepared.gold(i)["image_id"], "index": 0, "text": ""} for i in range(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reward.main([str(path), "reward=balanced", *words])
    assert "mean" in capsys.readouterr().out
    path.write_text(json.dumps({"image_id": "nobody", "text": ""}) + "\n")
    with pytest.raises(SggError, match="image nobody is not in the eval split"):
        reward.main([str(path), "reward=balanced", *words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reward=balanced"], "reward=balanced: no such file or folder"),
        (["completions=a.jsonl"], "It comes without a key: a.jsonl"),
        (["nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["{file}", "reward=none"], "Take reward=balanced"),
        (["{file}", "reward.terms.edge_hrad.weight=1"], "Did you mean 'edge_hard'"),
        (["{file}", "explain=8"], "explain=8: no such image"),
    ],
)
def test_mistakes_die_in_words(file, words, said):
    with pytest.raises(SggError, match=said):
        reward.main([word.format(file=file) for word in words])


def test_a_row_without_text_and_gold_without_a_size_are_told(file, tmp_path):
    path = tmp_path / "bad.jsonl"
    for row, said in [
        ({"image_id": "1"}, "no text, response or objects"),
        ({"image_id": "1", "text": "", "gold": to_dict(GOLD)}, "needs width and height"),
    ]:
        path.write_text(json.dumps(row) + "\n")
        with pytest.raises(SggError, match=said):
            reward.main([str(path), *HERE])


def test_help_works_without_torch():
    code = (
        "import sys\nfrom sgg.cli.reward import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'transformers') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "COMPLETIONS" in done.stdout


def test_explain_takes_the_threshold_of_the_rewards_own_terms(file, capsys):
    """The dog's IoU is .25: a hit for a term that asks for .2, none for .5."""
    words = [str(file), "explain=7#0", *HERE]
    reward.main([*words, "+reward.terms.edge_hard.options.iou_threshold=0.2"])
    said = capsys.readouterr().out
    assert "hits at IoU 0.2 and above (edge_hard)" in said
    assert "gold 1: man – on – dog  HIT by prediction 1" in said
