"""Tiny trainings for the cluster: what is run, and what is looked at afterwards."""

from __future__ import annotations

import json
import time

from launchers.sweep.status import status_of

SFT = [
    *(
        "stage=sft",
        "stage.global_batch=8",
        "stage.optimizer.kind=trl",
        "stage.args.logging_steps=1",
    ),
    *("data.train.limit=64", "hardware.threads=1", "data.workers=1"),
]
SLURM = [
    "hydra/launcher=slurm",
    "hardware.slurm.time_min=30",
    "hardware.slurm.signal_before_end_s=60",
]
NODES = ["hardware.nodes=2", "hardware.processes_per_node=2"]


def losses(run_dir):
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def steps_done(run_dir):
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def weights(run_dir):
    return (run_dir / "model" / "model.safetensors").read_bytes()


def points(sweep):
    return sorted((sweep / "points").iterdir())


def states(sweep):
    """What `sgg status` knows, by run folder below points/."""
    return {s.run.folder.partition("/")[2]: s for s in status_of(sweep).runs}


def until(true, what, limit_s=300):
    """Nothing hangs: every wait has a limit and a name."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.2)
