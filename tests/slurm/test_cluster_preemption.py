"""A cluster that preempts without a warning, as Slurm does unless it is told otherwise."""

import json

import pytest
from commands import sgg_ok
from trainings import SFT, SLURM, points, states, steps_done, until

pytestmark = pytest.mark.slow

STEPS = 30


@pytest.mark.thorough
def test_a_job_that_is_preempted_by_sigterm_is_queued_again_and_goes_on(cluster, tmp_path):
    sweep = tmp_path / "sweep"
    words = [*SFT, f"stage.args.max_steps={STEPS}", "stage.args.save_steps=100", *SLURM]
    with cluster.no_warning_of_preemption():
        sgg_ok(
            *(*words, "hardware.slurm.partition=preempt", f"paths.sweep_dir={sweep}"), cwd=tmp_path
        )
        (run_dir,) = points(sweep)
        until(lambda: steps_done(run_dir) >= 2, "it trains")
        cluster.take_all_nodes()
        until(lambda: _starts(run_dir) == 2, "it is started again")
        until(lambda: states(sweep)[run_dir.name].state == "finished", "it finishes")
    assert steps_done(run_dir) == STEPS
    saved = "going on from checkpoint-" in (run_dir / "run.log").read_text()
    assert saved, "what was trained before the preemption is lost"


def _starts(run_dir):
    return len(json.loads((run_dir / "provenance.json").read_text())["starts"])
