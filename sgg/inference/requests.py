"""What vLLM is asked, in this process or over HTTP, so that it computes what transformers would.

The same pixels: images are resized here, as `sgg.models.processor` does, so that vLLM's own resizing
has nothing left to do. The same prompt: of known length, to be checked against what was understood. The same
seed, whatever else is asked for, and when. Loads no model.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sgg.inference.generate import Key
from sgg.models.forbidden import BIAS
from sgg.scene.boxes import resized_size
from sgg.text.prompt import Messages

if TYPE_CHECKING:
    from PIL.Image import Image


def prompt_text(chat: Messages, processor: Any) -> str:
    """The chat as text, with one token that stands for the image; vLLM puts the others in."""
    return str(processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))


def resized(image: Image, processor: Any) -> Image:
    """The image at the size, in pixels, at which the model sees it."""
    from PIL.Image import Resampling

    return image.convert("RGB").resize(_size(image, processor), Resampling.BICUBIC)


def prompt_ids(text: str, image: Image, processor: Any) -> list[int]:
    """A prompt's tokens with those of its image, as the processor gives them: the size says how many."""
    width, height = _size(image, processor)
    ids: list[int] = processor.tokenizer(text)["input_ids"]
    place = ids.index(processor.image_token_id)
    of_image = [processor.image_token_id] * processor.family.image_tokens(width * height)
    return [*ids[:place], *of_image, *ids[place + 1 :]]


def completion_seed(seed: int, key: Key) -> int:
    """The seed of one completion, 0 to 2^56 - 1: the same whatever else is asked for, and when."""
    digest = hashlib.sha256(f"{seed} {key[1]} {key[0]}".encode()).digest()
    return int.from_bytes(digest[:7])


def stop_and_forbidden(ends: list[int], processor: Any) -> dict[str, Any]:
    """What vLLM is given so that completions end where ours do, and hold no forbidden tokens.

    Args:
        ends: tokens that end a completion; vLLM's own idea of them is put aside.
        processor: the model's.

    """
    bias = dict.fromkeys(processor.forbidden_ids, BIAS)
    return {"ignore_eos": True, "stop_token_ids": ends, "logit_bias": bias}


def _size(image: Image, processor: Any) -> tuple[int, int]:
    size, factor = processor.image_processor.size, processor.family.factor
    return resized_size(*image.size, size["shortest_edge"], size["longest_edge"], factor)
