"""Makes the tiny base models that the package ships (docs/tiny.md has the commands).

As the real models come pre-trained for grounding, so do the tiny ones: first on finding the
objects of synthetic scenes, as a JSON list of names and boxes, then on comparing their sizes as well.
They never read where one object lies of another, nor the prompts that ask for a graph; those are left
to SFT. Scenes come from seeds that no data config uses.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

from sgg.config.data import ScenePlan
from sgg.config.model import Family
from sgg.data import shapes
from sgg.models import tiny
from sgg.models.families import FAMILIES, TinySize
from sgg.models.load import family_of
from sgg.models.muon import MuonAdamW
from sgg.models.processor import build_processor, load_processor
from sgg.scene.graph import Edge, SceneGraph, to_dict
from sgg.text.codec import GraphSpec, render
from sgg.text.prompt import messages
from sgg.train.carry_over import carry_over

SIDE = 112
"""Of the scenes as they are drawn, pixels."""
SCENES = 900_000
"""First scene seed; `--seed` is added to it."""


def objects_alone(graph: SceneGraph, spec: GraphSpec) -> str:
    """`{"objects":[{"id":"red circle.1","bbox":[5,5,40,40]},…]}`, boxes in the family's frame."""
    framed = graph.with_boxes(spec.frame.encode(graph.boxes_xyxy, SIDE, SIDE))
    return json.dumps({"objects": to_dict(framed)["objects"]}, separators=(",", ":"))


def with_sizes(graph: SceneGraph, spec: GraphSpec) -> str:
    """The objects, and which of two neighbours in the scene's chain has the larger area."""
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (n.box for n in graph.nodes)]
    edges = (
        Edge(
            e.subject,
            "larger than" if areas[e.subject] > areas[e.object] else "smaller than",
            e.object,
        )
        for e in graph.edges
        if areas[e.subject] != areas[e.object]
    )
    return render(SceneGraph(graph.nodes, tuple(edges)), spec, SIDE, SIDE)


@dataclass(frozen=True)
class Task:
    """One phase of the pre-training."""

    prompt: str
    completion: Callable[[SceneGraph, GraphSpec], str]


TASKS = {
    "find": Task("Find the objects.", objects_alone),
    "compare": Task("Compare the sizes.", with_sizes),
}


def batch(
    processor: Any, spec: GraphSpec, task: Task, seed: int, indices: range
) -> dict[str, torch.Tensor]:
    """Model inputs for the scenes with these indices; the loss is on the completion only."""
    plan = ScenePlan(side=SIDE)
    graphs = [shapes.scene(plan, seed, i) for i in indices]
    images = [[shapes.draw(plan, g)] for g in graphs]
    chat = processor.apply_chat_template(
        messages(task.prompt, ""), tokenize=False, add_generation_prompt=True
    )
    texts = [f"{chat}{task.completion(g, spec)}<|im_end|>" for g in graphs]
    inputs = processor(
        text=texts, images=images, padding=True, padding_side="right", return_tensors="pt"
    )
    prompt_length = processor(text=[chat], images=images[:1], return_tensors="pt").input_ids.size(1)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    labels[:, :prompt_length] = -100
    return {**inputs, "labels": labels}


def grown(model: Any, layers: int) -> Any:
    """The same function with more text layers: new ones add nothing until they are trained."""
    config = copy.deepcopy(model.config)
    text = config.text_config
    before = text.num_hidden_layers
    text.num_hidden_layers = layers
    text.layer_types = text.layer_types[:1] * layers
    deeper = AutoModelForImageTextToText.from_config(config)
    deeper.load_state_dict(model.state_dict(), strict=False)
    for layer in deeper.model.language_model.layers[before:]:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return deeper


def pretrain(
    model: Any, processor: Any, spec: GraphSpec, task: Task, args: argparse.Namespace
) -> None:
    """Train and save, every 1000 steps and at the end; prints the loss as it goes."""
    optimizer = MuonAdamW(model.named_parameters(), args.muon_lr, args.muon_lr / 10)
    peaks = [g["lr"] for g in optimizer.param_groups]
    start = time.monotonic()
    for step in range(args.steps):
        shape = min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * shape
        first = step * args.batch_size
        indices = range(first, first + args.batch_size)
        inputs = batch(processor, spec, task, SCENES + args.seed, indices)
        loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 100 == 0:
            took = time.monotonic() - start
            print(f"step {step + 1} loss {loss.item():.3f} {took:.0f} s", flush=True)
        if (step + 1) % 1000 == 0 or step + 1 == args.steps:
            copy.deepcopy(model).half().save_pretrained(args.out)
            processor.save_pretrained(args.out)


def main() -> None:
    """Command line of the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=[f.name for f in Family], required=True)
    parser.add_argument("--task", choices=list(TASKS), required=True)
    parser.add_argument(
        "--init",
        type=Path,
        help="folder to go on from: of the family, or for qwen3_vl of qwen2_vl; else random weights",
    )
    parser.add_argument("--layers", type=int, default=4, help="text layers to grow to (4)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--muon-lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    family = FAMILIES[Family[args.family]]
    area = family.tiny_side**2
    before = None if args.init is None else family_of(args.init)
    loaded = before and AutoModelForImageTextToText.from_pretrained(args.init, dtype=torch.float32)
    if before is family:
        processor = load_processor(args.init, area, area)
        model = grown(loaded, args.layers)
    else:
        tokenizer = tiny.build_tokenizer(family)
        processor = build_processor(tokenizer, family, area, area)
        size = TinySize() if before is None else TinySize(layers=args.layers)
        model = tiny.build_model(family, size, tokenizer, args.seed)
        if before is not None:
            carry_over(loaded, before, model, family)
    spec = GraphSpec(family.frame_spec(area, area))
    pretrain(model.train(), processor, spec, TASKS[args.task], args)


if __name__ == "__main__":
    main()
