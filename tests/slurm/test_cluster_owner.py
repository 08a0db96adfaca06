"""Two jobs on one run folder: one trains on both nodes, the other ends with a message."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment
from trainings import NODES, SFT, losses, steps_done, until

from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.runs.lease import OWNERS, newest
from sgg.runs.signature import sign_run

pytestmark = pytest.mark.slow

STEPS = 10


def submit(folder, run_dir):
    """A job of two nodes on the run folder; its id."""
    node = f"srun --kill-on-bad-exit=1 {sys.executable} -m launchers.node {run_dir / FROZEN_NAME}"
    words = ("-N2", "--ntasks-per-node=1", "--requeue", "-o", str(folder / "%j.log"))
    done = subprocess.run(
        ["sbatch", "--parsable", *words, "--wrap", node],
        env={**environment(folder), "PYTHONPATH": os.environ.get("PYTHONPATH", str(Path.cwd()))},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.thorough
def test_two_jobs_on_one_run_folder(cluster, tmp_path):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    words = [*SFT, *NODES, f"stage.args.max_steps={STEPS}", f"paths.run_dir={run_dir}"]
    config = compose_config(words)
    config.paths.cache = str(tmp_path / "cache")
    write_frozen(config, run_dir / FROZEN_NAME)
    sign_run(run_dir)
    jobs = [submit(tmp_path, run_dir) for _ in range(2)]
    ended = lambda job: cluster.slurm("squeue", "-h", "-j", job, "-t", "all", "-o", "%T")  # noqa: E731
    until(lambda: "FAILED" in map(ended, jobs), "one is refused")
    refused = next(job for job in jobs if ended(job) == "FAILED")
    trains = next(job for job in jobs if job != refused)
    told = (tmp_path / f"{refused}.log").read_text()
    assert f"{run_dir} is in use by process " in told
    assert f"Slurm job {trains}, since " in told
    assert f"scancel {trains}" in told
    until(lambda: steps_done(run_dir) >= 2, "the other trains")
    # started again by Slurm, it takes its own lease over and goes on
    cluster.slurm("scontrol", "requeue", trains)
    until(lambda: ended(trains) == "COMPLETED", "it finishes")
    assert len(losses(run_dir)) == STEPS
    owners = [json.loads(p.read_text()) for p in sorted((run_dir / OWNERS).iterdir())]
    assert [(owner["job"], owner["restart"]) for owner in owners] == [(trains, 0), (trains, 1)]
    assert newest(run_dir).is_free
    assert json.loads((run_dir / "exit.json").read_text())["state"] == "finished"
