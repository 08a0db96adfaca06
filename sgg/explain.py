"""Errors in words: what Hydra, OmegaConf and the operating system mean to a user.

Goes out: a message that names key, value and what is allowed, or None for a bug, which deserves its
traceback.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import ListConfig, OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from sgg.cli import quoted
from sgg.config import Config
from sgg.errors import SggError, nearest
from sgg.overrides import kind_of
from sgg.places import groups, options_of


def explain(error: BaseException) -> str | None:
    """The message for a user, or None if the error is a bug that deserves its traceback."""
    if isinstance(error, SggError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _OS_HELP:
        return _explain_os(error)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # pathlib's expanduser
        return "A path begins with ~NAME, and this machine has no user of that name. Write the whole path."
    if type(error).__module__.partition(".")[0] in ("hydra", "omegaconf"):
        return _explain_config(error)
    if (
        type(error).__name__ == "OutOfMemoryError"
    ):  # torch's, told by name: nothing here loads torch
        return f"{_OUT_OF_MEMORY} ({str(error).splitlines()[0]})"
    if _WRITE_FAILED.search(
        str(error)
    ):  # safetensors and torch.save wrap ENOSPC in their own types
        return f"{_OS_HELP[errno.ENOSPC]}\n  ({error})"
    return None


_OUT_OF_MEMORY = (
    "The GPU's memory is full. Smaller: stage.micro_batch (training), generate.batch_size (evaluation), "
    "stage.max_pixels; or spread the weights with deepspeed=zero2 or zero3. Then go on with resume=RUN_DIR."
)

_WRITE_FAILED = re.compile(r"No space left on device|file write failed|unexpected pos \d+ vs")

_OS_HELP = {
    errno.ENOSPC: "The disk is full. Free space, or write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data); then go on with resume=RUN_DIR.",
    errno.EDQUOT: "The disk quota is used up. Free space, or write elsewhere with paths.root=DIR.",
    errno.EROFS: "The file system is read-only. Write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data).",
    errno.EACCES: "No permission. Write elsewhere with paths.root=DIR "
    "(paths.cache=DIR for prepared data), or mend the folder's rights.",
    errno.ENOTDIR: "A part of the path is a file, not a folder. "
    "Name another place with paths.root=DIR or paths.run_dir=DIR.",
}


def _explain_os(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}. {_OS_HELP[error.errno or 0]}"


def _explain_config(error: BaseException) -> str | None:
    """The message for a user, or None for an error of these libraries that is no user's doing."""
    for behind in _behind(error):
        if isinstance(behind, SggError):  # a resolver of ours could not answer
            return str(behind)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if (misfit := _option_that_does_not_fit(str(error))) is not None:
        return misfit
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    if isinstance(cause, (GrammarParseError, InterpolationResolutionError)):
        return _looked_up(cause)
    if isinstance(cause, OmegaConfBaseException):
        return _bad_key_or_value(cause, str(error))
    if isinstance(error, ConfigCompositionException):
        return _bad_group(str(error))
    return None


def _behind(error: BaseException) -> Iterator[BaseException]:
    """What led to an error, the nearest first."""
    while (cause := error.__cause__ or error.__context__) is not None:
        yield cause
        error = cause


def _missing_option(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    allowed = options_of(group) if group else []
    if not allowed:
        return str(error).splitlines()[0]
    return f"{group}={option}: no such option.{nearest(option, allowed)} Allowed: {', '.join(allowed)}."


def _option_that_does_not_fit(message: str) -> str | None:
    """A file of a group that sets a key which the other choices leave no place for."""
    found = re.match(
        r"In '(\S+)/(\S+)': ConfigKeyError raised .*\nKey '.*' not in '(\w+)Config'\s+full_key: (\S+)",
        message,
    )
    if found is None:
        return None
    group, option, owner, key = found.groups()
    others = ", ".join(f"{group}={other}" for other in options_of(group) if other != option)
    return (
        f"{group}={option} sets {key}, which {owner.lower()} does not have (a pipeline may have a step of "
        f"it). Leave it out, or take another: {others}."
    )


def _bad_group(message: str) -> str:
    found = re.search(r"Could not override '([^'@]*)", message)
    if found is None:
        return message.splitlines()[0]
    name = found[1]
    allowed = [*groups(), *(f.name for f in fields(Config))]
    return (
        f"{name}: no such group or key.{nearest(name, allowed)} "
        f"Groups: {', '.join(groups())}. `sgg --help` shows their options."
    )


def _bad_key_or_value(cause: OmegaConfBaseException, message: str) -> str:
    key = cause.full_key or ""
    said = str(cause.msg or cause).splitlines()[0]
    owner = cause.object_type
    if re.search(r"Key '.*' (is )?not in|Key .* not found", said) and key:
        allowed = [f.name for f in fields(owner)] if is_dataclass(owner) else []
        parent, _, last = key.rpartition(".")
        under = f" under {parent}" if parent else ""
        listed = f" Allowed{under}: {', '.join(sorted(allowed))}." if allowed else ""
        return f"{key}: no such key.{nearest(last, allowed)}{listed}"
    if "missing mandatory value" in said.lower():
        return f"{key} must be given: {key}=VALUE. {_doc_of(key)}".rstrip()
    found = re.search(r"override (\S+)", message)
    shown = found[1].lstrip("+") if found else key
    return f"{shown}: {said}."


def _looked_up(cause: OmegaConfBaseException) -> str:
    """A `${…}` in a value that leads nowhere: what to write for the text itself, or for the environment's."""
    key, said = cause.full_key or "", str(cause.msg or cause).splitlines()[0]
    raw = cause.child_node._value() if cause.value is None else cause.value
    reasons = (
        (
            r"Interpolation key '(.*)' not found",
            r"${\1} is looked up in the config, which has no \1",
        ),
        (r".*Environment variable '(.*)' not found.*", r"the environment has no \1"),
        (r"Unsupported interpolation type (.*)", r"${\1:…} is not known"),
        (r"no viable alternative at input.*", "what ${ begins has no end"),
    )
    for pattern, reason in reasons:
        said = re.sub(pattern, reason, said)
    lines = [f"{key}={raw}: {said}."]
    if kind_of(key.partition("[")[0]) in (int, float, bool):
        return f"{lines[0]} Write a value."
    literal = re.sub(r"(?<!\\)((?:\\\\)*)\$\{", r"\1\\${", raw)
    lines.append(f"For the text itself write: {_word(cause, key, literal)}")
    name = said.partition("${")[2].partition("}")[0]
    if name in os.environ:
        asked = re.sub(rf"\$\{{\s*{re.escape(name)}\s*\}}", f"${{oc.env:{name}}}", raw)
        lines.append(f"For the environment variable write: {_word(cause, key, asked)}")
    return "\n".join(lines)


def _word(cause: OmegaConfBaseException, key: str, text: str) -> str:
    """The override, ready for a shell, by which a key or this element of its list gets a text."""
    value = quoted(text)
    if isinstance(cause.parent_node, ListConfig):
        elements: Any = OmegaConf.to_container(cause.parent_node, resolve=False)
        elements[cause.key] = text
        key, value = key.rpartition("[")[0], f"[{','.join(quoted(str(e)) for e in elements)}]"
    return shlex.quote(f"{key}={value}")


def _doc_of(key: str) -> str:
    """The way out for mandatory keys."""
    return {
        "data.root": "It is the folder that holds the data set's own files (docs/data.md).",
    }.get(key, "")
