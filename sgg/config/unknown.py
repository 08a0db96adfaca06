"""Keys that the schema does not have, in a composed config: `+` opens what Hydra would close to them.

OmegaConf keeps such a key beside the fields of its dataclass, where nothing reads it.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError


def refuse_unknown(cfg: DictConfig, left: Container[str] = ()) -> None:
    """Look for keys that no dataclass has a field for; an open dictionary may hold any.

    Args:
        left: whole keys that are left to others to judge.

    Raises:
        ConfigKeyError: there is one; it is what Hydra raises for the same override without `+`.

    """
    content = cfg._content
    if not isinstance(content, dict):
        return
    owner = OmegaConf.get_type(cfg)
    allowed = {f.name for f in fields(owner)} if is_dataclass(owner) else None
    for key, child in content.items():
        is_known = allowed is None or key in allowed
        if not is_known and cfg._get_full_key(key) not in left:
            raise _no_such(cfg, key, owner)
        if isinstance(child, DictConfig):
            refuse_unknown(child, left)


def _no_such(cfg: DictConfig, key: Any, owner: Any) -> ConfigKeyError:
    error = ConfigKeyError(f"Key '{key}' is not in '{owner.__name__}'")
    error.full_key = cfg._get_full_key(key)
    error.msg = str(error)
    error.object_type = owner
    return error
