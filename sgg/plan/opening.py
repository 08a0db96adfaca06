"""The line with which runs and dry runs begin: what trains or generates, on what, for how long, and where.

Input: a config and how many images its splits have, where that is known. Output: one line. Loads no
weights (files' headers tell their number) and prepares no data.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sgg.config.derived import evaluates_by_rollouts, evaluates_while_training
from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.config.hardware import RolloutMode
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig, SftConfig, TrainStageConfig
from sgg.data.overlap import is_here
from sgg.data.prepare import usable_images
from sgg.data.sources.source import Split
from sgg.data.sources.table import SOURCES
from sgg.errors import SggError
from sgg.models.weights import locate, look_as_runs_do, parameters
from sgg.plan.batch import refuse_too_few, steps_of
from sgg.plan.rules.memory import memory_doubt
from sgg.plan.validate import batch_plan

SPLITS = ("train", "eval")


def opening(config: Config, known: Mapping[str, int] | None = None) -> str:
    """Stage, model and its parameters, data and usable images of each split, steps, hardware, evaluation.

    Args:
        known: usable images by split, of what is prepared; others are looked for in the cache.

    Raises:
        SggError: GRPO has fewer images than a step has prompts.

    """
    images = {split: known_images(config, split) for split in SPLITS if split not in (known or {})}
    images |= known or {}
    if isinstance(config.stage, GrpoConfig):
        refuse_too_few(config.stage.prompts_per_step, images["train"])
    parts = [_model(config), _data(config, images), _length(config, images), _hardware(config)]
    if evaluates_while_training(config):
        parts.append(_evaluation(config, images["eval"]))
    return f"{config.stage.name.name}: {'; '.join(parts)}"


def _model(config: Config) -> str:
    model = config.model
    try:
        look_as_runs_do(config.hardware.environment)
        count = _short(parameters(locate(model.path, model.revision, fetch=False)))
    except SggError:
        count = "weights not here yet, parameters unknown"
    start = " from random weights" * (model.init.name == "random")
    adapters = f", LoRA of rank {model.lora.r}" * model.lora.enable
    return f"model {model.path}{start} ({count}{adapters}{_trained_on_other_data(config)})"


def _trained_on_other_data(config: Config) -> str:
    """What the run that made the model read, where it is not what this one reads: few mean to change it."""
    given = Path(config.model.path)
    for folder in (given, given.parent):  # a run, or a checkpoint or model in it
        if (folder / FROZEN_NAME).is_file():
            with suppress(SggError):  # of a damaged file: reported where it is needed
                data = read_frozen(folder / FROZEN_NAME).choices.get("data")
                return f", trained on data={data}" if data != config.choices.get("data") else ""
    return ""


def _short(count: int) -> str:
    """A number of parameters to three digits."""
    unit, name = (1e9, "billion") if count >= 1e9 else (1e6, "million")
    return f"{count / unit:.3g} {name} parameters"


def _data(config: Config, images: Mapping[str, int | None]) -> str:
    data = config.data
    counts = [
        f"{split} {'not prepared yet' if count is None else f'{count:,} usable images'}"
        for split, count in ((split, images[split]) for split in SPLITS)
    ]
    where = f" in {data.root}" if data.root else ""
    return f"data={config.choices.get('data', data.source.name)}{where} ({', '.join(counts)})"


def known_images(config: Config, split: str) -> int | None:
    """Usable images of a split, if that is known without preparing it."""
    data, cache = config.data, Path(config.paths.cache)
    split_config = Split(data, split).config
    try:
        found = usable_images(data, split, cache) if is_here(data, split) else None
    except SggError:
        return None
    is_drawn = SOURCES[data.source].is_drawn and not data.min_relations
    return split_config.limit if found is None and is_drawn else found


def _length(config: Config, images: Mapping[str, int | None]) -> str:
    stage = config.stage
    if isinstance(stage, EvalConfig):
        count, each = images[stage.split.name], config.generate.num_completions
        completions = "a completion" if each == 1 else f"{each} completions"
        total = "" if count is None else f", {count * each:,} in all"
        return f"{completions} for each {stage.split.name} image{total}"
    assert isinstance(stage, TrainStageConfig)
    steps = steps_of(stage.args, images["train"], *_step(config))
    epochs = stage.args.get("num_train_epochs", 3)
    told = f"epochs: {epochs:g}, in steps" if steps is None else f"{steps:,} steps"
    samples = batch_plan(config).global_batch
    if isinstance(stage, GrpoConfig):
        return f"{told} of {samples:,} completions"
    if (count := images["train"]) is not None and count < samples:
        return f"{told} of {count:,} images, all there are (stage.global_batch={samples})"
    return f"{told} of {samples:,} images"


def _step(config: Config) -> tuple[int, bool]:
    """Images of a step, and whether those that fill none at an epoch's end are left out."""
    stage = config.stage
    if isinstance(stage, GrpoConfig):
        return stage.prompts_per_step, True
    assert isinstance(stage, SftConfig)
    return stage.global_batch, False


def _hardware(config: Config) -> str:
    hardware, ranks = config.hardware, config.hardware.ranks
    kind = "GPU" if hardware.gpu else "CPU process"
    plural = "" if ranks == 1 else "es" if kind.endswith("s") else "s"
    nodes = f" on {hardware.nodes} nodes" * (hardware.nodes > 1)
    mode = hardware.rollout.mode
    by_vllm = isinstance(config.stage, GrpoConfig) and mode is not RolloutMode.trainer
    rollouts = f", completions by vLLM ({mode.name})" * by_vllm
    engine = f", generate={config.generate.engine.name}" * isinstance(config.stage, EvalConfig)
    return f"{ranks} {kind}{plural}{nodes}, {hardware.precision.name}{rollouts}{engine}{memory_doubt(config)}"


def _evaluation(config: Config, usable: int | None) -> str:
    """How a training is evaluated meanwhile.

    Args:
        usable: images of the eval split, if that is known.

    """
    assert isinstance(config.stage, TrainStageConfig)
    evaluate = config.stage.evaluate
    images = evaluate.images if usable is None else min(evaluate.images, usable)
    engine = "the rollouts' vLLM" if evaluates_by_rollouts(config) else "transformers"
    best = f", best checkpoint by {evaluate.keep_best} kept" if evaluate.keep_best else ""
    patience = f", ends after {evaluate.patience} without a gain" if evaluate.patience else ""
    return (
        f"evaluated every {evaluate.every_steps} steps on the first {images:,} images of data.eval "
        f"by {engine} (protocol {config.protocol.id}){best}{patience}"
    )
