"""The timed runs of `check.py`: models of true size, as words of the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """A timed run of a model's true size."""

    stage: str
    size: str
    words: tuple[str, ...] = ()
    memory_gb: float | None = None


BATCH = {
    "sft": ["stage.global_batch=8", "stage.args.max_steps=4", "stage.max_pixels=401408"],
    "grpo": [
        "stage.prompts_per_step=4",
        "stage.args.num_generations=8",
        "stage.args.max_completion_length=256",
        "stage.args.max_steps=3",
        "hardware.rollout.mode=trainer",
    ],
    "eval": ["generate.max_new_tokens=128"],
}
SMALL = {
    "sft": ["stage.global_batch=2", "stage.args.max_steps=2"],
    "grpo": [
        "stage.prompts_per_step=1",
        "stage.args.num_generations=2",
        "stage.args.max_completion_length=8",
        "stage.args.max_steps=2",
    ],
    "eval": ["generate.max_new_tokens=8"],
}
"""The same for a CPU, in a few seconds."""

LORA = "model.lora.enable=true"
RUNS = {
    "SFT 3B": Run("sft", "3b"),
    "SFT 3B LoRA": Run("sft", "3b", (LORA,)),
    "SFT 3B LoRA, no checkpointing": Run(
        "sft", "3b", (LORA, "hardware.gradient_checkpointing=false")
    ),
    "GRPO 3B LoRA": Run("grpo", "3b", (LORA,)),
    "GRPO 3B LoRA, 24 GB": Run("grpo", "3b", (LORA,), memory_gb=24),
    "SFT 7B LoRA": Run("sft", "7b", (LORA,)),
    "GRPO 7B LoRA": Run("grpo", "7b", (LORA,)),
    "GRPO 3B": Run("grpo", "3b"),
    "evaluation 3B": Run("eval", "3b"),
}
