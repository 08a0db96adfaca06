"""Reading tools survive any folder: run, sweep and pipeline folders with one file spoilt at a time.

Each spoilt folder is read in a forked process with bounded memory and time. No tool may run a program,
unpickle, write outside its output, end by a bug, or look at anything for ever.
"""

import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image
from spoiling import read_by, spoilt_file, troubles

from sgg.config.compose import compose_config
from sgg.data.prepare import prepare
from sgg.data.summary import report_split
from sgg.evaluation.predictions import read_predictions
from sgg.evaluation.stage import score_split
from sgg.files import write_json
from sgg.runs.checkpoint import mark_complete
from sgg.runs.exit_status import ExitStatus, State
from sgg.runs.folder import append_json, record_start
from sgg.runs.open_run import open_run
from sgg.runs.owner import Owner
from sgg.runs.process_id import process_id
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord
from sgg.runs.training_samples import SampleKind, TrainingSample, append_samples
from sgg.scene.graph import to_dict
from sgg.tracking.state import note_failure

QUICK, ALL = 40, 300
LOADED = (
    *("transformers.models.qwen2_vl.modeling_qwen2_vl", "sgg.models.load", "sgg.inference.predict"),
    *(f"sgg.cli.{tool}" for tool in ("report", "status", "score", "reward", "predict", "sides")),
    *("sgg.cli.watch", "launchers.watch.follow"),
    *(
        "sgg.report.page",
        "sgg.evaluation.stage",
        "sgg.report.score_table",
        "sgg.report.sweep_table",
    ),
    *(
        "launchers.sweep.status_table",
        "sgg.cli.reward_rows",
        "sgg.plan.validate",
        "sgg.plan.unread",
    ),
    *("sgg.reward.score", "sgg.plan.rules.reward", "datasets", "pycocotools.cocoeval"),
)
CHECKPOINT, WEIGHTS = "all/sft/checkpoint-2", "model-00001-of-00001.safetensors"

EVAL = ("report all/eval out=out", "status all/eval", "score all/eval out=out data.workers=1")
EVAL += ("reward all/eval data.workers=1", "watch all/eval once=true")
SFT = ("report all/sft out=out", "status all/sft", "watch all/sft once=true")
PREDICT = ("predict all/sft image.png out=out generate.max_new_tokens=2",)
PIPELINE = ("report all out=out", "status all", "watch all once=true")
TABLE = (
    "report sweep --format md",
    "report sweep out=out",
    "report sweep/points/001_b all out=out",
)
SWEEP = ("status sweep", "report sweep/points/000_a out=out", "watch sweep once=true", *TABLE)
TOOLS = {
    **dict.fromkeys(
        [
            *(f"all/eval/{n}" for n in ("config.yaml", "metrics.json", "completions.jsonl")),
            *(f"all/eval/{n}" for n in ("exit.json", "provenance.json", "data.json")),
            *("all/eval/tracker.json", "all/eval/owners/000001.json"),
        ],
        EVAL,
    ),
    **dict.fromkeys([f"all/sft/{n}" for n in ("metrics.jsonl", "total.json", "exit.json")], SFT),
    "all/sft/samples.jsonl": SFT,
    "all/sft/config.yaml": (*SFT, *PREDICT),
    **dict.fromkeys(
        [
            *(f"{CHECKPOINT}/{n}" for n in ("whole.json", "model.safetensors.index.json", WEIGHTS)),
            *(f"{CHECKPOINT}/{n}" for n in ("config.json", "generation_config.json")),
            *(f"{CHECKPOINT}/{n}" for n in ("tokenizer.json", "tokenizer_config.json")),
            f"{CHECKPOINT}/chat_template.jinja",
        ],
        PREDICT,
    ),
    "all/pipeline.json": PIPELINE,
    **dict.fromkeys(["sweep/sweep.json", "sweep/points/000_a/exit.json"], SWEEP),
    **dict.fromkeys(
        [f"sweep/points/001_b/{n}.json" for n in ("per_image", "metrics", "provenance")], TABLE
    ),
    "sweep/points/001_b/config.yaml": TABLE,
}


def evaluated(run_dir, cache):
    """What an evaluation leaves, by the code that leaves it."""
    words = ["stage=eval", "model=tiny_qwen2_vl", "data.eval.limit=3", "reward=hard_recall"]
    config = compose_config([*words, f"paths.run_dir={run_dir}", f"paths.cache={cache}"])
    open_run(config)
    record_start(run_dir, config)
    prepared = prepare(config.data, "eval", cache, quiet=True)
    report_split(config, "eval", prepared, run_dir)
    for gold in prepared.golds():
        row = {"image_id": gold["image_id"], "index": 0, "text": json.dumps(to_dict(gold["graph"]))}
        append_json(run_dir / "completions.jsonl", row)
    score_split(config, read_predictions(run_dir), prepared).write(run_dir)
    note_failure(run_dir, "wandb", 3, RuntimeError("no network"))
    (run_dir / "owners").mkdir()
    owner = {"state": "free", **vars(Owner())}
    write_json(run_dir / "owners/000001.json", owner)
    ExitStatus(State.failed, 1, "RuntimeError: no network").write(run_dir)


def trained(run_dir):
    """What a training run leaves; its checkpoint is the tiny base itself."""
    config = compose_config(
        ["stage=sft", "model=tiny_qwen2_vl", "data.eval.limit=3", f"paths.run_dir={run_dir}"]
    )
    open_run(config)
    record_start(run_dir, config)
    write_json(run_dir / "total.json", {"steps": 4})
    for step in (1, 2, 3):
        append_json(run_dir / "metrics.jsonl", {"step": step, "loss": 1 / step, "grad_norm": "nan"})
    sample = TrainingSample(2, "a.png", SampleKind.rotating, "{}", {"node_box": 0.5}, 0.5)
    append_samples(run_dir, [sample])
    checkpoint = run_dir / "checkpoint-2"
    shutil.copytree(Path("sgg/assets/tiny_qwen2_vl").resolve(), checkpoint)
    from safetensors import safe_open

    [weights] = checkpoint.glob("*.safetensors")
    with safe_open(weights, "np") as tensors:
        names = list(tensors.keys())
    file = weights.rename(checkpoint / WEIGHTS).name
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, file)}
    write_json(checkpoint / "model.safetensors.index.json", index)
    mark_complete(checkpoint)
    ExitStatus(State.stopped, 143, "SIGTERM").write(run_dir)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A pipeline and a sweep, sound, below the folder `base`; the cache beside it."""
    for name in LOADED:  # once, before processes are forked
        import_module(name)
    root = tmp_path_factory.mktemp("strange")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(root / name))
        patch.setenv("HF_HUB_OFFLINE", "1")
        folder = root / "base"
        evaluated(folder / "all/eval", root / "XDG_CACHE_HOME/sgg")
        trained(folder / "all/sft")
        write_json(folder / "all/pipeline.json", {"steps": ["sft", "eval"], "table": ["eval"]})
        runs, points = [], []
        for number, name in enumerate(("000_a", "001_b")):
            shutil.copytree(folder / "all/eval", folder / "sweep/points" / name)
            runs.append(RunRecord(number, "eval", None, f"points/{name}", [process_id()]))
            points.append(PointRecord(name, [f"generate.temperature={number}"]))
        SweepRecord("local", 1, "/", "2026-01-01", [], points, runs).write(folder / "sweep")
        Image.new("RGB", (64, 64)).save(folder / "image.png")
        yield folder


ALLOWED = ("..",)  # its cache lies beside it


def spoil(root, chance, names):
    """One file; a checkpoint is then marked complete, mostly, as who spoils it would."""
    name, way = spoilt_file(root, chance, names)
    path = root / name
    is_marked = path.parent.name == "checkpoint-2" and path.name != "whole.json"
    if is_marked and chance.random() < 0.7:
        (path.parent / "whole.json").unlink()
        mark_complete(path.parent)
    return name, way


def test_the_sound_folder_is_read(base):
    for tool in {tool for tools in TOOLS.values() for tool in tools}:
        root = base.parent / "sound"
        shutil.copytree(base, root, dirs_exist_ok=True)
        code, said = read_by(tool, root, [root.parent])
        assert code == 0, f"{tool}: {said[-3000:]}"


def found_in(base, seeds):
    return [trouble for seed in seeds for trouble in troubles(base, seed, TOOLS, ALLOWED, spoil)]


def test_a_spoilt_folder_is_read_or_refused(base):
    found = found_in(base, range(QUICK))
    assert not found, "\n".join(found)


@pytest.mark.thorough
def test_three_hundred_spoilt_folders_are_read_or_refused(base):
    found = found_in(base, range(QUICK, ALL))
    assert not found, "\n".join(found)
