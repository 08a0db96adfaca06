"""The engine that a config names, with its model, for as long as a run generates."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sgg.config.derived import pixel_budget
from sgg.config.generate import Engine as Kind
from sgg.config.schema import Config
from sgg.distributed import Ranks
from sgg.inference.generate import Engine, Sampling
from sgg.inference.hf import HfEngine
from sgg.inference.vllm.engine import EngineLimits, VllmEngine
from sgg.inference.vllm.model_dir import write_for_vllm
from sgg.models.load import load_model, torch_dtype
from sgg.models.processor import load_processor, token_count
from sgg.runs.folder import SERVED
from sgg.spec import answer_grammar


@contextmanager
def opened(
    config: Config, folder: Path, sampling: Sampling, ranks: Ranks, run_dir: Path
) -> Iterator[Engine]:
    """This rank's engine; all ranks enter and leave together.

    Args:
        folder: the model's files.

    Raises:
        SggError: what the config asks for cannot be loaded.

    """
    dtype = torch_dtype(config.model.dtype, config.hardware.precision)
    processor = load_processor(folder, *pixel_budget(config))
    if config.generate.engine is Kind.vllm:
        with _vllm(config, folder, processor, dtype, sampling, ranks, run_dir / SERVED) as engine:
            yield engine
    elif config.generate.engine is Kind.server:
        yield _servers(config, folder, processor, sampling, run_dir)
    else:
        model = load_model(config.model, folder, dtype, config.seed).to(ranks.device)
        yield HfEngine(model, processor, sampling, config.generate.batch_size)


def _servers(
    config: Config, folder: Path, processor: Any, sampling: Sampling, run_dir: Path
) -> Engine:
    from sgg.inference.chat_api import ServerEngine, ServerOptions

    generate = config.generate
    access = ServerOptions(
        generate.servers,
        config.model.path,
        generate.batch_size,
        generate.request_timeout_s,
        generate.server_model,
        generate.api_key_env,
    )
    return ServerEngine(access, folder, processor, sampling, run_dir)


@contextmanager
def _vllm(
    config: Config,
    folder: Path,
    processor: Any,
    dtype: torch.dtype,
    sampling: Sampling,
    ranks: Ranks,
    served: Path,
) -> Iterator[VllmEngine]:
    held = answer_grammar(config)
    if held is not None:
        limit = sampling.max_new_tokens
        held.check_fits(limit, "generate.max_new_tokens", token_count(processor.tokenizer))
    if ranks.is_main:
        write_for_vllm(config.model, folder, processor, dtype, config.seed, served)
    ranks.wait()
    generate, hardware = config.generate, config.hardware
    length = hardware.rollout.max_length
    room = EngineLimits(
        generate.batch_size, length, generate.gpu_memory_utilization, hardware.gpu, ranks.world
    )
    grammar = None if held is None else held.grammar()
    engine = VllmEngine(served, processor, sampling, dtype, room, grammar)
    yield engine
    engine.close()
    ranks.wait()
    if ranks.is_main:
        shutil.rmtree(served)
