"""Errors that the user can fix: shown without a traceback, naming the key and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class SggError(ValueError):
    """A mistake or a circumstance that a user can mend; the message names the key and the way out."""


class Stopped(SggError):
    """A signal ended a run that can be resumed; the message says how."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


class Failed(SggError):
    """A process of a run failed; the message holds its last lines."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest allowed word, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def behind(error: BaseException) -> Iterator[BaseException]:
    """What led to an error, the nearest first; an error that is raised again may lead back to itself."""
    met = {id(error)}
    while (cause := error.__cause__ or error.__context__) is not None and id(cause) not in met:
        yield cause
        met.add(id(cause))
        error = cause


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
