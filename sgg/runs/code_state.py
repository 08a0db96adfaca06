"""Which code ran: the revision of a checkout of sgg, or what an install knows of where it comes from.

A revision is recorded only where git tracks the very files that run: an installed copy may lie in a folder of
any repository (an environment inside somebody's project), whose revision says nothing about it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from sgg.config.tree import CONF_DIR, PACKAGE
from sgg.errors import SggError

REVISION = "revision.json"
"""In a copy of the code that a launcher made: the record of the code that it was copied from."""

_ELSEWHERE = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
)
"""Variables by which a hook, say, makes git look at its own repository, whatever the folder."""

_LIMIT_S = 10.0
"""Longest wait for one response of git, which may be slow on a network's disk."""


class _Refused(SggError):
    """Git gives no result; the message is its own."""


def code_record() -> dict[str, Any]:
    """What provenance says about the code.

    `git`: revision, dirty (None where git could not say), changed files and, for a checkout that another
    repository holds, its path there; None outside a checkout. `code`: version, what pip recorded
    about the install (PEP 610), and why there is no revision.
    """
    copied = CONF_DIR.parent / REVISION
    if copied.is_file():
        record: dict[str, Any] = json.loads(copied.read_text())
        if record.keys() == {"git", "code"}:
            return record
    root = PACKAGE.resolve().parent
    try:
        state, reason = _checkout(root), None
    except _Refused as refused:
        state, reason = None, str(refused)
    return {"git": state, "code": {**_install(root), "no_revision": reason}}


def _checkout(root: Path) -> dict[str, Any]:
    if _project(root).get("name") != "sgg":
        raise _Refused("installed, not a checkout")
    # our own code is trusted with its own git configuration, whoever owns the folder
    own = ("-c", f"safe.directory={root}", "--no-optional-locks", "-C", str(root))
    try:
        _git(*own, "ls-files", "--error-unmatch", "--", "pyproject.toml", "sgg/__init__.py")
    except _Refused as refused:
        if "did not match any file" in str(refused):
            raise _Refused("git does not track this code") from refused
        raise
    state: dict[str, Any] = {"revision": _git(*own, "rev-parse", "--verify", "HEAD")}
    try:
        changed = _git(*own, "status", "--porcelain", "--", ".").splitlines()
        state |= {"dirty": bool(changed), "changed": changed[:20]}
    except _Refused:
        state |= {"dirty": None, "changed": []}
    path = _git(*own, "rev-parse", "--show-prefix").strip("/")
    return state | ({"path": path} if path else {})


def _git(*args: str) -> str:
    if shutil.which("git") is None:
        raise _Refused("git is not installed")
    environment = {k: v for k, v in os.environ.items() if k not in _ELSEWHERE} | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *args], capture_output=True, text=True, timeout=_LIMIT_S, env=environment
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _Refused(f"git: {error}") from error
    if done.returncode:
        raise _Refused((done.stderr.strip().splitlines() or ["git failed"])[0])
    return done.stdout.rstrip("\n")


def _install(root: Path) -> dict[str, Any]:
    """Version, and what the installer recorded; of the install that runs, not of another one of that name."""
    try:
        found = distribution("sgg")
    except PackageNotFoundError:
        found = None
    source = _source(found) if found is not None else None
    if found is not None and (_holds(found, root) or _points_to(source, root)):
        return {"version": found.version, "installed_from": source}
    return {"version": _project(root).get("version"), "installed_from": None}


def _holds(found: Distribution, root: Path) -> bool:
    package = Path(str(found.locate_file("sgg")))
    return package.is_dir() and package.resolve() == root / "sgg"


def _points_to(source: dict[str, Any] | None, root: Path) -> bool:
    """Whether it is an editable install of this checkout."""
    if source is None or not source.get("dir_info", {}).get("editable"):
        return False
    return Path(unquote(urlsplit(source["url"]).path)).resolve() == root


def _source(found: Distribution) -> dict[str, Any] | None:
    """direct_url.json: a folder, an archive or a repository with its commit; without a login in the URL."""
    text = found.read_text("direct_url.json")
    if text is None:
        return None
    source: dict[str, Any] = json.loads(text)
    parts = urlsplit(source["url"])
    source["url"] = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return source


def _project(root: Path) -> dict[str, Any]:
    """The [project] table of the checkout; empty where there is none."""
    try:
        table: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table.get("project", {})
