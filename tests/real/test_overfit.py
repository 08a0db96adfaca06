"""Real images and real annotations through SFT -> GRPO -> eval -> report with the tiny model."""

import json
import os
from pathlib import Path

import pytest
from commands import sgg_ok

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("SGG_REALDATA"),
        reason="SGG_REALDATA is not set: the folder of real annotations (docs/data.md) is not here",
    ),
]

SETS = {
    "photographs": ["data=jsonl", "data.root={real}/photos"],
    "painted_vg": [
        *("data=vg150_raw", "data.root={real}/vg150_test", "data.image_source=painted"),
        *("data.train.path=vg150_test_26446.json.gz", "data.train.limit=5"),
    ],
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", list(SETS))
def test_a_handful_is_learnt_by_heart(name, tmp_path):
    words = [word.format(real=Path(os.environ["SGG_REALDATA"]).absolute()) for word in SETS[name]]
    sgg_ok(
        "pipeline=overfit", *words, f"paths.run_dir={tmp_path / 'run'}", cwd=tmp_path, timeout=1500
    )
    rows = (tmp_path / "run" / "sft" / "metrics.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, rows) if "loss" in row]
    metrics = json.loads((tmp_path / "run" / "eval" / "metrics.json").read_text())["metrics"]
    assert losses[-1] < 0.02
    assert metrics["R"] >= 0.9
    assert (tmp_path / "run" / "report.html").is_file()
