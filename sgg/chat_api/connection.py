"""What all connections to servers share, in evaluations and in rollouts."""

from __future__ import annotations

import httpx

LIMITS = httpx.Limits(
    # how many at once is the caller's affair
    max_connections=None,
    max_keepalive_connections=None,
    # vLLM closes after 5 s: a request must not meet a connection that is just being closed
    keepalive_expiry=2.0,
)


def key_headers(key: str | None) -> dict[str, str]:
    """Headers that show a server its key."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def reason(error: httpx.HTTPError) -> str:
    """Why there was no response, with the kind of error: many have no message of their own."""
    return f"{type(error).__name__}: {error}".rstrip(": ")
