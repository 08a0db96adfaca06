"""Where a model's files are: a tiny base of the package, a folder, a run, or the hub.

Output: one local folder, so that every rank loads the same files and no rank asks the hub. Only
configs, tokenizers and safetensors are ever fetched: no pickles, no code. Looks, does not load.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from importlib.resources import files
from math import prod
from pathlib import Path

from msgspec import Struct

from sgg.config.frozen import FROZEN_NAME
from sgg.errors import SggError
from sgg.files import read_record
from sgg.runs.checkpoint import is_marked_complete, newest_complete, problem_with
from sgg.runs.folder import BEST, METRICS, MODEL_FOLDER
from sgg.runs.start_checkpoint import best_checkpoint, names_best

PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.jinja"]
_OF_THE_HUB = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME")
"""Variables that say where the hub's files are and whether it is asked begin with one of these."""


TRAINED = "trained.json"
"""In a final model: the run that has trained it, and its steps."""


class _Trained(Struct):
    """trained.json."""

    steps: int


class _Index(Struct):
    """model.safetensors.index.json."""

    weight_map: dict[str, str]


class _Adapter(Struct):
    """adapter_config.json of an adapter."""

    base_model_name_or_path: str


def locate(path: str, revision: str | None = None, fetch: bool = True) -> Path:
    """The local folder of `model.path`.

    A name without a slash that the package ships is a tiny base; a run folder stands for its final
    model, or for its newest complete checkpoint, and RUN_DIR/best for its best one; anything else with one
    slash is a hub id.

    Raises:
        SggError: the weights are missing; the message says what to do.

    """
    shipped = Path(str(files("sgg"))) / "assets" / path
    if "/" not in path and (shipped / "config.json").is_file():
        return shipped
    local = Path(path).expanduser()
    if names_best(local):
        return _in_folder(best_checkpoint(local.parent, path), path)
    if local.is_dir():
        return _in_folder(local, path)
    if local.name.startswith("checkpoint-") and (local.parent / FROZEN_NAME).is_file():
        raise SggError(
            f"model.path={path}: {local.name} is no longer in {local.parent}: a training keeps its newest "
            "stage.keep_checkpoints and its best one. A run that has begun with it cannot be resumed; start "
            f"another one with model.path={local.parent}, or with {local.parent / BEST} for its best."
        )
    if path.count("/") != 1 or path.startswith((".", "~", "/")):
        raise SggError(
            f"model.path={path}: no such folder. Give a folder with config.json and safetensors, a run "
            "folder, or a hub id such as Qwen/Qwen2.5-VL-7B-Instruct."
        )
    return _from_hub(path, revision, fetch)


def look_as_runs_do(environment: Mapping[str, str]) -> None:
    """Have this process look for weights and data of the hub where a run with this environment will.

    The hub's libraries read these variables once, when they are imported.

    Raises:
        SggError: they were imported for a run with others.

    """
    hub = {k: v for k, v in environment.items() if k.startswith(_OF_THE_HUB)}
    differing = [k for k, v in hub.items() if os.environ.get(k) != v]
    if differing and "huggingface_hub" in sys.modules:
        raise SggError(
            f"hardware.environment.{differing[0]}={hub[differing[0]]}: another point has looked for weights "
            f"with {os.environ.get(differing[0]) or 'none'}. Start a sweep of its own for each value."
        )
    os.environ.update(hub)


def trained_steps(folder: Path) -> int:
    """Optimiser steps behind the weights in a run's checkpoint or final model; 0 for other folders."""
    name, _, steps = folder.name.rpartition("-")
    if name == "checkpoint" and steps.isdecimal():
        return int(steps)
    record = read_record(folder / TRAINED, _Trained)
    return 0 if record is None else record.steps


def is_complete(run_dir: Path) -> bool:
    """Whether a run has left what it was for: its final model, whole, or its metrics."""
    return is_marked_complete(run_dir / MODEL_FOLDER) or (run_dir / METRICS).is_file()


def _in_folder(local: Path, path: str) -> Path:
    if (local / MODEL_FOLDER / "config.json").is_file() or (
        local / MODEL_FOLDER / "adapter_config.json"
    ).is_file():
        local = local / MODEL_FOLDER
    elif (newest := newest_complete(local)) is not None:
        local = newest
    if not any((local / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise SggError(
            f"model.path={path}: no model there (no config.json, no {MODEL_FOLDER}/, no whole "
            "checkpoint). A run that was stopped before its first checkpoint has none."
        )
    problem = problem_with(local) or _safetensors_problem(local)
    if problem is not None:
        raise SggError(
            f"model.path={path}: the checkpoint is damaged: {problem}. Copy it again, or take an "
            "earlier one (model.path=RUN_DIR/checkpoint-N)."
        )
    return local


def _safetensors_problem(folder: Path) -> str | None:
    """What is wrong with the weight files: missing, or not as long as their header says."""
    weights = _weight_files(folder)
    if not weights:
        return "no .safetensors file (pickled weights are not read)"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:  # a hub's download is links to files elsewhere
            found = read_record(index.resolve(), _Index)
        except SggError as error:
            return str(error)
        if found is None:
            return f"{index.name} is no JSON"
        wanted = set(found.weight_map.values())
        missing = sorted(wanted - {file.name for file in weights})
        if missing:
            return f"{', '.join(missing)} missing"
    elif any("-of-" in file.name for file in weights):
        return f"{index.name} missing"
    for file in weights:
        try:
            if not _shapes(file):
                return f"{file.name} holds no weights"
        except SggError as error:
            return str(error)
    return None


def _weight_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.safetensors") if file.is_file())


def matrices(folder: Path) -> list[str]:
    """Names of the modules whose weight is a matrix, as the files' headers have them; nothing is loaded."""
    files = _weight_files(folder)
    return [
        name.removesuffix(".weight")
        for file in files
        for name, shape in _shapes(file).items()
        if name.endswith(".weight") and len(shape) == 2
    ]


def adapter_base(folder: Path, fetch: bool = True) -> Path | None:
    """What the adapter in the folder sits on, itself an adapter perhaps; None for full weights."""
    adapter = folder / "adapter_config.json"
    if not adapter.is_file():
        return None
    found = read_record(adapter.resolve(), _Adapter)
    if found is None:
        raise SggError(f"{adapter} is no JSON. Copy the folder again.")
    return locate(found.base_model_name_or_path, fetch=fetch)


def parameters(folder: Path) -> int:
    """Numbers in a model's weights, an adapter's and those below it alike; nothing is loaded or fetched.

    Raises:
        SggError: the weights below an adapter are not here, or a file is damaged.

    """
    files = _weight_files(folder)
    own = sum(prod(shape) for file in files for shape in _shapes(file).values())
    base = adapter_base(folder, fetch=False)
    return own if base is None else own + parameters(base)


def _shapes(file: Path) -> dict[str, list[int]]:
    """Shapes of the tensors in a safetensors file, by name; only its header is read.

    Raises:
        SggError: it is cut short, padded, or of another format.

    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as tensors:
            return {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise SggError(f"{file.name} is no whole safetensors file ({error})") from error


def _from_hub(path: str, revision: str | None, fetch: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(
                path, revision=revision, allow_patterns=PATTERNS, local_files_only=not fetch
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SggError(
            f"model.path={path}: not found here ({Path(path).resolve()} is no folder), and the hub could not "
            f"be asked or has no such repository ({reason}). "
            f"On a machine with internet run `{_download(path)}`, or give a folder: model.path=DIR."
        ) from error
    problem = _safetensors_problem(folder)
    if problem is not None:
        raise SggError(
            f"model.path={path}: the download in {folder} is not whole: {problem}. "
            f"Run `{_download(path)}` again."
        )
    return folder


def _download(path: str) -> str:
    """The command that fetches a model to where runs look for it."""
    home = os.environ.get("HF_HOME")
    return f"{f'HF_HOME={shlex.quote(home)} ' if home else ''}hf download {path}"
