"""Folders that an earlier version of sgg made: said plainly, with the version, and never a traceback."""

import json
import platform
import shlex

import pytest

from launchers.consent import require_consent
from launchers.kinds import checked_config
from launchers.sweep.commands import Resuming, resume_sweep
from sgg.cli.cancel import main as cancel
from sgg.cli.report import main as report
from sgg.cli.resume import main as resume
from sgg.cli.score import main as score
from sgg.cli.status import main as status
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.errors import SggError
from sgg.files import write_json
from sgg.runs.exit_status import ExitStatus, State
from sgg.runs.folder import METRICS, PROVENANCE, record_start
from sgg.runs.frozen import config_of_run
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord, read_sweep

METRICS_BEFORE = {"images": 1, "answers": 1, "metrics": {"R": 0.0}, "protocol": {"id": "x"}}
REVISION = "0123456789abcdef"


def make_old(run_dir):
    """A finished evaluation, as far as its files had other keys."""
    run_dir.mkdir(parents=True)
    path = run_dir / FROZEN_NAME
    write_frozen(compose_config(["stage=eval"]), path)
    text = path.read_text()
    assert "without_prediction:" in text
    path.write_text(text.replace("without_prediction:", "unanswered:"))
    write_json(run_dir / METRICS, METRICS_BEFORE)
    (run_dir / "completions.jsonl").touch()
    start = {"time": "2025-01-01", "command": "sgg stage=eval", "code": {"version": "0.0.9"}}
    write_json(
        run_dir / PROVENANCE, {"starts": [start | {"git": {"revision": REVISION, "dirty": False}}]}
    )
    return run_dir


@pytest.fixture
def old(tmp_path):
    return make_old(tmp_path / "old")


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two runs, of which the first is old."""
    folders = ["points/000", "points/001"]
    runs = [RunRecord(n, "eval", None, folder) for n, folder in enumerate(folders)]
    points = [PointRecord("000", []), PointRecord("001", [])]
    here = (platform.node(), "1@0")
    record = SweepRecord("local", 1, str(tmp_path), "now", [], points, runs, *here)
    folder = tmp_path / "a sweep"
    make_old(folder / folders[0])
    (folder / folders[1]).mkdir()
    ExitStatus(State.failed, 2, "of the second").write(folder / folders[1])
    record.write(folder)
    return folder


@pytest.mark.parametrize("verb", [score, report, resume])
def test_a_tool_says_that_an_earlier_version_made_the_run(old, verb):
    with pytest.raises(SggError) as refused:
        verb([str(old)])
    said = str(refused.value)
    for words in (
        f"{old / FROZEN_NAME}: protocol.unanswered: no such key.",
        "An earlier version of sgg made it, or it was changed by hand.",
        "The run was made by sgg 0.0.9, revision 0123456789ab.",
        "Resume, score and report it with the version that made it.",
        f"This version still does: sgg status {old}",
    ):
        assert words in said
    assert "was damaged" not in said


def test_what_it_says_still_works_does(old, capsys):
    status([str(old)])
    assert "1 finished" in capsys.readouterr().out


def test_what_this_very_version_made_was_changed_by_hand(old):
    """There is no other version to take, but the command that writes the config again."""
    record_start(old, compose_config(["stage=eval"]))
    with pytest.raises(SggError, match="was changed by hand") as refused:
        checked_config(old)
    assert "It is the config of this run and was damaged. Move it away" in str(refused.value)
    assert "with the version that made it" not in str(refused.value)


def test_consent_does_not_hide_it(old):
    for trust in (False, True):
        with pytest.raises(SggError, match="An earlier version of sgg made it"):
            require_consent([old], ["sgg"], trust)
    with pytest.raises(SggError, match="An earlier version of sgg made it"):
        checked_config(old)


@pytest.mark.parametrize(
    "content", [None, {"starts": "x"}, {"starts": [{"time": "t", "command": "c"}]}]
)
def test_without_a_version_it_says_what_it_knows(old, content):
    (old / PROVENANCE).unlink()
    if content is not None:
        write_json(old / PROVENANCE, content)
    with pytest.raises(SggError, match="An earlier version of sgg made it") as refused:
        config_of_run(old)
    assert ("made by the sgg of t." in str(refused.value)) == (
        content == {"starts": [{"time": "t", "command": "c"}]}
    )


def test_status_of_a_sweep_with_an_old_run_shows_the_others(sweep, capsys):
    status([str(sweep)])
    shown = capsys.readouterr().out
    assert "1 finished, 1 failed" in shown
    assert "of the second" in shown
    assert "metrics.json: not of the form that sgg writes" in shown
    assert "An earlier version made it" in shown


@pytest.mark.parametrize("part", ["", "points/000"])
def test_status_of_a_run_whose_ending_cannot_be_read(sweep, capsys, part):
    (sweep / "points/000" / METRICS).unlink()
    write_json(sweep / "points/000" / "exit.json", {"state": "done"})
    status([str(sweep / part)])
    shown = capsys.readouterr().out
    assert "1 unknown" in shown
    assert "exit.json: not of the form that sgg writes" in shown
    assert ("of the second" in shown) == (not part)


def test_status_of_a_pipeline_with_an_old_step_shows_the_others(tmp_path, capsys):
    make_old(tmp_path / "a")
    (tmp_path / "a" / METRICS).unlink()
    write_json(tmp_path / "a" / PROVENANCE, {"starts": [{"host": "n"}]})
    ExitStatus(State.failed, 2, "of the second").write(make_old(tmp_path / "b"))
    (tmp_path / "b" / METRICS).unlink()
    write_json(tmp_path / "pipeline.json", {"steps": ["a", "b"]})
    status([str(tmp_path)])
    shown = capsys.readouterr().out
    assert "1 unknown, 1 failed" in shown
    assert "of the second" in shown


def test_an_old_sweep_is_resumed_by_its_own_code(sweep):
    (sweep / "points/000" / METRICS).unlink()
    (sweep / "code").mkdir()
    read_sweep(sweep).sign(sweep)
    with pytest.raises(SggError) as refused:
        resume_sweep(sweep, Resuming())
    own = f"PYTHONSAFEPATH=1 PYTHONPATH={shlex.quote(f'{sweep}/code')} python -m sgg resume"
    command = f"PYTHONPYCACHEPREFIX=$(mktemp -d) {own} {shlex.quote(str(sweep))}\n"
    assert command in str(refused.value)


@pytest.mark.parametrize("verb", [score, report, resume])
def test_code_of_a_strangers_sweep_is_not_proposed(sweep, verb):
    """What it is for is to be read before any of its code runs."""
    (sweep / "code").mkdir()
    run = sweep / "points/000"
    if verb is resume:
        (run / METRICS).unlink()
    with pytest.raises(SggError, match="An earlier version of sgg made it") as refused:
        verb([str(run)])
    said = str(refused.value)
    assert "PYTHONPATH" not in said
    assert "whoever runs it runs the author's code" in said
    if verb is resume:
        assert said.startswith(f"{sweep}: you have neither made nor accepted it.")
    assert not (sweep / "signed").exists()


def test_code_that_was_changed_in_an_own_sweep_is_not_proposed(sweep):
    (sweep / "code").mkdir()
    read_sweep(sweep).sign(sweep)
    (sweep / "code" / "sgg.py").touch()
    with pytest.raises(SggError, match="An earlier version of sgg made it") as refused:
        config_of_run(sweep / "points/000")
    assert "PYTHONPATH" not in str(refused.value)


def test_an_old_sweep_is_cancelled(sweep, capsys):
    cancel([str(sweep), "trust=true"])
    assert "0 runs cancelled" in capsys.readouterr().out
    assert json.loads((sweep / "sweep.json").read_text())["launcher"] == "local"
