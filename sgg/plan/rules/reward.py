"""Whether a reward mix can be scored, checked before anything is loaded; part of `sgg.plan.validate`."""

from __future__ import annotations

from collections.abc import Iterator

from sgg.config.reward import NameSimilarity, RewardConfig, SimilarityKind, TermConfig, UnknownName
from sgg.errors import SggError, did_you_mean


def reward_problems(reward: RewardConfig) -> Iterator[str]:
    """Messages about what is wrong with a reward mix; models are looked for, not loaded."""
    from sgg.scene.embeddings import check

    for name, term in reward.terms.items():
        yield from _term(name, term, reward)
    if reward.unknown is not UnknownName.itself and reward.similarity is not SimilarityKind.table:
        yield (
            f"reward.unknown={reward.unknown.name} is about names outside the table, but "
            f"reward.similarity={reward.similarity.name}. Take reward.similarity=table."
        )
    if reward.embedding is not None and reward.similarity is not SimilarityKind.embedding:
        yield (
            f"reward.embedding={reward.embedding} would be ignored: "
            f"reward.similarity={reward.similarity.name}. Take reward.similarity=embedding."
        )
    if reward.workers < 0:
        yield f"reward.workers={reward.workers}: must be 0 or more."
    try:
        check(NameSimilarity(reward.similarity, model=reward.embedding))
    except SggError as error:
        yield str(error)


def _term(name: str, term: TermConfig, reward: RewardConfig) -> Iterator[str]:
    from sgg.reward.registry import TERMS, find_term, option_problems

    key = f"reward.terms.{name}"
    try:
        yield from option_problems(name, find_term(name, term.import_path), term.options)
    except SggError as error:
        yield str(error)
    if name == "total":
        yield f"{key}: the sum of all terms is logged by this name. Give the term another."
    if term.warmup_steps < 0:
        yield f"{key}.warmup_steps={term.warmup_steps}: must be 0 or more."
    if term.clip and term.clip[0] > term.clip[1]:
        yield f"{key}.clip={term.clip}: the first number must not be above the second."
    if term.gate == name:
        yield f"{key}.gate={term.gate}: a term cannot gate itself."
    elif term.gate and term.gate not in TERMS and term.gate not in reward.terms:
        allowed = [*TERMS, *reward.terms]
        yield f"{key}.gate={term.gate}: no such term.{did_you_mean(term.gate, allowed)}"
    elif term.gate and term.gate in TERMS and TERMS[term.gate].low < 0:
        yield f"{key}.gate={term.gate}: a penalty cannot be a factor; gates go from 0 to 1."
