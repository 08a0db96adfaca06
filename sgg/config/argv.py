"""Arguments of a command line as Hydra reads them: escapes, quotes, open dictionaries without a plus sign."""

from __future__ import annotations

import re

TOOLS = (
    "prepare",
    "score",
    "predict",
    "draw",
    "report",
    "dashboard",
    "reward",
    "status",
    "watch",
    "resume",
    "cancel",
    "serve",
)
"""First arguments that are a tool's name; each is a module of `sgg.cli` with `main(argv)`, imported then."""

OPEN_DICTS = re.compile(
    r"^((stage\.args|reward\.terms|hardware\.environment|hardware\.slurm\.sbatch)(\.[^=]+)?"
    r"|(deepspeed|fsdp)\.[^=]+)="  # which by themselves are groups
)
"""Keys below these are checked by `validate`, not by Hydra's struct, so they take new entries."""


UNCHOSEN = re.compile(r"^(deepspeed|fsdp|grammar|pipeline|experiment|debug)=null$")
"""A group that may go without an option, set to none; Hydra takes null in YAML only."""


_PLAIN = re.compile(r"[A-Za-z0-9_.-]*/[A-Za-z0-9_./-]*")
"""Paths that Hydra's grammar takes as they are."""


def prepare_argv(argv: list[str]) -> list[str]:
    """The arguments as Hydra wants them.

    `++` before a key that no YAML states, which is every key below an open dictionary; `~deepspeed` for
    `deepspeed=null`.
    """
    return [_prepared(word) for word in argv]


def _prepared(word: str) -> str:
    if OPEN_DICTS.match(word):
        return f"++{word}"
    return UNCHOSEN.sub(r"~\1", word)


def key_of(argument: str) -> str:
    """The key that an override sets."""
    return argument.lstrip("+~").partition("=")[0]


def assignment(key: str, value: str) -> str:
    """`key=value` as one argument from which Hydra reads this very text; a shell's quotes are not in it."""
    if _PLAIN.fullmatch(value):
        return f"{key}={value}"
    return f"{key}={quoted(unresolved(value))}"


def unresolved(text: str) -> str:
    """A text in which `${` is escaped, as it would be looked up in the config."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def quoted(text: str) -> str:
    """A text in the quotes of Hydra's grammar, where backslashes count only before a quote."""
    mark = "'" if '"' in text and "'" not in text else '"'
    escaped = re.sub(rf"(\\*){mark}", rf"\1\1\\{mark}", text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"{mark}{escaped}{mark}"
