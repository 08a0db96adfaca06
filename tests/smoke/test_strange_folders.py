"""Reading tools survive any folder: run, sweep and pipeline folders with one file spoilt at a time.

Each spoilt folder is read in a forked process with bounded memory and time. No tool may run a program,
unpickle, write outside its output, end by a bug, or look at anything for ever.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from sgg.config.compose import compose_config
from sgg.config.tree import PACKAGE
from sgg.data.prepare import prepare
from sgg.data.summary import report_split
from sgg.evaluation.predictions import read_predictions
from sgg.evaluation.stage import score_split
from sgg.explain.exit_codes import run_and_report
from sgg.files import write_json
from sgg.main import _tool
from sgg.runs.checkpoint import mark_complete
from sgg.runs.exit_status import ExitStatus, State
from sgg.runs.folder import append_json, record_start
from sgg.runs.open_run import open_run
from sgg.runs.owner import Owner
from sgg.runs.process_id import process_id
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord
from sgg.scene.graph import to_dict
from sgg.tracking.state import note_failure

QUICK, ALL = 40, 300
CPU_S, WALL_S = 10, 120
MEMORY = 1 << 30
LOADED = (
    *("transformers.models.qwen2_vl.modeling_qwen2_vl", "sgg.models.load", "sgg.inference.predict"),
    *(f"sgg.cli.{tool}" for tool in ("report", "status", "score", "reward", "predict", "sides")),
    *(
        "sgg.report.page",
        "sgg.evaluation.stage",
        "sgg.report.score_table",
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
OWN_GIT = ["git", "-c", f"safe.directory={PACKAGE.resolve().parent}"]
"""How sgg asks git about its own code, not about the folder, where a config is unreadable."""
OUTSIDE = "not to be changed\n"

EVAL = ("report all/eval out=out", "status all/eval", "score all/eval out=out data.workers=1")
EVAL += ("reward all/eval data.workers=1",)
SFT = ("report all/sft out=out", "status all/sft")
PREDICT = ("predict all/sft image.png out=out generate.max_new_tokens=2",)
PIPELINE = ("report all out=out", "status all")
SWEEP = ("status sweep", "report sweep/points/000_a out=out")
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
    config = compose_config(["stage=sft", "model=tiny_qwen2_vl", f"paths.run_dir={run_dir}"])
    open_run(config)
    record_start(run_dir, config)
    write_json(run_dir / "total.json", {"steps": 4})
    for step in (1, 2, 3):
        append_json(run_dir / "metrics.jsonl", {"step": step, "loss": 1 / step, "grad_norm": "nan"})
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
        shutil.copytree(folder / "all/eval", folder / "sweep/points/000_a")
        run = RunRecord(0, "eval", None, "points/000_a", [process_id()])
        points = [PointRecord("000_a", ["seed=1"])]
        SweepRecord("local", 1, "/", "2026-01-01", [], points, [run]).write(folder / "sweep")
        Image.new("RGB", (64, 64)).save(folder / "image.png")
        yield folder


ODD = [
    *(None, True, -1, 10**400, 1e308, float("nan"), float("inf"), "", "x", "../../outside.txt"),
    *("\x1b[2J", "\ud800", "/etc/passwd", "a\0b", "y" * 5000, [], {}, [[]], {"a": {}}, [1, "a"]),
]


@dataclass
class Spoiler:
    """Spoils one file in one way, both drawn by a seed."""

    chance: random.Random
    root: Path

    def spoil(self):
        """The file that was spoilt and how."""
        name = self.chance.choice(sorted(TOOLS))
        path = self.root / name
        ways = [self.flipped, self.cut, self.empty, self.huge, self.pipe, self.link, self.endless]
        ways += [self.folder, self.deep]
        if path.suffix in (".json", ".jsonl"):
            ways += [self.other_value] * 8 + [self.less] * 3
        way = self.chance.choice(ways)
        way(path)
        is_marked = path.parent.name == "checkpoint-2" and path.name != "whole.json"
        if is_marked and self.chance.random() < 0.7:
            (path.parent / "whole.json").unlink()
            mark_complete(path.parent)  # as who spoils it would
        return name, way.__name__

    def flipped(self, path):
        content = bytearray(path.read_bytes())
        for _ in range(self.chance.choice([1, 8, 64])):
            content[self.chance.randrange(len(content))] = self.chance.randrange(256)
        path.write_bytes(content)

    def cut(self, path):
        path.write_bytes(path.read_bytes()[: self.chance.randrange(path.stat().st_size)])

    def empty(self, path):
        path.write_bytes(b"")

    def huge(self, path):
        os.truncate(path, 2 << 30)

    def pipe(self, path):
        path.unlink()
        os.mkfifo(path)

    def link(self, path):
        path.unlink()
        path.symlink_to(self.root.parent / "outside.txt")

    def endless(self, path):
        path.unlink()
        path.symlink_to("/dev/zero")

    def folder(self, path):
        path.unlink()
        path.mkdir()

    def deep(self, path):
        path.write_text('{"a":' * 100_000 if self.chance.random() < 0.5 else "[" * 100_000)

    def other_value(self, path):
        self.changed(path, lambda owner, key: owner.__setitem__(key, self.odd()))

    def less(self, path):
        self.changed(path, lambda owner, key: owner.__delitem__(key))

    def odd(self):
        return self.chance.choice(ODD)

    def changed(self, path, change):
        """One value of one row, anywhere in it."""
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        place = self.chance.randrange(len(lines))
        row = json.loads(lines[place])
        change(*self.chance.choice(list(places({"": row}, 0))[1:]))
        lines[place] = json.dumps(row)
        path.write_text("\n".join(lines) + "\n")


def places(value, depth):
    """Every (owner, key) in plain values."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)) and depth < 6:
            yield from places(value[key], depth + 1)


def watched(allowed):
    """An audit hook that ends the process where a tool does what no reading tool may."""
    runs = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "pickle.find_class")
    changes = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink")

    def hook(event, args):
        target = None
        if event in runs and not (event == "subprocess.Popen" and args[1][:3] == OWN_GIT):
            refuse(event, args[:2])
        if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
            writes = args[2] is not None and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            target = args[0] if writes else None
        elif event in changes:
            target = args[0]
        if isinstance(target, (str, bytes, os.PathLike)):
            path = os.path.realpath(os.fsdecode(target))
            if path != os.devnull and not any(
                path.startswith(f"{a}/") or path == a for a in allowed
            ):
                refuse(event, path)

    def refuse(event, what):
        os.write(2, f"FORBIDDEN {event} {what}\n".encode())
        os._exit(99)

    return hook


def read_by(tool, root, said):
    """How a tool ended in a process of its own, and what it printed."""
    child = os.fork()
    if child == 0:
        stream = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        weights = root / CHECKPOINT / WEIGHTS  # mapped, which takes addresses and no memory
        most = now + MEMORY + (weights.stat().st_size if weights.is_file() else 0)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        signal.alarm(WALL_S)
        os.chdir(root)
        if "torch" in sys.modules:  # a fork has none of the threads that OpenMP would wait for
            sys.modules["torch"].set_num_threads(1)
        sys.addaudithook(watched([str(root / "out"), str(root.parent)]))
        verb, *words = tool.split()
        code = 98
        try:
            code = run_and_report(lambda: _tool(verb, words))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")


def troubles(base, seed):
    """What went wrong with one spoilt folder: empty if nothing did."""
    root = base.parent / "spoilt"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root)
    outside = base.parent / "outside.txt"
    outside.write_text(OUTSIDE)
    name, way = Spoiler(random.Random(seed), root).spoil()
    found = []
    for tool in TOOLS[name]:
        code, said = read_by(tool, root, base.parent / "said.txt")
        if code not in (0, 2) or "Traceback" in said or "FORBIDDEN" in said:
            found.append(f"seed {seed}, {name} {way}: sgg {tool}: {code}\n{said[-1500:]}")
    if outside.read_text() != OUTSIDE:
        found.append(f"seed {seed}, {name} {way}: wrote outside")
    return found


def test_the_sound_folder_is_read(base):
    for tool in {tool for tools in TOOLS.values() for tool in tools}:
        root = base.parent / "sound"
        shutil.copytree(base, root, dirs_exist_ok=True)
        code, said = read_by(tool, root, base.parent / "said.txt")
        assert code == 0, f"{tool}: {said[-3000:]}"


def test_a_spoilt_folder_is_read_or_refused(base):
    found = [trouble for seed in range(QUICK) for trouble in troubles(base, seed)]
    assert not found, "\n".join(found)


@pytest.mark.thorough
def test_three_hundred_spoilt_folders_are_read_or_refused(base):
    found = [trouble for seed in range(QUICK, ALL) for trouble in troubles(base, seed)]
    assert not found, "\n".join(found)
