"""Makes the tiny base models that the package ships: `python -m sgg.tiny_base --family …`.

As the real models come pre-trained, so do the tiny ones: on descriptions of synthetic scenes in plain
words, each object with its box and now and then how two of them lie to each other. No JSON and no
graph prompt is ever shown, so the form, and which relations are asked for, are left to SFT. Scenes
come from a seed that no data config uses.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgg import tiny
from sgg.boxes import FrameSpec
from sgg.data import shapes
from sgg.graph import SceneGraph
from sgg.model import build_processor
from sgg.options import Family
from sgg.prompt import messages
from sgg.train.optim import MuonAdamW

PRETRAINING_SEED = 900_000
SIDE = 112


def caption(graph: SceneGraph, frame: FrameSpec, rng: np.random.Generator) -> str:
    """Names and boxes in the family's frame, then the relations of some random pairs.

    `red circle 1 at 5 5 40 40, blue square 2 at …. blue square 2 right of red circle 1.`
    """
    boxes = frame.encode(graph.boxes_xyxy, SIDE, SIDE).tolist()
    names = [f"{node.name} {i + 1}" for i, node in enumerate(graph.nodes)]
    parts = [f"{name} at {' '.join(map(str, b))}" for name, b in zip(names, boxes, strict=True)]
    pairs = [(a, b) for a in range(len(names)) for b in range(len(names)) if a != b]
    chosen = rng.permutation(len(pairs))[: rng.integers(0, 4)]
    said = [
        f"{names[a]} {shapes.predicate(graph.nodes[a].box, graph.nodes[b].box)} {names[b]}"
        for a, b in (pairs[i] for i in chosen)
    ]
    return ". ".join(", ".join(group) for group in (parts, said) if group) + "."


def batch(processor: Any, frame: FrameSpec, indices: range) -> dict[str, torch.Tensor]:
    """Model inputs for the scenes with these indices; the loss is on the caption alone."""
    plan = shapes.ScenePlan(side=SIDE)
    graphs = [shapes.scene(plan, PRETRAINING_SEED, i) for i in indices]
    images = [[shapes.draw(plan, g)] for g in graphs]
    chat = processor.apply_chat_template(
        messages(tiny.CAPTION_PROMPT, ""), tokenize=False, add_generation_prompt=True
    )
    rng = np.random.default_rng([PRETRAINING_SEED, indices.start])
    texts = [f"{chat}{caption(g, frame, rng)}<|im_end|>" for g in graphs]
    inputs = processor(
        text=texts, images=images, padding=True, padding_side="right", return_tensors="pt"
    )
    prompt_length = processor(text=[chat], images=images[:1], return_tensors="pt").input_ids.size(1)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    labels[:, :prompt_length] = -100
    return {**inputs, "labels": labels}


def pretrain(
    family: str, steps: int, batch_size: int, seed: int, muon_lr: float
) -> tuple[Any, Any]:
    """A trained (model, processor); prints the loss as it goes."""
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
    return model, processor


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
    model, processor = pretrain(args.family, args.steps, args.batch_size, args.seed, args.muon_lr)
    model.half().save_pretrained(args.out)
    processor.save_pretrained(args.out)


if __name__ == "__main__":
    main()
