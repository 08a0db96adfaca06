"""`hydra/sweeper=optuna` on Slurm: each batch is an array of jobs, and is waited for."""

import json

import pytest
from commands import sgg_ok

pytestmark = pytest.mark.thorough

WORDS = [
    *("-m", "stage=sft", "stage.global_batch=4", "stage.optimizer.kind=trl", "data.train.limit=64"),
    *("hardware.threads=1", "stage.args.logging_steps=1", "stage.args.max_steps=1", "seed=1,2,3"),
    *("hydra/sweeper=optuna", "hydra.sweeper.objective=loss", "hydra.sweeper.direction=minimize"),
    *("hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2", "hydra/launcher=slurm"),
]


def test_batches_are_arrays_of_one_sweep(tmp_path, cluster):
    sweep = tmp_path / "sweep"
    done = sgg_ok(*WORDS, f"paths.sweep_dir={sweep}", cwd=tmp_path)
    assert "3 finished" in done.stdout
    record = json.loads((sweep / "sweep.json").read_text())
    jobs = [run["jobs"][0].split("_") for run in record["runs"]]
    assert [index for _, index in jobs] == ["0", "1", "2"]
    assert jobs[0][0] == jobs[1][0] != jobs[2][0]
    assert (sweep / "optimization_results.yaml").is_file()
