"""A config as typed objects: from what Hydra composed, into RUN_DIR/config.yaml and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sgg.config import literal
from sgg.config.reward import term
from sgg.config.schema import Config
from sgg.config.stage import STAGES, StageConfig, StageName
from sgg.config.unknown import refuse_unknown
from sgg.errors import SggError
from sgg.files import opened, write_whole

FROZEN_NAME = "config.yaml"
"""Name of the frozen config in a run folder."""

MAX_BYTES = 1 << 20
"""Of a frozen config that is read: a hundred times one that sgg writes."""


class UnfitConfigError(SggError):
    """A frozen config that is sound YAML, but has other keys or values than the schema."""


def to_typed(cfg: DictConfig) -> Config:
    """The composed config as typed objects, interpolations resolved.

    Raises:
        ConfigKeyError: an override with `+` put a key where the schema has none.

    """
    # a pipeline's or sweep's override for its training stages; `unread` judges over all of them
    refuse_unknown(cfg, left=("stage.args",))
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, Config)
    config.reward.terms = {k: term(k, v) for k, v in config.reward.terms.items()}
    for name, folder in vars(config.paths).items():  # others are expanded by who reads them
        if folder is not None:
            setattr(config.paths, name, str(Path(folder).expanduser()))
    return config


def write_frozen(config: Config, path: Path) -> None:
    """Write the config as it stands, atomically: what a run reads is whole or not there."""
    write_whole(path, literal.dumps(config))


def read_frozen(path: Path) -> Config:
    """Read a frozen config back, checked against the schema. Nothing in it is resolved.

    Raises:
        UnfitConfigError: it does not fit the schema.
        SggError: it is none.
        OSError: it cannot be read, or is a symbolic link.

    """
    with opened(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise SggError(
            f"{path}: longer than {MAX_BYTES} bytes, so not a config that sgg has written."
        )
    try:
        values = literal.loads(content.decode())
    except (SggError, UnicodeDecodeError) as error:
        raise SggError(f"{path}: {error}") from error
    try:
        return build_config(values)
    except SggError as error:
        raise UnfitConfigError(
            f"{path}: {error}\nAn earlier version of sgg made it, or it was changed by hand."
        ) from error


def build_config(values: dict[str, Any]) -> Config:
    """The config that plain values make.

    Raises:
        SggError: they do not fit the schema.

    """
    config = literal.build(Config, values, choose=_stage_of)
    assert isinstance(config, Config)
    config.reward.terms = {k: term(k, v) for k, v in config.reward.terms.items()}
    return config


def _stage_of(kind: Any, values: Any) -> Any:
    """The class of a stage, by its name."""
    if kind is not StageConfig:
        return kind
    name = str(values.get("name")) if isinstance(values, dict) else ""
    if name not in StageName.__members__:
        raise SggError(f"stage.name={name}: must be one of {', '.join(StageName.__members__)}.")
    return STAGES[StageName[name]]
