"""Starts the processes of one node, watches them, and ends them all when one part ends.

Knows processes and files, no graphs and no trainers. Ranks are started with torchrun's environment, but by
this process itself: so it has each one's exit status, signals reach them at once, and every rank's output
are in a log of its own. Every wait has a limit but the one for healthy ranks to end.
"""

from __future__ import annotations

import logging
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launchers.node.child import LOGS, Child
from launchers.node.signals import SIGNALS
from launchers.placement import NodePlacement
from launchers.ports import forget_ports
from launchers.process_plan import HEALTH_PATH, Plan, Process
from sgg.runs.exit_status import ExitStatus, State, forget_exit_status, read_exit_status
from sgg.runs.folder import served_folder
from sgg.runs.sweep import resume_command

log = logging.getLogger("sgg")

_POLL_S = 0.1
_STOPPED_CODES = {128 + number for number in SIGNALS}
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Limits:
    """Longest waits, seconds."""

    server_start_s: float
    grace_s: float
    """From a signal to the end of the ranks: a step and a checkpoint."""
    kill_s: float = 10.0
    """From SIGTERM to SIGKILL for what has nothing left to save."""


class Supervisor:
    """One node's share of a run."""

    def __init__(
        self,
        plan: Plan,
        place: NodePlacement,
        run_dir: Path,
        limits: Limits,
        received: list[int],
        secrets: Mapping[str, Mapping[str, str]],
    ) -> None:
        """`secrets`: by process, variables that it gets and nobody writes down."""
        self._secrets = secrets
        self._plan, self._place, self._run_dir, self._limits = plan, place, run_dir, limits
        self._received = received
        self._ranks: list[Child] = []
        self._servers: list[Child] = []

    def run(self) -> ExitStatus:
        """Start everything, and stay until all of it has ended; how it ended."""
        if self._place.node == 0:
            forget_exit_status(self._run_dir, self._place.attempt)
        ours = self._plan.on(self._place.node)
        try:
            for process in ours:
                if process.is_server:
                    self._servers.append(self._started(process, False))
            ranks = [p for p in ours if not p.is_server]
            ending = self._await_servers() if ranks else None
            if ending is None:
                for process in ranks:
                    shown = process.name == "rank0"
                    self._ranks.append(self._started(process, shown))
                ending = self._watch()
        finally:
            self._end()
        if self._place.node == 0 or ending.state is not State.finished:
            ending.write(self._run_dir)
        return ending

    def _started(self, process: Process, shown: bool) -> Child:
        return Child(process, self._run_dir, shown, self._secrets.get(process.name, {}))

    def _await_servers(self) -> ExitStatus | None:
        """Until every node's servers respond; an ending if that never happens."""
        deadline = time.monotonic() + self._limits.server_start_s
        silent = [s.address for s in self._plan.servers if s.address is not None]
        while silent:
            ending = self._interrupted() or self._dead_server()
            if ending is not None:
                return ending
            if time.monotonic() > deadline:
                return self._failed(
                    f"No response from {', '.join(silent)} within "
                    f"hardware.rollout.startup_timeout_s={self._limits.server_start_s:g}. "
                    f"Look into {self._run_dir / LOGS}/server*.log."
                )
            silent = [address for address in silent if not _healthy(address)]
            time.sleep(_POLL_S)
        return None

    def _watch(self) -> ExitStatus:
        """Until the ranks have ended, or something makes them."""
        while True:
            ending = self._interrupted() or self._dead_rank() or self._dead_server()
            if ending is not None:
                return ending
            if self._ranks and all(rank.code == 0 for rank in self._ranks):
                return self._ending(State.finished, 0, "all steps done")
            time.sleep(_POLL_S)

    def _interrupted(self) -> ExitStatus | None:
        """A signal came, or another node has ended."""
        if self._received:
            return self._stop(self._received[0])
        elsewhere = read_exit_status(self._run_dir)
        if elsewhere is None or elsewhere.attempt != self._place.attempt:
            return None
        if elsewhere.state is State.finished:
            return None if self._ranks else elsewhere
        if elsewhere.state is State.stopped:
            return self._stop(elsewhere.code - 128)
        return elsewhere

    def _dead_rank(self) -> ExitStatus | None:
        for rank in self._ranks:
            code = rank.code
            if code in _STOPPED_CODES:  # the ranks agreed to stop on a signal that one of them got
                return self._stop(code - 128)
            if code is not None and -code in SIGNALS:
                return self._stop(-code)  # Slurm signals ranks, too, also while they load
            if code:
                return self._failed(_crash_report(rank, self._place), code if code > 0 else 1)
        return None

    def _dead_server(self) -> ExitStatus | None:
        """A server started again has the first weights; the ranks see that, and push theirs."""
        for server in self._servers:
            if server.code is None:
                continue
            if server.starts > server.process.restarts:
                return self._failed(_crash_report(server, self._place))
            log.warning("%s Starting it again.", _crash_report(server, self._place))
            server.kill()  # what it started may have outlived it
            server.start()
        return None

    def _stop(self, number: int) -> ExitStatus:
        """Let the ranks save and end; a second signal, or the limit, ends the wait."""
        if self._received:  # else the ranks have agreed to stop, and are on the way out
            for rank in self._ranks:
                rank.send(number)
        deadline = time.monotonic() + self._limits.grace_s
        while any(rank.code is None for rank in self._ranks):
            if time.monotonic() > deadline or len(self._received) > 1:
                break
            time.sleep(_POLL_S)
        codes = [rank.code for rank in self._ranks]
        if self._ranks and all(code == 0 for code in codes):
            return self._ending(State.finished, 0, "all steps done")
        for rank in self._ranks:
            if rank.code == 2:
                return self._failed(_crash_report(rank, self._place), 2)
        name = signal.Signals(number).name
        saved = "after saving" if set(codes) <= {0, *_STOPPED_CODES} else "before it could save"
        reason = f"Stopped by {name}, {saved}. Resume with: {resume_command(self._run_dir)}"
        return self._ending(State.stopped, 128 + number, reason)

    def _end(self) -> None:
        """Ask ranks, wait, kill; servers have nothing to save. Nothing of this node's is left."""
        for rank in self._ranks:
            rank.send(signal.SIGTERM)
        deadline = time.monotonic() + self._limits.kill_s
        while time.monotonic() < deadline and any(rank.code is None for rank in self._ranks):
            time.sleep(_POLL_S)
        for child in self._ranks + self._servers:
            child.kill()
        if self._place.node == 0:
            forget_ports(self._run_dir)
        for server in self._servers:
            shutil.rmtree(served_folder(self._run_dir, server.process.name), ignore_errors=True)

    def _failed(self, reason: str, code: int = 1) -> ExitStatus:
        return self._ending(State.failed, code, reason)

    def _ending(self, state: State, code: int, reason: str) -> ExitStatus:
        place = self._place
        return ExitStatus(
            state, code, reason, place.attempt, place.slurm_job, place.hosts[place.node]
        )


def _crash_report(child: Child, place: NodePlacement) -> str:
    """The error; who fell, where, how, and its last lines."""
    code = child.code
    assert code is not None
    if code == 2 and (message := child.message()):  # a user's mistake, which names its way out
        return message
    how = f"ended with exit code {code}"
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            how += " (by hand, or for lack of memory)"
    head = [f"{child.process.name} on node {place.node} ({place.hosts[place.node]}) {how}."]
    if error := child.error():
        head.insert(0, error)
    elif last := child.last_line():
        head.append(f"It last said: {last}")
    return "\n".join([*head, f"Its last lines, from {child.log}:", child.last_lines(), ""])


def _healthy(address: str) -> bool:
    try:
        with _NO_PROXY.open(address + HEALTH_PATH, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
