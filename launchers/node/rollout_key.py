"""The keys that a run's ranks and rollout servers share: derived from the user's secret and never stored.

All nodes must have them without talking, and they may be in no config, log or run folder. Each server has
a key of its own: what one of them is sent opens no other.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from launchers.process_plan import Plan
from sgg.config.hardware import SERVER_KEY_VARIABLE, SERVERS_VARIABLE
from sgg.runs.users_secret import users_secret


def server_keys(plan: Plan, run_dir: Path, attempt: str) -> dict[str, dict[str, str]]:
    """Variables with keys, by process: a server has its own, a rank those of all servers.

    Raises:
        SggError: there is no place for the user's secret, or what is there is none.

    """
    if not plan.servers:
        return {}
    keys = {server.name: rollout_key(run_dir, attempt, server.name) for server in plan.servers}
    at = {server.address: keys[server.name] for server in plan.servers}
    for rank in (p for p in plan.processes if not p.is_server):
        addresses = rank.environment[SERVERS_VARIABLE].split(",")
        keys[rank.name] = ",".join(at[address] for address in addresses)
    return {name: {SERVER_KEY_VARIABLE: key} for name, key in keys.items()}


def rollout_key(run_dir: Path, attempt: str, server: str) -> str:
    """The key of a server in this start of a run; see `server_keys`."""
    said = f"{run_dir.resolve()} {attempt} {server}".encode()
    return hmac.new(users_secret("Rollout servers"), said, hashlib.sha256).hexdigest()
