"""DeepSpeed's state is unpickled only where this user's run has written it, or the user accepts it."""

import shutil

import pytest

import sgg.runs.checkpoint
from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.runs import checkpoint_signature
from sgg.runs.checkpoint import MARKER, mark_complete
from sgg.runs.checkpoint_signature import (
    sign_checkpoint,
    sign_written_checkpoint,
    unsigned_checkpoint,
)
from sgg.runs.folder import MODEL_FOLDER
from sgg.runs.open_run import open_run
from sgg.runs.signature import is_signed_run

STATE = "global_step5/zero_pp_rank_0_mp_rank_00_optim_states.pt"


@pytest.fixture
def config(tmp_path):
    """A run with DeepSpeed."""
    config = compose_config(["stage=sft", f"paths.run_dir={tmp_path / 'run'}"])
    config.deepspeed = {"zero_optimization": {"stage": 2}}
    return config


@pytest.fixture
def checkpoint(tmp_path):
    """A complete checkpoint that a run of the user's has written."""
    folder = tmp_path / "run" / "checkpoint-5"
    (folder / STATE).parent.mkdir(parents=True)
    (folder / STATE).write_bytes(b"state")
    (folder / "latest").write_text("global_step5")
    mark_complete(folder)
    sign_checkpoint(folder)
    return folder


def replaced(checkpoint):
    (checkpoint / STATE).write_bytes(b"evil!")
    mark_complete(checkpoint)


def added(checkpoint):
    """DeepSpeed takes what is there by a pattern, whether the marker has it or not."""
    (checkpoint / "global_step5" / "mp_rank_01_model_states.pt").touch()


def linked(checkpoint):
    """A folder elsewhere, with the same files for as long as anybody looks."""
    (checkpoint / "global_step5").rename(checkpoint.parent.parent / "elsewhere")
    (checkpoint / "global_step5").symlink_to(checkpoint.parent.parent / "elsewhere")


def renamed(checkpoint):
    checkpoint.rename(checkpoint.with_name("checkpoint-7"))


@pytest.mark.parametrize("change", [replaced, added, linked, renamed])
def test_a_changed_checkpoint_is_nobodys(config, checkpoint, change):
    run = checkpoint.parent
    assert unsigned_checkpoint(run, config) is None
    change(checkpoint)
    assert unsigned_checkpoint(run, config).parent == run


def test_a_large_file_that_was_replaced_is_found(config, checkpoint, monkeypatch):
    """The marker knows it by its size alone; where it has a checksum, the checkpoint is not resumed from."""
    (checkpoint / STATE).write_bytes(b"evil!")
    assert unsigned_checkpoint(checkpoint.parent, config) is None
    monkeypatch.setattr(sgg.runs.checkpoint, "_CHECKSUM_LIMIT", 0)
    mark_complete(checkpoint)
    assert unsigned_checkpoint(checkpoint.parent, config) == checkpoint


def test_only_the_checkpoint_that_is_resumed_from_is_read(config, checkpoint, monkeypatch, capsys):
    """All were hashed before, also those of finished runs, which read none."""
    run = checkpoint.parent
    newest = run / "checkpoint-9"
    shutil.copytree(checkpoint, newest)
    sign_checkpoint(newest)
    replaced(checkpoint)
    assert unsigned_checkpoint(run, config) is None
    replaced(newest)
    assert unsigned_checkpoint(run, config) == newest
    (newest / MARKER).unlink()
    assert unsigned_checkpoint(run, config) == checkpoint
    (run / MODEL_FOLDER).mkdir()
    mark_complete(run / MODEL_FOLDER)
    assert unsigned_checkpoint(run, config) is None
    assert capsys.readouterr().out == ""


def test_who_waits_is_told_what_is_read(config, checkpoint, monkeypatch, capsys):
    with (checkpoint / "global_step5" / "large.pt").open("wb") as file:
        file.truncate(1_600_000_000)
    monkeypatch.setattr(checkpoint_signature, "_digest", lambda path: "")
    assert unsigned_checkpoint(checkpoint.parent, config) == checkpoint
    assert capsys.readouterr().out == f"checking 2 GB of checkpoints of {checkpoint.parent}\n"


def test_another_users_checkpoint_is_unsigned_until_it_is_accepted(
    config, checkpoint, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    assert unsigned_checkpoint(checkpoint.parent, config) == checkpoint
    sign_checkpoint(checkpoint)
    assert unsigned_checkpoint(checkpoint.parent, config) is None


def test_a_written_checkpoint_is_signed(config, checkpoint, caplog):
    replaced(checkpoint)
    sign_written_checkpoint(checkpoint)
    assert unsigned_checkpoint(checkpoint.parent, config) is None
    assert not caplog.records


def test_signing_a_written_checkpoint_ends_no_run(config, checkpoint, caplog):
    linked(checkpoint)
    sign_written_checkpoint(checkpoint)
    assert "so resuming from it will want trust=true" in caplog.text
    assert unsigned_checkpoint(checkpoint.parent, config) == checkpoint


def test_only_what_deepspeed_would_read_wants_a_signature(config, checkpoint):
    added(checkpoint)
    (checkpoint / MARKER).rename(checkpoint / "no marker")
    assert unsigned_checkpoint(checkpoint.parent, config) is None
    (checkpoint / "no marker").rename(checkpoint / MARKER)
    config.deepspeed = None
    assert unsigned_checkpoint(checkpoint.parent, config) is None


def test_a_start_in_a_prepared_folder_is_refused(config, checkpoint):
    """It used to sign the folder, and to resume from what lay there."""
    replaced(checkpoint)
    run = checkpoint.parent
    with pytest.raises(
        SggError, match=f"{checkpoint}: no run of yours .* remove it, or take another"
    ):
        open_run(config)
    assert [path.name for path in run.iterdir()] == [checkpoint.name]
    sign_checkpoint(checkpoint)
    open_run(config)
    assert is_signed_run(run)
    added(checkpoint)
    with pytest.raises(SggError, match=f"XDG_CONFIG_HOME.* What to do: sgg resume {run}"):
        open_run(config)
