"""The key of rollout servers: a start's own, the same on all its nodes, and in no file of the run."""

from launchers.node.rollout_key import rollout_key


def test_a_key_is_a_starts_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    key = rollout_key(tmp_path, "7-0")
    assert rollout_key(tmp_path, "7-0") == key
    assert len({key, rollout_key(tmp_path, "7-1"), rollout_key(tmp_path / "other", "7-0")}) == 3
    assert len(key) == 64
