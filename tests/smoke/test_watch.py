"""`sgg watch` in a terminal: a real training until it ends, keys, Ctrl-C."""

import fcntl
import os
import platform
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass

import pytest
from commands import command, environment, sgg

from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.files import write_json
from sgg.runs.folder import append_json, record_start
from sgg.runs.lease import Lease
from sgg.runs.process_id import process_id
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
"""The terminal's other screen, which leaves what was printed before as it is."""


@dataclass
class Terminal:
    """A program on a terminal of 100 × 40 characters."""

    pid: int
    master: int
    text: str = ""

    def read(self, until="", limit_s=60.0):
        """What is drawn, until a text of it is there, or the program has ended."""
        deadline = time.monotonic() + limit_s
        while not until or until not in self.text:
            assert time.monotonic() < deadline, self.text[-3000:]
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                self.text += os.read(self.master, 65_536).decode(errors="replace")
            except OSError:  # the program has ended
                break
        return self.text

    def press(self, keys):
        """Keys, and forget what was drawn before."""
        self.text = ""
        os.write(self.master, keys)

    def code(self):
        self.read(limit_s=240)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(tmp_path):
    """Starts `sgg` on a terminal."""
    started = []

    def start(*words):
        pid, master = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
            os.chdir(tmp_path)
            words = command(*words)
            size = {"COLUMNS": "100", "LINES": "40"}
            os.execve(words[0], words, environment(tmp_path, TERM="xterm-256color", **size))
        started.append(Terminal(pid, master))
        return started[-1]

    yield start
    for one in started:
        os.close(one.master)


def begin(run_dir):
    config = compose_config(["stage=sft", "model=tiny_qwen2_vl", f"paths.run_dir={run_dir}"])
    run_dir.mkdir(parents=True)
    write_frozen(config, run_dir / "config.yaml")
    record_start(run_dir, config)
    write_json(run_dir / "total.json", {"steps": 4})
    append_json(run_dir / "metrics.jsonl", {"step": 2, "loss": 0.5})


@pytest.mark.slow
def test_a_training_is_watched_until_it_ends(tmp_path, terminal):
    run_dir = tmp_path / "run"
    words = ["stage=sft", "model=tiny_qwen2_vl", "data.train.limit=16", "stage.global_batch=4"]
    words += ["stage.args.max_steps=12", "stage.args.logging_steps=1", f"paths.run_dir={run_dir}"]
    training = subprocess.Popen(
        command(*words),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (run_dir / "config.yaml").is_file():
        assert training.poll() is None
        time.sleep(0.2)
    watching = terminal("watch", str(run_dir), "every=0.5")
    text = watching.read("sft · tiny_qwen2_vl · ", 120)
    assert text.index(ENTER) >= 0
    watching.read("running", 240)
    watching.read(" left", 240)
    assert watching.code() == 0
    assert training.wait(120) == 0
    end = watching.text.rpartition(LEAVE)[2]
    assert "finished" in end
    assert re.search(r"step 12/12 +100%", end)
    assert re.search(r"loss +[▁▂▃▄▅▆▇█]{12} +\d", end)
    assert "checkpoint-12" in end
    assert "\x1b" not in end.replace("\x1b[?25h", "")
    after = sgg("watch", str(run_dir), cwd=tmp_path)  # no terminal, and it has ended
    assert after.returncode == 0
    assert "step 12/12" in after.stdout
    assert "\x1b" not in after.stdout + after.stderr


def test_ctrl_c_ends_the_watching_alone(tmp_path, terminal):
    run_dir = tmp_path / "run"
    begin(run_dir)
    with Lease(run_dir):
        watching = terminal("watch", str(run_dir), "every=60")
        watching.read("Ctrl-C ends the watching")
        before = termios.tcgetattr(watching.master)
        assert not before[3] & termios.ECHO
        watching.press(b"\x03")
        assert watching.code() == 0
        end = watching.text.rpartition(LEAVE)[2]
        assert "step 2/4" in end
        assert "The watching has ended, the runs have not." in end


def test_keys_choose_a_point_of_a_sweep(tmp_path, terminal):
    sweep = tmp_path / "sweep"
    runs = [RunRecord(n, "sft", None, f"points/00{n}", [process_id()]) for n in range(2)]
    for run in runs:
        begin(sweep / run.folder)
    points = [PointRecord(f"00{n}_seed-{n}", [f"seed={n}"]) for n in range(2)]
    own = {"host": platform.node(), "process": process_id()}
    SweepRecord("local", 1, "/", "2026-01-01", [], points, runs, **own).write(sweep)
    watching = terminal("watch", str(sweep), "every=60")
    watching.read("› 000")
    watching.press(b"\x1b[B")
    watching.read("› 001")
    watching.press(b"\r")
    watching.read("points/001 · sft")
    watching.press(b"a")
    watching.read("Enter follows a point")
    watching.press(b"q")
    assert watching.code() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs/none"], "there is no such folder"),
        (["rum"], "Did you mean 'run'?"),
        (["run", "every=0"], "every=0: must be a number of seconds"),
        (["run", "onse=true"], "Did you mean 'once'?"),
        (["run", "seed=1"], "seed=1 would be ignored"),
        (["run"], "no sweep, pipeline or run there"),
    ],
)
def test_what_cannot_be_watched_is_refused(tmp_path, words, said):
    (tmp_path / "run").mkdir()
    done = sgg("watch", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
