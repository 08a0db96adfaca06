"""What a started process is given: variables that load code come from the user's own config alone."""

import os

import pytest

from launchers.node.child import _environment
from launchers.process_plan import make_plan
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, read_frozen, write_frozen
from sgg.runs.signature import sign_run

LOADS = {
    "LD_PRELOAD": "/nowhere/evil.so",
    "PYTHONPATH": "/nowhere/evil",
    "PATH": "/nowhere",
    "BASH_ENV": "/nowhere/evil.sh",
}


@pytest.fixture
def run(tmp_path):
    config = compose_config(["stage=eval", f"paths.run_dir={tmp_path}"])
    config.hardware.environment = {**LOADS, "NCCL_DEBUG": "INFO"}
    write_frozen(config, tmp_path / FROZEN_NAME)
    return tmp_path


def given(run):
    [process] = make_plan(read_frozen(run / FROZEN_NAME), run / FROZEN_NAME).processes
    return _environment(process, run)


def test_a_strangers_config_loads_no_code(run, caplog):
    environment = given(run)
    assert environment["NCCL_DEBUG"] == "INFO"
    assert environment["PATH"] == os.environ["PATH"]
    for name, value in LOADS.items():
        assert environment.get(name) != value
    assert (
        "hardware.environment sets LD_PRELOAD, PYTHONPATH, PATH, BASH_ENV, which rank0"
        in caplog.text
    )


def test_an_own_config_is_followed(run, caplog):
    sign_run(run)
    assert given(run).items() >= {**LOADS, "NCCL_DEBUG": "INFO"}.items()
    assert not caplog.records
