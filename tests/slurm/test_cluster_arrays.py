"""Tasks of one array, in what stands in for a container: what befalls one of them touches no other.

Supervisors, batch scripts and Slurm are the real ones; ranks only wait for what the test tells them, so that
many tasks may start often. The container is a script that starts another interpreter and hides Slurm's
commands.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path

import pytest
from commands import sgg_ok
from trainings import points, states, until

from launchers.placement import NodePlacement
from launchers.ports import held_ports

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
RANK = """
import json, os, signal, sys, time
from pathlib import Path

run_dir = Path(sys.argv[1]).parent
for number in (signal.SIGTERM, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: sys.exit(128 + number))
node, task = (os.environ[name] for name in ("SLURMD_NODENAME", "SLURM_ARRAY_TASK_ID"))
start = {"node": node, "python": sys.executable, "task": task}
with (run_dir / "starts.jsonl").open("a") as file:
    file.write(json.dumps(start) + "\\n")
while not (run_dir / "finish").exists():
    if (run_dir / "fail").exists():
        (run_dir / "fail").unlink()
        sys.stderr.write(" 33%|###  | 1/3 [00:01<00:02,  1.29s/it]")
        raise RuntimeError("the link went down")
    time.sleep(0.1)
"""
MEETS = """
import json, os, sys, torch
from pathlib import Path

torch.distributed.init_process_group("gloo")
total = torch.ones(1)
torch.distributed.all_reduce(total)
start = {"port": int(os.environ["MASTER_PORT"]), "ranks": total.item()}
Path(sys.argv[1]).with_name(f"start{os.environ['RANK']}.json").write_text(json.dumps(start))
torch.distributed.barrier()
"""
CONTAINER = """#!/bin/sh
# other programs, none of Slurm's among them
[ "$*" = "${{*#exec --nv --bind /data /shared/sgg.sif}}" ] && exit 9
shift 5
PATH={venv}/bin exec "$@"
"""


def container_example():
    """The first profile of docs/slurm.md that has a prefix."""
    blocks = (ROOT / "docs" / "slurm.md").read_text().split("```yaml\n")[1:]
    return next(block.partition("```")[0] for block in blocks if "prefix:" in block)


class Waiting:
    """A sweep whose runs wait, in a container."""

    def __init__(self, folder, count, *words, rank=RANK):
        folder.mkdir(exist_ok=True)
        self.folder, self.sweep = folder, folder / "sweep"
        checkout = folder / "checkout"
        for name in ("sgg", "launchers", "conf"):
            shutil.copytree(ROOT / name, checkout / name)
        (checkout / "launchers" / "rank.py").write_text(rank)
        self.variables = {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
        self.venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.venv], check=True)
        [site] = self.venv.glob("lib/python*/site-packages")
        (site / "other.pth").write_text(sysconfig.get_path("purelib") + "\n")
        container = folder / "bin" / "apptainer"
        container.parent.mkdir()
        container.write_text(CONTAINER.format(venv=self.venv))
        container.chmod(0o755)
        profile = folder / "site" / "hardware" / "mycluster.yaml"
        profile.parent.mkdir(parents=True)
        profile.write_text(container_example().replace("gh200", "cpu"))
        self.variables |= {
            "PATH": f"{container.parent}:{os.environ['PATH']}",
            "SGG_CONF": str(folder / "site"),
        }
        self.sgg(
            *("-m", "stage=sft", f"seed=range({count})", "hydra/launcher=slurm"),
            *("hardware.slurm.time_min=30", "hardware.slurm.signal_before_end_s=60"),
            *("hardware=mycluster", f"paths.sweep_dir={self.sweep}", *words),
        )
        self.points = points(self.sweep)

    def sgg(self, *words):
        return sgg_ok(*words, cwd=self.folder, **self.variables).stdout

    def starts(self, number):
        path = self.points[number] / "starts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def all_starts(self):
        return [len(self.starts(number)) for number in range(len(self.points))]

    def tell(self, number, word):
        (self.points[number] / word).touch()

    def states(self):
        found = states(self.sweep)
        return [found[point.name].state for point in self.points]

    def job(self, number):
        return states(self.sweep)[self.points[number].name].run.jobs[-1]

    def until(self, number, state, starts=None):
        def stands():
            return self.states()[number] == state and starts in (None, len(self.starts(number)))

        until(stands, f"point {number} is {state}")


@pytest.fixture
def cheap_preemption(cluster):
    """What is preempted has half a minute; what preempts takes a single node."""

    def preempt(node):
        words = ("-p", "debug", "-w", node, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
        cluster.slurm("sbatch", *words)

    return preempt


def test_what_befalls_one_task_touches_no_other(cluster, tmp_path, cheap_preemption):
    """Finished, cancelled queued, cancelled running, preempted, running on, and the last one thrice."""
    done, cancelled, preempted, queued, on, last = range(6)
    words = ("hardware.slurm.partition=preempt", "hardware.slurm.exclusive=true")
    sweep = Waiting(tmp_path, 6, *words, "hydra.launcher.parallel=3")
    cluster.slurm("scancel", sweep.job(queued))
    sweep.tell(done, "finish")
    sweep.until(done, "finished")
    sweep.until(cancelled, "running", 1)
    assert sweep.states()[queued] == "cancelled"
    cluster.slurm("scancel", sweep.job(cancelled))
    for number in (preempted, on, last):
        sweep.until(number, "running", 1)
    # the last task: by its own time limit, by the user, by its node
    job = sweep.job(last)
    cluster.end_soon(job)
    sweep.until(last, "queued", 1)
    cluster.slurm("scontrol", "update", f"JobId={job}", "TimeLimit=30")
    sweep.until(last, "running", 2)
    cluster.slurm("scontrol", "requeue", job)
    sweep.until(last, "running", 3)
    node = sweep.starts(last)[-1]["node"]
    with cluster.lost(node):
        sweep.until(last, "running", 4)
    assert sweep.starts(last)[-1]["node"] != node
    assert sweep.all_starts() == [1, 1, 1, 0, 1, 4]
    # one of the others
    cheap_preemption(sweep.starts(preempted)[-1]["node"])
    sweep.until(preempted, "running", 2)
    for number in (preempted, on, last):
        sweep.tell(number, "finish")
        sweep.until(number, "finished")
    assert sweep.all_starts() == [1, 1, 2, 0, 1, 4]
    expected = ["finished", "cancelled", "finished", "cancelled", "finished", "finished"]
    assert sweep.states() == expected
    starts = [start for number in range(6) for start in sweep.starts(number)]
    assert {start["python"] for start in starts} == {f"{sweep.venv}/bin/python"}
    for number in range(6):
        assert {start["task"] for start in sweep.starts(number)} <= {str(number)}


def test_a_failure_is_tried_again_on_other_nodes(cluster, tmp_path):
    """Twice, then it is reported; a neighbour that finished does not start again."""
    sweep = Waiting(tmp_path, 2, "hydra.launcher.retries=2")
    sweep.tell(0, "finish")
    for start in (1, 2, 3):
        sweep.until(1, "running", start)
        sweep.tell(1, "fail")
    sweep.until(1, "failed", 3)
    assert sweep.states() == ["finished", "failed"]
    assert sweep.all_starts() == [1, 3]
    assert len({start["node"] for start in sweep.starts(1)}) == 3
    told = sweep.sgg("status", str(sweep.sweep))
    assert (
        f"{sweep.points[1].relative_to(sweep.sweep)}: failed: RuntimeError: the link went down"
        in told
    )
    assert "%|" not in told
    # by a person it is tried as often again, and by then the fault may be mended
    sweep.sgg("resume", str(sweep.sweep))
    sweep.until(1, "running", 4)
    sweep.tell(1, "fail")
    sweep.until(1, "running", 5)
    sweep.tell(1, "finish")
    sweep.until(1, "finished", 5)


def test_jobs_on_one_host_meet_at_ports_of_their_own(cluster, tmp_path):
    """Two jobs of two nodes at once, and other programs listen on the first port that each would take."""
    words = ("hardware.nodes=2", "stage.optimizer.kind=trl", "hardware.slurm.sbatch.hold=true")
    sweep = Waiting(tmp_path, 2, *words, rank=MEETS)
    jobs = [sweep.job(number) for number in (0, 1)]
    with ExitStack() as foreign:
        taken = []
        for job in jobs:
            with held_ports(NodePlacement(0, ("a", "b"), f"{job}-0-0"), 0) as first:
                taken.append(first.main)
            listener = foreign.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", taken[-1]))
            listener.listen()
        cluster.slurm("scontrol", "release", *jobs)
        for number in (0, 1):
            sweep.until(number, "finished")
    met = [
        json.loads((point / f"start{rank}.json").read_text())
        for point in sweep.points
        for rank in (0, 1)
    ]
    assert [start["ranks"] for start in met] == [2] * 4
    used = [start["port"] for start in met]
    assert used[0] == used[1] != used[2] == used[3]
    assert set(used).isdisjoint(taken)
    assert not [point for point in sweep.points if (point / "ports").exists()]


def test_a_run_that_does_not_end_well_says_why(cluster, tmp_path):
    """Of a time limit that is too short, and of what a job printed that never came to run anything."""
    limits = ("hardware.slurm.time_min=1", "hardware.slurm.signal_before_end_s=55")
    idle = Waiting(tmp_path / "idle", 1, *limits)
    absent = Waiting(tmp_path / "absent", 1, "hardware.slurm.python=no_such_python")
    absent.until(0, "failed")
    assert "no_such_python: not found" in absent.sgg("status", str(absent.sweep))
    idle.until(0, "failed")
    told = idle.sgg("status", str(idle.sweep))
    assert (
        "failed: Not queued again: the whole of hardware.slurm.time_min brought no new checkpoint"
        in told
    )
