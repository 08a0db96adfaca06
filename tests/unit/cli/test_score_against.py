"""`sgg score A against=B`: each side read as it was written, both judged alike, or words."""

import gzip
import json
import shutil

import pytest

from sgg.cli.score import main
from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.data.prepare import prepare
from sgg.errors import SggError
from sgg.models.spec import graph_spec
from sgg.text.codec import render

pytestmark = pytest.mark.slow  # scores two dozen times
SHAPES = ["data=shapes", "data.eval.limit=20"]
QWEN2 = "model=tiny_qwen2_vl"
"""Boxes in 0..1000; the default model's are in resized pixels."""


def run_of(folder, words, texts=None):
    """An evaluated run; without `texts` its completions are gold, in its own frame."""
    folder.mkdir(parents=True)
    config = compose_config(["stage=eval", f"paths.cache={folder.parent}/cache", *words])
    write_frozen(config, folder / "config.yaml")
    if texts is None:
        gold = prepare(config.data, "eval", folder.parent / "cache", quiet=True)
        spec = graph_spec(config)
        rows = [gold.gold(i) for i in range(len(gold))]
        texts = {r["image_id"]: render(r["graph"], spec, r["width"], r["height"]) for r in rows}
    lines = [json.dumps({"image_id": i, "index": 0, "text": t}) for i, t in texts.items()]
    (folder / "completions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def against(folder):
    return json.loads((folder / "metrics.json").read_text())["against"]


def differences(folder):
    return {name: test["difference"] for name, test in against(folder)["tests"].items()}


def assert_equal_sides(folder):
    tests = against(folder)["tests"]
    assert {test["difference"] for test in tests.values()} == {0}
    assert {test["p"] for test in tests.values()} == {1}
    assert json.loads((folder / "metrics.json").read_text())["metrics"]["R"] == 1


def score(tmp_path, predictions, rival, *words):
    main([str(predictions), f"against={rival}", f"out={tmp_path}/out", *words])
    return tmp_path / "out"


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path / "run", [QWEN2, *SHAPES])


def copy_of(run, path):
    path.parent.mkdir(exist_ok=True)
    content = (run / "completions.jsonl").read_bytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["baseline.jsonl", "baseline.jsonl.gz"])
def test_a_copy_without_a_config_is_read_as_the_other_side(run, tmp_path, name):
    """Whichever side it is, packed or not, and whatever the words' defaults would be."""
    copy = copy_of(run, tmp_path / "kept" / name)
    assert_equal_sides(score(tmp_path, run, copy))
    assert_equal_sides(score(tmp_path, copy, run))
    assert against(tmp_path / "out")["read"] == f"as {run}/config.yaml says"


def test_two_files_without_a_config_are_read_by_the_words(run, tmp_path):
    one, other = (copy_of(run, tmp_path / "kept" / name) for name in ("a.jsonl", "b.jsonl"))
    words = [*SHAPES, f"paths.cache={tmp_path}/cache"]
    assert_equal_sides(score(tmp_path, one, other, QWEN2, *words))
    main([str(one), f"out={tmp_path}/default", *words])
    wrong = json.loads((tmp_path / "default" / "metrics.json").read_text())
    assert wrong["metrics"]["R"] < 0.5  # another model's frame: what the message warns of


def test_how_a_file_without_a_config_is_read_is_said(run, tmp_path, capsys):
    copy = copy_of(run, tmp_path / "kept" / "a.jsonl")
    main([str(copy), f"out={tmp_path}/out", *SHAPES, f"paths.cache={tmp_path}/cache"])
    said = capsys.readouterr().err
    assert "in the box frame of model.path=tiny_qwen2_5_vl; no config.yaml lies beside it" in said


def test_runs_of_two_families_are_read_each_in_its_own_frame(run, tmp_path):
    other = run_of(tmp_path / "other", ["model=tiny_qwen2_5_vl", *SHAPES])
    assert_equal_sides(score(tmp_path, run, other))
    assert_equal_sides(score(tmp_path, other, run))
    # a word about the model is about the side that it is given for, not about the rival's run
    assert_equal_sides(score(tmp_path, run, other, QWEN2))


def test_a_moved_run_folder_is_the_run(run, tmp_path):
    copy = tmp_path / "elsewhere" / "deep" / "run"
    shutil.copytree(run, copy)
    assert_equal_sides(score(tmp_path, run, copy))
    assert_equal_sides(score(tmp_path, run, copy / "completions.jsonl"))
    link = tmp_path / "link.jsonl"
    link.symlink_to(copy / "completions.jsonl")
    assert_equal_sides(score(tmp_path, run, link))


def test_two_splits_are_told(run, tmp_path):
    """Neither other images nor another limit; the way out counts missing completions as failures."""
    fewer = run_of(tmp_path / "fewer", [QWEN2, "data=shapes", "data.eval.limit=10"])
    with pytest.raises(SggError) as told:
        score(tmp_path, run, fewer)
    said = str(told.value)
    assert f"{run} and {fewer} have different gold" in said
    assert "20 and 10 images, of which 10 are in both" in said
    assert "data.eval.limit: 20 and 10" in said
    out = score(tmp_path, run, fewer, "data.eval.limit=20")
    assert differences(out)["R"] == pytest.approx(0.5, abs=0.2)
    assert against(out)["images_without_completion"] == 10
    seeds = run_of(tmp_path / "seeds", [QWEN2, *SHAPES, "data.eval.seed=7"])
    with pytest.raises(SggError, match=r"have different gold.*data\.eval\.seed"):
        score(tmp_path, run, seeds)


def test_train_and_eval_images_are_two_splits(run, tmp_path):
    words = [QWEN2, *SHAPES, "data.train.limit=20", "stage.split=train"]
    trained = run_of(tmp_path / "trained", words)
    with pytest.raises(SggError, match=r"stage\.split: eval and train"):
        score(tmp_path, run, trained)


GRAPH = {
    "objects": [
        {"id": "man.1", "bbox": [100, 60, 320, 260]},
        {"id": "horse.2", "bbox": [80, 150, 420, 400]},
    ],
    "relationships": [
        {"subject": "man.1", "predicate": "on", "object": "horse.2"},
        {"subject": "man.1", "predicate": "riding", "object": "horse.2"},
    ],
}


@pytest.fixture
def annotated(tmp_path):
    """Words for one image of which gold states the second relation."""
    size = {"image": "a.jpg", "width": 560, "height": 420}
    gold = {**size, **GRAPH, "relationships": GRAPH["relationships"][1:]}
    (tmp_path / "annotations.jsonl").write_text(json.dumps(gold) + "\n")
    data = ["data=jsonl", f"data.root={tmp_path}", "data.image_source=painted"]
    return [*data, "data.vocabulary=vg150", "model=qwen2_5_vl_7b"]


def test_runs_under_two_protocols(tmp_path, annotated):
    """Equal completions under two protocols are no difference of 1: they are not compared, or under one."""
    a, b = (
        run_of(tmp_path / name, [*annotated, f"protocol={protocol}"], {"a": json.dumps(GRAPH)})
        for name, protocol in (("a", "sgg"), ("b", "vg150_val5k_r1sgg"))
    )
    with pytest.raises(SggError) as told:
        score(tmp_path, a, b)
    assert f"{a} and {b} are of two protocols" in str(told.value)
    assert "protocol.id: sgg and vg150-val5k-r1sgg" in str(told.value)
    with pytest.raises(SggError, match=r"such as protocol=vg150_val5k_r1sgg\."):
        score(tmp_path, b, a)
    for protocol in ("sgg", "vg150_val5k_r1sgg"):
        out = score(tmp_path, a, b, f"protocol={protocol}")
        assert set(differences(out).values()) == {0}
        judged = json.loads((out / "metrics.json").read_text())["protocol"]["id"]
        assert judged.replace("-", "_") == protocol


def test_one_changed_number_of_a_protocol_is_told(tmp_path, annotated):
    a, b = (
        run_of(
            tmp_path / name, [*annotated, f"protocol.iou_threshold={t}"], {"a": json.dumps(GRAPH)}
        )
        for name, t in (("a", 0.5), ("b", 0.75))
    )
    with pytest.raises(SggError, match=r"two protocols: protocol\.iou_threshold: 0\.5 and 0\.75"):
        score(tmp_path, a, b)
    assert set(differences(score(tmp_path, a, b, "protocol.iou_threshold=0.6")).values()) == {0}


def test_gold_that_is_the_same_in_two_places_is_the_same(tmp_path, annotated):
    a = run_of(tmp_path / "a", annotated, {"a": json.dumps(GRAPH)})
    (tmp_path / "copied").mkdir()
    shutil.copy(tmp_path / "annotations.jsonl", tmp_path / "copied")
    words = [*annotated, f"data.root={tmp_path}/copied"]
    b = run_of(tmp_path / "b", words, {"a": json.dumps(GRAPH)})
    assert set(differences(score(tmp_path, a, b)).values()) == {0}
    other = json.loads((tmp_path / "annotations.jsonl").read_text())
    other["relationships"][0]["predicate"] = "on"
    (tmp_path / "copied" / "annotations.jsonl").write_text(json.dumps(other) + "\n")
    with pytest.raises(SggError, match=r"image a has other gold.*data\.root"):
        score(tmp_path, a, b)
    shutil.rmtree(tmp_path / "copied")
    with pytest.raises(SggError, match=rf"the gold of {b} cannot be read here"):
        score(tmp_path, a, b)


def test_a_run_that_was_not_evaluated_is_told(run, tmp_path):
    (run / "provenance.json").write_text("{}")
    (run / "completions.jsonl").unlink()
    with pytest.raises(SggError, match=r"a run folder without completions\.jsonl"):
        main([str(run)])


def test_another_programs_config_beside_the_completions_is_told(run, tmp_path):
    copy = copy_of(run, tmp_path / "kept" / "a.jsonl")
    (tmp_path / "kept" / "config.yaml").write_text("lr: 3\n")
    with pytest.raises(
        SggError, match=r"(?s)lr: no such key\..*move the predictions to a folder without one"
    ):
        main([str(copy), *SHAPES])
