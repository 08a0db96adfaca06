"""Who this process is among its peers, and how they wait for each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch

from sgg.config.hardware import HardwareConfig
from sgg.errors import SggError

TIMEOUT = timedelta(hours=2)
"""Longest wait for a peer: preparing a data set is the slowest thing that one rank does alone."""

T = TypeVar("T")


def from_all(value: T) -> list[T]:
    """What each process has, by rank; all processes must ask."""
    if not torch.distributed.is_initialized():
        return [value]
    values: list[T | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def leave() -> None:
    """Close the process group, if there is one: NCCL complains of a process that ends without."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class Ranks:
    """This process's place. Made once per process by `start`."""

    rank: int
    world: int
    device: torch.device

    @staticmethod
    def start(hardware: HardwareConfig) -> Ranks:
        """Join the process group that the environment announces, if any; pick the device and threads.

        Raises:
            SggError: the profile wants GPUs that are not there.

        """
        rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        local = int(os.environ.get("LOCAL_RANK", 0))
        if hardware.threads:
            torch.set_num_threads(hardware.threads)
        if hardware.gpu:
            count = torch.cuda.device_count()
            if count <= local:
                raise SggError(
                    f"hardware.processes_per_node={hardware.processes_per_node} with "
                    f"hardware.gpu=true, but {count} GPUs are visible. Take hardware=cpu, fewer "
                    "processes, or a machine with GPUs."
                )
            torch.cuda.set_device(local)
        else:  # accelerate would say cpu:1, which torch.load knows no place for when a run is resumed
            os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
        device = torch.device("cuda", local) if hardware.gpu else torch.device("cpu")
        if world > 1 and not torch.distributed.is_initialized():
            # FSDP gathers the weights of a checkpoint in CPU memory, which NCCL does not know
            backend = "cuda:nccl,cpu:gloo" if hardware.gpu else "gloo"
            torch.distributed.init_process_group(backend, timeout=TIMEOUT)
        return Ranks(rank, world, device)

    @property
    def is_main(self) -> bool:
        """Whether this process writes what only one may write."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            torch.distributed.barrier()

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Rank 0 runs the block before the others do: they find its caches."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()

    def largest(self, number: int) -> int:
        """The largest number that any process has; all processes must ask."""
        if self.world == 1:
            return number
        value = torch.tensor([number], device=self.device)
        torch.distributed.all_reduce(value, op=torch.distributed.ReduceOp.MAX)
        return int(value.item())
