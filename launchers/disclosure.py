"""What a folder of somebody else would run, read, write and send, as lines for the person who decides."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sgg.config.derived import signs_requests
from sgg.config.schema import Config
from sgg.config.tracker import TrackerKind, trackers
from sgg.errors import counted
from sgg.runs.checkpoint import checkpoints
from sgg.runs.sweep import CODE, SweepRecord

Item = tuple[str, str]
"""What kind of thing it is, and which."""

_PICKLES = (".pt", ".pth", ".bin", ".pkl")
_MOST_LINES = 200
"""So many are read on a screen; of more, the few of a kind must not be lost among the many of another."""
_LINE = 100
"""Characters that count as a line."""


def listing(items: Iterable[Item]) -> list[str]:
    """A line for each, equal ones once, of which nothing is hidden.

    Of more than 200 the first says how many there are of each kind; then they are ordered by kind, that with
    the fewest last, where a screen ends.
    """
    distinct = list(dict.fromkeys(items))
    lines = {item: f"  {item[0]:<13} {shown(item[1])}" for item in distinct}
    if not _is_long(distinct):
        return list(lines.values())
    kinds = Counter(kind for kind, _ in distinct).most_common()
    total = ", ".join(f"{number:,} {kind}" for kind, number in kinds)
    return [
        f"  {len(distinct):,} in all: {total}",
        *(lines[item] for kind, _ in kinds for item in distinct if item[0] == kind),
    ]


def how_to_read(items: Iterable[Item], command: Sequence[str]) -> list[str]:
    """The line that says how to read a listing that no screen holds; none for another.

    Args:
        items: of the listing.
        command: the command that prints the listing, and runs nothing.

    """
    distinct = list(dict.fromkeys(items))
    if not _is_long(distinct):
        return []
    return [f"  Read all {len(distinct):,}, as by: {shlex.join(command)} 2>&1 | less"]


def _is_long(distinct: Sequence[Item]) -> bool:
    return sum(1 + len(value) // _LINE for _, value in distinct) > _MOST_LINES


def shown(value: str) -> str:
    """Text of which nothing is hidden: with a character that cannot be shown, as Python writes it."""
    return value if value.isprintable() else repr(value)


def of_sweep(sweep: Path, record: SweepRecord) -> Iterator[Item]:
    """What a sweep brings with it beside its runs."""
    count = sum(path.is_file() for path in (sweep / CODE).rglob("*"))
    yield "code", f"{sweep / CODE} ({counted(count, 'file')}), instead of the installed sgg"
    yield "in", record.cwd


def of_run(run_dir: Path, config: Config) -> Iterator[Item]:
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
    yield from _keys(config)
    revision = "" if config.model.revision is None else f", revision {config.model.revision}"
    yield "model", f"{config.model.path}{revision}"
    yield from _files(run_dir, config)
    if config.deepspeed is not None:
        yield "deepspeed", json.dumps(config.deepspeed)
    for folder in checkpoints(run_dir):
        pickles = sum(path.suffix in _PICKLES for path in folder.rglob("*"))
        if config.deepspeed is not None:
            how = "DeepSpeed unpickles its own without limits"
        else:
            how = "read by torch's restricted loader"
        if pickles or config.deepspeed is not None:
            yield "pickled state", f"{counted(pickles, 'file')} in {folder.name}; {how}"


def _keys(config: Config) -> Iterator[Item]:
    """Whom it talks to, and whether a key of yours goes there."""
    variable = config.generate.api_key_env
    for address in config.generate.servers:
        if signs_requests(config):
            yield "server", f"{address}; the key in {variable} is not sent to it"
        else:
            yield "server", f"{address}; the key in {variable} is SENT to it"
    if (hub := config.hardware.environment.get("HF_ENDPOINT")) is not None:
        yield "hub", f"your Hugging Face token is SENT to {hub}"
    for kind in trackers(config.tracker):
        yield "tracker", f"{kind.name}: {_place(kind, config)}"


def _place(kind: TrackerKind, config: Config) -> str:
    """Where a tracker writes or sends its numbers."""
    if kind is not TrackerKind.wandb:
        return "in the run folder"
    tracker = config.tracker
    whose = f"of {tracker.entity}" if tracker.entity else "of your key"
    elsewhere = config.hardware.environment.get("WANDB_BASE_URL")
    place = "" if elsewhere is None else f", which is SENT to {elsewhere}"
    model = "; the files of the final model are UPLOADED" if tracker.upload_model else ""
    return f"project {tracker.project} {whose}, with your key{place}{model}"


def _files(run_dir: Path, config: Config) -> Iterator[Item]:
    """What it reads data from and writes to."""
    data, unseen = config.data, config.protocol.zero_shot
    places = {
        "data.root": data.root,
        "data.image_folder": data.image_folder,
        "data.train.path": data.train.path,
        "data.eval.path": data.eval.path,
        "reward.embedding": config.reward.embedding,
        "protocol.zero_shot": None if unseen in ("source", "train") else unseen,
    }
    for key, place in places.items():
        if place:
            yield "reads", f"{place} ({key})"
    if data.outside:
        yield "reads", "image files ANYWHERE that the data names (data.outside=true)"
    yield "writes", str(run_dir)
    yield "writes", f"{config.paths.cache} (paths.cache)"
