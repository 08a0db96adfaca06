"""Messages for errors of Hydra and OmegaConf: which file, key and value, and what is allowed there."""

from __future__ import annotations

import os
import re
import shlex
import traceback
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import ListConfig, OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from sgg.config.argv import TOOLS, quoted
from sgg.config.overrides import kind_of
from sgg.config.schema import Config
from sgg.config.stage import STAGES
from sgg.config.tree import groups, options_of
from sgg.errors import SggError, behind, did_you_mean


def explain_config(error: BaseException) -> str | None:
    """The message for a user, or None for an error of these libraries that is no user's doing."""
    for cause in behind(error):
        if isinstance(cause, SggError):  # a resolver of ours could not say it
            return str(cause)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if (told := _in_file(str(error))) is not None:
        return told
    # not the cause of a cause: OmegaConf keeps a half-filled one where a debugger or coverage traces
    reason = next(
        (e for e in (error, *behind(error)) if isinstance(e, OmegaConfBaseException)), error
    )
    if isinstance(reason, (GrammarParseError, InterpolationResolutionError)):
        return _looked_up(reason)
    if isinstance(reason, OmegaConfBaseException):
        return _bad_key_or_value(reason, str(error))
    if isinstance(error, ConfigCompositionException):
        return _bad_group(str(error))
    return str(error) if isinstance(error, HydraException) else None


def explain_composing(error: BaseException) -> str | None:
    """What other libraries say about an option's file while it is composed; None for all else."""
    if type(error).__module__.startswith("yaml."):
        return f"Not valid YAML: {error}"
    if isinstance(error, AssertionError) and "Unexpected type for root" in str(error):
        return _below_nothing(error)
    frames = traceback.extract_tb(error.__traceback__)
    if not any("/hydra/_internal/" in f.filename and "load" in f.name for f in frames):
        return None
    if isinstance(error, RecursionError):
        return (
            "The defaults of an option lead back to itself: look at your own files below SGG_CONF."
        )
    if isinstance(error, UnicodeDecodeError):
        return (
            f"A file of an option is not in UTF-8 ({error}): look at your own files below SGG_CONF."
        )
    return f"{error}." if isinstance(error, ValueError) else None


def _below_nothing(error: BaseException) -> str | None:
    """A key of a group without an option: OmegaConf's assertion names neither, Hydra's frame has the word."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        override = frame.f_locals.get("override")
        if frame.f_code.co_name == "_apply_overrides_to_config" and override is not None:
            key = str(override.key_or_group)
            group = key.partition(".")[0]
            options = ", ".join(f"{group}={option}" for option in options_of(group))
            return (
                f"{str(override.input_line).lstrip('+')} would be ignored: {key} is read with an option of "
                f"{group}, and here {group}=null. Take {options}, or leave {key} out."
            )
    return None


def _missing_option(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    allowed = options_of(group) if group else []
    if not allowed:
        return str(error)
    asking = re.match(r"In '([^']+)'", str(error))
    by = f" {asking[1]} asks for it." if asking and asking[1] != "config" else ""
    proposal = did_you_mean(option, allowed)
    return f"{group}={option}: no such option.{proposal}{by} Allowed: {', '.join(allowed)}."


def _in_file(message: str) -> str | None:
    """A file of an option that sets a key which is not there, or a value that the key cannot have."""
    found = re.match(
        r"In '(\S+)/(\S+)': \w+ raised while composing config:\n(.*)", message, re.DOTALL
    )
    if found is None:
        return None
    group, option, cause = found.groups()
    said, _, facts = cause.partition("\n    full_key:")
    key = facts.split("\n")[0].strip()
    missing = re.fullmatch(r"Key '(.*)' not in '(\w+)'", said)
    if missing is None:
        at = f"{key}: " if key else ""
        return f"{group}={option}: {at}{said.rstrip('.')}."
    if missing[2] in (kind.__name__ for kind in STAGES.values()):
        others = ", ".join(f"{group}={other}" for other in options_of(group) if other != option)
        return (
            f"{group}={option} sets {key}, which {missing[2].removesuffix('Config').lower()} does not have "
            f"(a pipeline may have a step of it). Leave it out, or take another: {others}."
        )
    return f"{group}={option} sets {key}: no such key.{_where_keys_stand(group, key)}"


def _where_keys_stand(group: str, key: str) -> str:
    """What an option's file may have meant by a key that is not there."""
    parent, _, last = key.rpartition(".")
    if key == f"{group}.{group}":
        return f" A file that begins with `{group}:` needs `# @package _global_` as its first line."
    if not parent and kind_of(f"{group}.{last}") is not None:
        return f" In a file with `# @package _global_`, {last} belongs under `{group}:`."
    owner = kind_of(parent) if parent else Config
    allowed = sorted(f.name for f in fields(owner)) if is_dataclass(owner) else []
    under = f" under {parent}" if parent else ""
    return f"{did_you_mean(last, allowed)} Allowed{under}: {', '.join(allowed)}."


def _bad_group(message: str) -> str:
    found = re.search(r"Could not override '([^'@]*)", message)
    if found is None:
        return message
    name = found[1]
    asking = re.match(r"In '(\S+/\S+)': ", message)
    by = f" {asking[1]} asks for it." if asking else ""
    allowed = [*groups(), *(f.name for f in fields(Config))]
    return (
        f"{name}: no such group or key.{_tool(name) or did_you_mean(name, allowed)}{by} "
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
        meant = _tool(key) or _stages_with(key) or did_you_mean(last, allowed)
        return f"{key}: no such key.{meant}{listed}"
    if "missing mandatory value" in said.lower():
        return f"{key} must be given: {key}=VALUE. {_doc_of(key)}".rstrip()
    found = re.search(r"override (\S+)", message)
    shown = found[1].lstrip("+") if found else key
    return f"{shown}: {said.rstrip('.')}."


def _tool(key: str) -> str:
    """What to read about a tool whose name stands where a key does; empty where it is none."""
    return f" It is a tool: `sgg {key} --help`." if key in TOOLS else ""


def _stages_with(key: str) -> str:
    """Which stages have a key that the chosen one lacks; empty if none has."""
    first, _, rest = key.partition(".")
    if first != "stage" or not rest:
        return ""
    name = rest.partition(".")[0]
    having = [
        f"stage={stage.name}"
        for stage, kind in STAGES.items()
        if name in {f.name for f in fields(kind)}
    ]
    if not having:
        return ""
    return (
        f" It is read with {' or '.join(having)}: take one, or leave it out; in a pipeline it stands in the "
        "overrides of a step (pipeline.steps)."
    )


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
    lines.append(f"For the text itself write: {_override(cause, key, literal)}")
    name = said.partition("${")[2].partition("}")[0]
    if name in os.environ:
        asked = re.sub(rf"\$\{{\s*{re.escape(name)}\s*\}}", f"${{oc.env:{name}}}", raw)
        lines.append(f"For the environment variable write: {_override(cause, key, asked)}")
    return "\n".join(lines)


def _override(cause: OmegaConfBaseException, key: str, text: str) -> str:
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
