"""The only errors that are shown without a traceback: what a user can mend, said in words."""

from __future__ import annotations

from collections.abc import Iterable


class SggError(ValueError):
    """A mistake or a circumstance that a user can mend; the message names the key and the way out."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest allowed word, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
