"""Run folders of a small pipeline as runs leave them, with names that attack whoever shows them."""

import json

from PIL import Image, ImageDraw

from sgg.config.compose import compose_config
from sgg.data.prepare import prepare
from sgg.evaluation.predictions import read_predictions
from sgg.evaluation.stage import score_split
from sgg.files import write_json
from sgg.runs.folder import append_json, record_start
from sgg.runs.open_run import open_run
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord
from sgg.runs.training_samples import SampleKind, TrainingSample, append_samples

SCRIPT = "<script>document.title='owned'</script>"
HANDLER = "<img src=x onerror=\"document.title='owned'\">"
END = "</script>\u2028<b>end"
CLASSES = ("cup", "table", HANDLER)
IMAGES = 30
FRAME = (1000 / 100, 1000 / 80) * 2
"""From pixels of an image to the numbers that Qwen2-VL writes: 0 to 1000."""


def gold_of(number):
    """Objects and relations of one image: a cup on a table, and a third thing beside them."""
    shift = number % 5
    boxes = [[10 + shift, 10, 40, 40], [5, 40, 95, 75], [60, 10, 90, 38]]
    objects = [
        {"id": f"{name}.{i}", "bbox": box}
        for i, (name, box) in enumerate(zip(CLASSES, boxes, strict=True), 1)
    ]
    relations = [
        {"subject": "cup.1", "predicate": "on", "object": "table.2"},
        {"subject": f"{HANDLER}.3", "predicate": "beside", "object": "cup.1"},
    ]
    return objects, relations


def image_id(number):
    return f"{number:03d} {SCRIPT}" if number % 2 else f"{number:03d} {END}"


def write_data(root):
    """Images and annotations.jsonl."""
    root.mkdir(parents=True)
    rows = []
    for number in range(IMAGES):
        objects, relations = gold_of(number)
        picture = Image.new("RGB", (100, 80), (90 + 4 * number, 140, 160))
        pen = ImageDraw.Draw(picture)
        for item in objects:
            pen.rectangle(item["bbox"], fill=(200, 60, 40))
        picture.save(root / f"{number}.png")
        row = {"image": f"{number}.png", "image_id": image_id(number), "objects": objects}
        rows.append(json.dumps({**row, "relationships": relations}))
    (root / "annotations.jsonl").write_text("\n".join(rows) + "\n")


def answer(number, skill):
    """A completion: 0 breaks off, 1 has one predicate wrong, 2 a box that is too small, 3 is right."""
    objects, relations = gold_of(number)
    if skill == 0:
        return f'{SCRIPT}{{"objects": [{{"id": "{END}'
    if skill == 1:
        relations = [{**relations[0], "predicate": "under"}, relations[1]]
    if skill == 2:
        x1, y1, x2, y2 = objects[0]["bbox"]
        objects = [{"id": "cup.1", "bbox": [x1, y1, x2, y1 + (y2 - y1) * 0.4]}, *objects[1:]]
    objects = [
        {**o, "bbox": [v * k for v, k in zip(o["bbox"], FRAME, strict=True)]} for o in objects
    ]
    graph = {"objects": objects, "relationships": relations}
    return f"{HANDLER} {json.dumps(graph)}"


def write_evaluation(run_dir, root, cache, model, skills, *further):
    """An evaluation whose image `i` was answered with `skills[i % len(skills)]`."""
    words = [
        "stage=eval",
        "model=tiny_qwen2_vl",
        "data=jsonl",
        f"data.root={root}",
        f"model.path={model}",
        "protocol=sgg",
    ]
    words += [*further, f"paths.run_dir={run_dir}", f"paths.cache={cache}"]
    config = compose_config(words)
    open_run(config)
    record_start(run_dir, config)
    prepared = prepare(config.data, "eval", cache, quiet=True)
    for number, name in enumerate(prepared.image_ids):
        text = answer(number, skills[number % len(skills)])
        append_json(run_dir / "completions.jsonl", {"image_id": name, "index": 0, "text": text})
    score_split(config, read_predictions(run_dir), prepared).write(run_dir)


def write_training(run_dir, root, cache, model, reward="hard_recall", seed=0):
    """A GRPO run of 40 steps with completions of two images."""
    words = [
        "stage=grpo",
        "model=tiny_qwen2_vl",
        f"reward={reward}",
        f"seed={seed}",
        "data=jsonl",
        f"data.root={root}",
    ]
    words += [f"model.path={model}", f"paths.run_dir={run_dir}", f"paths.cache={cache}"]
    config = compose_config(words)
    open_run(config)
    record_start(run_dir, config)
    for step in range(1, 41):
        total = step / 10 + (step % 3) / 5
        row = {"step": step, "loss": 1 / step, "reward/total/mean": total}
        row |= {"reward/edge_hard/mean": total / 5, "completion/failed": 0.1 / step, "kl": "nan"}
        append_json(run_dir / "metrics.jsonl", row)
    for step in (0, 20, 40):
        for number in (0, 1):
            text = answer(number, min(step // 20, 2) + 1)
            reward = {"format": 1.0, SCRIPT: None}
            sample = TrainingSample(
                step, image_id(number), SampleKind.fixed, text, reward, 1.0 + step
            )
            append_samples(run_dir, [sample])


def write_pipeline(folder, cache):
    """Evaluation, GRPO, evaluation; returns the folder."""
    root = folder.parent / "data"
    write_data(root)
    base = "sgg/assets/tiny_qwen2_vl"
    write_evaluation(folder / "before", root, cache, base, [0, 1, 2, 1, 3])
    write_training(folder / "grpo", root, cache, base)
    write_evaluation(folder / "after", root, cache, folder / "grpo", [1, 3, 3, 3, 2])
    steps = ["before", "grpo", "after"]
    write_json(folder / "pipeline.json", {"steps": steps, "table": ["before", "after"]})
    return folder


def write_sweep(folder, cache):
    """Two rewards by three seeds, GRPO and its evaluation each; returns the folder."""
    root = folder.parent / "sweep_data"
    write_data(root)
    points, runs = [], []
    for reward, skills in (("hard_recall", [1, 1, 2, 3]), ("balanced", [3, 1, 3, 3])):
        for seed in range(3):
            name = f"{len(points):03d}_reward-{reward}_seed-{seed}"
            point = folder / "points" / name
            base = "sgg/assets/tiny_qwen2_vl"
            write_training(point / "grpo", root, cache, base, reward, seed)
            better = skills[seed:] + [3] * seed
            write_evaluation(point / "eval", root, cache, point / "grpo", better, f"seed={seed}")
            write_json(point / "pipeline.json", {"steps": ["grpo", "eval"], "table": ["eval"]})
            for step, after in (("grpo", None), ("eval", "grpo")):
                runs.append(RunRecord(len(points), step, after, f"points/{name}/{step}"))
            points.append(PointRecord(name, [f"reward={reward}", f"seed={seed}"]))
    shared = ["pipeline=sft_grpo_eval", "data=jsonl"]
    SweepRecord("local", 1, "/", "2026-01-01", shared, points, runs).write(folder)
    return folder
