"""The engine that a config names, with its model, for as long as a run generates."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sgg.config.derived import signs_requests
from sgg.config.generate import Engine as Kind
from sgg.config.schema import Config
from sgg.distributed import Ranks
from sgg.inference.generate import Engine, Sampling
from sgg.inference.hf import HfEngine
from sgg.inference.vllm.engine import VllmEngine
from sgg.inference.vllm.limits import EngineLimits
from sgg.models.open import RunModel, Use, open_model
from sgg.models.processor import token_count
from sgg.models.spec import completion_grammar
from sgg.runs.folder import SERVED


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
    model = open_model(config, Use.generate, folder)
    if config.generate.engine is Kind.vllm:
        with _vllm(model, sampling, ranks, run_dir / SERVED) as engine:
            yield engine
    elif config.generate.engine is Kind.server:
        yield _servers(model, sampling, run_dir)
    else:
        loaded = model.load().to(ranks.device)
        yield HfEngine(loaded, model.processor, sampling, config.generate.batch_size)


def _servers(model: RunModel, sampling: Sampling, run_dir: Path) -> Engine:
    from sgg.inference.chat_api import ServerEngine, ServerOptions

    config, generate = model.config, model.config.generate
    access = ServerOptions(
        generate.servers,
        config.model.path,
        generate.batch_size,
        generate.request_timeout_s,
        generate.server_model,
        generate.api_key_env,
        signs=signs_requests(config),
    )
    return ServerEngine(access, model.folder, model.processor, sampling, run_dir)


@contextmanager
def _vllm(model: RunModel, sampling: Sampling, ranks: Ranks, served: Path) -> Iterator[VllmEngine]:
    config, held = model.config, completion_grammar(model.config)
    if held is not None:
        limit = sampling.max_new_tokens
        held.check_fits(limit, "generate.max_new_tokens", token_count(model.processor.tokenizer))
    if ranks.is_main:
        model.write_for_vllm(served)
    ranks.wait()
    generate, hardware = config.generate, config.hardware
    length = hardware.rollout.max_length
    room = EngineLimits(
        generate.batch_size, length, generate.gpu_memory_utilization, hardware.gpu, ranks.world
    )
    grammar = None if held is None else held.grammar()
    engine = VllmEngine(served, model.processor, sampling, model.dtype, room, grammar)
    yield engine
    engine.close()
    ranks.wait()
    if ranks.is_main:
        shutil.rmtree(served)
