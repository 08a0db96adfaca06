"""`stage.args` against TRL's config classes, whose fields are read from source without an import.

Importing TRL takes seconds and torch; a typo in `stage.args` must be told before a job is queued,
on a login node. So the classes' annotations are read from the installed files' syntax trees.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sgg.errors import nearest

OWNED_ARGS = {
    "output_dir": "paths.run_dir",
    "seed": "seed",
    "data_seed": "seed",
    "report_to": "tracker",
    "run_name": "paths.run_dir",
    "per_device_train_batch_size": "stage.micro_batch",
    "gradient_accumulation_steps": "stage.global_batch or stage.prompts_per_step",
    "generation_batch_size": "stage.prompts_per_step",
    "steps_per_generation": "stage.prompts_per_step",
    "bf16": "hardware.precision",
    "fp16": "hardware.precision",
    "tf32": "hardware.tf32",
    "use_cpu": "hardware.gpu",
    "deepspeed": "deepspeed",
    "fsdp": "fsdp",
    "fsdp_config": "fsdp",
    "gradient_checkpointing": "hardware.gradient_checkpointing",
    "dataloader_num_workers": "hardware.loader_workers",
    "reward_weights": "reward.terms.NAME.weight",
    "remove_unused_columns": "nothing: sgg builds the columns itself",
    "resume_from_checkpoint": "resume",
    "save_total_limit": "stage.keep_checkpoints",
    "hub_token": "the environment variable HF_TOKEN (secrets have no place in a config)",
    "disable_tqdm": "nothing: sgg draws its own progress bar",
    "trust_remote_code": "nothing: remote code is never run",
    "model_init_kwargs": "model",
    "completion_only_loss": "nothing: the loss is on the answer alone",
    "assistant_only_loss": "nothing: the loss is on the answer alone",
}
"""Fields of TRL that follow from other keys, and the key to set instead."""

_Check = Callable[[float], bool]
_RANGES: dict[str, tuple[_Check, str]] = {
    "learning_rate": (lambda v: v > 0, "above 0"),
    "num_train_epochs": (lambda v: v > 0, "above 0"),
    "max_steps": (lambda v: v == -1 or v > 0, "above 0, or -1 for whole epochs"),
    "warmup_steps": (lambda v: v >= 0, "0 or more (below 1: a share of all steps)"),
    "max_grad_norm": (lambda v: v >= 0, "0 or more"),
    "weight_decay": (lambda v: v >= 0, "0 or more"),
    "num_generations": (lambda v: v >= 2, "2 or more: advantages compare answers of one group"),
    "num_iterations": (lambda v: v >= 1, "1 or more"),
    "max_completion_length": (lambda v: v >= 1, "1 or more"),
    "temperature": (lambda v: v > 0, "above 0"),
    "top_p": (lambda v: 0 < v <= 1, "above 0 and at most 1"),
    "top_k": (lambda v: v >= 0, "0 (no limit) or more"),
    "beta": (lambda v: v >= 0, "0 or more"),
    "epsilon": (lambda v: v > 0, "above 0"),
    "save_steps": (lambda v: v > 0, "above 0"),
    "logging_steps": (lambda v: v > 0, "above 0"),
}

_CLASSES = {
    "sft": ("trl", "trainer/sft_config.py", "SFTConfig"),
    "grpo": ("trl", "trainer/grpo_config.py", "GRPOConfig"),
}
_BASES = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
)


@lru_cache(maxsize=4)
def trl_fields(stage: str) -> dict[str, str]:
    """Field name -> annotation as written, for `sft` (SFTConfig) or `grpo` (GRPOConfig).

    Raises:
        ModuleNotFoundError: TRL or transformers is not installed.

    """
    found: dict[str, str] = {}
    for package, file, name in (*_BASES, _CLASSES[stage]):
        found |= _annotations(_folder(package) / file, name)
    return found


def problems_with(stage: str, args: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with `stage.args`, in words: unknown, owned by another key, type, range."""
    known = trl_fields(stage)
    for name, value in args.items():
        key = f"stage.args.{name}"
        if name not in known:
            yield f"{key}: TRL's {stage.upper()} config has no such field.{nearest(name, known)}"
        elif name in OWNED_ARGS:
            yield f"{key}: follows from other keys; set {OWNED_ARGS[name]} instead."
        elif not _fits(value, known[name]):
            yield f"{key}={value!r}: must be {known[name]}."
        elif name in _RANGES and isinstance(value, (int, float)) and not _RANGES[name][0](value):
            yield f"{key}={value}: must be {_RANGES[name][1]}."


def _fits(value: Any, annotation: str) -> bool:
    """Whether a plain value can be what the annotation says; unknown types are TRL's to judge."""
    words = set(re.findall(r"\w+", annotation))
    if value is None:
        return "None" in words
    if not words <= {"int", "float", "bool", "str", "None"}:
        return True
    if isinstance(value, bool):
        return "bool" in words
    if isinstance(value, int):
        return bool(words & {"int", "float"})
    if isinstance(value, float):
        return "float" in words
    return isinstance(value, str) and "str" in words


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed; run `make setup`")
    return Path(spec.origin).parent


def _annotations(path: Path, class_name: str) -> dict[str, str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == class_name)
    return {
        item.target.id: ast.unparse(item.annotation)
        for item in body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        if not ast.unparse(item.annotation).startswith(("ClassVar", "InitVar"))
    }
