"""trackio (0.43) takes from the environment where its data lies, once, and whom it sends it to."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

_FOLDER = "TRACKIO_DIR"
_SENDS = (
    "TRACKIO_SPACE_ID",
    "TRACKIO_SERVER_URL",
    "TRACKIO_DATASET_ID",
    "TRACKIO_BUCKET_ID",
    "TRACKIO_WEBHOOK_URL",
)
"""Variables by which trackio would send data elsewhere."""


def trackio_in(folder: Path) -> Any:
    """The package, its data in a folder: imported anew, for another run of this process may have its own."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        del sys.modules[name]
    with _environment({_FOLDER: str(folder)}):
        return import_module("trackio")


@contextmanager
def local_and_quiet() -> Iterator[None]:
    """In the block trackio sends nothing to anybody, and prints nothing."""
    with _environment(dict.fromkeys(_SENDS)), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextmanager
def _environment(values: dict[str, str | None]) -> Iterator[None]:
    """The environment with these variables; None for without."""
    before = {name: os.environ.pop(name, None) for name in values}
    os.environ.update({name: value for name, value in values.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
