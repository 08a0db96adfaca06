"""Does GRPO learn the same, whoever generates? `python bench/rollouts.py [SFT_RUN]`.

Three seeds with transformers, a colocated vLLM engine and a vLLM server, from one model after SFT (made
first, in a few minutes, if none is named): mean reward of the first and the last ten steps, and the time of a
step beside that with transformers.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODES = ("trainer", "colocate", "server")
SEEDS = (0, 1, 2)
STEPS, ENDS = 60, 10


def sgg(*words: str) -> None:
    command = [sys.executable, "-m", "sgg", "model=tiny_qwen2_5_vl", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-3000:]}")


def train(start: Path, mode: str, seed: int, folder: Path) -> list[dict[str, float]]:
    """Logged rows of one run."""
    run_dir = folder / f"{mode}-{seed}"
    sgg(
        "stage=grpo",
        f"model.path={start}",
        f"seed={seed}",
        f"hardware.rollout.mode={mode}",
        "hardware.rollout.max_length=1024",
        f"stage.args.max_steps={STEPS}",
        f"paths.run_dir={run_dir}",
    )
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if "reward/total/mean" in row]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "sft"
        if not start.is_dir():
            sgg("stage=sft", f"paths.run_dir={start}")
        pace: dict[int, float] = {}
        for mode in MODES:
            for seed in SEEDS:
                rows = train(start, mode, seed, folder)
                rewards = [row["reward/total/mean"] for row in rows]
                first, last = rewards[:ENDS], rewards[-ENDS:]
                step = statistics.median(row["speed/step_s"] for row in rows)
                if mode == "trainer":
                    pace[seed] = step
                apart = max(row.get("sampling/sampling_logp_difference/max", 0.0) for row in rows)
                print(
                    f"{mode:<9} seed {seed}: reward {statistics.mean(first):.3f} -> "
                    f"{statistics.mean(last):.3f}, log-probabilities at most {apart:.1e} nats apart, "
                    f"a step {step / pace[seed]:.2f} × transformers'",
                    flush=True,
                )


if __name__ == "__main__":
    main()
