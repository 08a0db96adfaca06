"""Whether a training can be evaluated meanwhile as `stage.evaluate` says.

Input: a typed `Config`. Output: messages about problems.
"""

from __future__ import annotations

from collections.abc import Iterator

from sgg.config.derived import evaluates_by_rollouts, evaluates_while_training, in_pieces
from sgg.config.generate import Engine
from sgg.config.schema import Config
from sgg.config.stage import EvaluateConfig, EvaluationEngine, GrpoConfig, TrainStageConfig
from sgg.errors import did_you_mean
from sgg.metrics.names import quality_names

KEY = "stage.evaluate"


def evaluate_problems(config: Config, stage: TrainStageConfig) -> Iterator[str]:
    """What is wrong with `stage.evaluate` of a training stage."""
    evaluate = stage.evaluate
    for key, lowest in {"every_steps": 0, "images": 1, "patience": 0}.items():
        if (value := getattr(evaluate, key)) < lowest:
            yield f"{KEY}.{key}={value}: must be {lowest} or more."
    yield from _best(config, evaluate)
    if not evaluates_while_training(config):
        return
    if config.generate.engine is not Engine.hf:
        yield (
            f"generate.engine={config.generate.engine.name} is for stage=eval. While a model trains, "
            f"{KEY}.engine says who generates: rollout (GRPO's vLLM) or hf. Leave generate.engine out."
        )
    if evaluates_by_rollouts(config):
        yield from _by_rollouts(config)
    else:
        yield from _by_transformers(config, evaluate)
    if isinstance(stage, GrpoConfig) and evaluate.keep_best is not None:
        iterations = stage.args.get("num_iterations", 1)
        if isinstance(iterations, int) and iterations > 1 and evaluate.every_steps % iterations:
            yield (
                f"{KEY}.every_steps={evaluate.every_steps} must be a multiple of "
                f"stage.args.num_iterations={iterations}: the best step is saved, and a checkpoint between "
                "the steps that reuse completions cannot be resumed exactly."
            )


def _best(config: Config, evaluate: EvaluateConfig) -> Iterator[str]:
    best, protocol = evaluate.keep_best, config.protocol
    if best is None:
        if evaluate.patience > 0:
            yield (
                f"{KEY}.patience={evaluate.patience} needs a metric to judge by. Set {KEY}.keep_best=R@50, "
                f"or another metric of protocol={protocol.id}."
            )
        return
    known = quality_names(protocol)
    if best not in known:
        yield (
            f"{KEY}.keep_best={best}: no metric of protocol={protocol.id} that can be better or worse."
            f"{did_you_mean(best.removeprefix('eval/'), known)} Such as R, mR, AP50 (docs/metrics.md); "
            f"protocol.cutoffs={protocol.cutoffs} are the K of R@K."
        )


def _by_rollouts(config: Config) -> Iterator[str]:
    generate, longest = config.generate, config.hardware.rollout.max_length
    if generate.max_new_tokens >= longest:
        yield (
            f"hardware.rollout.max_length={longest} leaves no room for a prompt beside "
            f"generate.max_new_tokens={generate.max_new_tokens}, by which {KEY} generates. Raise the one or "
            "lower the other."
        )
    if generate.temperature > 2:
        yield (
            f"generate.temperature={generate.temperature}: vLLM takes at most 2. Or take "
            f"{KEY}.engine=hf."
        )


def _by_transformers(config: Config, evaluate: EvaluateConfig) -> Iterator[str]:
    if evaluate.engine is EvaluationEngine.rollout:
        yield (
            f"{KEY}.engine=rollout: the run has no vLLM. Take stage=grpo with hardware.rollout.mode=colocate "
            f"or server, or {KEY}.engine=hf."
        )
    if in_pieces(config):
        by_rollouts = f"hardware.rollout.mode=colocate or server with {KEY}.engine=rollout, "
        yield (
            f"{KEY}.every_steps={evaluate.every_steps} by transformers needs whole weights in each process; "
            "ZeRO-3 and FSDP keep them in pieces. Take "
            f"{by_rollouts if isinstance(config.stage, GrpoConfig) else ''}fsdp=null deepspeed=zero2, or "
            f"{KEY}.every_steps=0."
        )
    if config.grammar is not None and isinstance(config.stage, GrpoConfig):
        yield (
            f"grammar cannot be held with {KEY}.engine=hf: transformers applies no grammars. Take "
            f"{KEY}.engine=rollout."
        )
