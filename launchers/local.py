"""A run on this machine: `prepared` makes its frozen folder from a config, `execute` runs that to its end.

One process is enough for some runs, and is then this one; else the node's supervisor starts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launchers.consent import require_consent
from launchers.kinds import checked_config
from launchers.node.agent import (
    check_machine,
    raise_for_status,
    report_failure_logged,
    run_node,
)
from launchers.node.signals import listening, preceded
from launchers.placement import NodePlacement
from launchers.process_plan import make_plan
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.config.schema import Config
from sgg.explain.run import explained
from sgg.plan.opening import opening
from sgg.plan.presence import Preflight
from sgg.plan.unread import refuse_unread
from sgg.plan.use import Use
from sgg.plan.validate import validate
from sgg.report.page import AT_END, write_report
from sgg.runs.exit_status import exit_status_of, forget_exit_status
from sgg.runs.folder import make_folder
from sgg.runs.lease import Lease, release_all
from sgg.runs.open_run import open_run
from sgg.runs.progress import progress
from sgg.runs.sweep import resume_command
from sgg.stages import run_stage


@contextmanager
def prepared(config: Config, overrides: Sequence[str]) -> Iterator[Path]:
    """The folder of a run that can start: its config checked and frozen in it, and ours inside the block.

    Args:
        overrides: those that made the config; each has to be read by something.

    Raises:
        SggError: the config cannot run here, or something that it starts from is missing: then no folder
            is made; or the folder is another run's.

    """
    refuse_unread(overrides, [Use(config)])
    validate(config)
    Preflight().check(config)
    check_machine(config, NodePlacement.single())
    run_dir = make_folder(config)
    with held(run_dir):
        open_run(config)
        yield run_dir


def resume_run(run_dir: Path, trust: bool) -> None:
    """Resume a run from its newest complete checkpoint, by its frozen config only.

    Args:
        trust: whether the user accepts a run that is not theirs.

    Raises:
        SggError: it is not the user's, this machine is not enough for it, another process owns its folder,
            or it failed.
        Stopped: a signal ended it.

    """
    require_consent([run_dir], ["sgg", "resume", str(run_dir)], trust)
    check_machine(checked_config(run_dir), NodePlacement.single())
    with held(run_dir):
        execute(run_dir)


def describe(config: Config) -> None:
    """What a run would be: model, data and steps, and the processes that it takes; for dry_run=true."""
    print(opening(config))
    print(make_plan(config).describe())


def execute(run_dir: Path) -> None:
    """Run what a folder that is ours holds to its end, write its report and print the last numbers.

    Raises:
        SggError: the run failed.
        Stopped: a signal ended it.

    """
    launch(run_dir / FROZEN_NAME, read_frozen(run_dir / FROZEN_NAME), run_stage)
    with report_failure_logged(run_dir):
        write_report([run_dir], images=AT_END)
    done, numbers, _ = progress(run_dir)
    print(f"{run_dir}: {done}  {numbers}".rstrip())


@contextmanager
def held(run_dir: Path) -> Iterator[None]:
    """This process owns a run folder inside the block; of a full disk or GPU the error says what to do.

    Raises:
        SggError: another process owns it.

    """
    with explained([run_dir], resume_command(run_dir)), owned(run_dir):
        yield


def launch(frozen: Path, config: Config, run_stage: Callable[[Path], None]) -> None:
    """Run a frozen config that the user has made or accepted to its end.

    Args:
        frozen: its file.
        config: what that holds.
        run_stage: what one rank does.

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
        ending = run_node(frozen, NodePlacement.single(), received, accepted=True)
    raise_for_status(ending)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """The folder of a run or a sweep is this process's inside the block, and free when that ends, however.

    Raises:
        SggError: another process owns it.

    """
    with Lease(folder), preceded(release_all):
        yield
