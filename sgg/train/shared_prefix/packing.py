"""A batch of padded rows, as TRL makes them, to one packed row in which equal prompts stand once.

Which rows share a prompt is read from the batch itself: equal tokens before the first that is scored, and
equal images. So whatever of a group is in a batch is shared, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from sgg.train.shared_prefix.images import (
    NotPackedError,
    first_alike,
    images_of_rows,
    pixels_of_images,
    taken_images,
)
from sgg.train.shared_prefix.layout import Group, Layout

_TAKEN = {
    "input_ids",
    "attention_mask",
    "mm_token_type_ids",
    "pixel_values",
    "image_grid_thw",
    "use_cache",
}


@dataclass(frozen=True)
class Packed:
    """What the model is given in place of the batch."""

    inputs: dict[str, Any]
    """Of the model below the head."""
    places: torch.Tensor
    """(labels,) tokens of the packed row that predict the labels, in the order of the batch."""
    plain_tokens: int
    """Of the batch, padding included."""
    tokens: int
    plain_images: int
    images: int


@dataclass
class _Row:
    """What counts of one row."""

    place: int
    """In the batch."""
    first: int
    """Column of the first token that is scored."""
    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    """Up to the token before the last that is scored, which predicts nothing."""
    scored: list[int]
    """Columns."""
    images: range


@dataclass
class _Shared:
    """Rows of one prompt."""

    rows: list[_Row] = field(default_factory=list)

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.rows[0].prompt

    @property
    def images(self) -> range:
        return self.rows[0].images


def packed(model: Any, labels: torch.Tensor, batch: dict[str, Any]) -> Packed:
    """The batch as one row.

    Args:
        model: below the head: it knows the positions of image tokens, and their id.
        labels: (B, T), -100 where nothing is scored.
        batch: `input_ids` and `attention_mask` (B, T), images, and what else the model takes.

    Raises:
        NotPackedError: the batch has something that is not known here.

    """
    unknown = sorted(name for name in batch.keys() - _TAKEN if batch[name] is not None)
    if unknown:
        raise NotPackedError(f"the batch has {', '.join(unknown)}")
    pixels = pixels_of_images(batch)
    groups = _shared(list(_rows(model, labels, batch)), pixels)
    ids: list[int] = []
    positions: list[torch.Tensor] = []
    layout: list[Group] = []
    places: dict[int, list[int]] = {}
    for group in groups:
        own = _positions(model, group, batch.get("image_grid_thw"))
        after = int(own.max()) + 1
        start, prompt = len(ids), len(group.prompt)
        ids += group.prompt
        positions.append(own)
        for row in group.rows:
            begin = len(ids)  # of the completion
            places[row.place] = [
                start + prompt - 1 if column == row.first else begin + column - row.first - 1
                for column in row.scored
            ]
            ids += row.completion
            steps = torch.arange(after, after + len(row.completion))
            positions.append(steps.expand(3, 1, -1))
        lengths = tuple(len(row.completion) for row in group.rows if row.completion)
        layout.append(
            Group(prompt, lengths) if len(lengths) > 1 else Group(prompt + sum(lengths), ())
        )
    device, kept = labels.device, [image for group in groups for image in group.images]
    inputs: dict[str, Any] = {
        "input_ids": torch.tensor([ids], device=device),
        "position_ids": torch.cat(positions, 2).to(device),
        "packed_layout": Layout(tuple(layout)),
        "use_cache": False,
    }
    inputs |= taken_images(batch, pixels, kept)
    order = [place for row in sorted(places) for place in places[row]]
    return Packed(
        inputs,
        torch.tensor(order, dtype=torch.long, device=device),
        labels.numel(),
        len(ids),
        len(pixels),
        len(kept),
    )


def _rows(model: Any, labels: torch.Tensor, batch: dict[str, Any]) -> Iterator[_Row]:
    """The rows in order."""
    ids, mask = batch["input_ids"].tolist(), batch["attention_mask"].tolist()
    wanted = (labels != -100).tolist()
    images, image_token = images_of_rows(model, ids, batch), model.config.image_token_id
    for place, (tokens, real, scores) in enumerate(zip(ids, mask, wanted, strict=True)):
        begin, end = real.index(1), len(real) - real[::-1].index(1)
        if not all(real[begin:end]):
            raise NotPackedError("a row has padding within")
        scored = [column for column in range(begin, end) if scores[column]]
        first = scored[0] if scored else end
        if first == begin:
            raise NotPackedError("a row has no prompt")
        if image_token in tokens[first:end]:
            raise NotPackedError("image tokens do not match the images")
        prompt, completion = tokens[begin:first], tokens[first : scored[-1]] if scored else []
        yield _Row(place, first, tuple(prompt), tuple(completion), scored, images[place])


def _shared(rows: list[_Row], pixels: list[torch.Tensor]) -> list[_Shared]:
    """Rows by prompt and images, in order; those with nothing to score only if there is nothing else."""
    scored = [row for row in rows if row.scored] or rows[:1]
    firsts = first_alike([r.prompt for r in scored], [r.images for r in scored], pixels)
    groups: dict[int, _Shared] = {}
    for row, first in zip(scored, firsts, strict=True):
        groups.setdefault(first, _Shared()).rows.append(row)
    return list(groups.values())


def _positions(model: Any, group: _Shared, grids: torch.Tensor | None) -> torch.Tensor:
    """Of the prompt, as the model places images: (3, 1, tokens), on the CPU."""
    ids = torch.tensor([group.prompt])
    if grids is None or not group.images:
        return torch.arange(len(group.prompt)).expand(3, 1, -1)
    found, _ = model.get_rope_index(
        ids,
        mm_token_type_ids=(ids == model.config.image_token_id).int(),
        image_grid_thw=grids[list(group.images)].cpu(),
    )
    return found
