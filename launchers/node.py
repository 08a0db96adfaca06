"""One node's share of a frozen run: `python -m launchers.node RUN_DIR/config.yaml`, one task on each node.

Under Slurm it takes its place from the step, and a run that SIGUSR2 stops (time limit, preemption) is
queued again and goes on from its newest whole checkpoint. Exit codes: 0 done, 2 a user's mistake,
128 + N stopped by signal N, else 1.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path

from launchers.ending import Ending, State
from launchers.place import Place
from launchers.plan import gpus_per_node, make_plan, node_count
from launchers.supervise import Limits, Supervisor
from sgg.checkpoint import newest_whole
from sgg.cli import guarded
from sgg.config import FROZEN_NAME, Config, thaw
from sgg.errors import Failed, SggError, Stopped
from sgg.run import PIPELINE
from sgg.validate_hardware import ready_here

log = logging.getLogger("sgg")

_REQUEUED_WITHIN_S = 120.0
_MARGIN_S = 20
"""Kept back from Slurm's warning time for queueing again, seconds."""


def run_node(frozen: Path, place: Place) -> Ending:
    """Run this node's processes to their end."""
    config, run_dir = thaw(frozen), frozen.parent
    plan = make_plan(config, frozen, place.hosts, place.port)
    return Supervisor(plan, place, run_dir, _limits(config, place)).run()


def told(ending: Ending) -> None:
    """Raise what the caller is to tell, unless all went well."""
    if ending.state is State.stopped:
        raise Stopped(ending.reason, ending.code - 128)
    if ending.state is State.failed:
        raise Failed(ending.reason, ending.code)


def check_machine(config: Config, place: Place) -> None:
    """Raise SggError if the config wants other machines or packages than these."""
    ready_here(config)
    hardware, wanted = config.hardware, node_count(config)
    if wanted != len(place.hosts):
        raise SggError(
            f"hardware.nodes={hardware.nodes} with hardware.rollout.nodes={hardware.rollout.nodes} "
            f"takes {wanted} nodes, but here are {len(place.hosts)}. "
            "Submit it with hydra/launcher=slurm, or take hardware.nodes=1."
        )
    if hardware.gpu:
        import torch

        visible = torch.cuda.device_count()
        if visible < gpus_per_node(config):
            raise SggError(
                f"hardware.processes_per_node={hardware.processes_per_node} with hardware.gpu=true "
                f"takes {gpus_per_node(config)} GPUs, but {visible} GPUs are visible. "
                "Take hardware=cpu, fewer processes, or a machine with GPUs."
            )


def _limits(config: Config, place: Place) -> Limits:
    hardware = config.hardware
    grace = hardware.grace_s
    if place.slurm_job is not None:
        grace = min(grace, max(5, hardware.slurm.signal_before_end_s - _MARGIN_S))
    return Limits(hardware.rollout.start_limit_s, grace)


def _main(frozen: Path) -> None:
    place, run_dir = Place.here(), frozen.parent
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    before, started = _progress(run_dir), time.monotonic()
    check_machine(thaw(frozen), place)
    ending = run_node(frozen, place)
    if ending.state is State.finished and place.node == 0:
        from sgg.report.build import write_report

        write_report(run_dir)
        if (run_dir.parent / PIPELINE).is_file():
            from sgg.pipeline import finish_if_complete

            finish_if_complete(run_dir.parent)
    if place.slurm_job is not None and ending.code == 128 + signal.SIGUSR2:
        half_time = thaw(frozen).hardware.slurm.time_min * 30
        idle = _progress(run_dir) == before and time.monotonic() - started > half_time
        ending = _queue_again(ending, place, idle)
    told(ending)


def _queue_again(ending: Ending, place: Place, idle: bool) -> Ending:
    """Have Slurm start the job again; returns only where that is not to be, or not this node's to do."""
    if idle:
        reason = (
            f"{ending.reason}\nNot queued again: the whole of hardware.slurm.time_min brought no new "
            "checkpoint and no new answers. Take a longer time_min, or a smaller stage.args.save_steps."
        )
        return Ending(State.failed, 1, reason, ending.attempt, ending.job)
    if place.node > 0:  # a non-zero code here would have srun kill node 0 before it has asked
        return Ending(State.finished, 0, ending.reason, ending.attempt, ending.job)
    problem = place.requeue()
    if problem is not None:
        reason = f"{ending.reason}\nscontrol requeue {place.slurm_job} failed: {problem}"
        return Ending(State.failed, 1, reason, ending.attempt, ending.job)
    log.info("Job %s is queued again.", place.slurm_job)
    time.sleep(_REQUEUED_WITHIN_S)  # Slurm ends this step meanwhile
    return ending


def _progress(run_dir: Path) -> tuple[Path | None, int]:
    """What a restart would not have to do again."""
    answers = sum(path.stat().st_size for path in run_dir.glob("completions*.jsonl"))
    return newest_whole(run_dir), answers


if __name__ == "__main__":
    if len(sys.argv) != 2 or Path(sys.argv[1]).name != FROZEN_NAME:
        sys.exit(f"usage: python -m launchers.node RUN_DIR/{FROZEN_NAME}")
    sys.exit(guarded(lambda: _main(Path(sys.argv[1]).absolute())))
