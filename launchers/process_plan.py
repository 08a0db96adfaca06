"""Config -> the processes of a run: which node, which GPUs, what command, what environment.

Input: a typed config, the hosts and their ports. Output: a `Plan` that `launchers/node/agent.py`
starts and `sgg … dry_run=true` prints. Training nodes come first, then nodes that only serve.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launchers.ports import NodePorts
from sgg.config.derived import gpus_per_node, node_count, serves
from sgg.config.hardware import SERVERS_VARIABLE, SlurmConfig
from sgg.config.schema import Config
from sgg.config.stage import TrainStageConfig
from sgg.errors import counted
from sgg.plan.validate import batch_plan

_PLACEHOLDERS: Mapping[int, NodePorts] = defaultdict(
    lambda: NodePorts(29500, tuple(range(8000, 8064)))
)

HEALTH_PATH = "/health"
"""What a rollout server responds to with 200 once it can generate."""


def interpreter(slurm: SlurmConfig) -> str:
    """The Python that a job runs: the profile's, or the one that submits."""
    return slurm.python or sys.executable


@dataclass(frozen=True)
class Process:
    """One process: a training rank or a rollout server."""

    name: str
    """`rank3` or `server0`; also the name of its log."""
    node: int
    command: tuple[str, ...]
    gpus: tuple[int, ...] = ()
    """The node's GPUs that it computes on."""
    visible_gpus: tuple[int, ...] = ()
    """GPUs that it may see: a rank sees those of its node's other ranks, and picks by LOCAL_RANK."""
    environment: dict[str, str] = field(default_factory=dict)
    address: str | None = None
    """Of a server: `http://host:port`."""
    restarts: int = 0
    """How often it is started again when it dies."""

    @property
    def is_server(self) -> bool:
        """Whether it serves for as long as the ranks train."""
        return self.address is not None


@dataclass(frozen=True)
class Plan:
    """All processes of a run."""

    hosts: tuple[str, ...]
    """Host of each node."""
    processes: tuple[Process, ...]
    notes: tuple[str, ...] = ()
    """What else a reader of the plan wants to know."""

    def on(self, node: int) -> list[Process]:
        """The processes of one node."""
        return [p for p in self.processes if p.node == node]

    @property
    def servers(self) -> list[Process]:
        """The rollout servers of all nodes."""
        return [p for p in self.processes if p.is_server]

    def describe(self) -> str:
        """What `dry_run=true` prints: nodes, processes, GPUs, and each command with its environment."""
        ranks = [p for p in self.processes if not p.is_server]
        lines = [f"{counted(len(self.hosts), 'node')}, {counted(len(ranks), 'rank')}"]
        if self.servers:
            lines[0] += f", {counted(len(self.servers), 'rollout server')}"
        shared = _shared_environment(ranks)
        for node, host in enumerate(self.hosts):
            lines.append(f"node {node} ({host})")
            for process in self.on(node):
                words = _assignments(process.environment, leave_out=shared)
                if process.is_server:
                    words += process.command
                where = f"GPU {_ranges(process.gpus)}" if process.gpus else "CPU"
                lines.append(f"  {process.name:<8} {where:<8} {' '.join(words)}")
        lines.append(f"every rank: {' '.join([*_assignments(shared), *ranks[0].command])}")
        return "\n".join([*lines, *self.notes])


def servers_on(config: Config) -> Counter[int]:
    """How many rollout servers each node has, for the nodes that have any."""
    return Counter(node for node, _, _ in _copies(config))


def make_plan(
    config: Config,
    frozen: Path = Path("RUN_DIR/config.yaml"),
    hosts: Sequence[str] | None = None,
    ports: Mapping[int, NodePorts] | None = None,
    python: str = sys.executable,
    cores: int | None = None,
) -> Plan:
    """The processes of a run.

    Args:
        frozen: the frozen config, which every process reads.
        hosts: name of each node; None for placeholders.
        ports: of node 0 and of each node with rollout servers; None for placeholders.
        python: interpreter of the processes.
        cores: of a node, shared out over its ranks as OpenMP threads; None leaves it to the environment.

    """
    count = node_count(config)
    names = tuple(hosts) if hosts is not None else tuple(f"node{i}" for i in range(count))
    assert len(names) == count
    own = _PLACEHOLDERS if ports is None else ports
    servers = [
        _server(
            config, frozen, python, number, node, gpus, f"{names[node]}:{own[node].servers[place]}"
        )
        for number, (node, place, gpus) in enumerate(_copies(config))
    ]
    addresses = ",".join(s.address for s in servers if s.address)
    ranks = [
        _rank(config, frozen, python, node, local, names[0], own[0].main or 0, addresses, cores)
        for node in range(config.hardware.nodes)
        for local in range(config.hardware.processes_per_node)
    ]
    processes = sorted([*ranks, *servers], key=lambda p: p.node)
    return Plan(names, tuple(processes), tuple(_notes(config)))


def _notes(config: Config) -> Iterator[str]:
    if isinstance(config.stage, TrainStageConfig):
        batch = batch_plan(config)
        yield (
            f"batch: {batch.global_batch} samples a step = {batch.processes} ranks × "
            f"{batch.micro_batch} in a micro batch × {batch.accumulation} accumulated"
        )


def _copies(config: Config) -> list[tuple[int, int, tuple[int, ...]]]:
    """Rollout servers, one for each copy of the model: node, place among those of its node, GPUs."""
    if not serves(config):
        return []
    hardware, rollout = config.hardware, config.hardware.rollout
    if not hardware.gpu:
        return [(0, 0, ())]
    beside_ranks = range(hardware.nodes) if rollout.gpus_per_node else range(0)
    found = []
    for node in [*beside_ranks, *range(hardware.nodes, node_count(config))]:
        first = hardware.processes_per_node if node < hardware.nodes else 0
        gpus = range(first, gpus_per_node(config))
        each = rollout.tensor_parallel
        parts = [tuple(gpus[i : i + each]) for i in range(0, len(gpus), each)]
        found += [(node, place, part) for place, part in enumerate(parts)]
    return found


def _rank(
    config: Config,
    frozen: Path,
    python: str,
    node: int,
    local: int,
    main: str,
    port: int,
    servers: str,
    cores: int | None,
) -> Process:
    """A training process, in the environment that torchrun would give it."""
    hardware = config.hardware
    rank = node * hardware.processes_per_node + local
    numbers = {
        "RANK": rank,
        "LOCAL_RANK": local,
        "WORLD_SIZE": hardware.ranks,
        "LOCAL_WORLD_SIZE": hardware.processes_per_node,
        "MASTER_PORT": port,
    }
    # by default each rank would take all cores: optimisers in CPU memory feel it most
    threads = hardware.threads or max(1, (cores or 0) // hardware.processes_per_node)
    own = {"OMP_NUM_THREADS": str(threads)} if hardware.threads or cores else {}
    environment = {**own, **hardware.environment, **{k: str(v) for k, v in numbers.items()}}
    environment["MASTER_ADDR"] = main
    if servers:
        environment[SERVERS_VARIABLE] = servers
        environment["VLLM_HOST_IP"] = main  # where servers fetch weights: not the outermost address
    return Process(
        name=f"rank{rank}",
        node=node,
        command=(python, "-m", "launchers.rank", str(frozen)),
        gpus=(local,) if hardware.gpu else (),
        visible_gpus=tuple(range(hardware.processes_per_node)) if hardware.gpu else (),
        environment=environment,
    )


def _server(
    config: Config,
    frozen: Path,
    python: str,
    number: int,
    node: int,
    gpus: tuple[int, ...],
    place: str,
) -> Process:
    """A rollout server: on GPUs of a training node that the ranks leave, or of a node that only serves."""
    hardware, name = config.hardware, f"server{number}"
    return Process(
        name=name,
        node=node,
        command=(python, "-m", "sgg.rollout.server", str(frozen), name, place),
        gpus=gpus,
        visible_gpus=gpus,
        environment=dict(hardware.environment),
        address=f"http://{place}",
        restarts=hardware.rollout.restarts,
    )


def _shared_environment(processes: Sequence[Process]) -> dict[str, str]:
    """Variables that all have with the same value."""
    first, *others = (p.environment for p in processes)
    return {k: v for k, v in first.items() if all(o.get(k) == v for o in others)}


def _assignments(environment: dict[str, str], leave_out: Container[str] = ()) -> list[str]:
    return [f"{k}={shlex.quote(v)}" for k, v in environment.items() if k not in leave_out]


def _ranges(numbers: Sequence[int]) -> str:
    """`0-3` for consecutive numbers; a plan gives no others."""
    first, last = numbers[0], numbers[-1]
    return f"{first}-{last}" if last > first else str(first)
