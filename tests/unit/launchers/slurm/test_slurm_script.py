"""The text that sbatch gets."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from launchers.slurm.script import (
    Array,
    _setup,
    batch_script,
    make_slurm_folder,
    request_key,
)
from sgg.config.compose import compose_config


def config(*words):
    return compose_config(["stage=sft", "model.path=x/y", *words])


def script(*words, points=(0, 1, 2, 5), after=None):
    return batch_script(Array(Path("/s/weep"), "sft", config(*words), points, 7, "/home/me", after))


def options(text):
    return dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", text, re.M))


def test_one_task_a_node_told_to_save_and_queued_again():
    found = options(script("hardware.slurm.signal_before_end_s=90", "hardware.slurm.time_min=60"))
    assert found["array"] == "0-2,5%7"
    assert found["signal"] == "USR2@90"
    assert found["time"] == "60"
    assert (found["nodes"], found["ntasks-per-node"]) == ("1", "1")
    assert found["open-mode"] == "append"
    assert found["chdir"] == "/home/me"
    assert "requeue" in found
    assert "dependency" not in found


def test_a_chain_goes_task_by_task_and_ends_with_its_first_failure():
    found = options(script(after="41"))
    assert found["dependency"] == "aftercorr:41"
    assert found["kill-on-invalid-dep"] == "yes"


def test_the_job_runs_the_snapshot_and_one_bad_node_ends_it():
    text = script("hardware.slurm.setup=['module load cuda','echo hi']")
    lines = text.splitlines()
    assert lines.index("module load cuda") < lines.index("echo hi")
    assert "export PYTHONPATH=/s/weep/code${PYTHONPATH:+:$PYTHONPATH} PYTHONSAFEPATH=1" in lines
    assert "--kill-on-bad-exit=1" in text
    assert lines.index('export SGG_ACCEPTED_RUN="$RUN_DIR"') > lines.index("echo hi")
    [srun] = [line for line in lines if line.startswith("srun ")]
    command = f'{sys.executable} -m launchers.node "$RUN_DIR/config.yaml"'
    assert srun.endswith(f"log.out --kill-on-bad-exit=1 --cpu-bind=none {command}")


def test_nothing_is_appended_through_a_link_among_the_logs(tmp_path):
    make_slurm_folder(tmp_path)
    (tmp_path / "slurm" / "1_0_log.out").touch()
    make_slurm_folder(tmp_path)
    (tmp_path / "slurm" / "2_0_log.out").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="a symbolic link to"):
        make_slurm_folder(tmp_path)


@pytest.mark.parametrize("runs", [None, "", "/runs/0\n\n", "/runs/0\n/runs/a b\n"])
def test_a_task_that_finds_no_run_folder_ends_before_it_starts_anything(tmp_path, runs):
    array = Array(tmp_path / "a b's", "sft", config(), (0, 1), 7, "/")
    if runs is not None:
        array.runs_file().parent.mkdir(parents=True)
        array.runs_file().write_text(runs)
    done = subprocess.run(
        ["bash", "-c", "\n".join([*_setup(array), 'echo "runs $RUN_DIR"'])],
        env={**os.environ, "SLURM_ARRAY_TASK_ID": "1"},
        capture_output=True,
        text=True,
    )
    if runs is not None and "a b" in runs:
        assert (done.returncode, done.stdout) == (0, "runs /runs/a b\n")
        return
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"sgg: no run folder for task 1 in {array.runs_file()}\n")


def test_prefix_and_interpreter_stand_before_what_a_job_starts():
    words = (
        "hardware.slurm.prefix=[apptainer,exec,--nv,'my image.sif']",
        "hardware.slurm.python=python",
    )
    [srun] = [line for line in script(*words).splitlines() if line.startswith("srun ")]
    assert " apptainer exec --nv 'my image.sif' python -m launchers.node " in srun


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hardware.slurm.gpu_type=h100"], {"gpus-per-node": "h100:4"}),
        (["hardware.slurm.gpu_request=gres"], {"gres": "gpu:4"}),
        (["hardware.slurm.gpu_request=none"], {}),
        (
            ["hardware.slurm.gpu_type=h100", "hardware.slurm.gpu_request=gres"],
            {"gres": "gpu:h100:4"},
        ),
    ],
)
def test_forms_of_asking_for_gpus(words, expected):
    found = options(script("hardware.gpu=true", "hardware.processes_per_node=4", *words))
    assert {k: v for k, v in found.items() if k in ("gpus-per-node", "gres")} == expected


def test_resources_and_what_passes_through():
    text = script(
        *("hardware.nodes=3", "hardware.slurm.partition=big", "hardware.slurm.account=a"),
        *(
            "hardware.slurm.constraint='ib&fast'",
            "hardware.slurm.exclude=n7",
            "hardware.slurm.qos=q",
        ),
        *("hardware.slurm.cpus_per_node=32", "hardware.slurm.memory_gb=0"),
        *("hardware.slurm.exclusive=true", "++hardware.slurm.sbatch.mail-type=END"),
        "hardware.slurm.srun=['--mpi=none']",
    )
    found = options(text)
    wanted = {"nodes": "3", "partition": "big", "account": "a", "exclude": "n7", "qos": "q"}
    wanted |= {"constraint": "'ib&fast'", "cpus-per-task": "32", "mem": "0", "mail-type": "END"}
    assert wanted.items() <= found.items()
    assert "exclusive" in found
    assert re.search(r"^srun .*--cpus-per-task=32.* --mpi=none", text, re.M)


def test_points_that_ask_alike_share_an_array():
    assert request_key(config("seed=1")) == request_key(config("seed=2"))
    assert request_key(config()) != request_key(config("hardware.nodes=2"))
