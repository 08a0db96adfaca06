"""The eval stage where completions are there already: it scores, and tells the tracker."""

import json

import pytest
from event_files import events, scalars
from report_folders import write_data, write_evaluation

from sgg.config.frozen import FROZEN_NAME, read_frozen
from sgg.evaluation.stage import run


@pytest.mark.parametrize("moved", [False, True])
def test_images_that_have_moved_cost_the_trackers_pictures(tmp_path, caplog, moved):
    root, run_dir = tmp_path / "data", tmp_path / "run"
    write_data(root)
    model = "sgg/assets/tiny_qwen2_vl"
    write_evaluation(run_dir, root, tmp_path / "cache", model, [3], "tracker=tensorboard")
    (run_dir / "metrics.json").unlink()
    for picture in root.glob("*.png") if moved else ():
        picture.unlink()
    run(read_frozen(run_dir / FROZEN_NAME), run_dir)
    metrics = json.loads((run_dir / "metrics.json").read_text())["metrics"]
    assert scalars(run_dir)["eval/R"] == [(0, pytest.approx(metrics["R"]))]
    assert ("eval/samples/0/gold" in events(run_dir).Tags()["images"]) != moved
    told = "its drawn predictions are missing at the tracker"
    assert (told in caplog.text) == moved
