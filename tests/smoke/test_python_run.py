"""`sgg.run`: the command line for notebooks."""

import json
import shlex
import subprocess
import sys

import pytest
from commands import environment

import sgg
from sgg.config.frozen import read_frozen
from sgg.errors import SggError
from sgg.runs.records import read_starts


@pytest.mark.slow
def test_a_run_from_python_is_the_command_lines(tmp_path):
    """In a process of its own, as a run logs to its folder from then on."""
    words = ["stage=eval", "data.eval.limit=4", "generate.max_new_tokens=40", "paths.root=my runs"]
    code = (
        f"import sgg; folder, metrics = sgg.run({words!r})\n"
        "import json, os; print(json.dumps([str(folder), metrics, os.environ.get('SGG_COMMAND')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    folder, metrics, command = json.loads(done.stdout.splitlines()[-1])
    run_dir = tmp_path / folder
    assert run_dir.parent == tmp_path / "my runs"
    assert metrics == json.loads((run_dir / "metrics.json").read_text())["metrics"]
    assert read_frozen(run_dir / "config.yaml").choices["stage"] == "eval"
    [start] = read_starts(run_dir)
    assert start.command == shlex.join(["sgg", *words])
    assert command is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stage=evla"], "Did you mean 'eval'?"),
        (["stage=eval", "seeed=1"], "seeed: no such"),
        (["stage=eval", "reward=balanced"], "reward=balanced would be ignored"),
        (["stage=sft", "seed=0,1"], "seed=0,1"),
        (["stage=sft", "hydra/launcher=slurm"], "sgg.run starts one run, here"),
    ],
)
def test_mistakes_are_told_as_on_the_command_line(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SggError) as raised:
        sgg.run(words)
    assert told in str(raised.value)
    assert not [*tmp_path.iterdir()]


def test_importing_sgg_loads_nothing():
    code = "import sys, sgg; print({'hydra', 'numpy', 'torch', 'dataclasses'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
