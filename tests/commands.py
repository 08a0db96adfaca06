"""Running `sgg` the way people do, in a folder and with a cache of its own."""

import os
import subprocess
import sys


def command(*words):
    return [sys.executable, "-m", "sgg", *words]


def environment(folder, **more):
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1", **more}


def sgg(*words, cwd, timeout=600, **more):
    """The finished process."""
    return subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(cwd, **more),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def sgg_ok(*words, cwd, **more):
    """The finished process, which must have gone well."""
    done = sgg(*words, cwd=cwd, **more)
    assert done.returncode == 0, done.stderr[-4000:]
    return done
