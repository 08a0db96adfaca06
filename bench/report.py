"""What a report of 1,000 images costs: time to make, size, and time to load in Chromium.

Makes a data set of photographs-like noise with 12 objects and 10 relations each, an evaluation of each of two
models and a training run of 2,000 steps, and reports all three; prints figures against their limits.
    python bench/report.py [--images 1000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from sgg.config.compose import compose_config
from sgg.config.schema import Config
from sgg.data.prepare import prepare
from sgg.evaluation.predictions import read_predictions
from sgg.evaluation.stage import score_split
from sgg.files import write_json
from sgg.report.page import write_report
from sgg.runs.folder import append_json, record_start
from sgg.runs.open_run import open_run

SIZE = (640, 480)
OBJECTS, RELATIONS = 12, 10
CLASSES = ("person", "tree", "car", "dog", "window", "building", "sign", "street", "bag", "shoe")
PREDICATES = ("on", "near", "behind", "wearing", "holding", "has", "in front of", "under")
LARGEST_MB, SLOWEST_S, SLOWEST_LOAD_S = 60, 60, 2.0


def scene(rng: np.random.Generator) -> tuple[list[dict], list[dict]]:
    """Objects and relations of one image."""
    objects = []
    for place in range(1, OBJECTS + 1):
        x, y = rng.integers(0, SIZE[0] - 80), rng.integers(0, SIZE[1] - 60)
        w, h = rng.integers(40, 240), rng.integers(40, 200)
        box = [int(x), int(y), int(min(x + w, SIZE[0])), int(min(y + h, SIZE[1]))]
        objects.append({"id": f"{CLASSES[rng.integers(len(CLASSES))]}.{place}", "bbox": box})
    relations = []
    for _ in range(RELATIONS):
        a, b = rng.choice(OBJECTS, 2, replace=False)
        predicate = PREDICATES[rng.integers(len(PREDICATES))]
        relations.append(
            {"subject": objects[a]["id"], "predicate": predicate, "object": objects[b]["id"]}
        )
    return objects, relations


def picture(rng: np.random.Generator) -> Image.Image:
    """As hard to compress as a photograph: coarse shapes with fine grain."""
    coarse = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC), np.int16)
    grain = rng.normal(0, 9, (SIZE[1], SIZE[0], 1))
    return Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8))


def write_data(root: Path, images: int) -> list[tuple[list[dict], list[dict]]]:
    """The data set; returns its scenes."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    scenes = [scene(rng) for _ in range(images)]
    with (root / "annotations.jsonl").open("w") as file:
        for number, (objects, relations) in enumerate(scenes):
            picture(rng).save(root / f"{number}.jpg", quality=90)
            row = {"image": f"{number}.jpg", "objects": objects, "relationships": relations}
            file.write(json.dumps(row) + "\n")
    return scenes


def write_evaluation(
    run_dir: Path, root: Path, cache: Path, scenes: list, right: float, model: str
) -> None:
    """An evaluation that finds about this share of the relations."""
    words = ["stage=eval", "data=jsonl", f"data.root={root}", f"model.path={model}"]
    config = opened(run_dir, cache, words)
    rng = np.random.default_rng(1)
    for number, (objects, relations) in enumerate(scenes):
        said = [
            r
            if rng.random() < right
            else {**r, "predicate": PREDICATES[rng.integers(len(PREDICATES))]}
            for r in relations
        ]
        row = {"image_id": str(number), "objects": objects, "relationships": said}
        append_json(run_dir / "completions.jsonl", row)
    prepared = prepare(config.data, "eval", cache, quiet=True)
    score_split(config, read_predictions(run_dir), prepared).write(run_dir)


def write_training(run_dir: Path, root: Path, cache: Path) -> None:
    """A GRPO run of 2,000 steps."""
    opened(run_dir, cache, ["stage=grpo", "reward=hard_recall", "data=jsonl", f"data.root={root}"])
    rng = np.random.default_rng(2)
    for step in range(1, 2001):
        names = ("loss", "reward/total/mean", "completion/failed", "entropy", "grad_norm")
        names += tuple(f"reward/{term}/mean" for term in ("format", "edge_hard", "node_box"))
        append_json(run_dir / "metrics.jsonl", {"step": step, **{n: rng.random() for n in names}})


def opened(run_dir: Path, cache: Path, words: list[str]) -> Config:
    """The config of a run whose folder now holds it."""
    config = compose_config([*words, f"paths.run_dir={run_dir}", f"paths.cache={cache}"])
    open_run(config)
    record_start(run_dir, config)
    return config


def load_s(page: Path) -> float | None:
    """Seconds until Chromium has loaded the page, the best of three; None where there is no Chromium."""
    import shutil

    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    times = []
    with webdriver.Chrome(options=options, service=Service(driver)) as browser:
        for _ in range(3):
            browser.get(page.as_uri())
            timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
            times.append(browser.execute_script(f"return {timing}") / 1000)
    return min(times)


def cpu_s() -> float:
    """CPU time of this process and of those that it has waited for, seconds."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = args.folder or Path(temporary)
        folder, root, cache = base / "runs", base / "data", base / "cache"
        scenes = write_data(root, args.images)
        write_evaluation(folder / "before", root, cache, scenes, 0.4, "base")
        write_training(folder / "grpo", root, cache)
        write_evaluation(folder / "after", root, cache, scenes, 0.5, str(folder / "grpo"))
        steps = ["before", "grpo", "after"]
        write_json(folder / "pipeline.json", {"steps": steps, "table": ["before", "after"]})
        start, before = time.perf_counter(), cpu_s()
        page = write_report([folder])
        wall, cpu = time.perf_counter() - start, cpu_s() - before
        size = page.stat().st_size / 1e6
        load = load_s(page)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"images        {args.images:,}, two evaluations, {OBJECTS} objects, {RELATIONS} relations"
        )
        print(
            f"made in       {wall:.1f} s, {cpu:.1f} s of CPU (limit {SLOWEST_S} s), peak {peak:.2f} GB"
        )
        print(f"size          {size:.1f} MB (limit {LARGEST_MB} MB)")
        shown = "no Chromium here" if load is None else f"{load:.2f} s (limit {SLOWEST_LOAD_S:g} s)"
        print(f"loads in      {shown}")


if __name__ == "__main__":
    main()
