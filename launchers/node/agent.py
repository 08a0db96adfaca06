"""One node's part of a run: supervise its processes, record the exit status, ask to be queued again.

Under Slurm it takes its place from the step. A run that is stopped by its time limit or by a preemption is
queued again and resumes from its newest complete checkpoint; so is one that fails, as often as the sweep
allows.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from launchers.node.acceptance import require_acceptance
from launchers.node.rollout_key import server_keys
from launchers.node.supervisor import Limits, Supervisor
from launchers.placement import NodePlacement, cores_here, job_began
from launchers.ports import exchanged_ports, held_ports
from launchers.process_plan import make_plan, servers_on
from sgg.config.derived import gpus_per_node, node_count
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.config.schema import Config
from sgg.errors import Failed, SggError, Stopped
from sgg.explain.exit_codes import MISTAKE
from sgg.plan.rules.hardware import ready_here
from sgg.runs.checkpoint import checkpoints, is_marked_complete
from sgg.runs.exit_status import ExitStatus, State, exit_status_of, read_exit_status
from sgg.runs.folder import PARTS, PIPELINE
from sgg.runs.lease import Lease, wait_for_owner
from sgg.runs.requeue import ask_again, count_failure
from sgg.runs.sweep import read_sweep, resume_command, sweep_of

log = logging.getLogger("sgg")

_MARGIN_S = 20
"""Kept back from Slurm's warning time for queueing again, seconds."""


def run_node_share(frozen: Path, received: list[int], accepted: bool) -> None:
    """This node's share, from its place to the report.

    Node 0 owns the run folder while its share lasts; the other nodes of the same start belong to it.

    Args:
        frozen: the run's frozen config.
        received: where signals are noted.
        accepted: whether who started this process has the user's consent to the run.

    Raises:
        SggError: another start owns the folder; nothing of it was touched.
        Failed, Stopped: how the run ended, where not well; also written to the run folder.

    """
    log.addHandler(logging.StreamHandler())  # not the root's: that is where a run's own log begins
    log.setLevel(logging.INFO)
    place, run_dir = NodePlacement.from_slurm(), frozen.parent
    stopped = partial(_stopped_early, run_dir, place, received)
    with ExitStack() as held:
        try:
            if place.node > 0:
                wait_for_owner(run_dir, place.attempt, partial(_pause, stopped))
            else:
                held.enter_context(Lease(run_dir, place.attempt, partial(_pause, stopped)))
        except Stopped:
            if place.slurm_job is None or (ending := stopped()) is None:
                raise
            raise_for_status(_after_stop(ending, place, run_dir, idle=False))
        else:
            raise_for_status(_share(frozen, place, received, accepted))


def _share(frozen: Path, place: NodePlacement, received: list[int], accepted: bool) -> ExitStatus:
    """The same in a folder that is ours."""
    run_dir = frozen.parent
    before, began = _progress(run_dir), job_began()
    try:
        check_machine(read_frozen(frozen), place)
        ending = run_node(frozen, place, received, accepted)
    except Exception as error:
        host, job = place.hosts[place.node], place.slurm_job
        ending = replace(exit_status_of(error), attempt=place.attempt, job=job, host=host)
        ending.write(run_dir)
        if ending.code != MISTAKE:
            _try_again(run_dir, place)
        raise
    if ending.state is State.finished and place.node == 0:
        _conclude(run_dir)
    if ending.state is State.stopped and place.slurm_job is not None:
        slurm = read_frozen(frozen).hardware.slurm
        usable_s = 60 * slurm.time_min - slurm.signal_before_end_s
        idle = time.time() - began > usable_s / 2 and _progress(run_dir) == before
        ending = _after_stop(ending, place, run_dir, idle)
    elif ending.state is State.failed and ending.code != MISTAKE:
        _try_again(run_dir, place)
    return ending


def _pause(stopped: Callable[[], ExitStatus | None], seconds: float) -> None:
    """Sleep while the folder is waited for.

    Raises:
        Stopped: a signal has come.

    """
    if (ending := stopped()) is not None:
        raise_for_status(ending)
    time.sleep(seconds)


def run_node(frozen: Path, place: NodePlacement, received: list[int], accepted: bool) -> ExitStatus:
    """Run this node's processes to their end; the arguments are those of `run_node_share`.

    Raises:
        SggError: nobody has accepted the run, and the user has not signed it or it cannot run; nothing was
            started.

    """
    config, run_dir = read_frozen(frozen), frozen.parent
    if not accepted:
        require_acceptance(run_dir)
    servers = servers_on(config)
    with held_ports(place, servers[place.node]) as own:
        ended = partial(_ended_early, run_dir, place, received)
        ports = exchanged_ports(run_dir, place, own, {0, *servers}, ended)
        if isinstance(ports, ExitStatus):
            ports.write(run_dir)
            return ports
        cores = None if "OMP_NUM_THREADS" in os.environ else cores_here()
        plan = make_plan(config, frozen, place.hosts, ports, cores=cores)
        secrets = server_keys(plan, run_dir, place.attempt)
        return Supervisor(plan, place, run_dir, _limits(config, place), received, secrets).run()


def _ended_early(run_dir: Path, place: NodePlacement, received: list[int]) -> ExitStatus | None:
    """How the run ended before its nodes knew each other's ports; None if it has not."""
    if (ending := _stopped_early(run_dir, place, received)) is not None:
        return ending
    there = read_exit_status(run_dir)
    return there if there is not None and there.attempt == place.attempt else None


def _stopped_early(run_dir: Path, place: NodePlacement, received: list[int]) -> ExitStatus | None:
    """How a signal ended it before it began; None where none has come."""
    if not received:
        return None
    name, host = signal.Signals(received[0]).name, place.hosts[place.node]
    reason = f"Stopped by {name} before it began. Resume with: {resume_command(run_dir)}"
    code = 128 + received[0]
    return ExitStatus(State.stopped, code, reason, place.attempt, place.slurm_job, host)


def raise_for_status(ending: ExitStatus) -> None:
    """Raise Stopped or Failed unless the run finished."""
    if ending.state is State.stopped:
        raise Stopped(ending.reason, ending.code - 128)
    if ending.state is State.failed:
        raise Failed(ending.reason, ending.code)


def check_machine(config: Config, place: NodePlacement) -> None:
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
            # another node of the cluster may have what this one has lost
            lacking = SggError if place.slurm_job is None else partial(Failed, exit_code=1)
            raise lacking(
                f"hardware.processes_per_node={hardware.processes_per_node} with hardware.gpu=true "
                f"takes {gpus_per_node(config)} GPUs, but {visible} GPUs are visible. "
                "Take hardware=cpu, fewer processes, or a machine with GPUs."
            )


def _limits(config: Config, place: NodePlacement) -> Limits:
    hardware = config.hardware
    grace = hardware.grace_s
    if place.slurm_job is not None:
        grace = min(grace, max(5, hardware.slurm.signal_before_end_s - _MARGIN_S))
    return Limits(hardware.rollout.startup_timeout_s, grace)


@contextmanager
def report_failure_logged(folder: Path) -> Iterator[None]:
    """The block writes the report of a finished run or pipeline, which is finished even if that fails."""
    try:
        yield
    except Exception:
        log.exception("The run is finished; its report is not: sgg report %s", folder)


def _conclude(run_dir: Path) -> None:
    """The report, and the pipeline's table."""
    from sgg.report.page import AT_END, write_report

    with report_failure_logged(run_dir):
        write_report([run_dir], images=AT_END)
        if (run_dir.parent / PIPELINE).is_file():
            from sgg.pipeline import finish_if_complete

            finish_if_complete(run_dir.parent)


def _after_stop(ending: ExitStatus, place: NodePlacement, run_dir: Path, idle: bool) -> ExitStatus:
    """Ask to be queued again where a run that Slurm has stopped is to go on; how this node ends.

    SIGUSR2 is the warning before a time limit or a preemption. SIGTERM comes with a preemption on clusters
    that send no warning, and with what ends the job anyway: the batch script finds out. Until then every node
    ends well, since a code of its own would have srun kill the others while they save.
    """
    well = replace(ending, state=State.finished, code=0)
    if place.node > 0:
        return well
    if idle and ending.code == 128 + signal.SIGUSR2:
        why = (
            "Not queued again: the whole of hardware.slurm.time_min brought no new checkpoint and no new "
            "completions. Take a longer time_min, or a smaller stage.args.save_steps."
        )
        failed = replace(ending, state=State.failed, code=1, reason=f"{why}\n{ending.reason}")
        failed.write(run_dir, instead=True)
        return failed
    if place.slurm_job is not None:
        ask_again(run_dir, place.slurm_job, signal.Signals(ending.code - 128).name)
    return well


def _try_again(run_dir: Path, place: NodePlacement) -> None:
    """Ask to be queued again after a failure, on other nodes, if the sweep's retries are not used up."""
    sweep = sweep_of(run_dir)
    if place.slurm_job is None or sweep is None:
        return
    failed = read_exit_status(
        run_dir
    )  # of all nodes the first that fell is the one to keep away from
    host = failed.host if failed is not None else place.hosts[place.node]
    failures = count_failure(run_dir, place.attempt, host)
    if len(failures) <= read_sweep(sweep).retries:
        kept_away = read_frozen(run_dir / FROZEN_NAME).hardware.slurm.exclude
        nodes = [*([kept_away] if kept_away else []), *dict.fromkeys(failures.values())]
        ask_again(run_dir, place.slurm_job, "failed", ",".join(nodes))


def _progress(run_dir: Path) -> tuple[list[str], int]:
    """What a restart would not have to do again: checkpoints and completions."""
    whole = [folder.name for folder in checkpoints(run_dir) if is_marked_complete(folder)]
    return whole, sum(path.stat().st_size for path in (run_dir / PARTS).glob("*.jsonl"))
