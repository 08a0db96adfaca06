"""The reward's terms that count, as the scorer takes them, from the config."""

from __future__ import annotations

from sgg.config.reward import NameSimilarity, RewardConfig, TermConfig
from sgg.reward.score import RewardSpec


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
