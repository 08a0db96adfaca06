"""The form of a batch script: bash runs it, and what was quoted arrives as it was."""

import os
import subprocess

from launchers.slurm.sbatch import script_text


def test_options_are_sorted_and_quoted():
    options = {"requeue": True, "output": "/a b/%A.out", "nodes": 2, "comment": "it's"}
    text = script_text(options, [], [], "true", [])
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert directives == [
        "#SBATCH --comment='it'\"'\"'s'",
        "#SBATCH --nodes=2",
        "#SBATCH --output='/a b/%A.out'",
        "#SBATCH --requeue",
    ]


def test_the_step_runs_after_setup_and_teardown_sees_its_exit_code(tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 7\n')
    srun.chmod(0o755)
    text = script_text(
        {}, ["PLACE='a b'"], ["--output", "c d"], 'python "$PLACE/x"', ["code=$?", "echo $code"]
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", text], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["--unbuffered", "--output", "c d", "python", "a b/x", "7"]
