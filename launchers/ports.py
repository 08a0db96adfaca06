"""The ports on which a run's processes listen: each node finds its own, and writes them for the other nodes.

A node binds free ports and keeps them bound, without listening, until its processes have ended. The processes
bind the same ones, since both sides allow it (SO_REUSEADDR; vLLM: SO_REUSEPORT), while another job's search
passes over them. What a node has found is in a file of the run folder under the name of this start, so
the ports of an earlier start are never taken for it.
"""

from __future__ import annotations

import errno
import random
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from launchers.placement import NodePlacement
from sgg.errors import Failed
from sgg.files import make_output_folder, read_json, write_json
from sgg.runs.exit_status import ExitStatus

FOLDER = "ports"
"""In the run folder, while it starts and runs."""

MAIN = range(20000, 22000)
"""Where rank 0 listens: below the ports that the system gives to connections. `sgg/train/trl_args.py`
maps each to one for TRL's weight transfer."""
SERVERS = range(22000, 30000)

_POLL_S = 0.2
_REFRESH_S = 5.0
_LIMIT_S = 300.0
"""From the first node of a step to the last."""


@dataclass(frozen=True)
class NodePorts:
    """Ports of one node."""

    main: int | None
    """Where rank 0 listens for the other ranks; None on nodes that do not have it."""
    servers: tuple[int, ...] = ()
    """One for each rollout server of the node."""


@contextmanager
def held_ports(place: NodePlacement, servers: int) -> Iterator[NodePorts]:
    """Free ports of this node, which nobody else gets inside the block.

    Raises:
        Failed: there are none.

    """
    draw = random.Random(f"{place.attempt} {place.node}")
    sockets: list[socket.socket] = []
    try:
        mains = int(place.node == 0)
        for count, candidates in ((mains, MAIN), (servers, SERVERS)):
            sockets += _hold(count, draw.sample(candidates, len(candidates)))
        ports = [held.getsockname()[1] for held in sockets]
        yield NodePorts(ports[0] if mains else None, tuple(ports[mains:]))
    finally:
        for held in sockets:
            held.close()


def _hold(count: int, candidates: Sequence[int]) -> list[socket.socket]:
    """Bound sockets on the first of these ports that are free on every address of this machine."""
    held: list[socket.socket] = []
    for port in candidates:
        if len(held) == count:
            break
        own = socket.socket()
        try:
            own.bind(("", port))
        except OSError as error:
            own.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        # only now: while it looked for the port, a neighbour's that allows sharing counted as taken
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.append(own)
    if len(held) < count:
        for own in held:
            own.close()
        raise Failed(
            f"No free port on {socket.gethostname()} between {min(candidates)} and {max(candidates)}.",
            1,
        )
    return held


def exchanged_ports(
    run_dir: Path,
    place: NodePlacement,
    own: NodePorts,
    wanted: Iterable[int],
    ended: Callable[[], ExitStatus | None],
) -> dict[int, NodePorts] | ExitStatus:
    """Write this node's ports into the run folder, and wait for those of others.

    Args:
        wanted: nodes whose ports this one must know.
        ended: how the run has ended or been stopped meanwhile; None while it has not.

    Returns:
        Ports by node, this one's among them; or how the run ended first.

    Raises:
        Failed: a node has not written its ports in time.

    """
    known = {place.node: own}
    if len(place.hosts) > 1:
        make_output_folder(run_dir / FOLDER)
        write_json(_file(run_dir, place, place.node), asdict(own))
    start = refreshed = time.monotonic()
    while missing := {*wanted} - known.keys():
        if (ending := ended()) is not None:
            return ending
        known |= {node: ports for node in missing if (ports := _read(run_dir, place, node))}
        if time.monotonic() - start > _LIMIT_S:
            hosts = ", ".join(place.hosts[node] for node in sorted(missing))
            raise Failed(
                f"{hosts} did not tell {place.hosts[place.node]} its ports within {_LIMIT_S:g} s by a file "
                f"in {run_dir / FOLDER}. All nodes of a run must see its folder: set paths.sweep_dir to one "
                "that they share.",
                1,
            )
        if time.monotonic() - refreshed > _REFRESH_S:
            _refresh(run_dir / FOLDER, place)
            refreshed = time.monotonic()
        time.sleep(_POLL_S)
    return known


def forget_ports(run_dir: Path) -> None:
    """The run has ended: its ports are nobody's business any more."""
    shutil.rmtree(run_dir / FOLDER, ignore_errors=True)


def _read(run_dir: Path, place: NodePlacement, node: int) -> NodePorts | None:
    values = read_json(_file(run_dir, place, node))
    return None if values is None else NodePorts(values["main"], tuple(values["servers"]))


def _file(run_dir: Path, place: NodePlacement, node: int) -> Path:
    return run_dir / FOLDER / f"{place.attempt}.{node}.json"


def _refresh(folder: Path, place: NodePlacement) -> None:
    """Make a network file system look again: it keeps for up to a minute that a file was not there."""
    probe = folder / f"look.{place.node}"
    probe.touch()
    probe.unlink(missing_ok=True)
