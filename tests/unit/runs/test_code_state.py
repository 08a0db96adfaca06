"""What provenance says about the code: a revision only of a checkout of sgg, never of what is around it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ASK = "import json; from sgg.runs.code_state import code_record; print(json.dumps(code_record()))"


def git(folder, *words):
    me = ("-c", "user.name=somebody", "-c", "user.email=some@body")
    done = subprocess.run(
        ["git", *me, "-C", str(folder), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(folder):
    """A repository with one commit; its revision."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    (folder / "theirs.txt").write_text("theirs")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "theirs")
    return git(folder, "rev-parse", "HEAD")


def installed(folder):
    """The package as a wheel lays it down: conf inside, no project file beside it."""
    ours = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sgg", folder / "sgg", ignore=ours)
    shutil.copytree(ROOT / "conf", folder / "sgg" / "conf")
    info = folder / "sgg-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sgg\nVersion: 9.9\n")
    return info


def checkout(folder):
    """The files of a checkout that matter here, committed nowhere yet."""
    ours = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sgg", folder / "sgg", ignore=ours)
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def committed(folder):
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "ours")
    return git(folder, "rev-parse", "HEAD")


def record(path, **environment):
    """What the code below `path` says about itself."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "PYTHONPATH": str(path), "PYTHONSAFEPATH": "1", **environment},
        cwd=path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("state", ["untracked", "ignored", "tracked"])
def test_an_install_inside_somebodys_repository_has_no_revision(tmp_path, state):
    theirs = repository(tmp_path / "project")
    packages = tmp_path / "project" / ".venv" / "lib" / "site-packages"
    info = installed(packages)
    source = {"url": "https://me:secret@host/sgg.git", "vcs_info": {"commit_id": "c" * 40}}
    (info / "direct_url.json").write_text(json.dumps(source))
    if state == "ignored":
        (tmp_path / "project" / ".gitignore").write_text(".venv\n")
    elif state == "tracked":
        git(tmp_path / "project", "add", "-f", ".")
        git(tmp_path / "project", "commit", "--quiet", "-m", "the environment, too")
        theirs = git(tmp_path / "project", "rev-parse", "HEAD")
    told = record(packages)
    assert theirs not in json.dumps(told)
    assert told["git"] is None
    assert told["code"] == {
        "version": "9.9",
        "installed_from": {**source, "url": "https://host/sgg.git"},
        "no_revision": "installed, not a checkout",
    }


def test_a_checkout_has_its_revision_and_what_has_changed(tmp_path):
    folder = checkout(tmp_path / "ours")
    revision = committed(folder)
    assert record(folder)["git"] == {"revision": revision, "dirty": False, "changed": []}
    (folder / "sgg" / "scene" / "vocab.py").write_text("changed = True\n")
    assert record(folder)["git"] == {
        "revision": revision,
        "dirty": True,
        "changed": [" M sgg/scene/vocab.py"],
    }


def test_a_checkout_reached_by_a_link_has_its_own_revision(tmp_path):
    revision = committed(checkout(tmp_path / "ours"))
    repository(tmp_path / "project")
    (tmp_path / "project" / "linked").symlink_to(tmp_path / "ours")
    assert record(tmp_path / "project" / "linked")["git"]["revision"] == revision


def test_a_submodule_has_its_own_revision(tmp_path):
    revision = committed(checkout(tmp_path / "ours"))
    theirs = repository(tmp_path / "project")
    allowed = ("-c", "protocol.file.allow=always")
    git(tmp_path / "project", *allowed, "submodule", "add", str(tmp_path / "ours"), "third/sgg")
    told = record(tmp_path / "project" / "third" / "sgg")["git"]
    assert told["revision"] == revision != theirs
    assert "path" not in told


def test_a_checkout_that_lies_untracked_in_another_repository_has_none(tmp_path):
    theirs = repository(tmp_path / "project")
    told = record(checkout(tmp_path / "project" / "sgg-main"))
    assert theirs not in json.dumps(told)
    assert told["code"]["no_revision"] == "git does not track this code"
    assert told["code"]["version"] == "0.1.0"


def test_a_checkout_that_another_repository_tracks_says_where(tmp_path):
    """Its revision does say which code ran; changes elsewhere in that repository do not count."""
    repository(tmp_path / "project")
    folder = checkout(tmp_path / "project" / "third" / "sgg")
    git(tmp_path / "project", "add", ".")
    git(tmp_path / "project", "commit", "--quiet", "-m", "vendored")
    (tmp_path / "project" / "theirs.txt").write_text("changed")
    assert record(folder)["git"] == {
        "revision": git(tmp_path / "project", "rev-parse", "HEAD"),
        "dirty": False,
        "changed": [],
        "path": "third/sgg",
    }


def test_a_hooks_variables_lead_nowhere_else(tmp_path):
    revision = committed(checkout(tmp_path / "ours"))
    theirs = repository(tmp_path / "project")
    hook = {
        "GIT_DIR": str(tmp_path / "project" / ".git"),
        "GIT_WORK_TREE": str(tmp_path / "project"),
        "GIT_INDEX_FILE": str(tmp_path / "project" / ".git" / "index"),
    }
    assert record(tmp_path / "ours", **hook)["git"]["revision"] == revision != theirs


def test_without_git_the_reason_is_there(tmp_path):
    committed(checkout(tmp_path / "ours"))
    told = record(tmp_path / "ours", PATH="/nowhere")
    assert told["git"] is None
    assert told["code"]["no_revision"] == "git is not installed"


def test_a_download_without_a_repository_says_so(tmp_path):
    told = record(checkout(tmp_path / "ours"), GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert told["git"] is None
    assert "not a git repository" in told["code"]["no_revision"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_checkout_of_another_owner_has_its_revision(tmp_path):
    """Git refuses such folders unless told that they are trusted; code that runs is."""
    revision = committed(checkout(tmp_path / "ours"))
    for path in (tmp_path / "ours", *(tmp_path / "ours").rglob("*")):
        os.chown(path, 12345, 12345)
    assert record(tmp_path / "ours")["git"]["revision"] == revision


def test_a_copy_for_jobs_says_what_it_was_copied_from(tmp_path):
    folder = checkout(tmp_path / "ours")
    shutil.copytree(ROOT / "launchers", folder / "launchers")
    revision = committed(folder)
    repository(tmp_path / "project")
    copy = tmp_path / "project" / "sweep" / "code"
    copy.parent.mkdir()
    script = (
        "from pathlib import Path; from launchers.sweep.code_snapshot import take_snapshot; "
        f"take_snapshot(Path({str(copy)!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, check=True)
    assert record(copy) == record(folder)
    assert record(copy)["git"]["revision"] == revision
