"""Log-probabilities of sampling against those of training: `python bench/gpu/logp_gap.py OUT.json FOLDER`.

Eight completions for images are sampled by transformers, token by token with a cache, then scored in one pass
as GRPO does. Printed for bf16 weights, and for fp32 weights that sample in fp32 (TF32 on a GPU) and are
scored under bf16's autocast, as full fine-tuning on one GPU has them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from turn import add_arguments, turn

from sgg.config.data import ScenePlan
from sgg.config.model import Family, ModelConfig
from sgg.data import shapes
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.text.prompt import messages

WAYS = {"bf16 weights": torch.bfloat16, "fp32 weights, bf16 autocast": torch.float32}


def prompts(folder: Path, side: int, count: int) -> Any:
    plan = ScenePlan(side=side, max_objects=8, min_side=side // 10, max_side=side // 3)
    processor = load_processor(folder, 4 * 28**2, 512 * 28**2)
    chat = processor.apply_chat_template(
        messages("Write the scene graph of this image.", ""),
        tokenize=False,
        add_generation_prompt=True,
    )
    images = [[shapes.draw(plan, shapes.scene(plan, 7, i))] for i in range(count)]
    return processor(text=[chat] * count, images=images, padding=True, return_tensors="pt")


def gap(folder: Path, device: str, dtype: torch.dtype, side: int, length: int) -> dict[str, float]:
    """Mean, p99 and largest distance in nats over all sampled tokens, and the importance ratio's extremes."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    config = ModelConfig(path=str(folder), family=Family.qwen2_5_vl)
    model = load_model(config, folder, dtype, seed=0).to(device).eval()
    inputs = prompts(folder, side, 8).to(device)
    autocast = torch.autocast(device, torch.bfloat16) if dtype is torch.float32 else nullcontext()
    with torch.no_grad():
        drawn = model.generate(
            **inputs,
            do_sample=True,
            top_k=0,
            top_p=1.0,
            max_new_tokens=length,
            min_new_tokens=length,
            return_dict_in_generate=True,
            output_logits=True,
        )
        start = inputs["input_ids"].size(1)
        completions = drawn.sequences[:, start:]
        sampled = torch.stack(
            [torch.log_softmax(step.float(), -1) for step in drawn.logits], 1
        ).gather(-1, completions[..., None])[..., 0]
        mask = torch.cat([inputs["attention_mask"], torch.ones_like(completions)], 1)
        kinds = inputs.pop("mm_token_type_ids", None)
        more = {}
        if kinds is not None:
            more["mm_token_type_ids"] = torch.cat([kinds, torch.zeros_like(completions)], 1)
        with autocast:
            logits = model(
                input_ids=drawn.sequences,
                attention_mask=mask,
                pixel_values=inputs["pixel_values"],
                image_grid_thw=inputs["image_grid_thw"],
                logits_to_keep=length + 1,
                **more,
            ).logits[:, :-1]
        scored = torch.log_softmax(logits.float(), -1).gather(-1, completions[..., None])[..., 0]
    apart = (scored - sampled).abs().flatten().tolist()
    ratio = (scored - sampled).exp()
    return {
        "tokens": len(apart),
        "mean": statistics.fmean(apart),
        "p99": sorted(apart)[int(0.99 * len(apart))],
        "max": max(apart),
        "smallest_ratio": float(ratio.min()),
        "largest_ratio": float(ratio.max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--length", type=int, default=96)
    add_arguments(parser)
    chosen = parser.parse_args()
    with turn(chosen):
        found = {
            way: gap(chosen.folder, chosen.device, dtype, chosen.side, chosen.length)
            for way, dtype in WAYS.items()
        }
    chosen.out.write_text(json.dumps(found, indent=1))
    for way, numbers in found.items():
        print(way, {k: round(v, 5) for k, v in numbers.items()})


if __name__ == "__main__":
    main()
