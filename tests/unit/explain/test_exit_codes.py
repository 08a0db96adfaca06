"""What `run_and_report` makes of an end: silence where nobody reads on, one message for a mistake."""

import json
import os
import subprocess

import pytest
from commands import command, environment

from sgg.errors import SggError
from sgg.explain.exit_codes import CLOSED_PIPE, run_and_report


@pytest.fixture(autouse=True)
def hydras_variable(monkeypatch):
    """`run_and_report` sets it in this process; what was there comes back when the test ends."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")


def unread(*words, cwd, both=False):
    """The finished process, whose output goes into a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(cwd),
        stdout=write,
        stderr=write if both else subprocess.PIPE,
        text=True,
        timeout=300,
    )
    os.close(write)
    return done


@pytest.mark.parametrize(
    "words",
    [["--help"], [], ["score", "--help"], ["predict", "-h"], ["--cfg", "job"], ["--hydra-help"]],
)
def test_a_closed_pipe_is_silent(words, tmp_path):
    done = unread(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (CLOSED_PIPE, "")


def test_output_of_tools_into_a_closed_pipe(tmp_path):
    gold = {"objects": [], "relationships": []}
    row = json.dumps({"image_id": "a", "text": "", "width": 9, "height": 9, "gold": gold})
    (tmp_path / "c.jsonl").write_text(f"{row}\n")
    done = unread("reward", "c.jsonl", "reward=hard_recall", cwd=tmp_path)
    (read_by,) = done.stderr.splitlines()  # what is said of every file, and no traceback
    assert (done.returncode, read_by.partition(":")[0]) == (CLOSED_PIPE, "c.jsonl")
    assert unread("seed=x", cwd=tmp_path, both=True).returncode == CLOSED_PIPE


def test_a_mistake_is_told_where_only_the_output_is_closed(tmp_path):
    done = unread("seed=x", cwd=tmp_path)
    assert done.returncode == 2
    assert "could not be converted" in done.stderr


def test_another_closed_pipe_is_no_traceback_but_told(capsys):
    def shut():
        raise BrokenPipeError(32, "Broken pipe")

    assert run_and_report(shut) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "Broken pipe" in said


def test_who_tells_a_mistake(capsys):
    def mistake():
        raise SggError("data.root=x: no.")

    assert run_and_report(mistake) == 2
    assert capsys.readouterr().err == "sgg: data.root=x: no.\n"
    assert run_and_report(mistake, prints=False) == 2
    assert capsys.readouterr().err == ""


def test_processes_that_sgg_starts_show_no_tracebacks_of_mistakes(capsys):
    """They inherit the environment in which Hydra raises."""

    def start():
        assert os.environ["HYDRA_FULL_ERROR"] == "1"
        code = (
            "from sgg.explain.exit_codes import run_and_report; from sgg.errors import SggError\n"
            "def mistake(): raise SggError('no')\n"
            "run_and_report(mistake)"
        )
        done = subprocess.run([command()[0], "-c", code], capture_output=True, text=True)
        assert done.stderr == "sgg: no\n"

    assert run_and_report(start) == 0
