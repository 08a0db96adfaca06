"""The keys of rollout servers: a start's own, the same on all its nodes, and in no file of the run."""

import pytest

from launchers.node.rollout_key import rollout_key, server_keys
from launchers.process_plan import make_plan
from sgg.config.compose import compose_config
from sgg.config.hardware import SERVER_KEY_VARIABLE, SERVERS_VARIABLE


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_a_key_is_a_starts_own(tmp_path):
    key = rollout_key(tmp_path, "7-0", "server0")
    assert rollout_key(tmp_path, "7-0", "server0") == key
    others = (tmp_path, "7-1", "server0"), (tmp_path / "other", "7-0", "server0")
    assert len({key, *(rollout_key(*other) for other in others)}) == 3
    assert len(key) == 64


def test_a_server_has_its_own_key_and_a_rank_has_all_in_the_order_of_addresses(tmp_path):
    plan = make_plan(compose_config(["stage=grpo", "hardware=rtx4090_zero3", "hardware.nodes=2"]))
    given = server_keys(plan, tmp_path, "7-0")
    assert set(given) == {process.name for process in plan.processes}
    keys = {s.address: given[s.name][SERVER_KEY_VARIABLE] for s in plan.servers}
    assert len(set(keys.values())) == 2
    for rank in (p for p in plan.processes if not p.is_server):
        addresses = rank.environment[SERVERS_VARIABLE].split(",")
        own = given[rank.name][SERVER_KEY_VARIABLE].split(",")
        assert dict(zip(addresses, own, strict=True)) == keys


def test_without_servers_there_is_no_key_and_no_secret(home, tmp_path):
    assert server_keys(make_plan(compose_config(["stage=grpo"])), tmp_path, "7-0") == {}
    assert not home.exists()
