"""A micro batch of GRPO: completions of one prompt with one image, as TRL's trainer holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from update.models import AFTER_IMAGE, BEFORE_IMAGE, IMAGE, PAD


@dataclass(frozen=True)
class Case:
    """Numbers of tokens, and of completions."""

    prompt: int
    image: int
    """Tokens of the prompt that belong to its image."""
    completion: int
    """Mean of the completions; they go from 3/4 to 5/4 of it."""
    group: int

    def __str__(self) -> str:
        return f"prompt {self.prompt} (image {self.image}), {self.group} × {self.completion} tokens"

    @property
    def lengths(self) -> list[int]:
        """Of the completions: evenly spaced, long and short ones in turn."""
        c, g = self.completion, self.group
        spaced = [round(c * (0.75 + 0.5 * i / max(1, g - 1))) for i in range(g)]
        return spaced[::2] + spaced[1::2][::-1]

    @property
    def sides(self) -> tuple[int, int]:
        """Of the image, in tokens; as near to a square as there is."""
        short = max(n for n in range(1, int(self.image**0.5) + 1) if self.image % n == 0)
        return short, self.image // short


def inputs(case: Case, config: Any, device: str, seed: int = 0) -> dict[str, Any]:
    """What `GRPOTrainer._get_per_token_logps_and_entropies` takes beside the model.

    Args:
        case: the numbers.
        config: of the model.
        device: where it goes.
        seed: of tokens and pixels.

    """
    drawn = torch.Generator().manual_seed(seed)
    vision, longest = config.vision_config, max(case.lengths)

    def text(count: int) -> torch.Tensor:
        return torch.randint(10, config.text_config.vocab_size, (count,), generator=drawn)

    picture = torch.tensor([BEFORE_IMAGE, *[IMAGE] * case.image, AFTER_IMAGE])
    words = text(case.prompt - len(picture))
    prompt = torch.cat([words[:5], picture, words[5:]])
    rows = [
        torch.cat([prompt, text(length), torch.full((longest - length,), PAD)])
        for length in case.lengths
    ]
    ids = torch.stack(rows)
    places = torch.arange(ids.shape[1]) - case.prompt
    mask = (places < torch.tensor(case.lengths)[:, None]).long()
    grid = torch.tensor([[1, *(side * vision.spatial_merge_size for side in case.sides)]])
    values = 3 * vision.temporal_patch_size * vision.patch_size**2
    pixels = torch.randn(int(grid.prod()), values, generator=drawn)
    found = {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": pixels.repeat(case.group, 1),
        "image_grid_thw": grid.repeat(case.group, 1),
        "mm_token_type_ids": (ids == IMAGE).int(),
    }
    return {name: tensor.to(device) for name, tensor in found.items()} | {
        "logits_to_keep": longest,
        "num_images": [1] * case.group,
    }
