"""Model families: what the rest of the package must know of each, one record a family.

Adding a family takes its name in `config.model.Family`, a record here and an option in `conf/model`
(docs/development.md). Weights and processors are loaded elsewhere; this module imports neither torch
nor NumPy, so that a config is checked without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sgg.config.model import Family, Frame
from sgg.errors import SggError

if TYPE_CHECKING:
    from sgg.scene.boxes import FrameSpec


@dataclass(frozen=True)
class TinySize:
    """Size of a tiny model; the defaults make about 1.3 M parameters."""

    width: int = 128
    """Text hidden size; heads of 32."""
    layers: int = 2
    vision_width: int = 128
    vision_layers: int = 2
    initializer_range: float = 0.1
    vision_initializer_range: float = 0.02
    vocabulary_rows: int | None = None
    """Rows of the embedding and the head; by default as many as the tokenizer's tokens take."""
    context: int = 4096
    """Longest prompt and completion together, tokens."""


@dataclass(frozen=True)
class ModelFamily:
    """What differs between the families, or might."""

    name: Family
    frame: Frame
    """What the numbers of its boxes mean."""
    patch_px: int
    """Side of the vision tower's patches, pixels."""
    merge: int
    """Patches along each side that make one token."""
    image_mean: tuple[float, float, float]
    """Of red, green and blue, subtracted from an image in 0..1."""
    image_std: tuple[float, float, float]
    processor_class: str
    """transformers' class that reads what our processor saves."""
    video_processor_class: str
    image_token: str
    """Stands for one token of an image in a prompt."""
    video_token: str
    vision_tokens: tuple[str, ...]
    """What stands for images in a prompt, never in a completion: the model would look for their pixels."""
    added_tokens: tuple[str, ...]
    """What its published tokenizer has behind Qwen's special tokens, in order: text to a decoder."""
    chat_template: str
    """Name that TRL gives its published chat template."""
    tower: str
    """Name of the vision tower in the loaded model."""
    mergers: tuple[str, ...]
    """Names of the projections from vision to text; parts of the tower."""
    language: str
    """Name of the language model."""
    head: str
    """Name of the matrix from the language model to its tokens."""
    tiny_tower: Callable[[TinySize], dict[str, Any]]
    """The `vision_config` of a tiny model beyond what all families share."""
    tiny_text: Callable[[], dict[str, Any]] = dict
    """The `text_config` of a tiny model where it differs from what all families share."""
    default_system: str = "You are a helpful assistant."
    """What its chat template says in a system turn where a chat has none; empty for no such turn."""
    turn_end: str = "<|im_end|>"
    """What its chat template ends a turn with."""

    @property
    def factor(self) -> int:
        """Side of the square that makes one token, pixels; resized images have multiples of it as sides."""
        return self.patch_px * self.merge

    @property
    def tiny_side(self) -> int:
        """Side of the images of a tiny model, pixels; 16 tokens."""
        return 4 * self.factor

    def frame_spec(self, min_pixels: int, max_pixels: int) -> FrameSpec:
        """The frame of its boxes, for images within the pixel budget."""
        from sgg.scene.boxes import FrameSpec  # which loads numpy

        return FrameSpec(self.frame, min_pixels, max_pixels, self.factor)

    def image_tokens(self, pixels: int) -> int:
        """Tokens that an image of a resized area takes."""
        return pixels // self.factor**2


_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_VISION_TOKENS = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_QWEN2_5_TOKENS = (
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
_QWEN3_TOKENS = (
    *_QWEN2_5_TOKENS,
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)


def _qwen2_tower(size: TinySize) -> dict[str, Any]:
    # embed_dim is the tower's own width, hidden_size the text's
    return {"embed_dim": size.vision_width, "hidden_size": size.width, "mlp_ratio": 2}


def _qwen2_5_tower(size: TinySize) -> dict[str, Any]:
    return {
        "hidden_size": size.vision_width,
        "out_hidden_size": size.width,
        "intermediate_size": size.vision_width * 2,
        "fullatt_block_indexes": [size.vision_layers - 1],
        "window_size": 112,
    }


def _qwen3_tower(size: TinySize) -> dict[str, Any]:
    return {
        "hidden_size": size.vision_width,
        "out_hidden_size": size.width,
        "intermediate_size": size.vision_width * 2,
        "num_position_embeddings": 64,  # 8 × 8 patches, as many as a tiny model's image has
        "deepstack_visual_indexes": [0],
    }


def _qwen3_text() -> dict[str, Any]:
    # its default head is 128 wide, and rows and columns take turns in its RoPE, with equal shares
    rope = {"mrope_section": [6, 5, 5], "mrope_interleaved": True}
    return {
        "head_dim": 32,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **rope},
    }


_RECORDS = (
    ModelFamily(
        Family.qwen2_vl,
        Frame.norm1000,  # arXiv 2409.12191, section 2.1
        patch_px=14,
        merge=2,
        image_mean=_CLIP_MEAN,
        image_std=_CLIP_STD,
        processor_class="Qwen2VLProcessor",
        video_processor_class="Qwen2VLVideoProcessor",
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_tokens=_VISION_TOKENS,
        added_tokens=(),
        chat_template="qwen2_5_vl",  # the same text
        tower="model.visual",
        mergers=("model.visual.merger",),
        language="model.language_model",
        head="lm_head",
        tiny_tower=_qwen2_tower,
    ),
    ModelFamily(
        Family.qwen2_5_vl,
        Frame.resized_px,  # arXiv 2502.13923, section 2.1
        patch_px=14,
        merge=2,
        image_mean=_CLIP_MEAN,
        image_std=_CLIP_STD,
        processor_class="Qwen2_5_VLProcessor",
        video_processor_class="Qwen2VLVideoProcessor",
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_tokens=_VISION_TOKENS,
        added_tokens=_QWEN2_5_TOKENS,
        chat_template="qwen2_5_vl",
        tower="model.visual",
        mergers=("model.visual.merger",),
        language="model.language_model",
        head="lm_head",
        tiny_tower=_qwen2_5_tower,
    ),
    ModelFamily(
        Family.qwen3_vl,
        Frame.norm1000,  # arXiv 2511.21631
        patch_px=16,
        merge=2,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
        processor_class="Qwen3VLProcessor",
        video_processor_class="Qwen3VLVideoProcessor",
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_tokens=_VISION_TOKENS,
        added_tokens=_QWEN3_TOKENS,
        chat_template="qwen3_vl",
        tower="model.visual",
        mergers=("model.visual.merger", "model.visual.deepstack_merger_list"),
        language="model.language_model",
        head="lm_head",
        tiny_tower=_qwen3_tower,
        tiny_text=_qwen3_text,
        default_system="",
    ),
)
FAMILIES = {family.name: family for family in _RECORDS}
"""Every family that a config can name."""


def family_named(model_type: str, where: object) -> ModelFamily:
    """The family whose models carry this `model_type` in their config.

    Args:
        where: the folder of the model, for the message.

    Raises:
        SggError: there is none.

    """
    if model_type not in Family.__members__:
        raise SggError(
            f"{where} is a {model_type}; models of these families can be trained and evaluated: "
            f"{', '.join(Family.__members__)}."
        )
    return FAMILIES[Family[model_type]]
