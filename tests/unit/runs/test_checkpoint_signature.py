"""DeepSpeed's state is unpickled only where this user's run has written it, or the user accepts it."""

import pytest

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.runs.checkpoint import MARKER, mark_complete
from sgg.runs.checkpoint_signature import (
    sign_checkpoint,
    sign_written_checkpoint,
    unsigned_checkpoints,
)
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


def replaced_and_not_marked(checkpoint):
    (checkpoint / STATE).write_bytes(b"evil!")


def added(checkpoint):
    """DeepSpeed takes what is there by a pattern, whether the marker has it or not."""
    (checkpoint / "global_step5" / "mp_rank_01_model_states.pt").touch()


def linked(checkpoint):
    """A folder elsewhere, with the same files for as long as anybody looks."""
    (checkpoint / "global_step5").rename(checkpoint.parent.parent / "elsewhere")
    (checkpoint / "global_step5").symlink_to(checkpoint.parent.parent / "elsewhere")


def renamed(checkpoint):
    checkpoint.rename(checkpoint.with_name("checkpoint-7"))


@pytest.mark.parametrize("change", [replaced, replaced_and_not_marked, added, linked, renamed])
def test_a_changed_checkpoint_is_nobodys(config, checkpoint, change):
    run = checkpoint.parent
    assert unsigned_checkpoints(run, config) == []
    change(checkpoint)
    assert [folder.parent for folder in unsigned_checkpoints(run, config)] == [run]


def test_another_users_checkpoint_is_unsigned_until_it_is_accepted(
    config, checkpoint, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    assert unsigned_checkpoints(checkpoint.parent, config) == [checkpoint]
    sign_checkpoint(checkpoint)
    assert unsigned_checkpoints(checkpoint.parent, config) == []


def test_a_written_checkpoint_is_signed(config, checkpoint, caplog):
    replaced(checkpoint)
    sign_written_checkpoint(checkpoint)
    assert unsigned_checkpoints(checkpoint.parent, config) == []
    assert not caplog.records


def test_signing_a_written_checkpoint_ends_no_run(config, checkpoint, caplog):
    linked(checkpoint)
    sign_written_checkpoint(checkpoint)
    assert "so resuming from it will want trust=true" in caplog.text
    assert unsigned_checkpoints(checkpoint.parent, config) == [checkpoint]


def test_only_what_deepspeed_would_read_wants_a_signature(config, checkpoint):
    added(checkpoint)
    (checkpoint / MARKER).rename(checkpoint / "no marker")
    assert unsigned_checkpoints(checkpoint.parent, config) == []
    (checkpoint / "no marker").rename(checkpoint / MARKER)
    config.deepspeed = None
    assert unsigned_checkpoints(checkpoint.parent, config) == []


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
