"""The commands of examples/*/README.md, as a shell runs them in a checkout."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from commands import environment

from sgg.config.tree import PACKAGE

ROOT = PACKAGE.parent
SAID = {
    "own_data": ["| images    | 3    | 3    |", "Nothing is wrong"],
    "own_reward": ["few", "no_json"],
    "own_cluster": ["--partition=gpu", "--account=my-account", "4 ranks"],
}
SLOW = "stage=sft"


def commands(name):
    """(environment, words) of each `sgg` in the README's blocks."""
    text = (ROOT / "examples" / name / "README.md").read_text()
    exported = {}
    for block in re.findall(r"```bash\n(.*?)```", text, re.S):
        for line in block.splitlines():
            first, *words = shlex.split(line)
            if first == "export":
                key, _, value = words[0].partition("=")
                exported[key] = value
            else:
                assert first == "sgg", line
                yield dict(exported), words


def run(tmp_path, variables, words):
    paths = {**variables, "PYTHONPATH": f"{ROOT}{os.pathsep}{variables.get('PYTHONPATH', '')}"}
    written = [] if words[0] in ("prepare", "reward") else [f"paths.root={tmp_path}/runs"]
    return subprocess.run(
        [sys.executable, "-m", "sgg", *words, *written],
        cwd=ROOT,
        env={**environment(tmp_path), **paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


EVERY = [(n, v, w) for n in sorted(SAID) for v, w in commands(n)]


@pytest.mark.parametrize(
    ("name", "variables", "words"),
    [pytest.param(*c, marks=pytest.mark.slow if SLOW in c[2] else ()) for c in EVERY],
    ids=[f"{n}-{w[0]}" for n, _, w in EVERY],
)
def test_the_commands_of_an_example_do_what_it_says(tmp_path, name, variables, words):
    done = run(tmp_path, variables, words)
    assert done.returncode == 0, done.stderr[-3000:]
    for said in () if SLOW in words else SAID[name]:
        assert said in done.stdout, (said, done.stdout)


def test_every_example_is_tried():
    assert {p.name for p in (ROOT / "examples").iterdir() if p.is_dir()} == {*SAID}
    assert {n for n, _, _ in EVERY} == {*SAID}
