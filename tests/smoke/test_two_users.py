"""Two users of one machine: the second reads the first one's run, and goes on with a copy of it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from commands import command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.getuid() != 0 or shutil.which("setpriv") is None,
        reason="only root can be two users, by setpriv",
    ),
]
WORDS = ("stage=eval", "data.eval.limit=4", "generate.max_new_tokens=20")


class User:
    """Somebody with a home and rights of their own."""

    def __init__(self, folder, number):
        self.home, self.number = folder / str(number), number
        self.home.mkdir()
        os.chown(self.home, number, number)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        self.environment = kept | {"HOME": str(self.home), "OMP_NUM_THREADS": "1"}

    def does(self, *words):
        ids = (f"--reuid={self.number}", f"--regid={self.number}", "--clear-groups")
        return subprocess.run(
            ["setpriv", *ids, *words],
            cwd=self.home,
            env=self.environment,
            umask=0o022,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def sgg(self, *words, code=0):
        done = self.does(*command(*map(str, words)))
        assert done.returncode == code, done.stderr[-3000:]
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def users():
    """Alice and Bob, in a folder that both can see."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    alice, bob = User(folder, 61001), User(folder, 61002)
    if alice.does(sys.executable, "-c", "import sgg").returncode:
        pytest.skip("other users cannot read this installation")
    yield alice, bob
    shutil.rmtree(folder)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_colleague_reads_a_run_and_goes_on_with_a_copy(users):
    alice, bob = users
    run = alice.home / "run"
    alice.sgg(*WORDS, f"paths.run_dir={run}")
    before = contents(run)
    assert "finished" in bob.sgg("status", run)
    bob.sgg("report", run, "out=report")
    assert '"picture":"/9j/' in (bob.home / "report" / "report.html").read_text()
    bob.sgg("score", run, "out=score")
    assert (bob.home / "score" / "metrics.json").is_file()
    assert "mean" in bob.sgg("reward", run, "reward=soft_recall")
    refused = bob.sgg("resume", run, code=2)
    assert f"{run}: you have neither made nor accepted it" in refused
    assert f"sgg resume {run} trust=true" in refused
    assert "No permission" in bob.sgg("resume", run, "trust=true", code=1)
    assert bob.does("cp", "-r", str(run), "mine").returncode == 0
    mine = bob.home / "mine"
    (mine / "metrics.json").unlink()
    (mine / "completions.jsonl").unlink()
    assert "trust=true" in bob.sgg("resume", "mine", code=2)
    bob.sgg("resume", "mine", "trust=true")
    assert (mine / "completions.jsonl").read_bytes() == before[run / "completions.jsonl"]
    assert len(list((mine / "signed").iterdir())) == 2
    bob.sgg("resume", "mine")
    assert contents(run) == before
    alice.sgg("resume", run)
    (alice.home / ".config" / "sgg" / "secret").unlink()  # as after a move to another home
    assert "your secret" in alice.sgg("resume", run, code=2)
    alice.sgg("resume", run, "trust=true")
    alice.sgg("resume", run)
