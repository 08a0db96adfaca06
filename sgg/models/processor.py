"""Processors: images and chats to what a model takes, within a pixel budget.

The processor is image-only and resizes with PIL everywhere, so pixels are the same on every machine, with or
without torchvision. Of the checkpoint's own settings only tokenizer and chat template are read; all else is
the family's (`sgg.models.families`) and the run's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from transformers import AutoTokenizer, Qwen2VLProcessor

from sgg.errors import SggError
from sgg.files import read_record
from sgg.models.families import ModelFamily
from sgg.models.forbidden import forbidden_ids
from sgg.models.load import family_of, head_rows, image_token_id
from sgg.models.repeated_images import PatchCache, RepeatedImageProcessor
from sgg.models.unreadable import explained_as_damaged
from sgg.models.weights import adapter_base

_THOUGHT_OPENED = "<|im_start|>assistant\\n<think>\\n"
"""How a prompt ends in the chat templates of thinking models, as Jinja writes it."""


class _Legacy(Struct):
    """chat_template.json, where older processors kept it."""

    chat_template: str


class ImageOnlyProcessor(Qwen2VLProcessor):  # type: ignore[misc]
    """The processor of all families without the video part, which needs torchvision.

    Token for token the same as upstream for images. What it saves names the upstream class, so
    that checkpoints load in `AutoProcessor` and vLLM.
    """

    family: ModelFamily
    forbidden_ids: list[int]
    """Tokens that the model must not write; see `sgg.models.forbidden`."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None
    ) -> None:
        self.video_processor = None
        super(Qwen2VLProcessor, self).__init__(
            image_processor, tokenizer, chat_template=chat_template
        )

    def set_family(self, family: ModelFamily, rows: int) -> None:
        """Take special tokens, and those to forbid. No arguments of `__init__`: those are saved."""
        self.family = family
        self.forbidden_ids = forbidden_ids(self.tokenizer, family, rows)
        self.image_token, self.video_token = family.image_token, family.video_token
        self.image_token_id = self.tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = self.tokenizer.convert_tokens_to_ids(self.video_token)

    def keep_patches(self) -> None:
        """Compute the patches of an image once where it comes again soon; the same bits."""
        self.image_processor.cache = PatchCache()

    def to_dict(self) -> dict[str, Any]:
        """The config file's content, under the upstream class's name."""
        saved = super().to_dict()
        saved["processor_class"] = self.family.processor_class
        image = saved["image_processor"]
        video = {k: image[k] for k in ("size", "patch_size", "temporal_patch_size", "merge_size")}
        saved["video_processor"] = {
            "video_processor_type": self.family.video_processor_class,
            **video,
        }
        return saved


def build_processor(
    tokenizer: Any,
    family: ModelFamily,
    min_pixels: int,
    max_pixels: int,
    rows: int | None = None,
) -> Any:
    """An image-only processor around a tokenizer, images resized into the pixel budget.

    Args:
        tokenizer: the model's.
        family: the model's.
        min_pixels: least area of a resized image.
        max_pixels: largest area of a resized image.
        rows: of the model's head; as many as the tokenizer has tokens where none is known.

    """
    image_processor = RepeatedImageProcessor(
        size={"shortest_edge": min_pixels, "longest_edge": max_pixels},
        patch_size=family.patch_px,
        merge_size=family.merge,
        image_mean=list(family.image_mean),
        image_std=list(family.image_std),
    )
    processor = ImageOnlyProcessor(
        image_processor, tokenizer, chat_template=tokenizer.chat_template
    )
    processor.set_family(family, len(tokenizer) if rows is None else rows)
    return processor


def load_processor(folder: Path, min_pixels: int, max_pixels: int) -> Any:
    """The image-only processor of a checkpoint folder, within the pixel budget.

    Raises:
        SggError: the checkpoint is of no known family; its chat template is missing or made for text only;
            its tokenizer is another model's.

    """
    family, rows = family_of(folder), head_rows(folder)
    folder = _with_tokenizer(folder)
    with explained_as_damaged(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    tokenizer.padding_side = "left"
    legacy = read_record((folder / "chat_template.json").resolve(), _Legacy)
    if legacy is not None:
        tokenizer.chat_template = legacy.chat_template
    tokenizer.chat_template = _without_opened_thought(tokenizer.chat_template or "")
    if family.image_token not in tokenizer.chat_template:
        raise SggError(
            f"{folder}: the chat template has no place for an image ({family.image_token}). "
            "Take the original checkpoint's chat_template.jinja."
        )
    with explained_as_damaged(folder):
        ids = tokenizer(family.image_token, add_special_tokens=False)["input_ids"]
        expected = image_token_id(folder)
    if ids != [expected]:
        raise SggError(
            f"{folder}: the tokenizer does not write {family.image_token} as the token that the model takes "
            "for an image. Take the original checkpoint's tokenizer files."
        )
    return build_processor(tokenizer, family, min_pixels, max_pixels, rows)


def _without_opened_thought(chat_template: str) -> str:
    """The template with prompts that leave `<think>` to the completion.

    Thinking models get the tag as the end of the prompt. Completions would then hold thoughts that were never
    opened, which no reward for their form, and no grammar, knows.
    """
    return chat_template.replace(_THOUGHT_OPENED, _THOUGHT_OPENED.removesuffix("<think>\\n"))


def _with_tokenizer(folder: Path) -> Path:
    """The folder, or the first one below an adapter that has a tokenizer: PEFT saves adapters without one."""
    files = ("tokenizer_config.json", "tokenizer.json")
    while not any((folder / name).is_file() for name in files):
        base = adapter_base(folder)
        if base is None:
            break
        folder = base
    return folder


def token_count(tokenizer: Any) -> Callable[[str], int]:
    """What counts the tokens of a text."""
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
