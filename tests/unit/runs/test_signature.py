"""A folder is a user's by a MAC over what it would run, and by nothing that an archive can bring along."""

import shutil

import pytest

from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.errors import SggError
from sgg.runs.open_run import open_run
from sgg.runs.signature import is_signed, is_signed_run, sign, sign_run
from sgg.runs.sweep import CODE, PointRecord, RunRecord, SweepRecord


def another_user(monkeypatch, name):
    monkeypatch.setenv("XDG_CONFIG_HOME", name)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of a user's own."""
    another_user(monkeypatch, str(tmp_path / "alice"))
    return open_run(compose_config(["stage=eval", f"paths.run_dir={tmp_path / 'run'}"]))


def signatures(folder):
    return sorted(path.name for path in (folder / "signed").iterdir())


def test_a_run_is_its_makers(run, monkeypatch, tmp_path):
    assert is_signed_run(run)
    another_user(monkeypatch, str(tmp_path / "bob"))
    assert not is_signed_run(run)


def test_a_copy_is_its_makers_too(run, tmp_path):
    assert is_signed_run(shutil.copytree(run, tmp_path / "copy"))


def test_a_changed_config_is_nobodys(run):
    text = (run / FROZEN_NAME).read_text()
    (run / FROZEN_NAME).write_text(text.replace("seed: 0", "seed: 1"))
    assert not is_signed_run(run)
    (run / FROZEN_NAME).write_text(text)
    assert is_signed_run(run)


def test_users_and_secrets_stand_beside_each_other(run, monkeypatch, tmp_path):
    """Another user accepts, and the first one's secret is replaced: no file is changed."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for home in ("bob", "alice again"):
        another_user(monkeypatch, str(tmp_path / home))
        assert not is_signed_run(run)
        sign_run(run)
        assert is_signed_run(run)
    assert len(signatures(run)) == 3
    assert all(path.read_bytes() == content for path, content in before.items())
    another_user(monkeypatch, str(tmp_path / "alice"))
    assert is_signed_run(run)


def test_a_content_of_one_kind_is_not_taken_for_another(run):
    sign(run, b"run\nx")
    assert is_signed(run, b"run\nx")
    assert not is_signed(run, b"sweep\nx")


def test_without_a_place_for_a_secret_a_run_starts_unsigned(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    another_user(monkeypatch, str(tmp_path / "file"))
    run = open_run(compose_config(["stage=eval", f"paths.run_dir={tmp_path / 'run'}"]))
    assert read_frozen(run / FROZEN_NAME)
    assert not is_signed_run(run)
    assert "is not signed, so resuming it will want trust=true" in caplog.text
    assert "XDG_CONFIG_HOME" in caplog.text


def test_a_folder_that_takes_no_signature_stays_unsigned(tmp_path, monkeypatch, caplog):
    another_user(monkeypatch, str(tmp_path / "alice"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "signed").touch()
    run = open_run(compose_config(["stage=eval", f"paths.run_dir={tmp_path / 'run'}"]))
    assert not is_signed_run(run)
    assert "is not signed, so resuming it will want trust=true" in caplog.text


def test_with_a_secret_nothing_is_logged(run, caplog):
    sign_run(run)
    assert is_signed_run(run)
    assert not caplog.records


def test_the_same_command_goes_on_where_the_secret_has_not_lasted(run, tmp_path, monkeypatch):
    """As a container's command that is started again: it says itself all that the frozen config does."""
    another_user(monkeypatch, str(tmp_path / "bob"))
    assert open_run(compose_config(["stage=eval", f"paths.run_dir={run}"])) == run
    assert is_signed_run(run)


def test_a_start_signs_no_config_but_its_own(run, tmp_path, monkeypatch):
    another_user(monkeypatch, str(tmp_path / "bob"))
    with pytest.raises(SggError, match="another config"):
        open_run(compose_config(["stage=eval", f"paths.run_dir={run}", "seed=1"]))
    assert not is_signed_run(run)


def sweep_in(folder):
    (folder / CODE / "sgg").mkdir(parents=True)
    (folder / CODE / "sgg" / "a.py").write_text("a = 1\n")
    runs = [RunRecord(0, "sft", None, "points/000")]
    record = SweepRecord("local", 1, str(folder), "", [], [PointRecord("000", [])], runs)
    record.sign(folder)
    return record


def test_a_sweep_stays_its_makers_while_it_goes_on(tmp_path):
    record = sweep_in(tmp_path)
    record.runs[0].jobs.append("1@2")
    record.parallel, record.host = 3, "elsewhere"
    cache = tmp_path / CODE / "sgg" / "__pycache__"
    cache.mkdir()
    (cache / "a.cpython-311.pyc").touch()
    assert record.is_signed(tmp_path)


@pytest.mark.parametrize(
    ("change", "is_ours"),
    [
        (lambda folder, record: (folder / CODE / "b.py").touch(), True),
        (lambda folder, record: record.runs[0].jobs.append("1@2"), True),
        (lambda folder, record: setattr(record, "process", "1@3"), False),
        (lambda folder, record: setattr(record, "host", "elsewhere"), False),
        (lambda folder, record: setattr(record, "launcher", "slurm"), False),
        (lambda folder, record: setattr(record.runs[0], "folder", "points/001"), False),
    ],
)
def test_who_has_started_a_sweep_says_who_may_end_it(tmp_path, change, is_ours):
    record = sweep_in(tmp_path)
    assert not record.is_signed_launch(tmp_path)  # made or accepted, and not started by this user
    record.sign_launch(tmp_path)
    change(tmp_path, record)
    assert record.is_signed_launch(tmp_path) == is_ours


@pytest.mark.parametrize("launcher", ["local", "slurm"])
def test_a_copy_or_moved_sweep_was_not_started_where_it_is(tmp_path, launcher):
    record = sweep_in(tmp_path / "a")
    record.launcher = launcher
    record.sign(tmp_path / "a")
    record.sign_launch(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert record.is_signed(tmp_path / "b")
    assert not record.is_signed_launch(tmp_path / "b")
    record.sign_launch(tmp_path / "b")
    assert record.is_signed_launch(tmp_path / "b")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder, record: (folder / CODE / "sgg" / "a.py").write_text("a = 2\n"),
        lambda folder, record: (folder / CODE / "b.py").touch(),
        lambda folder, record: (folder / CODE / "b.pyc").touch(),
        lambda folder, record: (folder / CODE / "b").symlink_to("/etc"),
        lambda folder, record: (folder / CODE / "sgg" / "__pycache__").symlink_to("/etc"),
        lambda folder, record: (folder / CODE / "sgg/a.py").replace(folder / CODE / "a.py"),
        lambda folder, record: setattr(record, "cwd", "/elsewhere"),
        lambda folder, record: record.overrides.append("seed=1"),
        lambda folder, record: record.points[0].overrides.append("seed=1"),
        lambda folder, record: setattr(record.runs[0], "folder", "../another/run"),
    ],
)
def test_a_sweep_with_other_code_or_runs_is_nobodys(tmp_path, change):
    record = sweep_in(tmp_path)
    assert record.is_signed(tmp_path)
    change(tmp_path, record)
    assert not record.is_signed(tmp_path)
