"""Features of images from a vision tower that does not learn, kept over the passes of a step.

A step of GRPO passes an image in generation by transformers, for the old policy and the reference, and in the
update. Where neither tower nor merger learns, all of these have the same features: they are computed once.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import is_peft_model

from sgg.config.derived import in_pieces
from sgg.config.model import Family
from sgg.config.schema import Config
from sgg.config.stage import FastPath, TrainStageConfig
from sgg.models.families import FAMILIES
from sgg.train.shared_prefix.images import pixels_of_images, taken_images

KEPT_BYTES = 2**30
"""Of features and of the pixels by which they are found; beyond it nothing more is kept."""

Key = tuple[object, ...]


@dataclass(frozen=True)
class Image:
    """What is kept of one."""

    pixels: torch.Tensor
    """(patches, values of a patch)."""
    features: torch.Tensor
    """(tokens, width)."""
    deepstack: tuple[torch.Tensor, ...]
    """(tokens, width) for each layer that takes some; of Qwen3-VL."""

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(t.nbytes for t in (self.pixels, self.features, *self.deepstack))


class KeptFeatures:
    """In the place of a model's `get_image_features`."""

    def __init__(self, model: Any, limit: int = KEPT_BYTES) -> None:
        """Take that place.

        Args:
            model: below the head; `has_frozen_tower`.
            limit: bytes that are kept.

        """
        self._theirs: Callable[..., Any] = model.get_image_features
        self._merge = model.config.vision_config.spatial_merge_size
        self._limit, self._bytes = limit, 0
        self._kept: dict[Key, list[Image]] = {}
        model.get_image_features = types.MethodType(self._features, model)

    def clear(self) -> None:
        """Forget all images: a step's values must not depend on what was there before it."""
        self._kept.clear()
        self._bytes = 0

    def _features(
        self, model: Any, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor, **others: Any
    ) -> Any:
        """As transformers' own, of which only the images that are not there are asked."""
        batch = {"pixel_values": pixel_values, "image_grid_thw": image_grid_thw}
        pixels = pixels_of_images(batch)
        keys = [_key(own, grid) for own, grid in zip(pixels, image_grid_thw.tolist(), strict=True)]
        found = [self._find(key, own) for key, own in zip(keys, pixels, strict=True)]
        missing = [place for place, image in enumerate(found) if image is None]
        if missing:
            with torch.no_grad():
                made = self._theirs(**taken_images(batch, pixels, missing), **others)
            sizes = [len(pixels[place]) // self._merge**2 for place in missing]
            for place, image in zip(missing, _split(made, pixels, missing, sizes), strict=True):
                found[place] = image
                self._keep(keys[place], image)
        return _joined([image for image in found if image is not None])

    def _find(self, key: Key, pixels: torch.Tensor) -> Image | None:
        alike = self._kept.get(key, ())
        return next((image for image in alike if torch.equal(image.pixels, pixels)), None)

    def _keep(self, key: Key, image: Image) -> None:
        if self._bytes + image.bytes > self._limit or torch.is_inference_mode_enabled():
            return
        self._bytes += image.bytes
        self._kept.setdefault(key, []).append(image)


def kept_features(config: Config, model: Any) -> KeptFeatures | None:
    """For a model that is trained; None where that is not to be, or a part of its tower learns.

    Under ZeRO-3 and FSDP every process must run the tower as often as the others, so there nothing is kept.

    """
    stage = config.stage
    assert isinstance(stage, TrainStageConfig)
    below = model.get_base_model() if is_peft_model(model) else model
    if in_pieces(config) or stage.fast_path is FastPath.off or not has_frozen_tower(below):
        return None
    return KeptFeatures(below.base_model)


def has_frozen_tower(model: Any) -> bool:
    """Whether nothing of a model's tower learns, mergers included.

    Args:
        model: with its head.

    """
    tower = model.get_submodule(FAMILIES[Family[model.config.model_type]].tower)
    return not any(parameter.requires_grad for parameter in tower.parameters())


def _key(pixels: torch.Tensor, grid: Sequence[int]) -> Key:
    """Equal for equal images in one precision, and seldom for others."""
    device = pixels.device.type
    precision = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    return (*grid, pixels.sum(dtype=torch.float64).item(), pixels.dtype, precision)


def _split(
    made: Any, pixels: Sequence[torch.Tensor], places: Sequence[int], sizes: list[int]
) -> list[Image]:
    """Copies of what a model returned, image by image: a part would hold the whole."""
    layers = [layer.split(sizes) for layer in getattr(made, "deepstack_features", None) or ()]
    return [
        Image(
            pixels[place].clone(),
            made.pooler_output[number].clone(),
            tuple(layer[number].clone() for layer in layers),
        )
        for number, place in enumerate(places)
    ]


def _joined(images: list[Image]) -> Any:
    """As a model returns them."""
    return types.SimpleNamespace(
        pooler_output=tuple(image.features for image in images),
        deepstack_features=[
            torch.cat(layers) for layers in zip(*(i.deepstack for i in images), strict=True)
        ],
    )
