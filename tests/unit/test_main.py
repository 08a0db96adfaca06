"""When garbage is collected: from the start of a run or sweep, not for what Hydra prints."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0, file=sys.stderr))
from sgg.main import main
main()
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--cfg", "job"], "False True"),
        (["no_such_key=1"], "False True"),
        (["stage=sft", "dry_run=true"], "True False"),
        (["-m", "stage=sft", "seed=0,1", "dry_run=true"], "True False"),
    ],
)
def test_garbage_is_collected_in_runs_and_sweeps_alone(tmp_path, words, expected):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == expected
