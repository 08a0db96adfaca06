"""The supervisor on real processes: what each way to die leaves behind, and that nothing is left running."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from launchers.node.child import LOGS
from launchers.node.signals import listening
from launchers.node.supervisor import Limits, Supervisor
from launchers.placement import NodePlacement
from launchers.process_plan import Plan, Process
from sgg.runs.exit_status import State, read_exit_status

ROOT = Path(__file__).parents[4]
SLEEP = "import time; time.sleep(600)"
SAVES = """
import signal, sys, time
def save(number, frame):
    print('saved', number, flush=True); sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGUSR2): signal.signal(number, save)
print('ready', flush=True)
time.sleep(600)
"""
SERVES = """
import signal, sys, http.server
for number in (signal.SIGTERM, signal.SIGUSR2): signal.signal(number, lambda *why: sys.exit(0))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Answer).serve_forever()
"""
ASKS = "print(u.urlopen('{}/health').status)"
IMPORTS = "import urllib.request as u\n"
LIMITS = Limits(server_start_s=20, grace_s=20, kill_s=2)


def rank(number, code, node=0):
    return Process(
        f"rank{number}", node, (sys.executable, "-c", code), environment={"RANK": str(number)}
    )


def server(code, node=0, restarts=0):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (sys.executable, "-c", code, str(port))
    return Process("server0", node, command, address=f"http://127.0.0.1:{port}", restarts=restarts)


def supervise(run_dir, *processes, node=0, nodes=1, limits=LIMITS):
    hosts = tuple(f"host{i}" for i in range(nodes))
    place = NodePlacement(node, hosts, attempt="this")
    with listening() as received:
        return Supervisor(Plan(hosts, processes), place, run_dir, limits, received, {}).run()


def test_a_process_gets_its_own_secrets(tmp_path):
    says = "import os; print('has', os.environ.get('SECRET'))"
    place = NodePlacement(0, ("host0",), attempt="this")
    plan = Plan(("host0",), (rank(0, says), rank(1, says)))
    secrets = {"rank1": {"SECRET": "one"}}
    with listening() as received:
        ending = Supervisor(plan, place, tmp_path, LIMITS, received, secrets).run()
    assert ending.state is State.finished
    assert [log(tmp_path, f"rank{i}") for i in (0, 1)] == ["has None\n", "has one\n"]


def log(run_dir, name):
    return (run_dir / LOGS / f"{name}.log").read_text()


def when(condition, act):
    """Act from another thread once the condition holds."""

    def wait():
        deadline = time.monotonic() + 20
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
        act()

    threading.Thread(target=wait, daemon=True).start()


def children():
    return psutil.Process().children(recursive=True)


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = {c.pid for c in children()}
    yield
    assert {c.pid for c in children()} <= before


def test_finished_when_all_ranks_are(tmp_path):
    ending = supervise(tmp_path, rank(0, "print('zero')"), rank(1, "print('one')"))
    assert (ending.state, ending.code) == (State.finished, 0)
    assert (log(tmp_path, "rank0"), log(tmp_path, "rank1")) == ("zero\n", "one\n")
    assert read_exit_status(tmp_path) == ending


def test_a_rank_that_raises_is_named_and_ends_the_others(tmp_path):
    raises = "print('step 7'); raise RuntimeError('loss is nan')"
    ending = supervise(tmp_path, rank(0, SLEEP), rank(1, raises))
    assert (ending.state, ending.code) == (State.failed, 1)
    assert (
        ending.shown == "RuntimeError: loss is nan\nrank1 on node 0 (host0) ended with exit code 1."
    )
    assert ending.host == "host0"
    assert "  | step 7" in ending.reason
    assert "  | RuntimeError: loss is nan" in ending.reason
    assert str(tmp_path / LOGS / "rank1.log") in ending.reason


def test_a_users_mistake_keeps_its_exit_code(tmp_path):
    assert supervise(tmp_path, rank(0, "raise SystemExit(2)")).code == 2


MISTAKE = """
import sys, time
sys.stderr.write('step 1\\rstep 2\\n'); sys.stderr.flush(); time.sleep(.3)
print('sgg: data.root=x: no such folder.\\n  Take another.', file=sys.stderr)
sys.exit(2)
"""


def test_a_users_mistake_is_the_reason_and_is_not_shown_twice(tmp_path, capfdbinary):
    """Who started the run tells it; the rank's log has it, too."""
    ending = supervise(tmp_path, rank(0, MISTAKE))
    assert ending.reason == "data.root=x: no such folder.\n  Take another."
    assert "sgg: data.root=x" in log(tmp_path, "rank0")
    shown = capfdbinary.readouterr().err
    assert b"step 2\n" in shown
    assert b"no such folder" not in shown


def test_a_run_outlives_its_screen(tmp_path):
    """Its output is piped into a `head` that has ended: the rank goes on, and its log is whole."""
    talks = "for i in range(30_000): print('a line that fills the pipe', i)"
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        f"from test_supervisor import rank, supervise\n"
        f"print(supervise(Path({str(tmp_path)!r}), rank(0, {talks!r})).state.name)"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=write, timeout=100
    )
    os.close(write)
    assert done.stdout == b"finished\n"
    assert log(tmp_path, "rank0").count("\n") == 30_000


def test_a_killed_rank_is_told(tmp_path):
    kills = "import os; os.kill(os.getpid(), 9)"
    ending = supervise(tmp_path, rank(0, SLEEP), rank(1, kills))
    assert (ending.state, ending.code) == (State.failed, 1)
    assert "rank1 on node 0 (host0) was killed by SIGKILL" in ending.reason


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_reaches_the_ranks_and_they_save(tmp_path, number):
    logs = [tmp_path / LOGS / f"rank{i}.log" for i in (0, 1)]
    when(
        lambda: all(p.is_file() and "ready" in p.read_text() for p in logs),
        lambda: os.kill(os.getpid(), number),
    )
    ending = supervise(tmp_path, rank(0, SAVES), rank(1, SAVES))
    assert (ending.state, ending.code) == (State.stopped, 128 + number)
    assert "after saving" in ending.reason
    assert f"sgg resume {tmp_path}" in ending.reason
    assert log(tmp_path, "rank1") == f"ready\nsaved {int(number)}\n"


def test_ranks_that_do_not_end_are_killed_at_the_limit(tmp_path):
    deaf = "import signal, time; signal.signal(15, lambda *a: None); print('deaf', flush=True)\n"
    path = tmp_path / LOGS / "rank0.log"
    when(
        lambda: path.is_file() and "deaf" in path.read_text(),
        lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    limits = Limits(server_start_s=1, grace_s=0.5, kill_s=0.5)
    ending = supervise(tmp_path, rank(0, deaf + "while True: time.sleep(1)"), limits=limits)
    assert (ending.state, ending.code) == (State.stopped, 143)
    assert "before it could save" in ending.reason


def test_ranks_that_stopped_together_need_no_signal_of_ours(tmp_path):
    ending = supervise(tmp_path, rank(0, "raise SystemExit(140)"), rank(1, "raise SystemExit(140)"))
    assert (ending.state, ending.code) == (State.stopped, 140)


def test_ranks_start_once_the_server_answers(tmp_path):
    serving = server(SERVES)
    asks = IMPORTS + ASKS.format(serving.address)
    assert supervise(tmp_path, serving, rank(0, asks)).state is State.finished
    assert log(tmp_path, "rank0") == "200\n"


def test_a_server_that_never_answers_ends_the_run_with_a_message(tmp_path):
    limits = Limits(server_start_s=0.5, grace_s=1, kill_s=1)
    ending = supervise(tmp_path, server(SLEEP), rank(0, "print('never')"), limits=limits)
    assert ending.state is State.failed
    assert "hardware.rollout.startup_timeout_s=0.5" in ending.reason
    assert not (tmp_path / LOGS / "rank0.log").exists()


def test_a_server_that_dies_is_started_again_as_often_as_allowed(tmp_path):
    once = f"import pathlib, sys\np = pathlib.Path({str(tmp_path)!r}) / 'died'\n"
    once += "if not p.exists(): p.touch(); sys.exit('first death')\n" + SERVES
    ending = supervise(tmp_path, server(once, restarts=1), rank(0, "print('served')"))
    assert ending.state is State.finished
    assert "first death" in log(tmp_path, "server0")
    (tmp_path / "died").unlink()
    (tmp_path / "again").mkdir()
    ending = supervise(tmp_path / "again", server(once, restarts=0), rank(0, "print('served')"))
    assert ending.state is State.failed
    assert ending.reason.startswith("server0 on node 0 (host0) ended with exit code 1")
    assert "first death" in ending.reason


def test_a_server_that_dies_under_the_ranks_is_started_again_as_often_as_allowed(tmp_path):
    log_of_rank = tmp_path / LOGS / "rank0.log"
    killed = []

    def server_process():
        for child in children():
            with suppress(psutil.Error):  # it may be on its way out
                if child.pid not in killed and "http.server" in " ".join(child.cmdline()):
                    return child
        return None

    def kill_twice():
        for _ in range(2):
            while (process := server_process()) is None:
                time.sleep(0.05)
            killed.append(process.pid)
            process.kill()

    when(lambda: log_of_rank.is_file() and "ready" in log_of_rank.read_text(), kill_twice)
    ending = supervise(tmp_path, server(SERVES, restarts=1), rank(0, SAVES))
    assert ending.reason.startswith("server0 on node 0 (host0) was killed by SIGKILL")
    assert len(killed) == 2


def test_a_server_outlives_the_signals_that_slurm_sends_to_every_process(tmp_path):
    log_of_rank = tmp_path / LOGS / "rank0.log"

    def signal_both():
        serving = next(c for c in children() if "http.server" in " ".join(c.cmdline()))
        for number in (signal.SIGUSR2, signal.SIGTERM):
            serving.send_signal(number)
        os.kill(os.getpid(), signal.SIGUSR2)

    serving = server(SERVES)
    asks = IMPORTS + SAVES.replace(
        "print('saved'", f"{ASKS.format(serving.address)}; print('saved'"
    )
    when(lambda: log_of_rank.is_file() and "ready" in log_of_rank.read_text(), signal_both)
    ending = supervise(tmp_path, serving, rank(0, asks))
    assert (ending.state, ending.code) == (State.stopped, 140)
    assert log(tmp_path, "rank0") == "ready\n200\nsaved 12\n"


def test_a_failure_on_one_node_ends_the_other(tmp_path):
    """Two supervisors share the run folder; the node that fell has the first word."""
    other = []
    processes = (rank(0, SLEEP), rank(1, "raise SystemExit('broken')", node=1))
    thread = threading.Thread(target=lambda: other.append(_on_node_1(tmp_path)))
    path = tmp_path / LOGS / "rank0.log"
    when(path.is_file, thread.start)
    ending = supervise(tmp_path, *processes, nodes=2)
    thread.join()
    assert other == [1]
    assert ending.reason.startswith("rank1 on node 1 (host1) ended with exit code 1")
    assert read_exit_status(tmp_path).reason == ending.reason


def test_a_serving_node_ends_when_the_ranks_have(tmp_path):
    """It has no ranks of its own: the run's ending is what it waits for."""
    code = _NODE_1.format(
        run_dir=str(tmp_path), command=("sleep", "600"), address="http://127.0.0.1:9"
    )
    node_1 = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        assert supervise(tmp_path, rank(0, "print('done')"), nodes=2).state is State.finished
        assert node_1.wait(timeout=20) == 0
    finally:
        node_1.kill()
        node_1.wait()


_NODE_1 = """
from pathlib import Path
from launchers.placement import NodePlacement
from launchers.process_plan import Plan, Process
from launchers.node.supervisor import Limits, Supervisor
process = Process('server0' if {address!r} else 'rank1', 1, {command!r}, address={address!r})
hosts = ('host0', 'host1')
place = NodePlacement(1, hosts, attempt='this')
limits = Limits(20, 20, 1)
raise SystemExit(Supervisor(Plan(hosts, (process,)), place, Path({run_dir!r}), limits, [], {{}}).run().code)
"""


def _on_node_1(run_dir):
    command = (sys.executable, "-c", "raise SystemExit('broken')")
    code = _NODE_1.format(run_dir=str(run_dir), command=command, address=None)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False
    ).returncode


def test_ranks_do_not_outlive_a_killed_supervisor(tmp_path):
    code = _NODE_1.format(run_dir=str(tmp_path), command=("sleep", "600"), address=None)
    supervisor = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 20
    while not (found := psutil.Process(supervisor.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    supervisor.kill()
    supervisor.wait()
    _, alive = psutil.wait_procs(found, timeout=10)
    assert found
    assert not alive
