"""Whether a composed config can run, checked before anything is loaded, queued or written.

Input: a typed `Config`. Output: nothing, or one `SggError` with every problem found, each
naming key, value and what is allowed. Looks at numbers and combinations only; files and hubs are
looked at by who reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

from sgg.config.data import VocabularyName
from sgg.config.generate import Engine
from sgg.config.hardware import RolloutMode
from sgg.config.model import Attention
from sgg.config.prompt import Template
from sgg.config.protocol import Labels, Mode, NgFill, Unknown
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig, OptimizerKind, SftConfig, TrainStageConfig
from sgg.config.tree import options_of
from sgg.errors import SggError
from sgg.models.lora import lora_problems
from sgg.plan.batch import BatchPlan, largest_micro, plan_batch
from sgg.plan.rules import stage_args
from sgg.plan.rules.evaluate import evaluate_problems
from sgg.plan.rules.generate import server_problems
from sgg.plan.rules.grammar import structure_problems
from sgg.plan.rules.hardware import hardware_problems, installed
from sgg.plan.rules.memory import memory_problems
from sgg.plan.rules.resume import resume_problems
from sgg.plan.rules.reward import reward_problems
from sgg.plan.rules.sharding import sharding_problems
from sgg.plan.rules.tracker import tracker_problems


def validate(config: Config) -> None:
    """Raise one SggError that lists every problem of the config."""
    problems = list(_problems(config))
    if problems:
        raise SggError("\n".join(problems))


def batch_plan(config: Config) -> BatchPlan:
    """The batch arithmetic of a training stage."""
    stage, hardware = config.stage, config.hardware
    processes, size = hardware.ranks, config.model.activations_per_token
    if isinstance(stage, GrpoConfig):
        group = n if isinstance(n := stage.args.get("num_generations"), int) else 8
        completions = stage.prompts_per_step * group
        return plan_batch(
            f"stage.prompts_per_step={stage.prompts_per_step} × stage.args.num_generations={group}",
            completions,
            processes,
            stage.micro_batch,
            largest_micro(hardware.micro_batch_grpo, size),
        )
    assert isinstance(stage, SftConfig)
    return plan_batch(
        f"stage.global_batch={stage.global_batch}",
        stage.global_batch,
        processes,
        stage.micro_batch,
        largest_micro(hardware.micro_batch_sft, size),
    )


def _problems(config: Config) -> Iterator[str]:
    yield from _positive(config)
    yield from _model(config)
    yield from _data(config)
    yield from _prompt(config)
    yield from _hardware(config)
    if isinstance(config.stage, TrainStageConfig):
        yield from _train(config, config.stage)
    if isinstance(config.stage, GrpoConfig):
        yield from _grpo(config)
    yield from _generate(config)
    yield from structure_problems(config)
    yield from _protocol(config)
    yield from tracker_problems(config)


def _positive(config: Config) -> Iterator[str]:
    """Whole numbers that must be at least 1."""
    stage = config.stage
    numbers: dict[str, int | None] = {
        "model.min_pixels": config.model.min_pixels,
        "model.max_pixels": config.model.max_pixels,
        "model.activations_per_token": config.model.activations_per_token,
        "model.parameters": config.model.parameters,
        "model.lora.r": config.model.lora.r,
        "data.train.limit": config.data.train.limit,
        "data.eval.limit": config.data.eval.limit,
        "generate.batch_size": config.generate.batch_size,
        "generate.num_completions": config.generate.num_completions,
        "generate.max_new_tokens": config.generate.max_new_tokens,
        "hardware.nodes": config.hardware.nodes,
        "hardware.processes_per_node": config.hardware.processes_per_node,
        "hardware.micro_batch_sft": config.hardware.micro_batch_sft,
        "hardware.micro_batch_grpo": config.hardware.micro_batch_grpo,
        "stage.max_pixels": stage.max_pixels,
    }
    if isinstance(stage, TrainStageConfig):
        numbers["stage.keep_checkpoints"] = stage.keep_checkpoints
    if isinstance(stage, SftConfig):
        numbers["stage.global_batch"] = stage.global_batch
    if isinstance(stage, GrpoConfig):
        numbers["stage.prompts_per_step"] = stage.prompts_per_step
    for key, value in numbers.items():
        if value is not None and value < 1:
            yield f"{key}={value}: must be 1 or more."
    for key, value in {
        "data.train.offset": config.data.train.offset,
        "data.eval.offset": config.data.eval.offset,
        "data.workers": config.data.workers,
        "data.min_relations": config.data.min_relations,
    }.items():
        if value < 0:
            yield f"{key}={value}: must be 0 or more."


def _model(config: Config) -> Iterator[str]:
    model = config.model
    if model.attention is Attention.flash_attention_2:
        yield from installed("flash_attn", "model.attention=flash_attention_2", "flash-attn")
    largest = min(model.max_pixels, config.stage.max_pixels or model.max_pixels)
    if model.min_pixels > largest:
        yield (
            f"model.min_pixels={model.min_pixels} is above the largest size of this stage, "
            f"{largest} pixels (the smaller of model.max_pixels and stage.max_pixels)."
        )
    yield from lora_problems(model.lora)
    all_frozen = model.freeze_vision and model.freeze_merger and model.freeze_language
    if all_frozen and not model.lora.enable and isinstance(config.stage, TrainStageConfig):
        yield (
            "model.freeze_vision, freeze_merger and freeze_language are all true and model.lora.enable "
            "is false: nothing would learn. Leave one part free."
        )


def _data(config: Config) -> Iterator[str]:
    from sgg.data.sources.table import SOURCES  # which loads numpy

    data = config.data
    yield from SOURCES[data.source].problems(data)
    if data.drop_unknown and data.vocabulary is VocabularyName.none:
        yield "data.drop_unknown=true needs a data.vocabulary to know names by."


def _prompt(config: Config) -> Iterator[str]:
    from sgg.data.sources.table import SOURCES  # which loads numpy

    prompt = config.prompt
    if prompt.template is Template.closed and config.data.vocabulary is VocabularyName.none:
        yield (
            "prompt.template=closed lists class names, but data.vocabulary=none. "
            "Set data.vocabulary, or take prompt=open."
        )
    if prompt.template.is_column and not SOURCES[config.data.source].has_prompts:
        yield (
            f"prompt.template={prompt.template.name} is a column of the published data sets; "
            f"data.source={config.data.source.name} has none. Take prompt=open or prompt=closed."
        )


def _hardware(config: Config) -> Iterator[str]:
    if config.deepspeed is not None:
        yield from installed("deepspeed", "deepspeed", "sgg[deepspeed]")
    yield from hardware_problems(config)


def _train(config: Config, stage: TrainStageConfig) -> Iterator[str]:
    yield from stage_args.problems_with(stage.name.name, stage.args)
    yield from sharding_problems(config)
    yield from memory_problems(config)
    yield from resume_problems(config)
    yield from evaluate_problems(config, stage)
    sharded = config.deepspeed is not None or config.fsdp is not None
    muon = stage.optimizer.kind is OptimizerKind.muon_adamw
    if muon and (config.hardware.ranks > 1 or sharded or config.model.lora.enable):
        yield (
            "stage.optimizer.kind=muon_adamw trains whole tiny models on one process. "
            "Take stage.optimizer.kind=trl with several processes, DeepSpeed, FSDP or LoRA."
        )
    if muon:
        yield from stage_args.unread_by_muon(stage.args)
    if muon and stage.optimizer.muon_lr <= 0:
        yield f"stage.optimizer.muon_lr={stage.optimizer.muon_lr}: must be above 0."
    try:
        batch_plan(config)
    except (SggError, ValueError) as error:
        yield str(error)


def _grpo(config: Config) -> Iterator[str]:
    weights = {name: term.weight for name, term in config.reward.terms.items()}
    if not any(weights.values()):
        allowed = ", ".join(name for name in options_of("reward") if name != "none")
        yield f"stage=grpo needs at least one reward term with a weight; got none. Take reward={allowed}."
    yield from reward_problems(config.reward)
    if not any(weights.values()):
        return
    yield from _groups(config)
    if config.hardware.rollout.mode is RolloutMode.trainer:
        assert isinstance(config.stage, GrpoConfig)
        yield from stage_args.unread_without_vllm(config.stage.args)


def _groups(config: Config) -> Iterator[str]:
    """A term that sees the group needs each prompt's completions on one process."""
    from sgg.reward.mix import reward_mix

    stage, hardware = config.stage, config.hardware
    assert isinstance(stage, GrpoConfig)
    processes = hardware.ranks
    if not stage.prompts_per_step % processes:
        return
    try:
        sees_groups = reward_mix(config.reward).sees_groups
    except SggError:  # reported already
        return
    if sees_groups:
        yield (
            f"stage.prompts_per_step={stage.prompts_per_step} over {processes} processes splits groups, "
            "but a term of the reward sees the whole group. Take a multiple of the processes."
        )


def _generate(config: Config) -> Iterator[str]:
    generate = config.generate
    if generate.temperature < 0:
        yield f"generate.temperature={generate.temperature}: must be 0 (greedy) or more."
    if not 0 < generate.top_p <= 1:
        yield f"generate.top_p={generate.top_p}: must be above 0 and at most 1."
    if generate.top_k < 0:
        yield f"generate.top_k={generate.top_k}: must be 0 (no limit) or more."
    if generate.engine is Engine.vllm:
        yield from _vllm(config)
    yield from server_problems(generate)
    if generate.num_completions > 1 and generate.temperature == 0:
        yield (
            f"generate.num_completions={generate.num_completions} with generate.temperature=0 would give the "
            "same completion each time. Set a temperature, or one completion."
        )
    if isinstance(config.stage, EvalConfig) and config.model.lora.enable:
        yield (
            "model.lora.enable=true would add an untrained adapter, which is wrong for stage=eval. "
            "Evaluate the trained run by model.path=RUN_DIR."
        )


def _vllm(config: Config) -> Iterator[str]:
    generate, longest = config.generate, config.hardware.rollout.max_length
    if not 0 < (share := generate.gpu_memory_utilization) <= 1:
        yield f"generate.gpu_memory_utilization={share}: must be above 0 and at most 1."
    if generate.temperature > 2:
        yield f"generate.temperature={generate.temperature}: vLLM takes at most 2. Or take generate=hf."
    if generate.max_new_tokens >= longest:
        yield (
            f"hardware.rollout.max_length={longest} leaves no room for a prompt beside "
            f"generate.max_new_tokens={generate.max_new_tokens}. Raise the one or lower the other."
        )


def _protocol(config: Config) -> Iterator[str]:
    protocol = config.protocol
    if Mode.sgdet not in protocol.modes:
        listed = ", ".join(m.name for m in protocol.modes)
        yield f"protocol.modes=[{listed}]: sgdet must be among them; every table begins with it."
    if not 0 < protocol.iou_threshold <= 1:
        yield f"protocol.iou_threshold={protocol.iou_threshold}: must be above 0 and at most 1."
    if any(k < 1 for k in protocol.cutoffs) or len(set(protocol.cutoffs)) < len(protocol.cutoffs):
        yield f"protocol.cutoffs={protocol.cutoffs}: must be different numbers, each 1 or more."
    if protocol.coco_first_id not in (0, 1):
        yield f"protocol.coco_first_id={protocol.coco_first_id}: must be 1, or 0 for the quirk."
    if config.data.vocabulary is VocabularyName.none:
        for key, value, plain in (
            ("ng_fill", protocol.ng_fill, NgFill.emitted),
            ("unknown", protocol.unknown, Unknown.miss),
            ("labels", protocol.labels, Labels.strict),
        ):
            if value is not plain:
                yield f"protocol.{key}={value.name} needs a data.vocabulary to know names by."
