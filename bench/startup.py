"""How long `sgg --help` and `sgg --cfg job` take beside a bare Hydra app: `python bench/startup.py`.

Pairs in turn, so that both meet the same load; prints medians and their ratio.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 15
BARE = """
import hydra


@hydra.main(config_path=None, version_base="1.3")
def main(cfg):
    print(cfg)


main()
"""


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def compare(words: list[str], bare: Path) -> None:
    ours, theirs = [], []
    for _ in range(PAIRS):
        theirs.append(seconds([sys.executable, str(bare), *words]))
        ours.append(seconds([sys.executable, "-m", "sgg", *words]))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{' '.join(words):<10} sgg {statistics.median(ours):.3f} s, "
        f"bare Hydra {statistics.median(theirs):.3f} s, ratio {ratio:.2f}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        for words in (["--help"], ["--cfg", "job"]):
            compare(words, bare)


if __name__ == "__main__":
    main()
