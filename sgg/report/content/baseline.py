"""Which evaluation each one is compared with, as their configs tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sgg.config.literal import plain
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig
from sgg.runs.folder import run_of

_NO_SETTINGS = (
    *("batch_size", "gpu_memory_utilization", "engine"),
    *("servers", "server_model", "api_key_env", "request_timeout_s"),
)
"""Keys of `generate` that change no completion but by rounding."""


def is_control(config: Config) -> bool:
    """Whether every prompt has another scene's image: what it finds is chance."""
    return isinstance(config.stage, EvalConfig) and config.stage.shuffle_images


def baselines(configs: Sequence[Config], trained: Mapping[str, str]) -> list[int | None]:
    """For each evaluation the place of the one that it is compared with; None for none.

    First the nearest one whose model this one's was trained from, that generates alike; then the first
    one that generates alike; then the nearest of an earlier model; then the first one. A control is compared
    with the evaluation of the same model that it controls.

    Args:
        configs: of evaluations of the same images.
        trained: by run folder, as configs name it, the model that the run started from.

    """
    found: list[int | None] = []
    for i, config in enumerate(configs):
        others = [j for j in range(len(configs)) if j != i and not is_control(configs[j])]
        alike = [j for j in others if _settings(configs[j]) == _settings(config)]
        if is_control(config):
            found.append(next((j for j in alike if _model(configs[j]) == _model(config)), None))
            continue
        lineage = list(_ancestors(_model(config), trained))
        earlier = [j for j in others if j < i]
        choices = (
            _nearest(lineage, alike, configs),
            next((j for j in alike if j < i and _model(configs[j]) != _model(config)), None),
            _nearest(lineage, others, configs),
            earlier[0] if earlier else None,
        )
        found.append(next((choice for choice in choices if choice is not None), None))
    return found


def _nearest(
    lineage: Sequence[str], places: Sequence[int], configs: Sequence[Config]
) -> int | None:
    return next((j for model in lineage for j in places if _model(configs[j]) == model), None)


def _ancestors(model: str, trained: Mapping[str, str]) -> Iterator[str]:
    seen = {model}
    while (model := trained.get(run_of(model), "")) and model not in seen:
        seen.add(model)
        yield model


def _model(config: Config) -> str:
    return config.model.path


def _settings(config: Config) -> dict[str, Any]:
    """How completions are generated, and how long the images are that the model sees."""
    values = plain(config.generate)
    kept = {k: v for k, v in values.items() if k not in _NO_SETTINGS}
    return {**kept, "max_pixels": config.stage.max_pixels, "seed": config.seed}
