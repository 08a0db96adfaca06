"""GRPO's update with shared prompts against TRL's trainer, side by side: `python bench/grpo_update.py`.

    --family NAME     of the model (qwen2_5_vl)
    --rounds N        updates of each way that are timed (1)
    --prompt P --image I --completion C --group G    one case of these numbers in place of the two below
    --table           a table over prompts, completions and groups, with the small model
    --small           that model for the cases, too: a head of 16,384 rows
    --completions     TRL's head takes the completions alone, as it does on a GPU
    --device cuda     Qwen2.5-VL-3B's width and depth in bf16

A micro batch is one prompt with one image and its completions, as TRL's trainer hands them to the model:
padded rows, pixels repeated. Both ways compute log-probabilities and entropies, GRPO's loss on fixed
advantages and its gradients, for equal random weights; layers are recomputed in the backward (gradient
checkpointing), as by TRL's defaults. TRL's way is its own head on the model as transformers loads it
(`sdpa`); ours is `load_model` and `ScoringHead` with `stage.fast_path=require`. Without a GPU TRL's head
takes every token of every row; `--completions` says what is left of the difference where it does not.

Each way is a process of its own, on one thread; they take turns, so that other work on the machine meets both
alike. “Limit” is the ratio of their floating-point operations (`update/flops.py`): what lies above it is by
kernels, not by sharing. Peak memory is what the process has at most during an update, beyond what it had
before: 5.5 GiB by TRL's way in the first case.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from update.cases import Case
from update.models import OURS, SIZES, TRL, write_config

from sgg.config.model import Family

CASES = (Case(1000, 500, 300, 8), Case(500, 300, 300, 8))
WARM_UP = Case(60, 24, 30, 2)
TABLE = (
    Case(60, 24, 30, 2),
    Case(60, 24, 30, 8),
    Case(250, 120, 100, 4),
    Case(500, 300, 100, 8),
    Case(500, 300, 300, 8),
    Case(1000, 500, 100, 8),
    Case(1000, 500, 300, 2),
    Case(1000, 500, 300, 8),
)
BY_GROUP = tuple(Case(500, 300, 150, group) for group in (2, 4, 8, 16))
BY_PROMPT = tuple(Case(prompt, prompt * 3 // 5, 150, 8) for prompt in (125, 250, 500, 1000))
SHORT = 2000
"""Tokens of a batch whose updates are timed four times as often."""


class Ways:
    """Both processes."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        """Start them; `folder` has the model's config."""
        self._running: dict[str, subprocess.Popen[str]] = {}
        self.told: dict[str, Any] = {}
        cuda = asked.device == "cuda"
        shared = {
            "folder": str(folder),
            "family": asked.family,
            "device": asked.device,
            "scores_all": not cuda and not asked.completions,
        }
        for way in (TRL, OURS):
            command = [sys.executable, __file__, "--work", json.dumps(shared | {"way": way})]
            self._running[way] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self.told = self._answer(way)

    def __enter__(self) -> Ways:
        return self

    def __exit__(self, *failed: object) -> None:
        for process in self._running.values():
            process.communicate()

    def measure(self, case: Case, rounds: int, *, keep: bool = False) -> dict[str, dict[str, Any]]:
        """Medians of the updates by way; the ways take turns."""
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in self._running}
        for turn in range(rounds):
            for way, process in self._running.items():
                line = asdict(case) | {"keep": keep and turn == 0}
                process.stdin.write(json.dumps(line) + "\n")
                process.stdin.flush()
                found[way].append(self._answer(way))
        return {
            way: {"flops": steps[0]["flops"]}
            | {key: statistics.median(s[key] for s in steps) for key in steps[0] if key != "flops"}
            for way, steps in found.items()
        }

    def _answer(self, way: str) -> dict[str, Any]:
        line = self._running[way].stdout.readline()
        if not line:
            raise SystemExit(f"the process of {way} ended: see above")
        return json.loads(line)


def ratios(found: dict[str, dict[str, Any]], clock: str) -> dict[str, float]:
    """TRL's number by ours: of seconds, memory and operations."""
    theirs, ours = found[TRL], found[OURS]
    limit = sum(theirs["flops"].values()) / sum(ours["flops"].values())
    faster = theirs[clock] / ours[clock]
    return {
        "faster": faster,
        "wall": theirs["wall"] / ours["wall"],
        "memory": ours["peak_mib"] / max(1, theirs["peak_mib"]),
        "limit": limit,
        "share": faster / limit,
    }


def differences(folder: Path) -> str:
    """How far apart the ways' results are."""
    import torch

    theirs, ours = (torch.load(folder / f"{way}.pt") for way in (TRL, OURS))
    apart = {
        name: float((theirs[name] - ours[name]).abs().max()) for name in ("log_probs", "entropies")
    }
    a, b = theirs["gradients"], ours["gradients"]
    assert a.keys() == b.keys()
    whole = sum(float((a[n] - b[n]).square().sum()) for n in a) ** 0.5
    whole /= sum(float(g.square().sum()) for g in a.values()) ** 0.5
    # the gradient of a key's bias is rounding alone: softmax does not see it
    matrices = [n for n in a if not n.endswith("bias")]
    worst, name = max((float((a[n] - b[n]).norm() / a[n].norm()), n) for n in matrices)
    return (
        f"largest difference: log-probabilities {apart['log_probs']:.1e}, "
        f"entropies {apart['entropies']:.1e}; gradients {whole:.1e} of their norm, "
        f"at worst {worst:.1e} ({name})"
    )


def show(case: Case, found: dict[str, dict[str, Any]], clock: str, rate: float) -> None:
    """A case in full."""
    print(f"\n{case}")
    for way, told in found.items():
        parts = ", ".join(f"{name} {n / 1e12:.3g}" for name, n in told["flops"].items())
        flops = sum(told["flops"].values())
        print(
            f"{way:<5} {told['wall']:8.2f} s  {told['seconds']:8.2f} s of the processor  "
            f"{told['peak_mib']:6.0f} MiB  {told['process_mib']:6.0f} MiB in all  "
            f"{flops / 1e12:.3g} TFLOP ({parts}), {flops / told[clock] / rate:.0%} of a matrix product's rate"
        )
    r = ratios(found, clock)
    print(
        f"{r['faster']:.2f} × as fast (by wall {r['wall']:.2f} ×), limit {r['limit']:.2f} ×: "
        f"{r['share']:.0%} of it; peak memory {r['memory']:.3f} of TRL's",
        flush=True,
    )


def table(ways: Ways, cases: tuple[Case, ...], rounds: int, clock: str) -> None:
    """A line for each case."""
    print(
        f"\n{'prompt':>6} {'image':>5} {'compl.':>6} {'group':>5}  TRL s   ours s   faster  limit"
    )
    for case in cases:
        short = case.group * (case.prompt + case.completion) < SHORT
        found = ways.measure(case, rounds * 4 if short else rounds)
        r, seconds = ratios(found, clock), [told[clock] for told in found.values()]
        print(
            f"{case.prompt:6} {case.image:5} {case.completion:6} {case.group:5} "
            f"{seconds[0]:7.3f} {seconds[1]:7.3f}  {r['faster']:5.2f} ×  {r['limit']:5.2f} ×  "
            f"{r['memory']:.3f} of the memory",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--family", choices=[f.name for f in Family], default="qwen2_5_vl")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    for name in ("prompt", "image", "completion", "group"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("table", "small", "completions"):
        parser.add_argument(f"--{name}", action="store_true")
    asked = parser.parse_args()
    numbers = (asked.prompt, asked.image, asked.completion, asked.group)
    if any(numbers) and not all(numbers):
        parser.error("--prompt, --image, --completion and --group go together")
    cuda = asked.device == "cuda"
    size = "small" if asked.table or asked.small else "3b" if cuda else "middle"
    # the processor's seconds leave out what others compute; a GPU's are not among them
    clock = "wall" if cuda else "seconds"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "model"
        write_config(Family[asked.family], SIZES[size], folder)
        with Ways(asked, folder) as ways:
            told = ways.told
            below, head = (told["parameters"] - told["head"]) / 1e6, told["head"] / 1e6
            print(
                f"{asked.family}, {below:.0f} M parameters and a head of {head:.0f} M, {asked.device}; "
                f"a matrix product {told['rate'] / 1e9:,.0f} GFLOP/s",
                flush=True,
            )
            ways.measure(WARM_UP, 1)
            if asked.table:
                for cases in (TABLE, BY_GROUP, BY_PROMPT):
                    table(ways, cases, asked.rounds, clock)
                return
            for case in (Case(*numbers),) if all(numbers) else CASES:
                found = ways.measure(case, asked.rounds, keep=True)
                show(case, found, clock, told["rate"])
                print(differences(folder), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        from update.worker import work

        work(json.loads(sys.argv[2]))
    else:
        main()
