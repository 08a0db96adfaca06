"""What people get wrong: each costs one screen of words that names the fix, and no traceback."""

import json
import shutil
import struct
import subprocess

import pytest
from commands import sgg
from PIL import Image

SCREEN = 24


def said(*words, cwd, **more):
    done = sgg(*words, cwd=cwd, timeout=300, **more)
    return done.returncode, done.stderr


def told(words, cwd, *phrases):
    code, stderr = said(*words, cwd=cwd)
    assert code not in (0, None), stderr
    message = stderr[stderr.rfind("sgg: ") :] if "sgg: " in stderr else stderr
    assert "Traceback" not in stderr, stderr
    assert len(message.splitlines()) <= SCREEN
    for phrase in phrases:
        assert phrase in message, f"{phrase!r} not in:\n{message}"


@pytest.mark.parametrize(
    ("words", "phrases"),
    [
        (["modle=tiny_qwen2_vl"], ["modle: no such key", "Did you mean 'model'?"]),
        (["model=qwen2_vl_7"], ["model=qwen2_vl_7: no such option", "'qwen2_vl_7b'"]),
        (["model.pth=x"], ["model.pth: no such key", "Did you mean 'path'?"]),
        (["stage=gpro"], ["stage=gpro: no such option", "Did you mean 'grpo'?"]),
        (["+experiment=nothing"], ["experiment=nothing", "grpo_7b"]),
        (["seed=one"], ["seed=one", "could not be converted to Integer"]),
        (["prompt.template=opne"], ["prompt.template=opne", "open, closed, brief"]),
        (["stage.args.learning_rat=1e-5"], ["no such field", "Did you mean 'learning_rate'?"]),
        (["stage.args.learning_rate=fast"], ["stage.args.learning_rate='fast'", "must be float"]),
        (["stage.args.learning_rate=-1e-5"], ["stage.args.learning_rate=-1e-05", "above 0"]),
        (["stage.args.output_dir=x"], ["stage.args.output_dir", "set paths.run_dir instead"]),
        (["stage.micro_batch=5"], ["stage.micro_batch=5", "Allowed: 1, 2, 4, 8, 16"]),
        (["stage=grpo", "stage.args.num_generations=1"], ["num_generations=1", "2 or more"]),
        (
            ["stage=grpo", "stage.micro_batch=24"],
            ["stage.micro_batch=24", "does not divide the 128"],
        ),
        (
            ["stage=grpo", "reward=none"],
            ["stage=grpo needs at least one reward term", "hard_recall"],
        ),
        (
            ["stage=grpo", "reward.terms.edge_hrd.weight=1"],
            ["reward.terms.edge_hrd: no such term", "Did you mean 'edge_hard'?"],
        ),
        (["data=jsonl"], ["data.root must be given"]),
        (["data=jsonl", "data.root=nowhere"], ["data.root=nowhere: no such folder"]),
        (
            ["data=vg150", "data.train.path=./nowhere"],
            ["data.train.path=./nowhere", "no such folder"],
        ),
        (["data.shapes.max_objects=9"], ["data.shapes", "min ≤ max ≤ 6"]),
        (["prompt=dataset_open"], ["prompt.template=prompt_open", "Take prompt=open"]),
        (["prompt=closed", "data=jsonl", "data.root=x"], ["prompt.template=closed", "prompt=open"]),
        (
            ["hardware.nodes=2", "stage.optimizer.kind=trl"],
            ["hardware.nodes=2", "takes 2 nodes, but here are 1", "hydra/launcher=slurm"],
        ),
        (
            [
                "stage=grpo",
                "hardware=rtx4090_zero3",
                "hardware.nodes=2",
                "stage.optimizer.kind=trl",
            ],
            ["takes 2 nodes, but here are 1", "hydra/launcher=slurm"],
        ),
        (["hardware.rollout.nodes=1"], ["hardware.rollout.nodes=1", "mode=server"]),
        (["hardware.gpu=true"], ["hardware.gpu=true", "0 GPUs are visible"]),
        (
            ["-m", "stage=sft", "seed=0,1", "stage.optimizer.kind=trl", "hardware.gpu=true"],
            ["0 GPUs are visible", "in 2 of 2 points", "Nothing was started"],
        ),
        (["stage=eval", "debug=steps"], ["debug=steps sets stage.args", "debug=fast"]),
        (
            ["stage=eval", "generate.num_completions=4"],
            ["generate.num_completions=4", "Set a temperature"],
        ),
        (["model.path=nowhere/at/all"], ["model.path=nowhere/at/all: no such folder"]),
        (["model.family=qwen2_vl"], ["model.family=qwen2_vl", "is a qwen2_5_vl"]),
        (["resume", "nowhere"], ["sgg resume nowhere: neither a run, a pipeline nor a sweep."]),
        (["resume=runs/a"], ["resume: no such", "It is a tool: `sgg resume --help`."]),
        (["model.path=a=b"], ["model.path=a=b: not an override: = at character 13", "Write: "]),
        (["tracker.group=${NO_SUCH}"], ["tracker.group=${NO_SUCH}", "write: 'tracker.group="]),
    ],
)
def test_config_mistakes(words, phrases, tmp_path):
    told(words, tmp_path, *phrases)


def test_missing_weights_are_all_that_a_real_run_lacks_here(tmp_path):
    """The paper's GRPO run gets as far as its weights: config, hardware and data are in order."""
    words = ["experiment=grpo_7b", "model=qwen2_5_vl_7b", "hardware=a100"]
    code, stderr = said(*words, cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hf"))
    assert code == 2
    assert "model.path=Qwen/Qwen2.5-VL-7B-Instruct: not found here" in stderr
    assert "hf download Qwen/Qwen2.5-VL-7B-Instruct" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "runs").exists()


def test_folder_without_the_right_columns(tmp_path):
    import datasets

    datasets.Dataset.from_dict({"picture": ["a"], "graph": ["b"]}).to_parquet(
        tmp_path / "x.parquet"
    )
    words = ["data=vg150", f"data.train.path={tmp_path}"]
    told(
        words,
        tmp_path,
        "data.train.path",
        "image_id, image, objects, relationships",
        "picture, graph",
    )


def user_folder(folder):
    folder.mkdir()
    rows = []
    for name in ("one.png", "two.png"):
        Image.new("RGB", (60, 40), "red").save(folder / name)
        objects = [
            {"id": "cup.1", "bbox": [1, 2, 30, 35]},
            {"id": "table.2", "bbox": [0, 20, 60, 40]},
        ]
        relation = {"subject": "cup.1", "predicate": "on", "object": "table.2"}
        rows.append(
            {
                "image": name,
                "width": 60,
                "height": 40,
                "objects": objects,
                "relationships": [relation],
            }
        )
    (folder / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_broken_images_are_found_before_training(tmp_path):
    folder = user_folder(tmp_path / "data")
    for name in ("one.png", "two.png"):
        (folder / name).write_bytes(b"\x89PNG broken")
    told(
        ["data=jsonl", f"data.root={folder}"],
        tmp_path,
        "none of 2 images is usable",
        "broken_image: 2 (cannot be decoded; image dropped), first one, two",
    )


def test_image_that_broke_after_preparing(tmp_path):
    folder = user_folder(tmp_path / "data")
    words = ["data=jsonl", f"data.root={folder}", "debug=steps"]
    assert said("prepare", *words[:2], "debug=fast", cwd=tmp_path)[0] == 0
    for name in ("one.png", "two.png"):
        (folder / name).write_bytes(b"\x89PNG broken")
    told(words, tmp_path, "cannot be decoded", "data.image_check=decode")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A tiny SFT run of two steps."""
    folder = tmp_path_factory.mktemp("run")
    code, stderr = said("debug=steps", f"paths.run_dir={folder / 'run'}", cwd=folder)
    assert code == 0, stderr
    return folder / "run"


def test_damaged_checkpoint(finished_run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(finished_run, copy)
    weights = copy / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    told(["stage=eval", f"model.path={copy}"], tmp_path, f"model.path={copy}", "is damaged")


def test_weights_that_are_no_safetensors(finished_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(finished_run / "model", folder)
    (folder / "whole.json").unlink()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    told(["stage=eval", f"model.path={folder}"], tmp_path, "pickled weights are not read")


def test_run_folder_of_another_config(finished_run, tmp_path):
    words = ["debug=steps", f"paths.run_dir={finished_run}", "seed=7"]
    told(
        words,
        tmp_path,
        "holds a run with another config",
        "seed: 0 -> 7",
        f"sgg resume {finished_run}",
    )


def test_resume_with_other_overrides(finished_run, tmp_path):
    words = ["resume", str(finished_run), "seed=7"]
    told(words, tmp_path, "seed=7 would be ignored", "start a new run")


@pytest.fixture
def mounted(tmp_path):
    """Mounts a small tmpfs; only root may, so elsewhere these tests are skipped."""
    places = []

    def mount(options):
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True
        )
        if done.returncode:
            pytest.skip("mounting a small disk needs root")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


def test_read_only_run_folder(mounted, tmp_path):
    place = mounted("size=1m,ro")
    told(["debug=steps", f"paths.root={place}"], tmp_path, "read-only", "paths.root=DIR")


FULL = {
    "model.safetensors": ("1m", ["debug=steps"]),
    "optimizer.pt": ("10m", ["debug=steps", "stage.optimizer.kind=trl"]),
    "rank0.jsonl": ("100k", ["stage=eval", "data.eval.limit=300"]),
}
"""File that does not fit, the size of the disk, and what is run."""


@pytest.mark.parametrize(
    ("name", "processes"),
    [
        ("model.safetensors", 1),
        *(pytest.param("optimizer.pt", n, marks=pytest.mark.thorough) for n in (1, 2)),
        pytest.param("rank0.jsonl", 1, marks=pytest.mark.thorough),
    ],
)
def test_a_full_disk_is_told_with_the_file_and_the_command_to_go_on(
    mounted, tmp_path, name, processes
):
    """In the checkpoint and in the completions; log lines that do not fit cost one message."""
    size, words = FULL[name]
    run_dir = mounted(f"size={size}") / "run"
    words = [*words, f"hardware.processes_per_node={processes}", f"paths.run_dir={run_dir}"]
    code, stderr = said(*words, cwd=tmp_path)
    assert code == 2, stderr
    message = stderr[stderr.rfind("sgg: ") :]
    assert message.startswith(f"sgg: {run_dir}/"), stderr
    assert f"{name}: the disk is full (it holds " in message
    assert f"resume with: sgg resume {run_dir}\n" in message
    for word in ("Traceback", "Logging error", "inline_container", "RUN_DIR"):
        assert word not in stderr


@pytest.mark.parametrize(
    ("damage", "phrase"),
    [
        (lambda text: "", "there are no keys in it"),
        (lambda text: text[: text.index("box_format") + 5], "line "),
        (lambda text: text.replace("seed: 0", "seed: x"), "seed='x': must be a whole number"),
    ],
)
def test_a_damaged_config_is_told_with_the_command_that_makes_it_again(
    finished_run, tmp_path, damage, phrase
):
    run_dir = tmp_path / "run"
    shutil.copytree(finished_run, run_dir)
    frozen = run_dir / "config.yaml"
    frozen.write_text(damage(frozen.read_text()))
    words = ["resume", str(run_dir)]
    command = f"sgg debug=steps paths.run_dir={run_dir}"
    told(words, tmp_path, f"{frozen}: ", phrase, "was damaged. Move it away", command)


def test_predict_without_a_image(finished_run, tmp_path):
    told(["predict", str(finished_run), "nothing.jpg"], tmp_path, "nothing.jpg: no such image")
    (tmp_path / "text.jpg").write_text("no image")
    told(["predict", str(finished_run), "text.jpg"], tmp_path, "not an image that can be decoded")


def test_predict_takes_a_image_with_damaged_exif(finished_run, tmp_path):
    """An empty text as the resolution: Pillow knows no such JPEG. The orientation behind it is none."""
    entries = struct.pack("<HHIHHHHI4s", 0x0112, 3, 1, 12, 0, 0x011A, 2, 1, bytes(4))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    Image.new("RGB", (120, 80), "red").save(tmp_path / "photo.jpg", exif=exif)
    code, stderr = said("predict", str(finished_run), "photo.jpg", cwd=tmp_path)
    assert code == 0, stderr
    assert "photo.jpg: EXIF cannot be read, or its orientation is none of 1 to 8" in stderr
    (written,) = tmp_path.glob("*.graph.json")
    content = json.loads(written.read_text())
    assert (content["width"], content["height"]) == (120, 80)


@pytest.mark.thorough
@pytest.mark.parametrize("workers", [0, 1])
def test_training_names_a_image_that_changed_after_it_was_prepared(tmp_path, workers):
    objects = [{"id": "man.1", "bbox": [10, 10, 50, 60]}, {"id": "dog.2", "bbox": [40, 30, 90, 70]}]
    near = [{"subject": "man.1", "predicate": "near", "object": "dog.2"}]
    rows = []
    for i in range(8):
        Image.new("RGB", (112, 112), (30 * i, 80, 200)).save(tmp_path / f"{i}.png")
        size = {"image": f"{i}.png", "width": 112, "height": 112}
        rows.append(size | {"objects": objects, "relationships": near})
    (tmp_path / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = ["data=jsonl", "data.root=."]
    assert said("prepare", *data, cwd=tmp_path)[0] == 0
    cut = tmp_path / "4.png"
    cut.write_bytes(cut.read_bytes()[:80])
    words = ["stage=sft", *data, "stage.args.max_steps=2", f"hardware.loader_workers={workers}"]
    told(
        [*words, "stage.global_batch=8", "stage.micro_batch=8", "stage.optimizer.kind=trl"],
        tmp_path,
        f"data.train: image {tmp_path}/4.png cannot be decoded",
        "`sgg prepare`",
    )
    assert said("prepare", *data, cwd=tmp_path)[0] == 0
    assert said(*words, "stage.micro_batch=1", cwd=tmp_path)[0] == 0


def test_report_without_a_run(tmp_path):
    told(["report", str(tmp_path)], tmp_path, "no run there")


def test_traceback_on_demand(tmp_path):
    _, stderr = said("stage.micro_batch=5", cwd=tmp_path, SGG_TRACEBACK="1")
    assert "Traceback" in stderr
    assert "stage.micro_batch=5" in stderr
