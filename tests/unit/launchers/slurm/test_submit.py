"""Submitting, before and after sbatch is asked; sbatch and scontrol are stand-ins that keep what they got."""

import os
from pathlib import Path

import pytest

from launchers.slurm import script as slurm
from launchers.slurm.script import Array, NothingSubmitted, require_slurm, submit
from sgg.config.compose import compose_config
from sgg.errors import SggError


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a program first on PATH."""

    def make(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return make


@pytest.fixture
def array(tmp_path):
    sweep = tmp_path / "sweep"
    (sweep / "slurm").mkdir(parents=True)
    config = compose_config(["stage=sft"])
    return Array(sweep, "sft", config, (0, 1), 7, str(tmp_path))


def test_the_shells_sbatch_variables_do_not_count(array, stand_in, tmp_path, monkeypatch):
    stand_in("sbatch", f"env > {tmp_path}/env; echo '77;cluster'")
    for name in ("SBATCH_PARTITION", "SBATCH_ARRAY_INX", "SLURM_JOB_ID", "SLURM_CONF"):
        monkeypatch.setenv(name, "x")
    assert submit(array, others=False) == "77"
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert {n for n in names if n.startswith(("SBATCH_", "SLURM_"))} == {"SLURM_CONF"}


def test_refused_at_a_later_array_the_rest_is_submitted_by_resuming(array, stand_in):
    stand_in("sbatch", "echo 'Job violates limits' >&2; exit 1")
    with pytest.raises(SggError) as raised:
        submit(array, others=True)
    assert f"sgg resume {array.sweep}" in str(raised.value)
    assert "Job violates limits" in str(raised.value)
    with pytest.raises(NothingSubmitted, match="Nothing was submitted") as raised:
        submit(array, others=False)
    assert f"sgg resume {array.sweep} hardware.slurm.KEY=VALUE" in str(raised.value)


def test_no_answer_may_still_mean_a_job(array, stand_in, monkeypatch):
    stand_in("sbatch", "exec sleep 30")
    monkeypatch.setattr(slurm, "_TIMEOUT_S", 0.2)
    with pytest.raises(SggError, match=r"squeue --me --name=sweep\.sft") as raised:
        submit(array, others=False)
    assert f"sgg resume {array.sweep}" in str(raised.value)


def test_more_points_than_an_array_may_have(stand_in):
    stand_in("sbatch", "echo 1")
    stand_in("scontrol", "echo 'MaxArraySize            = 1001'")
    require_slurm(Path("/sweep"), 1001)
    with pytest.raises(SggError, match=r"1002 points.*1001 tasks \(MaxArraySize\)"):
        require_slurm(Path("/sweep"), 1002)
    stand_in("scontrol", "exit 1")  # then sbatch has the say
    require_slurm(Path("/sweep"), 1002)


def test_a_folder_that_slurm_would_misread(stand_in):
    stand_in("sbatch", "echo 1")
    with pytest.raises(SggError, match=r"paths.sweep_dir=/100%jobs"):
        require_slurm(Path("/100%jobs"), 1)
