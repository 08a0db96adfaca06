"""A node starts the processes of a run that the user has made or accepted, or none."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

from launchers import ACCEPTED
from launchers.node.acceptance import require_acceptance
from launchers.node.agent import run_node
from launchers.placement import NodePlacement
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, write_frozen
from sgg.config.reward import TermConfig
from sgg.errors import SggError
from sgg.runs.checkpoint import mark_complete
from sgg.runs.checkpoint_signature import sign_checkpoint
from sgg.runs.signature import sign_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose config has Python write a mark, whichever program it starts, and end."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    lib, run_dir = tmp_path / "lib", tmp_path / "run"
    lib.mkdir()
    (lib / "sitecustomize.py").write_text(
        "import os\n"
        f"open({str(tmp_path / 'mark')!r}, 'w').write(os.environ.get({ACCEPTED!r}, 'nothing'))\n"
        "os._exit(3)\n"
    )
    config = compose_config(["stage=eval", f"paths.run_dir={run_dir}"])
    config.hardware.environment = {"PYTHONPATH": str(lib), "NCCL_DEBUG": "INFO"}
    run_dir.mkdir()
    write_frozen(config, run_dir / FROZEN_NAME)
    return run_dir


def node(run_dir, folder, **more):
    """The finished process, on a node with another home."""
    return subprocess.run(
        [sys.executable, "-m", "launchers.node", str(run_dir / FROZEN_NAME)],
        env=environment(folder, XDG_CONFIG_HOME=str(folder / "another"), **more),
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
    )


def test_a_strangers_run_starts_nothing(run, tmp_path):
    with pytest.raises(SggError, match=r"no signature of yours .* by: sgg resume "):
        run_node(run / FROZEN_NAME, NodePlacement.single(), [], accepted=False)
    assert not (tmp_path / "mark").exists()
    assert not (run / "logs").exists()


def test_an_own_run_is_started_by_hand(run, tmp_path):
    sign_run(run)
    run_node(run / FROZEN_NAME, NodePlacement.single(), [], accepted=False)
    assert (tmp_path / "mark").exists()


def test_a_node_with_another_home_takes_the_word_of_who_submitted(run, tmp_path):
    """For the one folder that was looked at; no process of the run inherits the word."""
    sign_run(run)
    for other in ({}, {ACCEPTED: str(tmp_path)}, {ACCEPTED: ""}, {ACCEPTED: "."}):
        refused = node(run, tmp_path, **other)
        assert refused.returncode == 2
        assert "has no signature of yours" in refused.stderr
    assert not (tmp_path / "mark").exists()
    node(run, tmp_path, **{ACCEPTED: str(run)})
    assert (tmp_path / "mark").read_text() == "nothing"


def test_a_config_says_nothing_to_its_own_agent(run, tmp_path):
    config = compose_config(["stage=eval", f"paths.run_dir={run}"])
    config.hardware.environment = {ACCEPTED: str(run)}
    write_frozen(config, run / FROZEN_NAME)
    refused = node(run, tmp_path)
    assert refused.returncode == 2
    assert "has no signature of yours" in refused.stderr


def test_a_harmless_looking_config_needs_a_signature_too(tmp_path):
    """What loads code has more names than anyone could list."""
    config = compose_config(["stage=eval", f"paths.run_dir={tmp_path}"])
    config.hardware.environment = {"NCCL_NET_PLUGIN": "/nowhere.so"}
    write_frozen(config, tmp_path / FROZEN_NAME)
    with pytest.raises(SggError, match="no signature of yours"):
        require_acceptance(tmp_path)
    sign_run(tmp_path)
    require_acceptance(tmp_path)


def test_a_signed_config_is_checked_as_when_it_is_resumed(tmp_path):
    config = compose_config(["stage=grpo", f"paths.run_dir={tmp_path}"])
    config.reward.terms["x"] = TermConfig(import_path="no_such_module:f")
    write_frozen(config, tmp_path / FROZEN_NAME)
    sign_run(tmp_path)
    with pytest.raises(SggError, match=r"config\.yaml: [^$]*no_such_module"):
        require_acceptance(tmp_path)


def test_state_that_nobody_has_signed_is_not_unpickled(tmp_path):
    words = ["stage=sft", "stage.optimizer.kind=trl", "deepspeed=zero2"]
    words += ["hardware.processes_per_node=2", f"paths.run_dir={tmp_path}"]
    config = compose_config(words)
    write_frozen(config, tmp_path / FROZEN_NAME)
    sign_run(tmp_path)
    checkpoint = tmp_path / "checkpoint-1"
    checkpoint.mkdir()
    mark_complete(checkpoint)
    with pytest.raises(SggError, match="checkpoint-1 has no signature of yours"):
        require_acceptance(tmp_path)
    sign_checkpoint(checkpoint)
    require_acceptance(tmp_path)
