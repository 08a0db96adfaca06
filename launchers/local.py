"""Runs a frozen config on this machine: in this process where one is enough, else supervised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from launchers.node.agent import raise_for_status, run_node
from launchers.node.signals import listening, preceded
from launchers.placement import NodePlacement
from launchers.process_plan import make_plan
from sgg.config.schema import Config
from sgg.runs.exit_status import exit_status_of, forget_exit_status
from sgg.runs.lease import Lease, release_all


def launch(frozen: Path, config: Config, run_stage: Callable[[Path], None]) -> None:
    """Run a frozen config to its end; `run_stage` is what one rank does.

    Raises:
        SggError: the profile wants more than this machine has, or a process failed.
        Stopped: a signal ended the run.

    """
    alone = len(make_plan(config).processes) == 1 and not config.hardware.gpu
    if alone and not config.hardware.environment:  # which only a process of its own can have
        forget_exit_status(frozen.parent)
        try:
            run_stage(frozen)
        except Exception as error:
            exit_status_of(error).write(frozen.parent)
            raise
        return
    # a GPU run has a process of its own even when alone: it sees one GPU, and frees it when it ends
    with listening() as received:
        ending = run_node(frozen, NodePlacement.single(), received)
    raise_for_status(ending)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """The folder of a run or a sweep is this process's inside the block, and free when that ends, however.

    Raises:
        SggError: another process owns it.

    """
    with Lease(folder), preceded(release_all):
        yield
