"""An image processor that computes the patches of an image once while it is asked for it again.

TRL's GRPO passes each image once for every completion of its group, and all of them twice a step: for the
tokens of the prompts and for the training pass. Resizing and normalising a photograph takes some 60 ms.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image
from transformers import BatchFeature
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

KEPT_BYTES = 2**29
"""Of patches: 56 images of 512 · 28² pixels. TRL holds them once for each completion of a group."""

Patches = tuple[np.ndarray, np.ndarray]
"""Of an image: pixels (patches, values of a patch), and its grid (1, 3) in time, height and width."""


class PatchCache:
    """Patches of the images that were asked for last, up to a number of bytes; for several threads."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[object, Patches] = OrderedDict()
        self._lock = Lock()
        self.bytes = 0

    def __reduce__(self) -> Any:
        """A copy, or what another process unpickles, begins empty."""
        return PatchCache, (self._limit,)

    def get(self, key: object) -> Patches | None:
        """What was put; None if it is no longer there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: object, patches: Patches) -> None:
        """Keep it in place of the ones that were not asked for longest; not if it alone is too large."""
        size = patches[0].nbytes
        if size > self._limit:
            return
        with self._lock:
            self._drop(key)
            self._kept[key] = patches
            self.bytes += size
            while self.bytes > self._limit:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: object) -> None:
        if key in self._kept:
            self.bytes -= self._kept.pop(key)[0].nbytes


class RepeatedImageProcessor(Qwen2VLImageProcessorPil):  # type: ignore[misc]
    """Transformers' own, bit for bit; once told to, it keeps patches."""

    cache: PatchCache | None = None
    """Set on an instance it is none of the settings that are saved."""

    def to_dict(self) -> dict[str, Any]:
        """The settings, under the upstream class's name."""
        saved = super().to_dict()
        saved.pop("cache", None)
        saved["image_processor_type"] = "Qwen2VLImageProcessor"
        return saved

    def _preprocess_image_like_inputs(
        self, images: Any, *args: Any, return_tensors: Any = None, **settings: Any
    ) -> BatchFeature:
        """Called by `preprocess` with all settings filled in."""
        if self.cache is None:
            return super()._preprocess_image_like_inputs(
                images, *args, return_tensors=return_tensors, **settings
            )
        flat = self._prepare_images_structure(images)
        told = repr(sorted(settings.items()))
        found: dict[int, Patches] = {}
        for image in flat:
            if id(image) not in found:
                found[id(image)] = self._patches(self.cache, image, told, settings)
        pixels, grids = zip(*(found[id(image)] for image in flat), strict=True)
        data = {"pixel_values": np.concatenate(pixels), "image_grid_thw": np.concatenate(grids)}
        return BatchFeature(data=data, tensor_type=return_tensors)

    def _patches(
        self, cache: PatchCache, image: Any, told: str, settings: dict[str, Any]
    ) -> Patches:
        """From the cache, or computed; other images than RGB ones of PIL are not kept."""
        key = None
        if isinstance(image, Image.Image) and image.mode == "RGB":
            key = image.size, hashlib.sha256(image.tobytes()).digest(), told
            kept = cache.get(key)
            if kept is not None:
                return kept
        made = super()._preprocess_image_like_inputs([image], return_tensors=None, **settings)
        patches = made["pixel_values"], made["image_grid_thw"]
        if key is not None:
            cache.put(key, patches)
        return patches
