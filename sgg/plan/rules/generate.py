"""Whether `generate` names servers that can be asked. Looks at text only: no server is called here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from sgg.config.generate import Engine, GenerateConfig

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def server_problems(generate: GenerateConfig) -> Iterator[str]:
    """What is wrong with the servers of an evaluation."""
    if generate.engine is not Engine.server:
        if generate.servers:
            yield (
                "generate.servers would be ignored with "
                f"generate.engine={generate.engine.name}. Take generate=server, or leave them out."
            )
        return
    if not generate.servers:
        yield (
            "generate=server needs generate.servers=[http://HOST:PORT,…]; `sgg serve` starts one."
        )
    for number, url in enumerate(generate.servers):
        if problem := _problem_with(url):
            yield f"generate.servers[{number}]{problem}"
    if len(set(generate.servers)) < len(generate.servers):
        yield "generate.servers names a server twice: requests are spread over them anyway."
    if generate.request_timeout_s <= 0:
        yield f"generate.request_timeout_s={generate.request_timeout_s}: must be above 0 seconds."
    if not _VARIABLE.fullmatch(generate.api_key_env):  # which may be the key itself: not shown
        yield (
            "generate.api_key_env must be the name of an environment variable that holds the key, "
            "such as OPENAI_API_KEY; keys have no place in a config, which runs write down."
        )


def _problem_with(url: str) -> str | None:
    """What is wrong with an address; never shown when it may hold a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = parts = None
    if "@" in url:
        return (
            " holds a user or password, which runs would write down. Leave it out; a key comes from the "
            "environment variable that generate.api_key_env names."
        )
    shape = "write http://HOST:PORT"
    if parts is None or parts.scheme not in ("http", "https") or not host or port == 0:
        return f"={url}: {shape}."
    if re.search(r"[\s?#\\]", url):
        return f"={url}: {shape}, and no spaces, ? or #."
    if parts.path.endswith("/"):
        return f"={url}: leave out the / at its end."
    if parts.path.endswith("/v1"):
        return f"={url}: leave out /v1, which is added."
    return None
