"""A copy of the code for jobs that start hours later: an edit of the checkout changes no run."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

from sgg.code_state import REVISION, code_record
from sgg.places import CONF_DIR

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def take_snapshot(folder: Path) -> None:
    """Copy sgg, launchers and conf to `folder`, with the record of where they come from.

    A folder that is there is left as it is: what was submitted once stays on its code.
    """
    if folder.is_dir():
        return
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    root = Path(__file__).parent.parent
    for package in ("sgg", "launchers"):
        shutil.copytree(root / package, partial / package, ignore=IGNORED)
    if CONF_DIR.parent == root:  # a checkout; a wheel has its conf inside sgg
        shutil.copytree(CONF_DIR, partial / "conf")
    for path in (partial, *partial.rglob("*")):  # an install that nobody may write to, but its copy
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    revision = partial / CONF_DIR.parent.relative_to(root) / REVISION
    revision.write_text(json.dumps(code_record()))
    partial.replace(folder)


def code_environment(folder: Path) -> dict[str, str]:
    """Environment in which python runs the snapshot, whatever the current folder holds."""
    further = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": os.pathsep.join([str(folder), further] if further else [str(folder)]),
        "PYTHONSAFEPATH": "1",  # or `python -m` in a checkout would take its sgg
    }
