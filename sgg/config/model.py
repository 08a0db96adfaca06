"""`model`: which model, how it sees, and which parts learn."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING


class Frame(Enum):
    """What the numbers in a box mean."""

    original_px = "original_px"
    """Pixels of the image as it is stored."""
    resized_px = "resized_px"
    """Pixels of the image as resized for the model: both sides multiples of the patch factor."""
    norm1000 = "norm1000"
    """0..1000 on both axes."""


class Family(Enum):
    """Model families, by transformers' `config.model_type`; `sgg.models.families` says what each is."""

    qwen2_vl = "qwen2_vl"
    qwen2_5_vl = "qwen2_5_vl"
    qwen3_vl = "qwen3_vl"


class Dtype(Enum):
    """Precision of the weights as loaded."""

    auto = "auto"
    """bf16 when `hardware.precision` is bf16, else fp32. Weights that an optimiser without DeepSpeed's
    fp32 masters updates stay fp32 either way: steps of 1e-6 are lost in bf16's rounding."""
    float32 = "float32"
    bfloat16 = "bfloat16"


class Attention(Enum):
    """transformers' `attn_implementation`; sdpa computes a vision tower's windows together."""

    sdpa = "sdpa"
    eager = "eager"
    flash_attention_2 = "flash_attention_2"


class Init(Enum):
    """Where the weights come from."""

    pretrained = "pretrained"
    random = "random"
    """The checkpoint's architecture with fresh weights from `seed`."""


@dataclass
class LoraConfig:
    """Low-rank adapters through peft."""

    enable: bool = False
    """Train an adapter, and keep the model's own weights."""
    r: int = 16
    """Rank."""
    alpha: int = 32
    """The adapter's product is scaled by alpha / r."""
    dropout: float = 0.05
    """Probability, in the adapter's input."""
    targets: list[str] = field(
        default_factory=lambda: [
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ]
    )
    """Module names of the language model that get an adapter."""


@dataclass
class ModelConfig:
    """Which model, how it sees, and which parts learn."""

    path: str = MISSING
    """Hub id, folder, run folder, or the name of a tiny base that the package ships."""
    family: Family = MISSING
    """Expected architecture; the checkpoint's own config must agree."""
    revision: str | None = None
    """Hub revision."""
    activations_per_token: int | None = None
    """Hidden size × layers, numbers that a token keeps under gradient checkpointing: the profile's micro
    batches, stated for 7B, are fitted by it; null takes them as they are."""
    parameters: int | None = None
    """How many the model has: what a training keeps in a GPU's memory is compared with
    `hardware.gpu_memory_gb` by it; null compares nothing."""
    init: Init = Init.pretrained
    min_pixels: int = 3136
    """Smallest area an image is resized to, pixels."""
    max_pixels: int = 802816
    """Largest area an image is resized to, pixels; a stage may lower it."""
    dtype: Dtype = Dtype.auto
    attention: Attention = Attention.sdpa
    freeze_vision: bool = False
    """Keep the vision tower as it is."""
    freeze_merger: bool = False
    """Keep the projection from vision to text as it is."""
    freeze_language: bool = False
    """Keep the language model as it is."""
    lora: LoraConfig = field(default_factory=LoraConfig)
