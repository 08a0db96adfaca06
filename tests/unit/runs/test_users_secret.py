"""The user's secret: made once, its owner's alone, and refused where it keeps nothing secret."""

import errno
import os
import pwd
import stat
import subprocess
import sys

import pytest

from sgg.errors import SggError
from sgg.files import write_first
from sgg.runs import users_secret as users_secret_module
from sgg.runs.users_secret import users_secret


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """Where the secret will be."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "sgg" / "secret"


def test_it_is_its_owners_alone(secret):
    assert users_secret("Tests") == users_secret("Tests") == secret.read_bytes()
    assert [path.name for path in secret.parent.iterdir()] == ["secret"]
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.stat().st_size == 32


def test_processes_that_start_together_agree(secret):
    code = "from sgg.runs.users_secret import users_secret; print(users_secret('Tests').hex())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert {process.communicate(timeout=60)[0] for process in started} == {
        f"{secret.read_bytes().hex()}\n"
    }


def test_no_place_for_a_secret_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(SggError, match=r"Tests need a secret.*XDG_CONFIG_HOME"):
        users_secret("Tests")


@pytest.mark.parametrize("rights", [0o602, 0o620, 0o644, 0o666])
def test_what_others_may_read_or_write_is_no_secret(secret, rights):
    users_secret("Tests")
    secret.chmod(rights)
    with pytest.raises(SggError, match=f"rights are {rights:o} instead of 600.*rm "):
        users_secret("Tests")


def test_a_user_without_a_home_is_told(monkeypatch):
    """A container with a user number of its own; it was a traceback."""

    def nobody(number):
        raise KeyError(number)

    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(
        SggError, match=r"Tests need a secret, and this user has no home\. Let XDG_"
    ):
        users_secret("Tests")


def test_a_disk_without_hard_links_holds_a_secret(secret, monkeypatch):
    def refuse(*names):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert users_secret("Tests") == users_secret("Tests") == secret.read_bytes()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert not write_first(secret, b"another")
    assert [path.name for path in secret.parent.iterdir()] == ["secret"]


def test_a_disk_without_rights_is_told_each_time(secret, monkeypatch):
    """The file that was just made was refused, with the advice to remove it."""
    write = users_secret_module.write_first

    def without_rights(path, content, permissions):
        is_new = write(path, content, permissions)
        path.chmod(0o660)
        return is_new

    monkeypatch.setattr(users_secret_module, "write_first", without_rights)
    for _ in range(2):
        with pytest.raises(SggError, match=r"the disk keeps no rights\. Let XDG_CONFIG_HOME"):
            users_secret("Tests")


def test_an_empty_file_is_no_secret(secret):
    users_secret("Tests")
    os.truncate(secret, 0)
    with pytest.raises(SggError, match="0 bytes of 32"):
        users_secret("Tests")


def test_a_link_and_a_pipe_are_no_secret(secret, tmp_path):
    secret.parent.mkdir(parents=True)
    (tmp_path / "known").write_bytes(b"0" * 32)
    secret.symlink_to(tmp_path / "known")
    with pytest.raises(SggError, match=r"symbolic links.*Put a regular file there\.$"):
        users_secret("Tests")
    secret.unlink()
    os.mkfifo(secret, 0o600)
    with pytest.raises(SggError, match="no regular file"):
        users_secret("Tests")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_another_users_file_is_no_secret(secret):
    users_secret("Tests")
    os.chown(secret, 12345, -1)
    with pytest.raises(SggError, match="belongs to user 12345"):
        users_secret("Tests")
