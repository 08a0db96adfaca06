"""A sweep's evaluations: pooled over seeds, compared with a baseline, those missing named."""

from __future__ import annotations

import json

import pytest
from sweep_folders import evaluated_run, sweep_of_points

from sgg.errors import SggError
from sgg.report.sweep_summary import runs_summary, sweep_summary
from sgg.report.sweep_table import sweep_table
from sgg.report.sweep_view import sweep_section, sweep_verdicts

HALF = [1.0] * 8 + [0.0] * 8
MORE = [1.0] * 14 + [0.0] * 2


@pytest.fixture
def sweep(tmp_path):
    """Two temperatures, two seeds; the hotter one loses six images of sixteen each time."""
    words = [[f"generate.temperature={t}", f"seed={s}"] for t in (0.0, 1.0) for s in (0, 1)]
    folder = sweep_of_points(tmp_path / "sweep", words)
    for i, (own, recalls) in enumerate(
        zip(words, (MORE, [*MORE[:-1], 1.0], HALF, HALF), strict=True)
    ):
        evaluated_run(folder / "points" / str(i), own, recalls)
    return folder


def test_seeds_are_pooled_and_the_first_point_is_the_baseline(sweep):
    found = sweep_summary(sweep)
    assert found.keys == ["generate.temperature"]
    assert [g.label for g in found.groups] == [
        "generate.temperature=0.0",
        "generate.temperature=1.0",
    ]
    assert found.baseline == "generate.temperature=0.0"
    cold, hot = found.groups
    assert [run.seed for run in cold.runs] == ["0", "1"]
    recall = cold.values["R"]  # 14/16 and 15/16: s / √2 = 1/32
    assert recall.mean == pytest.approx(29 / 32)
    assert recall.high - recall.mean == pytest.approx(12.7062 / 32, rel=1e-5)
    assert recall.seeds == 2
    assert hot.values["R"].low == hot.values["R"].high == 0.5
    assert hot.changes == {"generate.temperature": (0.0, 1.0)}
    assert (cold.test, cold.changes) == (None, {})


def test_the_test_is_paired_by_image_and_seed(sweep):
    """Differences by seed are -6/16 and -7/16; of 16 images six or seven change."""
    test = sweep_summary(sweep).groups[1].test
    assert test.seeds == ("0", "1")
    assert (test.before, test.after) == (pytest.approx(29 / 32), 0.5)
    assert test.difference == pytest.approx(-13 / 32)
    assert test.half_width == pytest.approx(12.7062 / 32, rel=1e-5)
    assert test.p == pytest.approx(2 / 2**7, abs=0.01)
    assert test.p_holm == test.p  # the only comparison
    assert test.low < test.difference < test.high


def test_verdicts_are_about_images_and_about_seeds(sweep):
    (said,) = sweep_summary(sweep).verdicts
    worse = "generate.temperature=1.0 is worse than generate.temperature=0.0: "
    assert said.startswith(f"{worse}triplet recall 0.906 → 0.500, -0.406 (95 % ")
    assert said.endswith("; over 2 seeds -0.803 to -0.009")


def test_seeds_that_disagree_are_told(tmp_path):
    folder = sweep_of_points(tmp_path, [[f"model={m}", f"seed={s}"] for m in "ab" for s in "01"])
    for i, recalls in enumerate((HALF, HALF, MORE, [*HALF[:-1], 1.0])):
        words = [f"seed={i % 2}", f"model.path={'ab'[i // 2]}"]
        evaluated_run(folder / "points" / str(i), words, recalls)
    summary = sweep_summary(folder)
    (said,) = summary.verdicts
    test = summary.groups[1].test
    assert test.p_holm <= 0.05
    assert not test.is_real
    assert not sweep_verdicts(summary)[0].is_real
    assert "+0.219 ≈ unclear" in sweep_section(summary)
    assert said.startswith(
        "model=b is better than model=a: triplet recall 0.500 → 0.719, +0.219 (95 % "
    )
    assert said.endswith("; over 2 seeds -1.767 to +2.204, so other seeds may not repeat it")


def test_a_mean_and_a_test_of_other_seeds_are_told_apart(tmp_path):
    """a: 0 and 0.875, mean 0.4375; b: seed 1 alone, 0.5. Of seed 1: 0.5 - 0.875, six images, p 2 / 2^6."""
    folder = sweep_of_points(tmp_path, [[f"model={m}", f"seed={s}"] for m in "ab" for s in "01"])
    for i, recalls in enumerate(([0.0] * 16, MORE, None, HALF)):
        words = [f"seed={i % 2}", f"model.path={'ab'[i // 2]}"]
        evaluated_run(folder / "points" / str(i), words, recalls)
    summary = sweep_summary(folder)
    a, b = summary.groups
    assert (a.values["R"].mean, b.values["R"].mean) == (0.4375, 0.5)
    assert b.test.difference == -0.375
    assert b.test.p == pytest.approx(2 / 2**6, abs=0.01)
    assert b.test.scope == "seed 1 only"
    assert summary.verdicts[0].startswith(
        "model=b is worse than model=a: triplet recall 0.875 → 0.500"
    )
    assert summary.verdicts[0].endswith("; seed 1 only")
    assert [g.label for g in summary.best("R")] == ["model=a"], "b has one seed less"
    assert summary.bold("R") == []
    table = sweep_table(summary, "md")
    assert "] (seed 1 only) | " in table
    assert "**" not in table
    section = sweep_section(summary)
    assert "<br>seed 1 only" in section
    assert "<b>0." not in section


def test_controls_and_equal_models_are_neither_tested_nor_the_best(tmp_path):
    """Of three steps one tells rewards apart, so its p stands alone: no Holm over the others."""
    steps = ("untrained", "after", "control")
    folder = sweep_of_points(tmp_path, [["reward=a"], ["reward=b"]], steps)
    for i, reward in enumerate(("balanced", "hard_recall")):
        point = folder / "points" / str(i)
        model = f"model.path={'ab'[i]}"
        evaluated_run(point / "untrained", [f"reward={reward}"], HALF)  # which no evaluation reads
        evaluated_run(point / "after", [model], MORE if i else HALF)
        evaluated_run(point / "control", [model, "stage.shuffle_images=true"], [1.0] * 16)
    summary = sweep_summary(folder)
    untrained, after, control = summary.groups[3:]
    assert (untrained.test, untrained.untested) == (None, "the same model, evaluated alike")
    assert untrained.changes == {}
    assert (control.test, control.untested) == (None, "a control")
    assert after.test.p_holm == after.test.p
    assert [said.partition(": ")[0] for said in summary.verdicts] == [
        "reward=b (after) is better than reward=a (after)"
    ]
    assert [v.text for v in sweep_verdicts(summary)] == summary.verdicts
    assert summary.bold("R") == [after]


def test_a_copy_of_a_run_is_no_further_seed(tmp_path):
    paths = [evaluated_run(tmp_path / name, ["seed=0"], HALF) for name in "ab"]
    groups = runs_summary(paths).groups
    assert [(g.label, g.values["R"].seeds) for g in groups] == [("a", 1), ("b", 1)]
    folder = sweep_of_points(tmp_path / "sweep", [["x=1"], ["x=1"], ["x=2"]])
    for i in range(3):
        evaluated_run(folder / "points" / str(i), [f"model.path={i}"], HALF)
    summary = sweep_summary(folder)
    assert [g.label for g in summary.groups] == ["x=1", "x=1 (2)", "x=2"]
    assert [g.test is None for g in summary.groups] == [True, False, False]


def test_another_baseline(sweep):
    for wanted in ("generate.temperature=1.0", "002_generate.temperature=1.0-seed=0"):
        found = sweep_summary(sweep, wanted)
        assert found.baseline == "generate.temperature=1.0"
        assert [g.test is None for g in found.groups] == [False, True]
        assert found.groups[0].test.difference == pytest.approx(13 / 32)
    with pytest.raises(
        SggError, match=r"baseline=generate\.temperature=2\.0: is none of them\. Did you"
    ):
        sweep_summary(sweep, "generate.temperature=2.0")


def test_a_baseline_by_some_overrides_must_be_one(tmp_path):
    words = [["a=1", "b=1"], ["a=1", "b=2"], ["a=2", "b=1"]]
    folder = sweep_of_points(tmp_path, words)
    assert sweep_summary(folder, "a=2").baseline == "a=2 b=1"
    assert sweep_summary(folder, "b=2,a=1").baseline == "a=1 b=2"
    with pytest.raises(SggError, match="baseline=a=1: is of several"):
        sweep_summary(folder, "a=1")


def test_p_is_adjusted_for_the_number_of_groups(tmp_path):
    folder = sweep_of_points(tmp_path, [[f"generate.temperature={i}"] for i in range(3)])
    for i, recalls in enumerate((HALF, MORE, [*HALF[:-1], 1.0])):
        evaluated_run(folder / "points" / str(i), [f"generate.temperature={i}"], recalls)
    one, other = (group.test for group in sweep_summary(folder).groups[1:])
    assert one.p_holm == pytest.approx(2 * one.p)
    assert (other.p, other.p_holm) == (1, 1)
    assert one.half_width is None


def test_runs_that_are_missing_have_a_state(tmp_path):
    folder = sweep_of_points(tmp_path, [[f"seed={i}"] for i in range(6)])
    runs = [folder / "points" / str(i) for i in range(6)]
    evaluated_run(runs[0], ["seed=0"], HALF)
    for path in runs[1:5]:
        evaluated_run(path, [], None)
    failed = {"state": "failed", "code": 1, "reason": "CUDA out of memory\nline 3"}
    (runs[1] / "exit.json").write_text(json.dumps(failed))
    start = {"time": "now", "command": "sgg stage=eval"}
    (runs[2] / "provenance.json").write_text(json.dumps({"starts": [start]}))
    (runs[4] / "metrics.json").write_text("[]")
    (group,) = sweep_summary(folder).groups
    assert [(r.state, r.reason) for r in group.runs[:4]] == [
        ("finished", ""),
        ("failed", "CUDA out of memory"),
        ("not ended", ""),
        ("not started", ""),
    ]
    assert group.runs[4].state == "unreadable"
    assert "metrics.json: not of the form" in group.runs[4].reason
    assert group.runs[5].state == "not started"
    assert group.label == "all seeds"
    assert group.values["R"].seeds == 1


def test_runs_of_other_images_or_protocols_are_not_tested(tmp_path):
    folder = sweep_of_points(tmp_path, [["x=0"], ["x=1"], ["x=2"]])
    evaluated_run(folder / "points" / "0", [], HALF)
    evaluated_run(folder / "points" / "1", [], HALF[:-1])
    evaluated_run(folder / "points" / "2", ["protocol.iou_threshold=0.3"], HALF)
    groups = sweep_summary(folder).groups
    assert [group.test for group in groups] == [None] * 3
    assert [group.untested for group in groups] == [
        "",
        "other images than the baseline's",
        "another protocol than the baseline's",
    ]
    assert "- Not tested: x=1, other images than the baseline's." in sweep_table(
        sweep_summary(folder), "md"
    )


def test_results_of_an_earlier_version_have_no_test(sweep):
    (sweep / "points" / "2" / "per_image.json").unlink()
    (sweep / "points" / "3" / "per_image.json").unlink()
    hot = sweep_summary(sweep).groups[1]
    assert hot.values["R"].mean == 0.5
    assert (hot.test, hot.untested) == (None, "no results by image are there")
    (cold, _) = sweep_summary(sweep, hot.label).groups
    assert (cold.test, cold.untested) == (None, "no results by image of the baseline")


def test_columns_of_two_lengths_are_no_results(sweep):
    path = sweep / "points" / "2" / "per_image.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_ids": ["0"]}))
    run = sweep_summary(sweep).groups[1].runs[0]
    assert (run.state, run.images) == ("unreadable", None)
    assert "different lengths" in run.reason


def test_lines_for_parallel_coordinates(sweep):
    lines = sweep_summary(sweep).lines()
    assert len(lines) == 4
    assert lines[2] == {
        "run": "002_generate.temperature=1.0-seed=0",
        "group": "generate.temperature=1.0",
        "generate.temperature": "1.0",
        "seed": "0",
        "failure_rate": 0,
        "R": 0.5,
        "mR": 0,
        "AP50": 0,
    }


def test_only_evaluated_steps_of_pipelines_are_rows_each_with_its_own_baseline(tmp_path):
    steps = ("sft", "greedy", "sampled")
    folder = sweep_of_points(tmp_path, [["reward=a"], ["reward=b"]], steps)
    for i in range(2):
        point = folder / "points" / str(i)
        model = f"model.path={'ab'[i]}"
        evaluated_run(point / "greedy", [model], HALF)
        evaluated_run(point / "sampled", [model], [1.0] * 16 if i else HALF)
    found = sweep_summary(folder)
    assert [(g.label, g.step) for g in found.groups] == [
        ("reward=a", "greedy"),
        ("reward=a", "sampled"),
        ("reward=b", "greedy"),
        ("reward=b", "sampled"),
    ]
    assert [g.test and g.test.difference for g in found.groups] == [None, None, 0, 0.5]
    assert found.verdicts[1].startswith("reward=b (sampled) is better than reward=a (sampled): ")


def test_the_command_of_each_point(sweep):
    """The user's own whole; of a stranger's sweep without what runs code."""
    run = sweep_summary(sweep).groups[1].runs[0]
    assert run.repeat.command == "sgg stage=eval generate.temperature=1.0 seed=0"
    record = json.loads((sweep / "sweep.json").read_text())
    record["overrides"].append("hardware.slurm.python=/evil")
    (sweep / "sweep.json").write_text(json.dumps(record))
    again = sweep_summary(sweep).groups[1].runs[0].repeat
    assert again.command == run.repeat.command
    assert again.left_out == "hardware.slurm.python=/evil"


def test_several_runs_are_rows_and_seeds_of_one_config_are_pooled(tmp_path):
    paths = [
        evaluated_run(tmp_path / name, words, HALF)
        for name, words in (
            ("a", ["seed=0"]),
            ("b", ["seed=1"]),
            ("c", ["generate.temperature=1.0"]),
        )
    ]
    start = {"time": "now", "command": "/x/bin/sgg stage=eval seed=0 hydra.verbose=true"}
    (paths[0] / "provenance.json").write_text(json.dumps({"starts": [start]}))
    found = runs_summary([*paths, paths[0]])
    assert [g.label for g in found.groups] == ["a, b", "c"]
    assert found.keys == []
    assert found.groups[0].runs[0].repeat.command == "sgg stage=eval seed=0"
    assert found.groups[0].runs[0].repeat.left_out == "hydra.verbose=true"
    assert found.groups[0].runs[1].repeat is None
    assert list(found.groups[1].changes) == ["generate.temperature"]
    assert runs_summary(paths, "c").baseline == "c"
    (paths[2] / "exit.json").unlink()
    assert runs_summary(paths).groups[1].runs[0].state == "finished"  # begun in a terminal


def test_what_is_no_run_is_told(tmp_path, sweep):
    with pytest.raises(SggError, match="no run there"):
        runs_summary([tmp_path])
    assert runs_summary([sweep]).keys == ["generate.temperature"]
    with pytest.raises(SggError, match="there is no run in it"):
        sweep_summary(sweep_of_points(tmp_path / "empty", []))
