"""What one node does for a frozen run: supervise its processes, then say how it ended, or be queued again.

Under Slurm it takes its place from the step. A run that is stopped by its time limit or by a preemption is
queued again and goes on from its newest whole checkpoint.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from launchers.ending import Ending, State
from launchers.place import Place
from launchers.plan import gpus_per_node, make_plan, node_count
from launchers.secret import rollout_key
from launchers.supervise import Limits, Supervisor
from launchers.sweep_file import way_on
from sgg.checkpoint import checkpoints, is_sealed
from sgg.config import Config, thaw
from sgg.errors import Failed, SggError, Stopped
from sgg.explain import explain
from sgg.hardware import KEY_VARIABLE
from sgg.lease import Lease, wait_for_owner
from sgg.run import PARTS, PIPELINE
from sgg.validate_hardware import ready_here

log = logging.getLogger("sgg")

_ENDED_WITHIN_S = 120.0
"""How long Slurm may take to end a job that it has queued again, or that it is ending anyway."""
_MARGIN_S = 20
"""Kept back from Slurm's warning time for queueing again, seconds."""


def run_share(frozen: Path, received: list[int]) -> None:
    """This node's share, from its place to the report.

    Node 0 owns the run folder while its share lasts; the other nodes of the same start belong to it.

    Raises:
        SggError: another start owns the folder; nothing of it was touched.
        Failed, Stopped: how the run ended, where not well; it stands in the run folder, too.

    """
    log.addHandler(logging.StreamHandler())  # not the root's: that is where a run's own log begins
    log.setLevel(logging.INFO)
    place, run_dir = Place.here(), frozen.parent
    if place.node > 0:
        wait_for_owner(run_dir, place.attempt)
        told(_share(frozen, place, received, release=lambda: None))
    else:
        with Lease(run_dir, place.attempt, partial(_pause, run_dir, received)) as lease:
            told(_share(frozen, place, received, lease.release))


def _share(frozen: Path, place: Place, received: list[int], release: Callable[[], None]) -> Ending:
    """The same in a folder that is ours; `release` gives it to others."""
    run_dir = frozen.parent
    before, started = _progress(run_dir), time.monotonic()
    try:
        check_machine(thaw(frozen), place)
        ending = run_node(frozen, place, received)
    except Exception as error:
        reason = explain(error) or f"{type(error).__name__}: {error}"
        Ending(State.failed, 1, reason, place.attempt, place.slurm_job).write(run_dir)
        raise
    if ending.state is State.finished and place.node == 0:
        _conclude(run_dir)
    if ending.state is State.stopped and place.slurm_job is not None:
        slurm = thaw(frozen).hardware.slurm
        whole_time = (
            time.monotonic() - started > (60 * slurm.time_min - slurm.signal_before_end_s) / 2
        )
        idle = whole_time and _progress(run_dir) == before
        ending = _queue_again(ending, place, idle, release)
        if ending.state is State.failed:
            ending.write(run_dir)
    return ending


def _pause(run_dir: Path, received: list[int], seconds: float) -> None:
    """Sleep while the folder is waited for.

    Raises:
        Stopped: a signal has come.

    """
    if received:
        name = signal.Signals(received[0]).name
        raise Stopped(
            f"Stopped by {name} before it began. Go on with: {way_on(run_dir)}", received[0]
        )
    time.sleep(seconds)


def run_node(frozen: Path, place: Place, received: list[int]) -> Ending:
    """Run this node's processes to their end; `received` is where signals are noted."""
    config, run_dir = thaw(frozen), frozen.parent
    plan = make_plan(config, frozen, place.hosts, place.port, place.server_port)
    secrets = {KEY_VARIABLE: rollout_key(run_dir, place.attempt)} if plan.servers else {}
    return Supervisor(plan, place, run_dir, _limits(config, place), received, secrets).run()


def told(ending: Ending) -> None:
    """Raise what the caller is to tell, unless all went well."""
    if ending.state is State.stopped:
        raise Stopped(ending.reason, ending.code - 128)
    if ending.state is State.failed:
        raise Failed(ending.reason, ending.code)


def check_machine(config: Config, place: Place) -> None:
    """Raise SggError if the config wants other machines or packages than these."""
    hardware, wanted = config.hardware, node_count(config)
    if wanted != len(place.hosts):
        raise SggError(
            f"hardware.nodes={hardware.nodes} with hardware.rollout.nodes={hardware.rollout.nodes} "
            f"takes {wanted} nodes, but here are {len(place.hosts)}. "
            "Submit it with hydra/launcher=slurm, or take hardware.nodes=1."
        )
    ready_here(config)
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


def _conclude(run_dir: Path) -> None:
    """The report, and the pipeline's table; the run is finished, whatever becomes of them."""
    from sgg.report.build import write_report

    try:
        write_report(run_dir)
        if (run_dir.parent / PIPELINE).is_file():
            from sgg.pipeline import finish_if_complete

            finish_if_complete(run_dir.parent)
    except Exception:
        log.exception("The run is finished; its report is not: sgg report %s", run_dir)


def _queue_again(ending: Ending, place: Place, idle: bool, release: Callable[[], None]) -> Ending:
    """Have Slurm start the job again; returns only where that is not to be, or not this node's to do.

    SIGUSR2 is the warning before a time limit or a preemption. SIGTERM comes with a preemption on clusters
    that send no warning, and with what ends the job anyway: then this process waits to be ended, as a code of
    its own would make the job a failed one. The run folder is given back by `release` before it waits.
    """
    if place.node > 0:  # a non-zero code here would have srun kill node 0 before it has asked
        return Ending(State.finished, 0, ending.reason, ending.attempt, ending.job)
    warned = ending.code == 128 + signal.SIGUSR2
    if warned or place.is_preempted():
        if idle:
            return _failed(
                ending,
                "Not queued again: the whole of hardware.slurm.time_min brought no new checkpoint and no "
                "new answers. Take a longer time_min, or a smaller stage.args.save_steps.",
            )
        problem = place.requeue()
        if problem is not None:
            return _failed(ending, f"scontrol requeue {place.slurm_job} failed: {problem}")
        log.info("Job %s is queued again.", place.slurm_job)
    release()
    time.sleep(_ENDED_WITHIN_S)
    return ending


def _failed(ending: Ending, why: str) -> Ending:
    return Ending(State.failed, 1, f"{ending.reason}\n{why}", ending.attempt, ending.job)


def _progress(run_dir: Path) -> tuple[list[str], int]:
    """What a restart would not have to do again: checkpoints and answers."""
    whole = [folder.name for folder in checkpoints(run_dir) if is_sealed(folder)]
    return whole, sum(path.stat().st_size for path in (run_dir / PARTS).glob("*.jsonl"))
