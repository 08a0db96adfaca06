"""Whether `model.lora` makes sense: by itself, and for the matrices of a language model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sgg.config.model import LoraConfig, ModelConfig
from sgg.errors import SggError, did_you_mean
from sgg.models.families import FAMILIES


def lora_problems(lora: LoraConfig) -> Iterator[str]:
    """What is wrong whatever the model is."""
    if lora.alpha < 1:
        yield (
            f"model.lora.alpha={lora.alpha}: must be 1 or more; the adapter is scaled by alpha / r, and with "
            "0 nothing would be learnt."
        )
    if not 0 <= lora.dropout < 1:
        yield f"model.lora.dropout={lora.dropout}: must be 0 or more and below 1."
    if not lora.targets:
        yield (
            "model.lora.targets=[]: no matrix would get an adapter. Name some, such as q_proj, or take "
            "model.lora.enable=false."
        )


def check_targets(model: ModelConfig, matrices: Iterable[str]) -> None:
    """Raise if a target of `model.lora` is no matrix of the language model.

    Args:
        model: what is wanted.
        matrices: full names of the model's matrices, such as `model.language_model.layers.0.mlp.up_proj`.

    """
    tower = last_name(FAMILIES[model.family].tower)
    language = {name for name in matrices if "layers" in name.split(".") and tower not in name}
    there = sorted({last_name(name) for name in language})
    lacking = [t for t in model.lora.targets if not any(n.endswith(f".{t}") for n in language)]
    if lacking:
        raise SggError(
            f"model.lora.targets: {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} no matrix of "
            f"the language model.{did_you_mean(lacking[0], there)} "
            f"Adapters go onto these: {', '.join(there)}."
        )


def last_name(module: str) -> str:
    """The last part of a module's full name, by which files of all ages know it."""
    return module.rpartition(".")[2]
