"""A copy of the code for jobs that may start hours later: editing sgg's checkout does not change them.

Packages of reward terms that are installed or large are not copied.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import stat
import sysconfig
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from sgg.config.schema import Config
from sgg.config.tree import CONF_DIR, PACKAGE
from sgg.runs.code_state import REVISION, code_record

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")
PACKAGES = ("sgg", "launchers")
MAX_BYTES, MAX_FILES = 50 << 20, 2000
"""A larger package of a user's own is not copied: it holds more than code."""

log = logging.getLogger("sgg")


def take_snapshot(folder: Path, configs: Iterable[Config] = ()) -> None:
    """Copy sgg, launchers and conf to `folder`, with the record of where they come from.

    With them go the packages of reward terms that the configs import, unless these are installed, or exceed
    MAX_BYTES or MAX_FILES: then a warning says that runs read them in place.
    A folder that is there is left as it is: what was submitted once stays on its code.
    """
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}.partial")
    root = PACKAGE.parent
    for package in PACKAGES:
        shutil.copytree(root / package, partial / package, ignore=IGNORED)
    for source in _own_code(configs):
        if source.is_dir():
            shutil.copytree(
                source, partial / source.name, ignore=IGNORED, ignore_dangling_symlinks=True
            )
        else:
            shutil.copy2(source, partial)
    if CONF_DIR.parent == root:  # a checkout; a wheel has its conf inside sgg
        shutil.copytree(CONF_DIR, partial / "conf")
    for path in (partial, *partial.rglob("*")):  # an install that nobody may write to, but its copy
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    revision = partial / CONF_DIR.parent.relative_to(root) / REVISION
    revision.write_text(json.dumps(code_record()))
    partial.replace(folder)


def _own_code(configs: Iterable[Config]) -> list[Path]:
    """Files and folders of the top packages of `reward.terms.NAME.import_path`, but for installed ones."""
    terms = (term for config in configs for term in config.reward.terms.values())
    names = {term.import_path.split(".")[0].split(":")[0] for term in terms if term.import_path}
    places = (sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    installed = [Path(place).resolve() for place in places]
    found = []
    for name in sorted(names.difference(PACKAGES)):
        spec = find_spec(name)
        if spec is None:  # of a stage without rewards, which validation does not look at
            continue
        inside = list(spec.submodule_search_locations or ())
        source = Path(inside[0] if inside else str(spec.origin)).resolve()
        if any(source.is_relative_to(place) for place in installed):
            continue
        if source.is_dir() and _is_large(source):
            log.warning(
                "%s is larger than code is, so the sweep holds no copy of it: its runs read it where it is "
                "when they start. Keep reward terms in a folder of their own.",
                source,
            )
            continue
        found.append(source)
    return found


def _is_large(folder: Path) -> bool:
    size = 0
    for count, path in enumerate(folder.rglob("*")):
        size += path.stat().st_size if path.is_file() else 0
        if size > MAX_BYTES or count > MAX_FILES:
            return True
    return False


def code_environment(folder: Path) -> dict[str, str]:
    """Environment in which python runs the snapshot, whatever the current folder holds."""
    further = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": os.pathsep.join([str(folder), further] if further else [str(folder)]),
        "PYTHONSAFEPATH": "1",  # or `python -m` in a checkout would take its sgg
    }
