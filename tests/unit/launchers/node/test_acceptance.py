"""A config's environment loads code in the processes of a run that the user accepts, or nothing starts."""

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
        f"import os\nopen({str(tmp_path / 'mark')!r}, 'w')\nos._exit(3)\n"
    )
    config = compose_config(["stage=eval", f"paths.run_dir={run_dir}"])
    config.hardware.environment = {"PYTHONPATH": str(lib), "NCCL_DEBUG": "INFO"}
    run_dir.mkdir()
    write_frozen(config, run_dir / FROZEN_NAME)
    return run_dir


def test_a_strangers_run_starts_nothing(run, tmp_path):
    with pytest.raises(SggError, match=r"sets PYTHONPATH, which .* by: sgg resume "):
        run_node(run / FROZEN_NAME, NodePlacement.single(), [], accepted=False)
    assert not (tmp_path / "mark").exists()
    assert not (run / "logs").exists()


def test_an_own_run_is_started_by_hand(run, tmp_path):
    sign_run(run)
    run_node(run / FROZEN_NAME, NodePlacement.single(), [], accepted=False)
    assert (tmp_path / "mark").exists()


def test_a_node_with_another_home_takes_the_word_of_who_submitted(run, tmp_path):
    """It used to start the ranks without the variables."""
    sign_run(run)
    node = [sys.executable, "-m", "launchers.node", str(run / FROZEN_NAME)]
    elsewhere = environment(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "another"))
    root = Path(__file__).parents[4]
    refused = subprocess.run(node, env=elsewhere, cwd=root, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "has no signature of yours" in refused.stderr
    assert not (tmp_path / "mark").exists()
    subprocess.run([*node, ACCEPTED], env=elsewhere, cwd=root, capture_output=True)
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "BASH_ENV", "PYTHONHOME"]
)
def test_variables_that_load_code(tmp_path, name):
    config = compose_config(["stage=eval", f"paths.run_dir={tmp_path}"])
    write_frozen(config, tmp_path / FROZEN_NAME)
    config.hardware.environment = {"NCCL_DEBUG": "INFO"}
    require_acceptance(config, tmp_path)
    config.hardware.environment[name] = "/nowhere"
    with pytest.raises(SggError, match=f"sets {name}, which"):
        require_acceptance(config, tmp_path)


def test_state_that_nobody_has_signed_is_not_unpickled(tmp_path):
    config = compose_config(["stage=sft", f"paths.run_dir={tmp_path}"])
    config.deepspeed = {"zero_optimization": {"stage": 2}}
    checkpoint = tmp_path / "checkpoint-1"
    checkpoint.mkdir()
    mark_complete(checkpoint)
    with pytest.raises(SggError, match="checkpoint-1 has no signature of yours"):
        require_acceptance(config, tmp_path)
    sign_checkpoint(checkpoint)
    require_acceptance(config, tmp_path)
