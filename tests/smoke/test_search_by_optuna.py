"""`hydra/sweeper=optuna` on this machine: real trainings, whose losses decide."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from broken_models import unloadable
from commands import sgg, sgg_ok

pytestmark = pytest.mark.slow

WORDS = [
    *("-m", "stage=sft", "stage.global_batch=4", "stage.optimizer.kind=trl", "data.train.limit=64"),
    *("hardware.threads=1", "stage.args.logging_steps=1", "stage.args.max_steps=1"),
    *("hydra/sweeper=optuna", "hydra.sweeper.objective=loss", "hydra.sweeper.direction=minimize"),
]


def losses(sweep):
    """By the name of the point, the last that it has logged."""
    found = {}
    for point in sorted((sweep / "points").iterdir()):
        rows = [json.loads(line) for line in (point / "metrics.jsonl").read_text().splitlines()]
        found[point.name] = [row["loss"] for row in rows if "loss" in row][-1]
    return found


def test_the_best_of_four_trials_is_the_lowest_loss(tmp_path):
    sweep = tmp_path / "sweep"
    space = ["seed=1,2,3", "stage.args.learning_rate=tag(log,interval(1e-5,1e-2))"]
    settings = ["hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", "hydra.sweeper.seed=0"]
    words = [*WORDS, *space, *settings, "hydra.launcher.parallel=2", f"paths.sweep_dir={sweep}"]
    done = sgg_ok(*words, cwd=tmp_path)
    found = losses(sweep)
    assert len(found) == 4
    told = dict(re.findall(r"^(\d{3}_\S+): loss = (\S+) ", done.stdout, re.MULTILINE))
    assert {name: float(value) for name, value in told.items()} == {
        name: pytest.approx(value, rel=1e-3) for name, value in found.items()
    }
    best = min(found, key=found.get)
    results = yaml.safe_load((sweep / "optimization_results.yaml").read_text())
    assert results["best_value"] == pytest.approx(found[best])
    record = json.loads((sweep / "sweep.json").read_text())
    [words_of_best] = [p["overrides"] for p in record["points"] if p["name"] == best]
    assert {word.partition("=")[0] for word in words_of_best} == {*results["best_params"]}
    assert [run["point"] for run in record["runs"]] == [0, 1, 2, 3]
    assert "4 finished" in sgg_ok("status", str(sweep), cwd=tmp_path).stdout
    assert "4 of 4 trials have begun" in sgg_ok("resume", str(sweep), cwd=tmp_path).stdout


def test_a_trial_that_fails_ends_the_search_and_says_why(tmp_path, tmp_path_factory):
    sweep = tmp_path / "sweep"
    broken = unloadable(tmp_path_factory.mktemp("models") / "broken")
    words = [f"model.path={broken},{broken}", f"paths.sweep_dir={sweep}"]
    done = sgg(*WORDS, *words, "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert done.returncode == 1
    assert f"sgg resume {sweep} finishes it" in done.stderr
    assert "Traceback" not in done.stderr
    assert len([*(sweep / "points").iterdir()]) == 1


def test_a_search_wants_a_sweep(tmp_path):
    done = sgg("stage=sft", "hydra/sweeper=optuna", cwd=tmp_path)
    assert done.returncode == 2
    assert "which -m takes" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] in ([], ["cache"])


def test_a_dry_run_starts_nothing(tmp_path):
    done = sgg_ok(*WORDS, "seed=1,2,3", "dry_run=true", cwd=tmp_path)
    assert "A dry run shows the edges" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] in ([], ["cache"])
