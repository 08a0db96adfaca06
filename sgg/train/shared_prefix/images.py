"""Whose images are whose in a batch, and which are equal."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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


def first_alike(
    keys: Sequence[Hashable], images: Sequence[range], pixels: list[torch.Tensor]
) -> list[int]:
    """For each row the first row with an equal key and equal images, which may be itself."""
    firsts: dict[Hashable, list[int]] = {}
    found = []
    for row, key in enumerate(keys):
        alike = firsts.setdefault(key, [])
        first = next((k for k in alike if _equal(images[k], images[row], pixels)), None)
        if first is None:
            alike.append(row)
        found.append(row if first is None else first)
    return found


def taken_images(
    batch: dict[str, Any], pixels: list[torch.Tensor], images: Sequence[int]
) -> dict[str, Any]:
    """Some images of a batch as the model takes them; nothing where it has none."""
    if not pixels:
        return {}
    return {
        "pixel_values": torch.cat([pixels[image] for image in images]),
        "image_grid_thw": batch["image_grid_thw"][list(images)],
    }


def _equal(some: range, others: range, pixels: list[torch.Tensor]) -> bool:
    """Whether the patches are equal."""
    return len(some) == len(others) and all(
        torch.equal(pixels[one], pixels[other]) for one, other in zip(some, others, strict=True)
    )
