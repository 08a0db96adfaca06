"""README's two tables, measured by one command: `python bench/demo.py [FOLDER]`.

Runs `sgg pipeline=demo` for three seeds (about ten minutes each on two free cores; a run that is there
already is not repeated), compares GRPO's completions with SFT's image by image (the paired test of
`sgg score against=`), and writes both tables into README.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from page import put

README = Path(__file__).parents[1] / "README.md"
SEEDS = (0, 1, 2)
HEAD = (
    "| seed | SFT greedy | GRPO greedy | difference | SFT sampled | GRPO sampled | difference "
    "| failures, sampled |\n|---|---|---|---|---|---|---|---|"
)


def sgg(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "sgg", *words], check=False)
    if done.returncode:
        sys.exit(f"sgg {' '.join(words)} ended with code {done.returncode}")


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def recall(run: Path) -> str:
    content = metrics(run)
    low, high = content["intervals"]["R"]
    return f"{content['metrics']['R']:.3f} [{low:.3f}, {high:.3f}]"


def difference(folder: Path, kind: str) -> str:
    """GRPO - SFT, its 95 % interval and the p of the paired test."""
    out = folder / f"difference_{kind}"
    sgg("score", f"{folder}/grpo_{kind}", f"against={folder}/sft_{kind}", f"out={out}")
    test = metrics(out)["against"]["tests"]["R"]
    return (
        f"{test['difference']:+.3f} [{test['low']:+.3f}, {test['high']:+.3f}], p = {test['p']:.2g}"
    )


def row(seed: int, folder: Path) -> str:
    failed = [
        f"{metrics(folder / f'{s}_sampled')['metrics']['failure_rate']:.3f}"
        for s in ("sft", "grpo")
    ]
    cells = [str(seed)]
    for kind in ("greedy", "sampled"):
        cells += [recall(folder / f"{stage}_{kind}") for stage in ("sft", "grpo")]
        cells.append(difference(folder, kind))
    return f"| {' | '.join([*cells, ' → '.join(failed)])} |"


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/readme")
    rows = []
    for seed in SEEDS:
        folder = root / f"seed{seed}"
        sgg("pipeline=demo", f"seed={seed}", f"paths.run_dir={folder}")
        rows.append(row(seed, folder))
    put("<!-- demo -->", (root / "seed0" / "table.md").read_text().strip(), README)
    put("<!-- seeds -->", "\n".join([HEAD, *rows]), README)


if __name__ == "__main__":
    main()
