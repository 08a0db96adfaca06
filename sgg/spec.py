"""From the whole config to the small specs that the deep modules take."""

from __future__ import annotations

from sgg.boxes import FrameSpec
from sgg.codec import GraphSpec
from sgg.config import Config, RewardConfig
from sgg.options import Template
from sgg.prompt import Prompter, default_system
from sgg.reward.score import Mix
from sgg.vocab import VOCABULARIES


def pixel_budget(config: Config) -> tuple[int, int]:
    """(min, max) area of a resized image: the model's, lowered by the stage."""
    limit = config.stage.max_pixels or config.model.max_pixels
    return config.model.min_pixels, min(config.model.max_pixels, limit)


def graph_spec(config: Config) -> GraphSpec:
    """How graphs are written in this run."""
    closed = config.prompt.template in (Template.closed, Template.prompt_close)
    return GraphSpec(
        frame=FrameSpec(config.model.family.frame, *pixel_budget(config)),
        reasoning=config.prompt.reasoning,
        vocabulary=VOCABULARIES.get(config.data.vocabulary.name) if closed else None,
    )


def prompter(config: Config) -> Prompter:
    """What this run asks."""
    spec, system = graph_spec(config), config.prompt.system
    return Prompter(
        spec, config.prompt.template, default_system(spec) if system is None else system
    )


def reward_mix(reward: RewardConfig) -> Mix:
    """The reward's terms that count."""
    used = {name: term for name, term in reward.terms.items() if term.weight != 0}
    return Mix(
        weights={name: term.weight for name, term in used.items()},
        options={name: term.options for name, term in used.items()},
        similarity=reward.similarity,
        match=reward.match,
    )
