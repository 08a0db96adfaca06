"""How a run asks its job's batch script to be queued again, and what has failed before.

The batch script reads the request once srun has ended (`launchers/slurm/job_end.sh`): it can call scontrol,
the run may be in a container that cannot.
"""

from __future__ import annotations

from pathlib import Path

from sgg.files import read_bounded, read_json, write_json, write_whole

REQUEST = "requeue"
"""In the run folder, with the job's ARRAY_INDEX behind a dot: why, and which nodes to keep away from, a line
each. Of that job alone: one that waits for the folder may ask while another one owns it."""
REFUSED = "requeue.refused"
"""In the run folder: what scontrol said when it refused."""
FAILURES = "failures.json"
"""In the run folder: the node on which each start has failed since the sweep was last started by a person."""


def ask_again(run_dir: Path, job: str, why: str, exclude: str = "") -> None:
    """Have the batch script queue this task of the array again.

    Args:
        job: ARRAY_INDEX.
        why: the signal's name, or `failed`. After SIGTERM it is done only if Slurm preempts the job.
        exclude: nodes that the next start keeps away from, comma-separated.

    """
    write_whole(run_dir / f"{REQUEST}.{job}", f"{why}\n{exclude}\n")


def refusal(run_dir: Path) -> str:
    """Why Slurm did not queue the job again; empty if it did, or was not asked."""
    path = run_dir / REFUSED
    return read_bounded(path).decode(errors="replace").strip() if path.is_file() else ""


def forget_requests(run_dir: Path) -> None:
    """A new start: what an earlier one asked for is past."""
    for path in run_dir.glob(f"{REQUEST}.*"):  # REFUSED, too
        path.unlink(missing_ok=True)


def count_failure(run_dir: Path, attempt: str, host: str) -> dict[str, str]:
    """Note that a start has failed on a node; all that have, by start. Several nodes may note the same."""
    failures = {**(read_json(run_dir / FAILURES) or {}), attempt: host}
    write_json(run_dir / FAILURES, failures)
    return failures


def forget_failures(run_dir: Path) -> None:
    """A person starts the run again: retries count from here."""
    (run_dir / FAILURES).unlink(missing_ok=True)
