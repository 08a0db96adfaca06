"""Whether a folder may run: what this user has made or accepted does, anything else only with `trust=true`.

Run folders are passed around, and a frozen config says which programs run, in which environment. So
`sgg resume` looks for the user's signature (`sgg/runs/signature.py`) first, and tells what would run where
there is none; `sgg cancel` refuses. Jobs do not look: who submitted them has, and says so by an argument,
since a node need not have the home.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from launchers.disclosure import how_to_read, listing, of_run, of_sweep, shown
from launchers.kinds import frozen_config
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.runs.checkpoint import checkpoints
from sgg.runs.checkpoint_signature import (
    sign_checkpoint,
    unpickled_checkpoint,
    unsigned_checkpoint,
)
from sgg.runs.signature import LASTING_SECRET, is_signed_run, sign_run, signatures
from sgg.runs.sweep import SweepRecord

_SIGNATURES = 3
"""So many of the newest are named."""


def require_consent(
    runs: Sequence[Path],
    command: Sequence[str],
    trust: bool,
    sweep: tuple[Path, SweepRecord] | None = None,
) -> None:
    """Let only runs that this user has made or accepts be resumed; what is accepted is signed.

    Args:
        runs: folders of the runs that would be resumed.
        command: the command that resumes them, without trust=true.
        sweep: the folder and the record of the sweep that they are of.

    Raises:
        SggError: something is not the user's and `trust` is false; the message says what would run.

    """
    record = None if sweep is None or sweep[1].is_signed(sweep[0]) else sweep[1]
    strange = {run: why for run in runs if (why := _why_strange(run)) is not None}
    if not strange and record is None:
        return
    folder = next(iter(strange)) if sweep is None or record is None else sweep[0]
    refusal = _refusal(folder) if record is not None else strange[folder]
    configs = [_strangers_config(refusal, run) for run in strange]
    items = [] if record is None else list(of_sweep(folder, record))
    if sweep is None:
        items.append(("in", str(Path.cwd())))
    for run, config in zip(strange, configs, strict=True):
        items += of_run(run, config)
    told = listing(items)
    if trust:
        for run, config in zip(strange, configs, strict=True):
            _accept(run, config)
        if record is not None:
            record.sign(folder)
        head = f"{folder}: accepted as yours by trust=true. As you, and with your rights, it runs:"
        print("\n".join([head, *told]), flush=True)
        return
    raise SggError(
        f"{refusal}\n"
        + "\n".join(
            [
                "As you, and with your rights, it would run this; more of its config is listed, too:",
                *told,
                *how_to_read(items, command),
            ]
        )
        + f"\nAccept it, once and for all, by: {shlex.join([*command, 'trust=true'])}"
    )


def refuse_strange_sweep(sweep: Path, record: SweepRecord, command: Sequence[str]) -> None:
    """Raise SggError for a sweep whose processes and jobs may be anybody's."""
    if not record.is_signed_launch(sweep):
        why = _why(sweep)
        if record.is_signed(sweep):
            why = (
                "You have made or accepted it, so an earlier version of sgg started it, or it is a copy of "
                "the sweep that you started, or was moved, or its sweep.json was changed since."
            )
        raise SggError(
            f"{sweep}: you have not started this sweep as it stands there, so the processes and jobs that it "
            f"names may be unrelated ones of yours. {why}\nEnd those that are of this sweep by: "
            f"{shlex.join([*command, 'trust=true'])}"
        )


def _strangers_config(refusal: str, run_dir: Path) -> Config:
    """The config of a run; whose folder it is comes before what is wrong with it."""
    try:
        return frozen_config(run_dir)
    except SggError as error:
        raise SggError(f"{refusal}\n{error}") from error


def _refusal(folder: Path) -> str:
    return f"{folder}: you have neither made nor accepted it. {_why(folder)}"


def _why(folder: Path) -> str:
    """Why a folder is not this user's, as far as its signatures tell."""
    found = signatures(folder)
    if not found:
        return (
            "Nobody has signed it: it is of an earlier version of sgg, or was made where there was no place "
            "for a secret."
        )
    signers = dict.fromkeys(shown(f"user {n.user} on {n.host}, {n.time[:10]}") for n in found)
    return (
        f"It was signed by {'; '.join(list(signers)[-_SIGNATURES:])}. So it is of another user or home, was "
        f"changed since, or your secret (~/.config/sgg/secret) is another one now. {LASTING_SECRET}"
    )


def _why_strange(run_dir: Path) -> str | None:
    """Why a run is not this user's; None if it is."""
    try:
        if not is_signed_run(run_dir):
            return _refusal(run_dir)
    except FileNotFoundError:  # told where it is read
        return _refusal(run_dir)
    if not checkpoints(run_dir) or not (
        unsigned := unsigned_checkpoint(run_dir, frozen_config(run_dir))
    ):
        return None
    return (
        f"{run_dir}: you have made or accepted its config, but {unsigned.name} has no signature of yours. "
        "Was it written on a node with another home? Then let XDG_CONFIG_HOME name a folder that the nodes "
        "share with this machine, before you submit, and coming checkpoints need no trust=true. Else no run "
        "of yours has written it, or it was changed since."
    )


def _accept(run_dir: Path, config: Config) -> None:
    sign_run(run_dir)
    if (folder := unpickled_checkpoint(run_dir, config)) is not None:
        sign_checkpoint(folder)
