"""The config by which a tool reads files that a run left: the run's own, changed by further overrides."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from sgg.cli.arguments import refuse_starts
from sgg.config.argv import key_of
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME
from sgg.config.reward import RewardConfig
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.runs.frozen import config_of_run
from sgg.runs.signature import is_signed_run


def config_beside(path: Path) -> Path | None:
    """The frozen config of the run folder that `path` is or lies in."""
    for folder in (path, path.parent, path.resolve().parent):
        if (folder / FROZEN_NAME).is_file():
            return folder / FROZEN_NAME
    return None


def config_for(
    path: Path, overrides: list[str], otherwise: Path | None = None, trust: bool | None = None
) -> Config:
    """The frozen config of the run folder that `path` is or lies in, else a composed one; then `overrides`.

    Of a run that this user has neither made nor accepted, no code is imported: reward terms with an
    import_path are left out. What is prepared for it goes to the user's own cache.

    Args:
        otherwise: whose run folder's config it is where `path` has none.
        trust: whether the user accepts the run's reward terms; None for a tool that computes none.

    """
    refuse_starts(overrides)
    frozen = config_beside(path) or (None if otherwise is None else config_beside(otherwise))
    keys = [_key_of(word, frozen.parent) for word in overrides] if frozen is not None else []
    composed = compose_config(["stage=eval", *overrides])
    if frozen is None:
        return composed
    try:
        config = config_of_run(frozen.parent)
    except SggError as error:
        raise SggError(
            f"{error} It was taken for the config of the run that {path} belongs to; if it is another "
            "program's, move the predictions to a folder without one."
        ) from error
    if not trust and not is_signed_run(frozen.parent):
        config.paths.cache = composed.paths.cache
        left_out = _leave_out_imports(config.reward)
        if trust is not None:
            _tell(left_out, frozen.parent)
    for key in keys:
        _copy(key, composed, config)
    return config


def _leave_out_imports(reward: RewardConfig) -> dict[str, str]:
    """Take out terms with code of their own, and all whose gate is taken out: name -> code."""
    terms = reward.terms
    out = {name: term.import_path for name, term in terms.items() if term.import_path is not None}
    while more := {
        name: out[term.gate] for name, term in terms.items() if term.gate in out and name not in out
    }:
        out |= more
    reward.terms = {name: term for name, term in terms.items() if name not in out}
    return out


def _tell(left_out: dict[str, str], run_dir: Path) -> None:
    for name, import_path in left_out.items():
        print(
            f"reward.terms.{name} is not computed: you have neither made nor accepted {run_dir}, and "
            f"{import_path!r} would be its author's code. To compute it: trust=true.",
            file=sys.stderr,
        )


def _key_of(word: str, folder: Path) -> str:
    """The key of an override that can change the frozen config of a run.

    Raises:
        SggError: it cannot; it would be ignored.

    """
    key = key_of(word)
    first = key.partition(".")[0]
    if word.startswith("~") or first not in {f.name for f in fields(Config)}:
        raise SggError(
            f"{word} would be ignored: {folder} holds the frozen config of a run, in which single keys and "
            f"groups can be changed, such as data.eval.limit=8. Leave {first}=… out."
        )
    return key


def _copy(key: str, source: Any, target: Any) -> None:
    """Copy what a key names, a group or one value, from one config to the other."""
    *parents, last = key.split(".")
    for name in parents:
        if isinstance(target, dict) and name not in target:
            target[name] = source[name]  # such as a reward term that the run did not have
            return
        source, target = _child(source, name), _child(target, name)
    if isinstance(target, dict):
        target[last] = source[last]
    else:
        setattr(target, last, getattr(source, last))


def _child(node: Any, name: str) -> Any:
    return node[name] if isinstance(node, dict) else getattr(node, name)
