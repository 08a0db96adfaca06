"""A step of SFT by TRL's own head against ours, side by side: `python bench/sft_step.py`.

    --family NAME   of the narrow model (qwen2_5_vl)
    --rounds N      steps of each way that are timed (3)
    --gold FOLDER   sizes and graphs of real annotations: FOLDER has vg150_test_26446.json.gz and
                    VG-SGG-dicts-with-attri.json (vg150_test of SGG_REALDATA)
    --rows N        of a batch of theirs (8), drawn by --seed N (0)

The narrow model has the published vocabulary, 151,936 rows of the head, and about 20 million parameters.
A batch is three pictures of 1024 × 768 pixels with the open prompt and answers of 290 tokens on average: rows
of about 1,450 tokens. With --gold it is noise at the sizes of real images with their graphs, most of which
are short and some long. Each way is a process of its own, on one thread; they take turns, so that other work
on the machine meets both alike. Prints the processor's seconds and the peak memory of a step with their
ratios, and how far loss and gradients lie apart. Peak memory is what the process has at most during a step,
first beyond what it had before, then in all.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sgg.config.model import Family, ModelConfig
from sgg.config.prompt import Template

WAYS = ("TRL's head", "ours")
SIZE = (1024, 768)
"""Width and height of the pictures, pixels."""
GRAPHS = ((5, 5), (6, 7), (9, 10))
"""Objects and relations of each picture: about 23 and 19 tokens each."""


def made_up() -> list[tuple[tuple[int, int], Any]]:
    """Size and graph of each picture."""
    import numpy as np

    from sgg.scene.graph import Edge, Node, SceneGraph

    drawn, found = np.random.default_rng(0), []
    for objects, relations in GRAPHS:
        corners = [sorted(drawn.integers(0, side, 2).tolist()) for side in SIZE * objects]
        boxes = [
            (float(x[0]), float(y[0]), float(x[1]) + 1, float(y[1]) + 1)
            for x, y in zip(corners[::2], corners[1::2], strict=True)
        ]
        nodes = tuple(Node("person", box) for box in boxes)
        ends = drawn.integers(0, objects, (relations, 2)).tolist()
        graph = SceneGraph(nodes, tuple(Edge(a, "next to", b) for a, b in ends))
        found.append((SIZE, graph))
    return found


def annotated(gold: Path, count: int, seed: int) -> list[tuple[tuple[int, int], Any]]:
    """Size and graph of so many images of VG150's test split, drawn at random."""
    import random

    from sgg.scene.graph import Edge, Node, SceneGraph

    with gzip.open(gold / "vg150_test_26446.json.gz", "rt") as packed:
        images = random.Random(seed).sample(json.load(packed), count)
    names = json.loads((gold / "VG-SGG-dicts-with-attri.json").read_text())
    classes, predicates = names["idx_to_label"], names["idx_to_predicate"]
    found = []
    for image in images:
        nodes = tuple(
            Node(classes[str(kind + 1)], tuple(map(float, box))) for kind, box in image["objects"]
        )
        edges = tuple(Edge(a, predicates[str(p + 1)], b) for a, b, p in image["relations"])
        found.append((tuple(image["size"]), SceneGraph(nodes, edges)))
    return found


def rows(prompter: Any, pictures: list[tuple[tuple[int, int], Any]]) -> list[dict[str, Any]]:
    """Rows as `sgg.train.rows.SftRows` makes them."""
    import numpy as np
    from PIL import Image

    from sgg.text.codec import render

    drawn, found = np.random.default_rng(0), []
    for (width, height), graph in pictures:
        pixels = drawn.integers(0, 256, (height, width, 3), dtype=np.uint8)
        answer = render(graph, prompter.spec, width, height)
        found.append(
            {
                "prompt": prompter.messages(width, height, {}),
                "completion": [
                    {"role": "assistant", "content": [{"type": "text", "text": answer}]}
                ],
                "image": Image.fromarray(pixels),
            }
        )
    return found


def build_trainer(
    way: str, folder: Path, out: Path, pictures: list[tuple[tuple[int, int], Any]]
) -> tuple[Any, Any]:
    """A trainer and the batch of a step, on its device."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from sgg.config.stage import FastPath
    from sgg.models.load import family_of, load_model
    from sgg.models.processor import load_processor
    from sgg.text.codec import GraphSpec
    from sgg.text.prompt import SYSTEM, Prompter
    from sgg.train.logprobs import ScoringHead
    from sgg.train.sft import Trainer
    from sgg.train.shared_prefix.sharing import SharedPrefix

    family, budget = family_of(folder), (4 * 28**2, 1024 * 28**2)
    config = ModelConfig(path=str(folder), family=family.name)
    model = load_model(config, folder, torch.float32, seed=0)
    prompter = Prompter(GraphSpec(family.frame_spec(*budget)), Template.open, SYSTEM)
    made = rows(prompter, pictures)
    places = Dataset.from_dict({"place": range(len(made))})
    parts = {
        "model": model,
        "args": SFTConfig(
            output_dir=str(out),
            per_device_train_batch_size=len(made),
            max_length=None,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
        ),
        "train_dataset": places.with_transform(
            lambda batch: {k: [made[i][k] for i in batch["place"]] for k in made[0]}
        ),
        "processing_class": load_processor(folder, *budget),
    }
    head = ScoringHead(sharing=SharedPrefix(FastPath.auto))
    trainer = SFTTrainer(**parts) if way == WAYS[0] else Trainer(head, keep_checkpoints=1, **parts)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(made))])
    return trainer, batch


def memory(field: str) -> int:
    """A number of this process's status, MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", status)[1]) // 1024


def work(way: str, folder: Path, out: Path, batch_of: dict[str, Any]) -> None:
    """A step for each line of stdin; its numbers go to stdout, the first one's gradients to a file."""
    told, sys.stdout = sys.stdout, sys.stderr  # libraries print, too

    import torch

    torch.set_num_threads(1)
    gold = batch_of["gold"]
    pictures = annotated(Path(gold), batch_of["rows"], batch_of["seed"]) if gold else made_up()
    trainer, batch = build_trainer(way, folder, out, pictures)
    trainer.model.train()
    trainer.create_optimizer()
    trainer.model_accepts_loss_kwargs = True  # as in the SFT stage
    wanted = int((batch["labels"][:, 1:] != -100).sum())
    real = batch["attention_mask"].sum(1)
    size = {"tokens": int(real.sum()), "padded": batch["attention_mask"].numel(), "labels": wanted}
    size |= {"shortest": int(real.min()), "longest": int(real.max())}
    print(json.dumps(size), file=told, flush=True)
    for turn, _ in enumerate(sys.stdin):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins at what there is now
        before, start = memory("VmRSS"), time.process_time()
        loss = trainer.training_step(trainer.model, dict(batch), torch.tensor(wanted))
        computed = time.process_time()
        if turn == 0:
            named = trainer.model.named_parameters()
            torch.save({n: p.grad for n, p in named if p.grad is not None}, out / "gradients.pt")
        again = time.process_time()
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        seconds = computed - start + time.process_time() - again
        metrics = {k: v[-1] for k, v in trainer._metrics["train"].items()}
        peak = memory("VmHWM")
        mib = {"peak_mib": peak - before, "process_mib": peak}
        found = {"loss": loss.item(), "seconds": seconds, **mib, **metrics}
        print(json.dumps(found), file=told, flush=True)


def measure(
    folder: Path, out: Path, rounds: int, batch_of: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Each way's steps; the first is not to be timed. `out` gets a folder of each way."""
    running = {}
    for number, way in enumerate(WAYS):
        place = out / str(number)
        place.mkdir()
        command = [sys.executable, __file__, "--work", way, str(folder), str(place)]
        command.append(json.dumps(batch_of))
        running[way] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        for way, process in running.items():
            print(f"{way}: {process.stdout.readline().strip()}", flush=True)
            found[way] = []
        for _ in range(rounds + 1):
            for way, process in running.items():
                process.stdin.write("step\n")
                process.stdin.flush()
                found[way].append(json.loads(process.stdout.readline()))
    finally:
        for process in running.values():
            process.communicate()
    return found


def differences(out: Path) -> tuple[float, str]:
    """The largest difference of a gradient, as a share of that parameter's largest, and its name."""
    import torch

    theirs, ours = (torch.load(out / str(i) / "gradients.pt") for i in range(len(WAYS)))
    assert theirs.keys() == ours.keys()
    return max(
        (float((theirs[n] - ours[n]).abs().max() / theirs[n].abs().max().clamp(min=1e-12)), n)
        for n in theirs
    )


def main() -> None:
    from sgg.models.families import FAMILIES
    from sgg.models.narrow import narrow_folder

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--family", choices=[f.name for f in FAMILIES], default="qwen2_5_vl")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gold", type=Path)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        out = Path(made)
        folder = narrow_folder(FAMILIES[Family[asked.family]], out / "model")
        gold = str(asked.gold.resolve()) if asked.gold else None
        batch_of = {"gold": gold, "rows": asked.rows, "seed": asked.seed}
        found = measure(folder, out, asked.rounds, batch_of)
        apart, name = differences(out)
    theirs, ours = (found[way] for way in WAYS)
    for way in WAYS:
        steps = found[way][1:]
        seconds = statistics.median(s["seconds"] for s in steps)
        peak, process = (
            statistics.median(s[key] for s in steps) for key in ("peak_mib", "process_mib")
        )
        print(f"{way:<12} {seconds:7.2f} s  {peak:6.0f} MiB  {process:6.0f} MiB in all")
    shares = {"seconds": "time", "peak_mib": "peak memory", "process_mib": "memory in all"}
    for key, unit in shares.items():
        ratio = statistics.median(
            b[key] / a[key] for a, b in zip(theirs[1:], ours[1:], strict=True)
        )
        print(f"{unit:<13} {ratio:.3f} of TRL's")
    loss = max(
        abs(a["loss"] - b["loss"]) / abs(a["loss"]) for a, b in zip(theirs, ours, strict=True)
    )
    print(
        f"loss differs by {loss:.1e} of itself, gradients by {apart:.1e} of their largest ({name})"
    )
    told = ("entropy", "mean_token_accuracy", "num_tokens")
    print("; ".join(f"{k} {theirs[0][k]:.6g} and {ours[0][k]:.6g}" for k in told))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), json.loads(sys.argv[5]))
    else:
        main()
