"""Whether a folder may run: what this user has made or accepted does, anything else only with `trust=true`.

Run folders are passed around, and a frozen config says which programs run, in which environment. So
`sgg resume` and `sgg cancel` look for the user's signature (`sgg/runs/signature.py`) first, and tell what
would run where there is none. Jobs do not look: who submitted them has, and says so by an argument,
since a node need not have the home.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from launchers.kinds import frozen_config
from sgg.config.schema import Config
from sgg.errors import SggError, counted
from sgg.runs.checkpoint import checkpoints
from sgg.runs.signature import is_signed_run, sign_run
from sgg.runs.sweep import CODE, SweepRecord, read_sweep

_WHY = (
    "It comes from another user or another home, was made by an earlier version of sgg, was changed by hand, "
    "or your secret (~/.config/sgg/secret) is another one now."
)
_PICKLES = (".pt", ".pth", ".bin", ".pkl")


def require_consent(
    runs: Sequence[Path], command: Sequence[str], trust: bool, sweep: Path | None = None
) -> None:
    """Let only runs that this user has made or accepts be resumed; what is accepted is signed.

    Args:
        runs: folders of the runs that would be resumed.
        command: the command that resumes them, without trust=true.
        sweep: the folder of the sweep that they are of.

    Raises:
        SggError: something is not the user's and `trust` is false; the message says what would run.

    """
    record = None if sweep is None else read_sweep(sweep)
    strange = [run for run in runs if not _is_ours(run)]
    configs = [frozen_config(run) for run in strange]
    if sweep is not None and record is not None and record.is_signed(sweep):
        sweep = None
    if not strange and sweep is None:
        return
    if trust:
        for run in strange:
            sign_run(run)
        if sweep is not None and record is not None:
            record.sign(sweep)
        print(f"{sweep or strange[0]}: accepted as yours by trust=true.", flush=True)
        return
    lines = [f"{sweep or strange[0]}: you have neither made nor accepted it. {_WHY}"]
    lines.append("As you, and with your rights, it would run:")
    if sweep is not None and record is not None:
        lines += _told(_of_sweep(sweep, record))
    lines += _told(
        dict.fromkeys(
            item for run, c in zip(strange, configs, strict=True) for item in _of_run(run, c)
        )
    )
    lines.append(f"Accept it, once and for all, by: {shlex.join([*command, 'trust=true'])}")
    raise SggError("\n".join(lines))


def refuse_strange_sweep(sweep: Path, record: SweepRecord, command: Sequence[str]) -> None:
    """Raise SggError for a sweep whose processes and jobs may be anybody's."""
    if not record.is_signed(sweep):
        raise SggError(
            f"{sweep}: you have neither made nor accepted this sweep, so the processes and jobs that it "
            f"names may be others of yours. {_WHY}\nEnd those that are of this sweep by: "
            f"{shlex.join([*command, 'trust=true'])}"
        )


def _is_ours(run_dir: Path) -> bool:
    try:
        return is_signed_run(run_dir)
    except FileNotFoundError:  # told where it is read
        return False


def _told(items: Iterable[tuple[str, str]]) -> list[str]:
    """A line each, of which nothing is hidden: what is no character to show is told as Python writes it."""
    return [f"  {name:<13} {v if v.isprintable() else repr(v)}" for name, v in items]


def _of_sweep(sweep: Path, record: SweepRecord) -> Iterator[tuple[str, str]]:
    count = sum(path.is_file() for path in (sweep / CODE).rglob("*"))
    yield "code", f"{sweep / CODE} ({counted(count, 'file')}), instead of the installed sgg"
    yield "in", record.cwd


def _of_run(run_dir: Path, config: Config) -> Iterator[tuple[str, str]]:
    """What a frozen config has run, name by name."""
    hardware, slurm = config.hardware, config.hardware.slurm
    yield "command", f"{slurm.python or 'python'} -m launchers.node RUN_DIR/config.yaml"
    for name, value in hardware.environment.items():
        yield "environment", f"{name}={shlex.quote(value)}"
    for line in slurm.setup:
        yield "setup", line
    for key, words in (("prefix", slurm.prefix), ("srun", slurm.srun)):
        if words:
            yield key, shlex.join(map(str, words))
    for option, value in slurm.sbatch.items():
        yield "sbatch", f"--{option}={value}"
    for name, term in config.reward.terms.items():
        if term.import_path:
            yield "import", f"{term.import_path} (reward.terms.{name})"
    for address in config.generate.servers:
        yield "server", f"{address}, with the key in {config.generate.api_key_env}"
    yield "model", config.model.path
    for folder in checkpoints(run_dir)[-1:]:
        pickles = sum(path.suffix in _PICKLES for path in folder.rglob("*"))
        if pickles:
            how = (
                "DeepSpeed unpickles its own without limits"
                if config.deepspeed
                else "read by torch"
            )
            yield "pickled state", f"{counted(pickles, 'file')} in {folder.name}; {how}"
