"""The configuration that curves of a training belong to."""

from __future__ import annotations

from sweep_folders import evaluated_run, sweep_of_points, trained_run

from sgg.report.content.folders import runs_of
from sgg.report.content.run import read_runs
from sgg.report.curve_groups import curve_groups
from sgg.report.sweep_view import summary_of

ROWS = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]


def groups_of(folders):
    runs, _ = read_runs(runs_of(folders))
    return curve_groups([run for run in runs if run.curves], summary_of(folders, ""))


def test_trainings_of_a_sweep_are_of_their_points_also_before_they_are_evaluated(tmp_path):
    words = [[f"x={x}", f"seed={seed}"] for x in "ab" for seed in "01"]
    sweep = sweep_of_points(tmp_path, words, ["sft", "eval"])
    for i in range(4):
        trained_run(sweep / "points" / str(i) / "sft", ["stage=sft"], ROWS)
    evaluated_run(sweep / "points/0/eval", [], [1.0])
    assert [*groups_of([sweep]).values()] == ["x=a", "x=a", "x=b", "x=b"]


def test_a_training_evaluated_at_several_steps_is_of_what_these_share(tmp_path):
    sweep = sweep_of_points(tmp_path, [["x=a"], ["x=b"]], ["sft", "greedy", "beams"])
    for i in range(2):
        point = sweep / "points" / str(i)
        trained_run(point / "sft", ["stage=sft"], ROWS)
        for step in ("greedy", "beams"):
            evaluated_run(point / step, [], [1.0])
    assert [*groups_of([sweep]).values()] == ["x=a", "x=b"]


def test_a_training_given_as_a_folder_is_of_what_was_made_of_it(tmp_path):
    for name in ("shared", "own"):
        trained_run(tmp_path / name, ["stage=sft"], ROWS)
    trained_run(tmp_path / "unused", ["stage=sft", "stage.args.learning_rate=1"], ROWS)
    models = {"a": "shared", "b": "shared", "c": "own"}
    for i, (name, model) in enumerate(models.items()):
        words = [f"model.path={tmp_path / model}", f"generate.max_new_tokens={i + 9}"]
        evaluated_run(tmp_path / name, words, [1.0])
    folders = [tmp_path / name for name in ("shared", "own", "unused", *models)]
    assert groups_of(folders) == {"own": "c"}
    assert groups_of([tmp_path / "own"]) == {}
