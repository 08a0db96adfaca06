"""A real Slurm of virtual nodes on this machine: munged, slurmctld and a slurmd for each node, in a folder.

Ports are free ones, nodeN resolves through /etc/hosts while the cluster is up, every daemon is stopped by
its process id. GPUs are links to /dev/null. Two clusters may be up at once, one for each pytest worker.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
HOSTS = Path("/etc/hosts")
HOSTS_LOCK = Path(tempfile.gettempdir()) / "sgg-tests-hosts.lock"

CONF = """
ClusterName=test
FirstJobId={first_job}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket,cred_expire=5
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=3600
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=100000,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
AccountingStorageType=accounting_storage/none
GresTypes=gpu
DefMemPerCPU=1000
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=preempt Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=64000 \
Gres=gpu:h100:4 State=UNKNOWN"


def missing() -> str | None:
    """Why no cluster can be started here; None if it can."""
    absent = [p for p in PROGRAMS if shutil.which(p) is None]
    if absent:
        return f"{', '.join(absent)} not installed: `make system` as root installs Slurm"
    return None if os.geteuid() == 0 else "a test cluster is started as root only"


class Cluster:
    """Started and stopped by `with`."""

    def __init__(self, folder: Path, nodes: int = 4) -> None:
        self.folder = folder
        self.nodes = [f"node{i + 1}" for i in range(nodes)]
        self._daemons: list[subprocess.Popen] = []
        self._mark = f"# sgg's tests, {os.getpid()}"

    def __enter__(self) -> Cluster:
        self._write()
        self._resolve_nodes()
        os.environ["SLURM_CONF"] = str(self.folder / "slurm.conf")
        socket_file = self.folder / "munge" / "munge.socket"
        self._start(
            *("munged", "--foreground", "--num-threads=10", f"--socket={socket_file}"),
            *(
                f"--{kind}-file={self.folder}/munge/{kind}"
                for kind in ("key", "pid", "seed", "log")
            ),
        )
        self._until(socket_file.exists, "munged's socket")
        self._start("slurmctld", "-D", "-c")
        for node in self.nodes:
            self._start("slurmd", "-D", "-N", node)
        idle = f"{len(self.nodes)} idle"
        self._until(lambda: self.slurm("sinfo", "-h", "-o", "%D %T") == idle, f"{idle} nodes")
        return self

    def __exit__(self, *exception: object) -> None:
        subprocess.run(
            ["scancel", "--full", "--signal=KILL", "--user=root"], check=False, timeout=30
        )
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        del os.environ["SLURM_CONF"]
        with FileLock(HOSTS_LOCK):
            kept = [line for line in HOSTS.read_text().splitlines(True) if self._mark not in line]
            HOSTS.write_text("".join(kept))

    def slurm(self, *command: str) -> str:
        """What a Slurm command prints; a failure is an empty answer."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip()

    def _write(self) -> None:
        for name in ("munge", "state", "spool", "log", "dev"):
            (self.folder / name).mkdir(mode=0o755, parents=True)
        for parent in (
            self.folder,
            *self.folder.parents,
        ):  # munge refuses a way that others cannot read
            if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
                parent.chmod(0o755)
        for number in range(4):
            (self.folder / "dev" / f"nvidia{number}").symlink_to("/dev/null")
        (self.folder / "munge" / "key").write_bytes(os.urandom(64))
        (self.folder / "munge" / "key").chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        # the ranks' port follows from the job's number: two clusters on this host must not share numbers
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        port, *ports = _free_ports(1 + len(self.nodes))
        text = CONF.format(
            folder=self.folder,
            host=host,
            port=port,
            nodes="\n".join(
                NODE.format(name=name, host=host, port=own)
                for name, own in zip(self.nodes, ports, strict=True)
            ),
            first_job=1000 * (int(worker) + 1),
        )
        (self.folder / "slurm.conf").write_text(text)
        gres = f"NodeName=node[1-{len(self.nodes)}] Name=gpu Type=h100 File={self.folder}/dev/nvidia[0-3]\n"
        (self.folder / "gres.conf").write_text(gres)

    def take_all_nodes(self) -> None:
        """A short job that preempts whatever runs in the partition `preempt`."""
        words = ("-p", "debug", f"-N{len(self.nodes)}", "--exclusive", "-o", "/dev/null")
        self.slurm("sbatch", *words, "--wrap", "sleep 1")

    def end_soon(self, job: str) -> None:
        """A time limit that is over in 30 to 90 seconds, however long the job has run."""
        ran = re.search(r"RunTime=(\d+):(\d+):(\d+)", self.slurm("scontrol", "show", "job", job))
        hours, minutes, seconds = map(int, ran.groups())
        limit = 60 * hours + minutes + (seconds + 30) // 60 + 1
        self.slurm("scontrol", "update", f"JobId={job}", f"TimeLimit={limit}")

    @contextmanager
    def lost(self, node: str) -> Iterator[None]:
        """Inside the block the node is down, and drained, or its slurmd would have it back at once."""
        for state in ("DRAIN", "DOWN"):
            self.slurm("scontrol", "update", f"NodeName={node}", f"State={state}", "Reason=test")
        try:
            yield
        finally:
            self.slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")

    @contextmanager
    def no_warning_of_preemption(self) -> Iterator[None]:
        """Inside the block a job that is preempted gets SIGTERM at once: Slurm's own default."""
        path = self.folder / "slurm.conf"
        text = path.read_text()
        path.write_text(text.replace("SlurmctldParameters=preempt_send_user_signal\n", ""))
        self.slurm("scontrol", "reconfigure")
        try:
            yield
        finally:
            path.write_text(text)
            self.slurm("scontrol", "reconfigure")

    def _resolve_nodes(self) -> None:
        lines = "".join(f"127.0.0.1 {node} {self._mark}\n" for node in self.nodes)
        with FileLock(HOSTS_LOCK):
            HOSTS.write_text(HOSTS.read_text() + lines)

    def _start(self, *command: str) -> None:
        name = f"{Path(command[0]).name}{len(self._daemons)}.out"
        with (self.folder / "log" / name).open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._daemons.append(process)

    def _until(self, true, what: str) -> None:
        deadline = time.monotonic() + 60
        while not true():
            fallen = [d.args[0] for d in self._daemons if d.poll() is not None]
            assert not fallen, f"{fallen} ended; see {self.folder}/log"
            assert time.monotonic() < deadline, f"no {what} after 60 s; see {self.folder}/log"
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
