"""Checksums of a run's weights and optimiser, written into each checkpoint and compared after resuming.

They are taken from the live model, when a checkpoint is saved and again when all loading is done. So it does
not matter which library saved what under which name: an adapter that was passed over, a base or a reference
that has changed since, and an optimiser that starts empty all show.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import is_peft_model
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from sgg.distributed import from_all
from sgg.errors import SggError
from sgg.files import write_json

log = logging.getLogger("sgg")

RECORD = "checksums.json"
"""In a checkpoint: {group: {part: checksum}}."""
Checksums = dict[str, dict[str, str]]
"""Group → its parts → checksum, hexadecimal. A part is a parameter; of the optimiser, a rank."""
MODEL, BASE, REFERENCE = "the model", "the base below the adapter", "the reference model"
OPTIMIZER = "the optimiser"

_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_CHUNK = 1 << 17
"""Elements that are summed at once: 1 MiB as 64-bit integers, which a core's cache holds."""


def checksum(tensor: torch.Tensor) -> int:
    """The sum of bits × (2 · index + 1) over all elements, modulo 2^64.

    Integers only, so that every device finds the same. A single element that changes always shows, and order
    counts; the dtype does, the shape does not.
    """
    flat = tensor.detach().contiguous().reshape(-1)
    bits = flat.view(_INTEGERS[flat.element_size()])
    factors = torch.arange(1, 2 * min(len(bits), _CHUNK) + 1, 2, device=bits.device)
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for start in range(0, len(bits), _CHUNK):
        chunk = bits[start : start + _CHUNK].to(torch.int64)
        total += (chunk * factors[: len(chunk)]).sum() + 2 * start * chunk.sum()
    return int(total) % (1 << 64)


def take(trainer: Any) -> Checksums:
    """The checksums of a trainer as it is now; all processes must ask."""
    found: Checksums = {}
    for name, weight in trainer.model.named_parameters():
        found.setdefault(_group(name, trainer.model), {})[name] = _of_whole(weight)
    reference = getattr(trainer, "ref_model", None)
    if reference is not None:
        found[REFERENCE] = {
            name: _of_whole(weight) for name, weight in reference.named_parameters()
        }
    states = from_all(_of_state(trainer.optimizer.state_dict()))
    found[OPTIMIZER] = {f"rank {rank}": state for rank, state in enumerate(states)}
    return found


def write(folder: Path, taken: Checksums) -> None:
    """Into a checkpoint, before its marker is written; one process writes."""
    write_json(folder / RECORD, taken)


class CheckLoaded(TrainerCallback):  # type: ignore[misc]
    """Before the first step of a resumed run: what was loaded must be what the checkpoint saved."""

    def __init__(self, trainer: Any, checkpoint: Path, start: str) -> None:
        """`start`: the run's `model.path`, where the base and the reference come from."""
        self._trainer = trainer
        self._checkpoint = checkpoint
        self._start = start

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """All loading is done by now.

        Raises:
            SggError: some group differs on some rank; all ranks raise it.

        """
        record = self._checkpoint / RECORD
        if not record.is_file():
            if state.is_world_process_zero:
                log.warning(
                    "%s was saved by a version that wrote no checksums: it is resumed from without the "
                    "check that what was loaded is what was saved",
                    self._checkpoint.name,
                )
            return
        saved: Checksums = json.loads(record.read_text(encoding="utf-8"))
        told: dict[str, str] = {}
        for of_rank in from_all(differences(saved, take(self._trainer))):
            told |= of_rank
        if told:
            raise SggError(self._message(told))

    def _message(self, told: dict[str, str]) -> str:
        lines = [f"{self._checkpoint}: what was loaded is not what was saved."]
        lines += [f"  {group}: {how}." for group, how in told.items()]
        if told.keys() & {BASE, REFERENCE}:
            lines.append(
                f"model.path={self._start} must hold what it held when the run began: put that back, or "
                "start a new run."
            )
        else:
            lines.append(
                "To train on would lose what was learnt. Remove this checkpoint to resume from the one "
                "before it, or start a new run."
            )
        return "\n".join(lines)


def differences(saved: Checksums, found: Checksums) -> dict[str, str]:
    """Group → how many of its parts differ, and which is the first; empty if all is as it was saved."""
    told = {}
    for group in sorted(saved.keys() | found.keys()):
        before, now = saved.get(group, {}), found.get(group, {})
        parts = before.keys() | now.keys()
        wrong = sorted(part for part in parts if before.get(part) != now.get(part))
        if wrong:
            told[group] = f"{len(wrong)} of {len(parts)} checksums differ, the first of {wrong[0]}"
    return told


def _group(name: str, model: Any) -> str:
    """Whose parameter it is; peft names an adapter's …lora_A.ADAPTER.weight."""
    if not is_peft_model(model):
        return MODEL
    for kind, adapter in pairwise(name.split(".")):
        if kind.startswith("lora_") and adapter in model.peft_config:
            return f"the adapter {adapter!r}"
    return BASE


def _of_whole(weight: Any) -> str:
    with _whole(weight) as tensor:
        return f"{checksum(tensor):016x}"


@contextmanager
def _whole(weight: Any) -> Iterator[torch.Tensor]:
    """A parameter, put together from all ranks where it lies in pieces."""
    if hasattr(weight, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters([weight]):
            yield weight.data
    else:
        yield weight.full_tensor() if isinstance(weight, DTensor) else weight.data


def _of_state(state: Mapping[str, Any]) -> str:
    """One checksum over what this rank holds of the optimiser, DeepSpeed's fp32 weights among it."""
    lines = "\n".join(_lines("", state))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _lines(place: str, value: Any) -> Iterator[str]:
    """One line per tensor, wherever it lies in a state; numbers beside them follow from config and step."""
    if isinstance(value, torch.Tensor):
        tensor = value.to_local() if isinstance(value, DTensor) else value
        yield f"{place} {checksum(tensor):016x}"
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _lines(f"{place}/{key}", value[key])
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _lines(f"{place}/{index}", item)
