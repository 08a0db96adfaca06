"""Everything that befalls jobs, in one sweep whose points are the same training.

Whatever happened to a point, it ends at the weights of the one that nothing happened to. The last point
queues itself again: Slurm knows it by the id of the whole array, whose other tasks have ended by then.

The code that is submitted is a checkout of the test's own, which is spoilt once the jobs are queued.
"""

import json
import os
import shutil
import signal
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from broken_models import MISMATCH, unloadable
from commands import command, environment, sgg
from trainings import SFT, SLURM, points, states, steps_done, until, weights

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FAULTS = [
    "nothing",
    "raises",
    "rank killed",
    "scancel",
    "requeue",
    "preempted",
    "node down",
    "time limit",
]
STEPS = 40


class Faulty:
    """The sweep, its points by what is to happen to them, and the cluster."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder, self.sweep = cluster, folder, folder / "sweep"
        self.lost = ExitStack()
        self.checkout = folder / "checkout"
        for name in ("sgg", "launchers", "conf"):
            shutil.copytree(ROOT / name, self.checkout / name)
        self.variables = {"PYTHONPATH": str(self.checkout), "PYTHONSAFEPATH": "1"}

    def sgg(self, *words):
        done = sgg(*words, cwd=self.folder, **self.variables)
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        return done

    def submit(self):
        """Submit by a launcher that would wait, and kill it as soon as the jobs are queued."""
        broken = unloadable(self.folder / "broken")
        models = [str(broken) if fault == "raises" else "tiny_qwen2_5_vl" for fault in FAULTS]
        words = [
            *("-m", *SFT, f"stage.args.max_steps={STEPS}", "stage.args.save_steps=100"),
            f"model.path={','.join(models)}",
            *(*SLURM, "hardware.slurm.partition=preempt", "hydra.launcher.parallel=1"),
            *("hydra.launcher.wait=true", "hardware.nodes=2", f"paths.sweep_dir={self.sweep}"),
        ]
        launcher = subprocess.Popen(
            command(*words),
            cwd=self.folder,
            env=environment(self.folder, **self.variables),
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in launcher.stdout:
            if "sgg status" in line:
                break
        launcher.kill()
        launcher.wait()
        assert len(states(self.sweep)) == len(FAULTS)

    def spoil_checkout(self):
        """An edit of code and conf after the submission."""
        (self.checkout / "sgg" / "train" / "sft.py").write_text("raise RuntimeError('edited')\n")
        (self.checkout / "conf" / "stage" / "sft.yaml").write_text("args: {learning_rate: 1.0}\n")

    def point(self, fault):
        return points(self.sweep)[FAULTS.index(fault)]

    def status(self, fault):
        return states(self.sweep)[self.point(fault).name]

    def job(self, fault):
        return self.status(fault).run.jobs[-1]

    def is_training(self, fault):
        """Some steps are done, and some are left."""
        done = steps_done(self.point(fault))
        assert done < STEPS, f"{fault}: too fast to be disturbed"
        return done >= 2 and self.status(fault).state == "running"

    def strike(self, fault):
        """Once it trains, do to it what it is there for."""
        until(lambda: self.is_training(fault), f"{fault} trains")
        getattr(self, f"_{fault.replace(' ', '_')}")(self.job(fault))

    def ranks(self, fault):
        """Process ids of the point's ranks."""
        run_dir = str(self.point(fault))
        found = [p.pid for p in psutil.process_iter() if _is_rank(p, run_dir)]
        assert len(found) == 2
        return found

    @contextmanager
    def held(self, fault):
        """The ranks stand still until Slurm has told them to save, which may take it half a minute."""
        ranks = self.ranks(fault)
        for pid in ranks:
            os.kill(pid, signal.SIGSTOP)
        yield
        until(lambda: all(map(_is_told, ranks)), "Slurm's signal")
        for pid in ranks:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        until(lambda: self.status(fault).state == "queued", f"{fault}: queued again")

    def _rank_killed(self, job):
        os.kill(max(self.ranks("rank killed")), signal.SIGKILL)

    def _scancel(self, job):
        self.cluster.slurm("scancel", job)

    def _requeue(self, job):
        self.cluster.slurm("scontrol", "requeue", job)

    def _time_limit(self, job):
        """Announced more than its whole time before the end; the second start has time enough."""
        with self.held("time limit"):
            self.cluster.end_soon(job)
        self.cluster.slurm("scontrol", "update", f"JobId={job}", "TimeLimit=30")

    def _preempted(self, job):
        with self.held("preempted"):
            self.cluster.take_all_nodes()

    def _node_down(self, job):
        """The node stays away until all have ended: the next point trains while this one waits."""
        self.lost.enter_context(self.cluster.lost("node2"))
        until(lambda: self.status("node down").state == "queued", "Slurm queues the job again")


def _is_told(pid):
    """Whether SIGUSR2 waits for a process that stands still, or Slurm has woken it and it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return True
    pending = next(line for line in lines if line.startswith("ShdPnd")).split()[1]
    return bool(int(pending, 16) >> (signal.SIGUSR2 - 1) & 1)


def _is_rank(process, run_dir):
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "launchers.rank" in words and any(word.startswith(run_dir) for word in words)


@pytest.fixture(scope="module")
def faulty(cluster, tmp_path_factory):
    """All faults have struck, and nothing is queued or running any more."""
    sweep = Faulty(cluster, tmp_path_factory.mktemp("faults"))
    sweep.submit()
    sweep.spoil_checkout()
    ended = ("finished", "failed", "cancelled", "stopped", "lost")
    with sweep.lost:
        for fault in FAULTS[2:]:
            sweep.strike(fault)
        until(lambda: {s.state for s in states(sweep.sweep).values()} <= set(ended), "all end", 600)
    return sweep


@pytest.mark.parametrize("fault", ["requeue", "time limit", "preempted", "node down"])
def test_goes_on_by_itself(faulty, fault):
    """Queued again by itself, resumed in the same folder, to the weights of an undisturbed run."""
    assert faulty.status(fault).state == "finished"
    assert weights(faulty.point(fault)) == weights(faulty.point("nothing"))
    assert len(json.loads((faulty.point(fault) / "provenance.json").read_text())["starts"]) >= 2


def test_no_task_starts_again_but_those_that_slurm_or_a_signal_stopped(faulty):
    """What had finished, failed or been cancelled stayed as it was when the last task queued itself again."""
    starts = {
        fault: len(json.loads((faulty.point(fault) / "provenance.json").read_text())["starts"])
        for fault in FAULTS
    }
    assert {fault for fault, count in starts.items() if count > 1} == set(FAULTS[4:])


@pytest.mark.parametrize("fault", ["time limit", "preempted"])
def test_saves_when_it_is_told_in_time(faulty, fault):
    """The second start resumes from a checkpoint between those of save_steps=100."""
    assert "going on from checkpoint-" in (faulty.point(fault) / "run.log").read_text()


def test_a_point_that_raises_says_why(faulty):
    status = faulty.status("raises")
    assert status.state == "failed"
    assert MISMATCH in status.reason
    assert faulty.cluster.slurm(
        "squeue", "-h", "-t", "all", "-j", faulty.job("raises"), "-o", "%T"
    ) == ("FAILED")


def test_a_killed_rank_is_named(faulty):
    status = faulty.status("rank killed")
    assert status.state == "failed"
    assert "SIGKILL" in status.reason


@pytest.mark.thorough
def test_resume_finishes_what_did_not(faulty):
    """Only the three that did not finish are started again; two of them get there."""
    assert faulty.status("scancel").state == "cancelled"
    before = {fault: faulty.job(fault) for fault in FAULTS}
    shutil.rmtree(faulty.checkout)
    shutil.copytree(faulty.sweep / "code", faulty.checkout)
    done = faulty.sgg("resume", str(faulty.sweep), "wait=true")
    assert done.returncode == 2  # of the one whose weights do not fit
    assert f"3 of {len(FAULTS)} runs" in done.stdout
    assert "7 finished, 1 failed" in done.stdout.replace(
        "1 failed, 7 finished", "7 finished, 1 failed"
    )
    again = {fault for fault in FAULTS if faulty.job(fault) != before[fault]}
    assert again == {"raises", "rank killed", "scancel"}
    for fault in ("rank killed", "scancel"):
        assert weights(faulty.point(fault)) == weights(faulty.point("nothing"))
