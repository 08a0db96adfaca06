"""The error in what a process has printed: one line for a table, whatever was printed around it."""

from __future__ import annotations

import re

MESSAGE = "\nsgg: "
"""How `run_and_report` begins the message of a mistake."""

_PREFIX = re.compile(r"^(\[rank\d+\]:\s?|\(\w+ pid=\d+\)\s(\w+ \d\d-\d\d [\d:]+ \[[^\]]+\]\s?)?)")
"""What torch puts before the lines of a rank's traceback, and vLLM before those of its processes."""

_BAR_END = re.compile(r"([?\d.]+\s?(?:it/s|s/it)[^\]\n]*\])(?=\S)")
"""The end of a progress bar, behind which another stream went on in the same line."""

_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(:\s|$)")
"""The line of a traceback that names the exception; all others of it are indented."""

_FATAL = re.compile(
    r"^(Fatal Python error: .+|\s*what\(\):\s+.+|Segmentation fault.*"
    r"|slurmstepd\S*: error: (?!\*\*\*).+)$"  # with stars: that Slurm ends the job, not why
)
"""What ends a process without a traceback: the last lines of the interpreter, of C++ and of Slurm."""

_PROGRESS = re.compile(r"\d+%\|.*\||\b\d+(\.\d+)?\s?(it/s|s/it)\b|^\s*$")


def lines_of(text: str) -> list[str]:
    """The lines as a screen shows them: a progress bar redraws its line, and only its last state is one."""
    return [line.rsplit("\r", 1)[-1] for line in text.rstrip().splitlines()]


def mistake_in(text: str) -> str:
    """What a process said of a user's mistake; empty for none."""
    lines = _BAR_END.sub(r"\1\n", text.replace("\r", "\n"))
    _, mark, said = f"\n{lines}".rpartition(MESSAGE)
    return said.rstrip() if mark else ""


def error_in(text: str) -> str:
    """The last error that was printed: a mistake's message, else an exception's line; empty for none."""
    lines = [_PREFIX.sub("", line) for line in lines_of(_BAR_END.sub(r"\1\n", text))]
    if mistake := mistake_in("\n".join(lines)):
        return mistake.splitlines()[0]
    found = ""
    inside = False
    for line in lines:
        if line.startswith(_TRACEBACK):
            inside = True
        elif inside and _RAISED.match(line):
            found, inside = line, False
        elif _FATAL.match(line):
            found = line.strip()
    return found.strip()


def last_line(text: str) -> str:
    """The last line that is no progress bar; empty for none."""
    return next((s.strip() for s in reversed(lines_of(text)) if not _PROGRESS.search(s)), "")
