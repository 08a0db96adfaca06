"""Facts about machines, as `conf/hardware/` states them. Nothing here is a hyper-parameter.

`launchers/process_plan.py` turns these pieces into processes, `launchers/slurm/script.py` into what
a job asks of Slurm.
"""

import os
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from pathlib import Path
from typing import Any

SERVERS_VARIABLE = "SGG_ROLLOUT_SERVERS"
"""Environment variable of the ranks: addresses of the rollout servers, comma-separated."""

SERVER_KEY_VARIABLE = "SGG_SERVER_KEY"
"""Environment variable of a vLLM server: the key that it asks of those who talk to it, and proves to have. Of
ranks: those of all rollout servers, in the order of their addresses, comma-separated."""

SERVER_ADDRESSES_VARIABLE = "SGG_SERVER_ADDRESSES"
"""Environment variable that a vLLM server sets: further HOST:PORT that lead to it, comma-separated."""


class Precision(Enum):
    """Precision of the computation."""

    fp32 = "fp32"
    bf16 = "bf16"


class RolloutMode(Enum):
    """Who generates GRPO's completions."""

    trainer = "trainer"
    """Each rank, by transformers' generate."""
    colocate = "colocate"
    """A vLLM engine inside each rank, on the rank's own GPU."""
    server = "server"
    """vLLM servers: on GPUs of their own, or where there are none, one on this machine's CPU."""


class GpuRequest(Enum):
    """How the cluster wants to be asked for GPUs."""

    gpus_per_node = "gpus_per_node"
    gres = "gres"
    none = "none"


@dataclass
class RolloutConfig:
    """Where GRPO's completions are generated."""

    mode: RolloutMode = RolloutMode.trainer
    gpus_per_node: int = 0
    """mode=server: GPUs of each training node that serve; they come on top of `processes_per_node`."""
    nodes: int = 0
    """mode=server: nodes that only serve; they come on top of `hardware.nodes`."""
    tensor_parallel: int = 1
    """GPUs that hold one copy of the model; of `sgg serve` too."""
    gpu_memory_utilization: float | None = None
    """Part of a GPU's memory that vLLM may take; null for 0.25 beside a trainer and 0.9 of a server's."""
    max_length: int = 4096
    """Longest prompt and completion together, tokens; of evaluation by vLLM and `sgg serve` too."""
    startup_timeout_s: int = 1200
    """How long a server may take until it responds, seconds."""
    wait_timeout_s: int = 600
    """Longest wait for one request, seconds; a push or a batch may take twice that for each server."""
    restarts: int = 1
    """How often a server that dies is started again; a training one gets its weights again."""
    max_logp_difference: float = 0.3
    """Largest mean difference between the log-probabilities that vLLM sampled by and the trainer's, nats;
    a step with more ends the run."""

    @property
    def share(self) -> float:
        """`gpu_memory_utilization` with its default."""
        if self.gpu_memory_utilization is not None:
            return self.gpu_memory_utilization
        return 0.25 if self.mode is RolloutMode.colocate else 0.9


@dataclass
class SlurmConfig:
    """What a job asks of Slurm; null leaves it to the cluster."""

    partition: str | None = None
    """sbatch's; null for the cluster's default."""
    account: str | None = None
    """sbatch's; null for the user's default."""
    qos: str | None = None
    """sbatch's quality of service."""
    constraint: str | None = None
    """sbatch's: features that the nodes must have."""
    exclude: str | None = None
    """Nodes to keep away from, as Slurm writes them."""
    time_min: int = 1440
    """Longest run, minutes; a run that needs more saves, is queued again and resumed."""
    signal_before_end_s: int = 300
    """How long before the end, or before a preemption, the job is asked to save, seconds."""
    gpu_request: GpuRequest = GpuRequest.gpus_per_node
    gpu_type: str | None = None
    """Name of the GPU in requests, such as h100."""
    cpus_per_node: int | None = None
    """CPU cores of each node; null leaves it to the cluster."""
    memory_gb: int | None = None
    """Memory of a node, GB; 0 for all of it."""
    exclusive: bool = False
    """No other job on the nodes."""
    setup: list[str] = field(default_factory=list)
    """Shell lines before the job starts, such as module load."""
    prefix: list[str] = field(default_factory=list)
    """Arguments before every process of a job, such as [apptainer, exec, --nv, image.sif]."""
    python: str | None = None
    """Interpreter of every process of a job: a path, or a name that setup or the container has on PATH; null
    for the one that submits."""
    sbatch: dict[str, Any] = field(default_factory=dict)
    """Further options of sbatch by their long names."""
    srun: list[str] = field(default_factory=list)
    """Further arguments of srun."""


@dataclass
class HardwareConfig:
    """Machines, processes and what fits onto them."""

    nodes: int = 1
    """Nodes that train."""
    processes_per_node: int = 1
    """Ranks on a training node: one for each GPU that trains, or CPU processes where there are none."""
    gpu: bool = False
    """Whether each rank has a GPU."""
    gpu_memory_gb: int | None = None
    """Of one GPU, GB; a training whose weights, gradients and optimiser states exceed it is refused."""
    precision: Precision = Precision.fp32
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    micro_batch_sft: int = 1
    """Largest SFT micro batch that fits."""
    micro_batch_grpo: int = 1
    """Largest GRPO micro batch that fits."""
    threads: int = 0
    """CPU threads of each rank; 0 for OMP_NUM_THREADS where it is set, else its share of the node's cores."""
    loader_workers: int = 0
    """Processes that load data for one rank."""
    tf32: bool = False
    """Allow TF32 in fp32 matrix products, on GPUs that have it."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of every process, such as NCCL's."""
    grace_s: int = 1800
    """How long processes may take to save and end after a signal before they are killed, seconds."""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    slurm: SlurmConfig = field(default_factory=SlurmConfig)

    @property
    def ranks(self) -> int:
        """Training processes on all nodes."""
        return self.nodes * self.processes_per_node


def gpus_here() -> int:
    """NVIDIA GPUs that a process of this machine sees, at least 1: a launcher says when there are none.

    Read from CUDA_VISIBLE_DEVICES or from the device files; asking torch would take seconds.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return max(1, len(list(Path("/dev").glob("nvidia[0-9]*"))))
    # as CUDA reads it, the list ends at the first entry that is no device
    named = takewhile(lambda name: name.strip() not in ("", "-1"), visible.split(","))
    return max(1, len(list(named)))
