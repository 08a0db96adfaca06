"""Whether a training's passes share prompts and images, and what that saved."""

from __future__ import annotations

import logging
from typing import Any

import torch

from sgg.config.stage import FastPath
from sgg.errors import SggError
from sgg.models.families import FAMILIES
from sgg.train.shared_prefix.attention import NAME, use_shared_prefix
from sgg.train.shared_prefix.images import NotPackedError
from sgg.train.shared_prefix.packing import Packed, packed
from sgg.train.shared_prefix.prefill import Prefill, is_prefill, prefill

log = logging.getLogger("sgg")


class SharedPrefix:
    """One for a run: its policy and its reference model are passed alike."""

    def __init__(self, mode: FastPath, *, compiled: bool = False) -> None:
        """Share as `stage.fast_path` says.

        Args:
            mode: `stage.fast_path`.
            compiled: whether torch compiles the model; for each layout it would do so anew.

        """
        self._mode, self._compiled = mode, compiled
        self.is_on = False
        """Whether a model takes packed rows."""
        self._told: set[str] = set()
        self._tokens = self._plain_tokens = self._images = self._plain_images = 0

    def prepare(self, model: Any) -> None:
        """Let a model take packed rows, if it can.

        Raises:
            SggError: it cannot, and `stage.fast_path=require`.

        """
        if self._mode is FastPath.off:
            return
        reason = "stage.args.torch_compile=true" if self._compiled else unfit(model)
        if reason is not None:
            self._refuse(reason)
            return
        use_shared_prefix(_text_config(model))
        self.is_on = True

    def packed(self, model: Any, labels: torch.Tensor, batch: dict[str, Any]) -> Packed | None:
        """The batch as one packed row; None where it is to be passed as it is.

        Args:
            model: with its head.
            labels: (B, T), -100 where nothing is scored.
            batch: what the model takes besides.

        Raises:
            SggError: the batch cannot be packed, and `stage.fast_path=require`.

        """
        if not self._shares(model):
            return None
        try:
            found = packed(model.base_model, labels, batch)
        except NotPackedError as error:
            self._refuse(str(error))
            return None
        self._tokens += found.tokens
        self._plain_tokens += found.plain_tokens
        self._images += found.images
        self._plain_images += found.plain_images
        return found

    def prefill(self, model: Any, batch: dict[str, Any]) -> Prefill | None:
        """The distinct rows of the first pass of a generation; None where the batch is to be passed as it is.

        Args:
            model: with its head.
            batch: what the model takes.

        Raises:
            SggError: the batch has something that is not known here, and `stage.fast_path=require`.

        """
        if not is_prefill(batch) or not self._shares(model):
            return None
        try:
            return prefill(model.base_model, batch)
        except NotPackedError as error:
            self._refuse(str(error))
            return None

    def measured(self) -> dict[str, float]:
        """Shares of the scored batches' tokens and images that were not computed since the last call."""
        found = {}
        if self._plain_tokens:
            found["speed/prefix_saved"] = 1 - self._tokens / self._plain_tokens
        if self._plain_images:
            found["speed/images_saved"] = 1 - self._images / self._plain_images
        self._tokens = self._plain_tokens = self._images = self._plain_images = 0
        return found

    def _shares(self, model: Any) -> bool:
        return self.is_on and _text_config(model)._attn_implementation == NAME

    def _refuse(self, reason: str) -> None:
        if self._mode is FastPath.require:
            raise SggError(
                f"stage.fast_path=require, but prompts cannot be shared: {reason}. "
                "stage.fast_path=auto takes plain passes there."
            )
        if reason not in self._told:
            self._told.add(reason)
            log.info("stage.fast_path: prompts and images are not shared: %s", reason)


def unfit(model: Any) -> str | None:
    """Why a model takes no packed rows; None if it does."""
    config = model.config
    text = _text_config(model)
    if config.model_type not in {family.name for family in FAMILIES}:
        return f"the model is a {config.model_type}"
    if text._attn_implementation not in ("sdpa", NAME):
        return f"model.attention={text._attn_implementation}"
    if "sliding_attention" in (getattr(text, "layer_types", None) or ()):
        return "the model has sliding windows"
    if text.attention_dropout:
        return "the model drops attention weights at random"
    return None


def _text_config(model: Any) -> Any:
    return model.base_model.language_model.config
