"""The timed runs of `check.py`: models of true size, as words of the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """A timed run of a model's true size."""

    stage: str
    model: str
    """An option of `model=`."""
    steps: int = 0
    micro_batch: int = 0
    """Images or completions at once, as a card of 80 GB holds them; 0: the recipe's."""
    seconds: float = 60
    """Its share of the time; what it has measured until then counts."""
    words: tuple[str, ...] = ()
    memory_gb: float | None = None
    """No more of the card than this."""
    profile: bool = False
    """Say which kernels its last update spent its time in."""
    recipe: str = ""
    """An option of `experiment=`, whose machine and micro batches it takes."""

    def choice(self, gpu: bool) -> list[str]:
        """The words that choose stage, model and machine."""
        machine = f"hardware={'local' if gpu else 'cpu'}"
        if not self.recipe:
            return [f"stage={self.stage}", f"model={self.model}", machine]
        return [f"experiment={self.recipe}", *([] if gpu else [machine])]

    def overrides(self, gpu: bool) -> list[str]:
        """Its words; on a CPU a few seconds' work."""
        if self.stage == "eval":
            return [*self.words, f"generate.max_new_tokens={128 if gpu else 8}"]
        sizes = (BATCH if gpu else SMALL)[self.stage]
        steps, micro_batch = (self.steps, self.micro_batch) if gpu else (2, 2)
        own = [f"stage.args.max_steps={steps}"]
        own += [f"stage.micro_batch={micro_batch}"] if micro_batch else []
        return [*sizes, *own, *self.words]


BATCH = {
    "sft": ["stage.global_batch=8", "stage.max_pixels=401408"],
    "grpo": [
        "stage.prompts_per_step=4",
        "stage.args.num_generations=8",
        "stage.args.max_completion_length=256",
        "hardware.rollout.mode=trainer",
    ],
}
SMALL = {
    "sft": ["stage.global_batch=2"],
    "grpo": [
        "stage.prompts_per_step=1",
        "stage.args.num_generations=2",
        "stage.args.max_completion_length=8",
    ],
}
"""The same for a CPU."""

SMALLER, LARGER = "qwen2_5_vl_3b", "qwen2_5_vl_7b"
LORA = ("model.lora.enable=true",)
KEEPING = (*LORA, "hardware.gradient_checkpointing=false")
RUNS = {
    "SFT 3B LoRA": Run("sft", SMALLER, 5, 8, 70, LORA, profile=True),
    "SFT 3B LoRA, no checkpointing": Run("sft", SMALLER, 4, 8, 45, KEEPING),
    "SFT 3B": Run("sft", SMALLER, 4, 4, 60),
    "GRPO 3B LoRA": Run("grpo", SMALLER, 2, 8, 120, LORA),
}
AFTER_LOGP = {
    "GRPO 3B LoRA, 24 GB": Run(
        "grpo", SMALLER, 5, seconds=80, memory_gb=24, recipe="grpo_3b_one_gpu"
    ),
    "SFT 7B LoRA, 24 GB": Run(
        "sft", LARGER, 5, seconds=50, memory_gb=24, recipe="sft_7b_lora_one_gpu"
    ),
    "SFT 7B LoRA": Run("sft", LARGER, 3, 8, 70, LORA),
    "GRPO 7B LoRA": Run("grpo", LARGER, 2, seconds=120, memory_gb=80, recipe="grpo_7b_one_gpu"),
    "SFT Qwen3-VL-4B LoRA": Run("sft", "qwen3_vl_4b", 3, 8, 45, LORA),
}
IF_TIME_IS_LEFT = {
    "SFT 3B LoRA, micro batches of 2": Run("sft", SMALLER, 3, 2, 45, LORA),
    "GRPO 3B": Run("grpo", SMALLER, 2, 4, 120),
    "evaluation 3B": Run("eval", SMALLER),
}
