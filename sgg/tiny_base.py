"""Makes the tiny base models that the package ships: `python -m sgg.tiny_base --family …`.

As Qwen2-VL and Qwen2.5-VL come pre-trained for grounding, so do the tiny ones: on finding the objects
of synthetic scenes, as a JSON list of names and boxes. They never see a relation, nor the prompts that
ask for a graph; those are left to SFT. Scenes come from a seed that no data config uses.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import torch

from sgg import tiny
from sgg.boxes import FrameSpec
from sgg.data import shapes
from sgg.graph import SceneGraph, to_dict
from sgg.model import build_processor
from sgg.options import Family, ScenePlan
from sgg.prompt import messages
from sgg.train.optim import MuonAdamW

PRETRAINING_SEED = 900_000
SIDE = 112


def detections(graph: SceneGraph, frame: FrameSpec) -> str:
    """`{"objects":[{"id":"red circle.1","bbox":[5,5,40,40]},…]}`, boxes in the family's frame."""
    written = to_dict(graph.with_boxes(frame.encode(graph.boxes_xyxy, SIDE, SIDE)))
    return json.dumps({"objects": written["objects"]}, separators=(",", ":"))


def batch(processor: Any, frame: FrameSpec, indices: range) -> dict[str, torch.Tensor]:
    """Model inputs for the scenes with these indices; the loss is on the answer alone."""
    plan = ScenePlan(side=SIDE)
    graphs = [shapes.scene(plan, PRETRAINING_SEED, i) for i in indices]
    images = [[shapes.draw(plan, g)] for g in graphs]
    chat = processor.apply_chat_template(
        messages(tiny.GROUNDING_PROMPT, ""), tokenize=False, add_generation_prompt=True
    )
    texts = [f"{chat}{detections(g, frame)}<|im_end|>" for g in graphs]
    inputs = processor(
        text=texts, images=images, padding=True, padding_side="right", return_tensors="pt"
    )
    prompt_length = processor(text=[chat], images=images[:1], return_tensors="pt").input_ids.size(1)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    labels[:, :prompt_length] = -100
    return {**inputs, "labels": labels}


def pretrain(
    family: str, out: Path, steps: int, batch_size: int, seed: int, muon_lr: float
) -> None:
    """Train and save into `out`, every 1000 steps and at the end; prints the loss as it goes."""
    tokenizer = tiny.build_tokenizer()
    processor = build_processor(tokenizer, family, SIDE * SIDE, SIDE * SIDE)
    model = tiny.build_model(family, tiny.TinySize(), tokenizer, seed).train()
    frame = FrameSpec(Family[family].frame, SIDE * SIDE, SIDE * SIDE)
    optimizer = MuonAdamW(model.named_parameters(), muon_lr, muon_lr / 10)
    peaks = [g["lr"] for g in optimizer.param_groups]
    start = time.monotonic()
    for step in range(steps):
        shape = min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * shape
        first = step * batch_size
        loss = model(**batch(processor, frame, range(first, first + batch_size))).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 100 == 0:
            print(
                f"step {step + 1} loss {loss.item():.3f} {time.monotonic() - start:.0f} s",
                flush=True,
            )
        if (step + 1) % 1000 == 0 or step + 1 == steps:
            copy.deepcopy(model).half().save_pretrained(out)
            processor.save_pretrained(out)


def main() -> None:
    """Command line of the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=[f.name for f in Family], required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--muon-lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    pretrain(args.family, args.out, args.steps, args.batch_size, args.seed, args.muon_lr)


if __name__ == "__main__":
    main()
