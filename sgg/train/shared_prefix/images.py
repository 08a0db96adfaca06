"""Whose images are whose in a batch, and which are equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class NotPackedError(Exception):
    """Why a batch is passed as it is."""


def pixels_of_images(batch: dict[str, Any]) -> list[torch.Tensor]:
    """Patches of each image: (patches, values of a patch)."""
    if batch.get("pixel_values") is None:
        return []
    return list(batch["pixel_values"].split(batch["image_grid_thw"].prod(-1).tolist()))


def images_of_rows(model: Any, rows: Sequence[Sequence[int]], batch: dict[str, Any]) -> list[range]:
    """The images of each row, by the image tokens that it has.

    Args:
        model: below the head: it knows the image token and how many patches one stands for.
        rows: tokens of each, the padding left out or not.
        batch: the images.

    Raises:
        NotPackedError: the tokens do not fit the images.

    """
    token, merge = model.config.image_token_id, model.config.vision_config.spatial_merge_size
    grids = batch.get("image_grid_thw")
    sizes = [] if grids is None else (grids.prod(-1) // merge**2).tolist()
    found, seen = [], 0
    for row in rows:
        needed, images = row.count(token), seen
        while needed > 0 and images < len(sizes):
            needed -= sizes[images]
            images += 1
        if needed:
            raise NotPackedError("image tokens do not match the images")
        found.append(range(seen, images))
        seen = images
    return found


def same_images(some: range, others: range, pixels: list[torch.Tensor]) -> bool:
    """Whether the patches are equal."""
    return len(some) == len(others) and all(
        torch.equal(pixels[one], pixels[other]) for one, other in zip(some, others, strict=True)
    )
