"""How this run's model is asked and how it writes: small specs for prompts and parsing, from the config."""

from __future__ import annotations

from sgg.config.derived import pixel_budget
from sgg.config.grammar import GrammarNames
from sgg.config.prompt import Template
from sgg.config.schema import Config
from sgg.models.families import FAMILIES
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
