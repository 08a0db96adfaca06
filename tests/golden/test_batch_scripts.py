"""Batch scripts, byte for byte. The texts are submitit 1.5.4's, less the line that sets SUBMITIT_EXECUTOR."""

from pathlib import Path

import pytest

from launchers.slurm.script import Array, batch_script
from sgg.config.compose import compose_config

HERE = Path(__file__).parent
JOB_END = HERE.parents[1] / "launchers" / "slurm" / "job_end.sh"
CHAIN = ["hardware.slurm.signal_before_end_s=90", "hardware.slurm.time_min=60"]
FULL = [
    *("hardware.nodes=3", "hardware.gpu=true", "hardware.processes_per_node=4"),
    *("hardware.slurm.partition=big", "hardware.slurm.account=a", "hardware.slurm.qos=q"),
    *("hardware.slurm.constraint='ib&fast'", "hardware.slurm.exclude=n7"),
    *("hardware.slurm.cpus_per_node=32", "hardware.slurm.memory_gb=0"),
    *("hardware.slurm.exclusive=true", "hardware.slurm.gpu_type=h100"),
    *("++hardware.slurm.sbatch.mail_type=END", "hardware.slurm.srun=['--mpi=none']"),
    "hardware.slurm.setup=['module load cuda']",
    "hardware.slurm.prefix=[apptainer,exec,--nv,'my image.sif']",
]


@pytest.mark.parametrize(
    ("name", "words", "points", "after"),
    [
        ("one_node", [], (0,), None),
        ("chain", CHAIN, (0, 1, 2, 5), "41"),
        ("full", FULL, (3, 4), None),
    ],
)
def test_the_batch_script_is_the_same(name, words, points, after):
    config = compose_config(["stage=sft", "model.path=x/y", "hardware.slurm.python=python", *words])
    array = Array(Path("/s/we ep"), "sft", config, points, 7, "/home/me", after)
    expected = (HERE / "batch_scripts" / f"{name}.sbatch").read_text() + JOB_END.read_text()
    assert batch_script(array) == expected.removesuffix("\n")
