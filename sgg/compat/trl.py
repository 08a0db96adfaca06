"""What TRL gets wrong when vLLM generates from images, and whether this TRL still does.

Each function names its report upstream and looks at the installed TRL's own source, so that a workaround ends
with the fault. `rollout/generation.py` applies them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import groupby
from typing import Any

from trl.generation.vllm_generation import VLLMGeneration


@cache
def expands_twice() -> bool:
    """trl#6294: prompts go to a colocated engine with image tokens expanded, and vLLM expands them again."""
    return "image_token_id" not in inspect.getsource(VLLMGeneration.generate)


@cache
def keeps_image_features() -> bool:
    """trl#7198: after a push only the prefix cache is emptied; images seen before keep old features."""
    return "encoder_cache" not in inspect.getsource(VLLMGeneration.sync_weights)


def collapsed(ids: list[int], image_token: int) -> list[int]:
    """The prompt with one image token in the place of each run of them, as vLLM wants it."""
    runs = ((token, list(run)) for token, run in groupby(ids))
    return [t for token, run in runs for t in (run[:1] if token == image_token else run)]


@contextmanager
def replaced(module: Any, name: str, ours: Any) -> Iterator[None]:
    """A module's attribute is ours inside the block."""
    theirs = getattr(module, name)
    setattr(module, name, ours)
    try:
        yield
    finally:
        setattr(module, name, theirs)
