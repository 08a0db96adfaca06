"""What a job asks of Slurm: hardware.slurm -> a batch script, and its submission.

In the job runs one `launchers.node` on each node, which reads a frozen config. A job is always an
array, indexed by the sweep's points, so that a chain is task by task (`aftercorr`).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from launchers import ACCEPTED
from launchers.placement import BEGAN
from launchers.process_plan import interpreter
from launchers.slurm.queue import max_array_size, outside_jobs
from launchers.slurm.sbatch import script_text
from sgg.config.derived import gpus_per_node, node_count
from sgg.config.frozen import FROZEN_NAME
from sgg.config.hardware import GpuRequest
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.files import make_output_folder, refuse_link, write_whole
from sgg.runs.sweep import CODE, SLURM, RunRecord, resume_command

_TIMEOUT_S = 120
_JOB_END = Path(__file__).with_name("job_end.sh")


class NothingSubmitted(SggError):
    """Slurm took none of the jobs."""


@dataclass(frozen=True)
class Array:
    """One submission: one step of some points, all asking for the same."""

    sweep: Path
    step: str
    config: Config
    """Of any of its runs: their requests are alike."""
    points: tuple[int, ...]
    parallel: int
    cwd: str
    after: str | None = None
    """Id of the array whose tasks each task of this one waits for."""

    def runs_file(self) -> Path:
        """Run folders of this step, a line for each point of the sweep."""
        return self.sweep / SLURM / f"{self.step}.runs"

    def script(self) -> Path:
        """The batch script; arrays of one step differ in their first point."""
        return self.sweep / SLURM / f"{self.step}-{self.points[0]}.sbatch"


def make_slurm_folder(sweep: Path) -> None:
    """Make the folder of batch scripts and of what jobs print, which Slurm appends through links.

    Raises:
        OSError: it, or something in it, is a symbolic link (ELOOP): names of coming jobs can be foreseen.

    """
    for path in make_output_folder(sweep / SLURM).iterdir():
        refuse_link(path)


def request_key(config: Config) -> str:
    """Equal for configs whose jobs ask for the same."""
    return json.dumps(_request(config), sort_keys=True, default=str)


def batch_script(array: Array) -> str:
    """The text that sbatch gets."""
    slurm = array.config.hardware.slurm
    folder = array.sweep / SLURM
    options: dict[str, Any] = {
        **_request(array.config),
        "job-name": job_name(array.sweep, array.step),
        "array": f"{_ranges(array.points)}%{array.parallel}",
        "chdir": array.cwd,
        "output": folder / log_name("%A_%a"),
        "open-mode": "append",  # a task that is queued again goes on in its log
        "requeue": True,
        "signal": f"USR2@{slurm.signal_before_end_s}",
    }
    if array.after is not None:
        options |= {"dependency": f"aftercorr:{array.after}", "kill-on-invalid-dep": "yes"}
    options |= {name.replace("_", "-"): value for name, value in slurm.sbatch.items()}
    words = [*slurm.prefix, interpreter(slurm), "-m", "launchers.node"]
    cpus = [] if slurm.cpus_per_node is None else [f"--cpus-per-task={slurm.cpus_per_node}"]
    # one task has all CPUs of its node: it starts the ranks
    step = ["--kill-on-bad-exit=1", "--cpu-bind=none", *cpus, *slurm.srun]
    return script_text(
        options,
        setup=_setup(array),
        srun=["--output", str(folder / log_name("%A_%a", "%t")), *step],
        command=f'{shlex.join(words)} "$RUN_DIR/{FROZEN_NAME}"',
        teardown=_JOB_END.read_text(encoding="utf-8").splitlines(),
    )


def log_name(job: str, node: str = "0") -> str:
    """The file of what the job with this id (ARRAY_INDEX) prints on one of its nodes."""
    return f"{job}_{node}_log.out"


def submit(array: Array, others: bool) -> str:
    """Submit; the id of the array.

    Args:
        others: whether other arrays were submitted beside it just now.

    Raises:
        NothingSubmitted: sbatch refused, and it was the first.
        SggError: sbatch refused a later one, or did not answer.

    """
    script = array.script()
    write_whole(script, batch_script(array))
    resume = resume_command(array.sweep)
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", str(script)],
            env=outside_jobs(os.environ),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SggError(
            f"sbatch has not answered within {_TIMEOUT_S} s for {script}; the jobs may be accepted all "
            f"the same. Look first: squeue --me --name={job_name(array.sweep, array.step)}. End what is "
            f"there with scancel, or it runs twice, then submit again with: {resume}"
        ) from error
    if done.returncode:
        refused = f"sbatch refused {script}: {done.stderr.strip()}"
        if others:
            raise SggError(
                f"{refused}\nWhat was submitted stays in the queue. Submit what is missing with: {resume}"
            )
        raise NothingSubmitted(
            f"{refused}\nNothing was submitted. Submit it with what the cluster takes: {resume} "
            f"hardware.slurm.KEY=VALUE; or, if it is the cluster that changes, as it is: {resume}"
        )
    return done.stdout.strip().partition(";")[0]


def job_name(sweep: Path, step: str) -> str:
    """What squeue calls the jobs of a step."""
    return f"{sweep.name}.{step}"


def named_jobs(sweep: Path, runs: Iterable[RunRecord]) -> dict[str, str]:
    """Newest job of each run that has one: id -> name."""
    return {run.jobs[-1]: job_name(sweep, run.step) for run in runs if run.jobs}


def require_slurm(folder: Path, points: int) -> None:
    """Look whether a sweep can be submitted, before anything of it is written.

    Raises:
        SggError: no sbatch, more points than an array may have, or a folder that Slurm misreads.

    """
    require_sbatch()
    if "%" in str(folder):
        raise SggError(
            f"paths.sweep_dir={folder}: Slurm reads % in the path of a log as a pattern. Take a folder "
            "without it (paths.sweep_dir, or paths.root)."
        )
    most = max_array_size()
    if most is not None and points > most:
        raise SggError(
            f"{points} points, but an array of this cluster has at most {most} tasks (MaxArraySize). "
            f"Sweep over fewer values at once, in several sweeps of up to {most} points."
        )


def require_sbatch() -> None:
    """Raise SggError where nothing can be submitted."""
    if shutil.which("sbatch") is None:
        raise SggError(
            "hydra/launcher=slurm: sbatch is not on this machine. Submit from a login node of the "
            "cluster, look at the jobs with dry_run=true, or run here with hydra/launcher=local."
        )


def _ranges(numbers: Sequence[int]) -> str:
    """`0-2,5` for 0, 1, 2, 5."""
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    spans = [[number for _, number in run] for _, run in runs]
    return ",".join(str(s[0]) if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in spans)


def _setup(array: Array) -> list[str]:
    code = shlex.quote(str(array.sweep / CODE))
    runs = shlex.quote(str(array.runs_file()))
    return [
        f"export {BEGAN}=$(date +%s)",
        *array.config.hardware.slurm.setup,
        f"export PYTHONPATH={code}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONSAFEPATH=1",
        f'RUN_DIR=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {runs})',
        f'none="sgg: no run folder for task $SLURM_ARRAY_TASK_ID in "{runs}',
        '[ -n "$RUN_DIR" ] || { echo "$none" >&2; exit 1; }',
        f'export {ACCEPTED}="$RUN_DIR"',
        "trap : TERM USR2  # this shell stays until srun has ended",
    ]


def _request(config: Config) -> dict[str, Any]:
    """Resources, by the names of sbatch's options."""
    slurm = config.hardware.slurm
    values: dict[str, Any] = {
        "nodes": node_count(config),
        "ntasks-per-node": 1,
        "time": slurm.time_min,
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "exclude": slurm.exclude,
        "cpus-per-task": slurm.cpus_per_node,
        "mem": None
        if slurm.memory_gb is None
        else f"{slurm.memory_gb}G"
        if slurm.memory_gb
        else "0",
        "exclusive": slurm.exclusive or None,
    }
    gpus = gpus_per_node(config)
    if gpus:
        kind = f"{slurm.gpu_type}:" if slurm.gpu_type else ""
        if slurm.gpu_request is GpuRequest.gpus_per_node:
            values["gpus-per-node"] = f"{kind}{gpus}"
        elif slurm.gpu_request is GpuRequest.gres:
            values["gres"] = f"gpu:{kind}{gpus}"
    return {k: v for k, v in values.items() if v is not None}
