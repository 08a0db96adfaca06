"""Builds the small specs for parsing, prompting, rewards and scoring from the whole config."""

from __future__ import annotations

from dataclasses import replace

from sgg.config.data import DataConfig
from sgg.config.derived import pixel_budget
from sgg.config.grammar import GrammarNames
from sgg.config.prompt import Template
from sgg.config.reward import NameSimilarity, RewardConfig, TermConfig
from sgg.config.schema import Config
from sgg.models.families import FAMILIES
from sgg.reward.score import RewardSpec
from sgg.scene.vocab import VOCABULARIES
from sgg.text.codec import GraphSpec
from sgg.text.grammar import CompletionGrammar
from sgg.text.prompt import Prompter, default_system


def graph_spec(config: Config) -> GraphSpec:
    """How graphs are written in this run."""
    closed = config.prompt.template in (Template.closed, Template.prompt_close)
    return GraphSpec(
        frame=FAMILIES[config.model.family].frame_spec(*pixel_budget(config)),
        reasoning=config.prompt.reasoning,
        vocabulary=VOCABULARIES.get(config.data.vocabulary.name) if closed else None,
    )


def gold_data(config: Config) -> DataConfig:
    """The data that a protocol scores against: some keep gold relations that are annotated twice."""
    wanted = config.protocol.gold_duplicates
    return config.data if wanted is None else replace(config.data, duplicates=wanted)


def completion_grammar(config: Config) -> CompletionGrammar | None:
    """What this run's completions are held to, if anything."""
    if config.grammar is None:
        return None
    spec = graph_spec(config)
    by_data = config.grammar.names is GrammarNames.vocabulary
    vocabulary = VOCABULARIES[config.data.vocabulary.name] if by_data else spec.vocabulary
    return CompletionGrammar(spec, config.grammar, vocabulary)


def prompter(config: Config) -> Prompter:
    """What this run asks."""
    spec, system = graph_spec(config), config.prompt.system
    return Prompter(
        spec, config.prompt.template, default_system(spec) if system is None else system
    )


def reward_mix(reward: RewardConfig, cache: str | None = None) -> RewardSpec:
    """The reward's terms that count; a term of weight 0 may still be another's gate.

    Args:
        cache: folder in which the vectors of similarity=embedding are kept.

    """
    terms: dict[str, TermConfig] = reward.terms
    used = {name: term for name, term in terms.items() if term.weight != 0}
    return RewardSpec(
        weights={name: term.weight for name, term in used.items()},
        options={name: term.options for name, term in terms.items()},
        similarity=NameSimilarity(reward.similarity, reward.unknown, reward.embedding, cache),
        match=reward.match,
        gates={name: term.gate for name, term in used.items() if term.gate},
        clips={name: (t.clip[0], t.clip[1]) for name, t in used.items() if t.clip},
        warmup_steps={name: t.warmup_steps for name, t in used.items() if t.warmup_steps},
        import_paths={name: t.import_path for name, t in terms.items() if t.import_path},
    )
