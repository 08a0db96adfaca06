"""Who generates GRPO's completions: from the config to TRL's trainer with our rollouts in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from sgg.config.hardware import SERVER_KEY_VARIABLE, SERVERS_VARIABLE, RolloutMode
from sgg.config.schema import Config
from sgg.inference.generate import end_ids
from sgg.inference.requests import stop_and_forbidden
from sgg.models.open import Use, open_model, weights_dtype
from sgg.models.spec import completion_grammar
from sgg.runs.folder import SERVED


@contextmanager
def rollouts(
    config: Config, run_dir: Path, model: Any, processor: Any, step: Callable[[], int]
) -> Iterator[None]:
    """A GRPOTrainer that is made inside generates as `hardware.rollout` says.

    Args:
        step: gives the optimiser step that completions are drawn for.

    """
    mode = config.hardware.rollout.mode
    if mode is RolloutMode.trainer:
        yield
        return
    from sgg.rollout.install import install_rollouts

    state, served = PartialState(), run_dir / SERVED
    if mode is RolloutMode.colocate:
        if state.is_main_process:
            start = Path(model.config._name_or_path)
            open_model(config, Use.rollout, start).write_for_vllm(served)
        state.wait_for_everyone()
    sampling = stop_and_forbidden(ends(model, processor), processor) | _grammar(config)
    settings = _settings(config, run_dir, processor, sampling, state.num_processes)
    with install_rollouts(settings, step):
        yield
    if mode is RolloutMode.colocate:
        state.wait_for_everyone()
        if state.is_main_process:
            shutil.rmtree(served)


def ends(model: Any, processor: Any) -> list[int]:
    """Tokens that end a completion."""
    return end_ids(model.generation_config.eos_token_id, processor.tokenizer)


def _grammar(config: Config) -> dict[str, Any]:
    """What vLLM gets of a grammar that holds the completions, if one does."""
    form = completion_grammar(config)
    return {} if form is None else {"structured_outputs": {"grammar": form.grammar()}}


def _settings(
    config: Config, run_dir: Path, processor: Any, sampling: dict[str, Any], ranks: int
) -> Any:
    from sgg.rollout.settings import RolloutSettings

    hardware, rollout = config.hardware, config.hardware.rollout
    dtype = weights_dtype(config, Use.rollout)
    serves = rollout.mode is RolloutMode.server
    return RolloutSettings(
        folder=run_dir / SERVED,
        processor=processor,
        dtype=dtype,
        gpu=hardware.gpu,
        ranks=ranks,
        seed=config.seed,
        servers=tuple(os.environ[SERVERS_VARIABLE].split(",")) if serves else (),
        keys=tuple(os.environ[SERVER_KEY_VARIABLE].split(",")) if serves else (),
        max_length=rollout.max_length,
        exact=dtype is torch.float32 and not (hardware.gpu and hardware.tf32),
        startup_timeout_s=rollout.startup_timeout_s,
        wait_timeout_s=rollout.wait_timeout_s,
        sampling=sampling,
        logs=f"{run_dir / 'logs'}/server*.log" if serves else f"{run_dir / 'run.log'}",
    )
