"""How a server proves that it has the key, before a client shows it the key.

The client sends a random number to an endpoint that everybody may ask, and the server responds with a code
made from the number and the key. Who has taken the server's port cannot make it and never sees the key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

PROOF_PATH = "/sgg/proof"
"""Asked with `?nonce=…`; the response's body is the proof."""

_PURPOSE = b"sgg: this server has the key"
"""So that no proof is of use where the key makes codes for anything else."""

_NONCE = re.compile("[0-9a-f]{64}")


def new_nonce() -> str:
    """A random number that was never asked with before: 32 bytes, hexadecimal."""
    return secrets.token_hex(32)


def is_nonce(text: str) -> bool:
    """Whether a server may respond to it."""
    return _NONCE.fullmatch(text) is not None


def proof(key: str, nonce: str) -> str:
    """HMAC-SHA256 of nonce and purpose, hexadecimal."""
    return hmac.new(key.encode(), bytes.fromhex(nonce) + _PURPOSE, hashlib.sha256).hexdigest()


def proves(key: str, nonce: str, shown: bytes) -> bool:
    """Whether a server's response is the proof; takes as long for any wrong one."""
    return hmac.compare_digest(shown, proof(key, nonce).encode())
