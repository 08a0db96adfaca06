"""The key of rollout servers: a start's own, the same on all its nodes, and in no file of the run."""

import asyncio
import stat
import subprocess
import sys

import pytest

from launchers.node.rollout_key import rollout_key
from sgg.config.hardware import ROLLOUT_KEY_VARIABLE
from sgg.errors import SggError
from sgg.rollout.auth import ApiKeyMiddleware


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "sgg"


def test_a_key_is_a_starts_own(home, tmp_path):
    key = rollout_key(tmp_path, "7-0")
    assert rollout_key(tmp_path, "7-0") == key
    assert len({key, rollout_key(tmp_path, "7-1"), rollout_key(tmp_path / "other", "7-0")}) == 3
    assert len(key) == 64


def test_the_secret_is_its_owners_alone(home, tmp_path):
    rollout_key(tmp_path, "7-0")
    (secret,) = home.iterdir()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.stat().st_size == 32


def test_nodes_that_start_together_agree(home, tmp_path):
    code = "from pathlib import Path; from launchers.node.rollout_key import rollout_key as key"
    code += "; print(key(Path(), 7))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


def test_no_place_for_a_secret_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(SggError, match="XDG_CONFIG_HOME"):
        rollout_key(tmp_path, "7-0")


@pytest.mark.parametrize(
    ("path", "shown", "status"),
    [
        ("/health", None, 200),
        ("/v1/models", None, 401),
        ("/v1/models", b"Bearer other", 401),
        ("/v1/models", b"Bearer key", 200),
        ("/collective_rpc", b"key", 401),
        ("/collective_rpc", b"Bearer key", 200),
        ("/health/../collective_rpc", None, 401),
    ],
)
def test_the_door_opens_to_the_key(monkeypatch, path, shown, status):
    monkeypatch.setenv(ROLLOUT_KEY_VARIABLE, "key")
    said = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def send(message):
        said.append(message)

    headers = [] if shown is None else [(b"authorization", shown)]
    for kind in ("http", "websocket"):
        scope = {"type": kind, "path": path, "headers": headers}
        asyncio.run(ApiKeyMiddleware(app)(scope, None, send))
        assert said[0].get("status", 401) == status
        said.clear()
