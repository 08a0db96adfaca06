"""Whether a server on the network can be reached, known within a few seconds whatever the network does."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from threading import Thread

LIMIT_S = 3.0
"""Longest wait for an answer, seconds: names are looked up, connections made and a page is asked for."""


def out_of_reach(url: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """Why no HTTP server answers there; None where one does, whatever it answers.

    Args:
        url: http or https.
        proxies: address of the proxy by scheme; the environment's (HTTPS_PROXY …) apply besides.

    """
    found: list[str | None] = []
    # a thread: looking up a name has no limit of its own
    asking = Thread(target=lambda: found.append(_asked(url, proxies or {})), daemon=True)
    asking.start()
    asking.join(LIMIT_S)
    return found[0] if found else f"no answer within {LIMIT_S:g} s"


def _asked(url: str, proxies: Mapping[str, str]) -> str | None:
    known = {**urllib.request.getproxies(), **proxies}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(known))
    try:
        opener.open(url, timeout=LIMIT_S).close()
    except urllib.error.HTTPError as error:
        is_gateway = error.code in (502, 503, 504)  # which have not reached the server themselves
        return f"HTTP {error.code} {error.reason}" if is_gateway else None
    except urllib.error.URLError as error:
        # the certificates that its client trusts may be others
        is_there = isinstance(error.reason, ssl.SSLCertVerificationError)
        return None if is_there else str(error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: no address
        return str(error) or type(error).__name__
    return None
