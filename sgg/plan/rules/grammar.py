"""Whether completions can be held to a grammar: who generates must be vLLM, and the bounds must make sense.

Input: a typed `Config`. Output: messages about problems. How many tokens a completion may take needs the
tokenizer and is looked at when the run has it, by `text.grammar.CompletionGrammar.check_fits`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sgg.config.data import VocabularyName
from sgg.config.derived import in_pieces
from sgg.config.generate import Engine
from sgg.config.grammar import GrammarNames
from sgg.config.hardware import RolloutMode
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig, SftConfig

MAX_NAME = 120
"""Characters of the longest name: `sgg.text.tolerant_parser` reads ids of up to 128."""


def structure_problems(config: Config) -> Iterator[str]:
    """What is wrong with `grammar`, where it is not null."""
    if config.grammar is not None:
        yield from _bounds(config)
        yield from _generates(config)


def _bounds(config: Config) -> Iterator[str]:
    bounds = config.grammar
    assert bounds is not None
    for key, lowest in {
        "max_objects": 1,
        "max_relationships": 1,
        "max_thought": 0,
        "max_words": 1,
        "max_letters": 1,
    }.items():
        value = getattr(bounds, key)
        if value < lowest:
            yield f"grammar.{key}={value}: must be {lowest} or more."
    if bounds.max_words * (bounds.max_letters + 1) > MAX_NAME:
        yield (
            f"grammar.max_words={bounds.max_words}, max_letters={bounds.max_letters}: names could be "
            f"longer than the {MAX_NAME} characters that are read. Lower one of them."
        )
    if bounds.names is GrammarNames.vocabulary and config.data.vocabulary is VocabularyName.none:
        yield (
            "grammar.names=vocabulary, but data.vocabulary=none. Set data.vocabulary, or take "
            "grammar.names=prompt."
        )


def _generates(config: Config) -> Iterator[str]:
    """Only vLLM applies grammars."""
    stage = config.stage
    if isinstance(stage, SftConfig):
        yield "grammar holds generated completions, and stage=sft generates none. Take grammar=null."
    if isinstance(stage, EvalConfig) and config.generate.engine is not Engine.vllm:
        yield (
            f"grammar cannot be held with generate.engine={config.generate.engine.name}: only vLLM in "
            "the run's own processes applies grammars and reports what they removed. Take generate=vllm, or "
            "grammar=null."
        )
    if isinstance(stage, GrpoConfig):
        yield from _learns(config, stage)


def _learns(config: Config, stage: GrpoConfig) -> Iterator[str]:
    """The trainer's head has to carry the masks, too."""
    mode = config.hardware.rollout.mode
    if mode is RolloutMode.trainer:
        yield (
            "grammar cannot be held with hardware.rollout.mode=trainer: transformers applies no "
            "grammars. Take hardware.rollout.mode=colocate or server, or grammar=null."
        )
    if in_pieces(config):
        sharded = "fsdp" if config.fsdp is not None else "deepspeed.zero_optimization.stage=3"
        yield (
            f"grammar needs the head's weights whole in each process, and {sharded} shares them out. Take "
            "deepspeed=zero2 fsdp=null, or grammar=null."
        )
