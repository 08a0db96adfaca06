"""A sweep on the page: pooled seeds, best values, differences, the way to make a run again."""

from __future__ import annotations

import json
import re

import pytest
from report_folders import HANDLER, write_data, write_evaluation, write_sweep
from sweep_folders import evaluated_run, sweep_of_points, trained_run

from sgg.errors import SggError
from sgg.report.content.curves import OTHER_REWARDS
from sgg.report.first_shown import first_of_summary
from sgg.report.page import write_report
from sgg.report.sweep_view import parallel, summary_of, sweep_section, sweep_verdicts


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    base = tmp_path_factory.mktemp("sweep")
    return write_sweep(base / "rewards", base / "cache")


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html.replace("<wbr>", "")))


def test_configurations_pool_their_seeds(sweep):
    """Of 30 images with two relations: hard_recall finds 0.500, 0.600, 0.733, balanced 0.867, 0.867, 1."""
    summary = summary_of([sweep], "")
    section = text_of(sweep_section(summary))
    assert "hard_recall 3 baseline 0.611 [0.320, 0.902]" in section
    assert "balanced 3 +0.300 ✓ real" in section
    assert "<b>0.911</b>" in sweep_section(summary)
    assert "<b>0.611</b>" not in sweep_section(summary)
    [verdict] = sweep_verdicts(summary)
    assert verdict.is_real
    assert verdict.text.startswith("reward=balanced is better than reward=hard_recall: ")


def test_each_run_of_the_best_configuration_stands_beside_its_partner_in_the_gallery(sweep):
    first = first_of_summary(summary_of([sweep], ""))
    assert [name[:3] for name in first.runs] == ["005", "002", "003", "000", "004", "001"]


def test_the_page_says_which_run_it_shows_first_and_marks_the_highest(sweep):
    page = write_report([sweep]).read_text()
    said = "At first: 005_reward-balanced_seed-2/eval, the best seed of reward=balanced, the configuration"
    assert page.count(said) == 2, "in the gallery and in training"
    assert (
        "; beside 002_reward-hard_recall_seed-2/eval, the same seed of reward=hard_recall." in page
    )
    scores = re.search(r'<table id="scores".*?</table>', page, re.DOTALL)[0]
    assert re.findall("<b>(.*?)</b>", scores) == ["1.000"]


def test_of_one_seed_a_configuration_no_seed_is_the_best(three):
    first = first_of_summary(summary_of([three / "A", three / "B"], ""))
    assert first.note == "At first: B, the configuration with the highest triplet recall."


def test_of_runs_that_find_as_much_none_is_marked(three):
    page = write_report([three / "B", three / "C"], three / "equal").read_text()
    scores = re.search(r'<table id="scores".*?</table>', page, re.DOTALL)[0]
    assert "<b>" not in scores
    assert "is bold" not in scores


def test_another_baseline(sweep):
    summary = summary_of([sweep], "reward=balanced")
    [verdict] = sweep_verdicts(summary)
    assert verdict.text.startswith("reward=hard_recall is worse than reward=balanced: ")
    assert "-0.300 ✓ real" in text_of(sweep_section(summary))
    with pytest.raises(SggError, match="baseline=nothing"):
        write_report([sweep], baseline="nothing")


def test_axes_are_what_differs_between_runs(sweep):
    found = parallel(summary_of([sweep], ""))
    assert [axis["key"] for axis in found["axes"]][:3] == ["reward", "seed", "R"]
    assert "failure_rate" not in [axis["key"] for axis in found["axes"]], "it is 0 in all"
    assert len(found["lines"]) == 6


def test_an_axis_says_where_less_is_better(tmp_path):
    folder = sweep_of_points(tmp_path, [["x=1"], ["x=2"]])
    for i in range(2):
        evaluated_run(folder / "points" / str(i), [], [i / 2], failure_rate=i / 4)
    axes = parallel(summary_of([folder], ""))["axes"]
    found = {axis["key"]: axis["is_lower_better"] for axis in axes}
    assert found == {"x": False, "failure_rate": True, "R": False}


def rates(folder, values):
    """A sweep of finished SFT trainings over a learning rate."""
    words = [[f"stage.args.learning_rate={value}"] for value in values]
    sweep_of_points(folder, words, ["sft"])
    for i in range(len(values)):
        trained_run(folder / "points" / str(i), ["stage=sft"], [{"step": 1, "loss": 2.0 - i / 10}])
    return summary_of([folder], "")


@pytest.mark.parametrize(
    ("values", "is_number", "is_log"),
    [
        (["3e-6", "1e-4", "2e-5", "1e-3"], True, True),
        (["1", "10", "5"], True, False),
        (["0", "10", "1000"], True, False),
        (["1", "null", "5"], False, False),
        (["1", "nan", "5"], False, False),
    ],
)
def test_an_override_of_numbers_has_an_axis_of_numbers(tmp_path, values, is_number, is_log):
    found = parallel(rates(tmp_path / "sweep", values))
    rate, loss = found["axes"]
    assert (rate["is_number"], rate["is_log"]) == (is_number, is_log)
    assert (loss["key"], loss["is_number"], loss["is_log"]) == ("loss", True, False)
    shown = [line[rate["key"]] for line in found["lines"]]
    assert shown == ([float(value) for value in values] if is_number else values)


def test_a_metric_that_the_first_run_lacks_has_an_axis(tmp_path):
    folder = sweep_of_points(tmp_path, [["x=1"], ["x=2"], ["x=3"]])
    for i in range(3):
        path = evaluated_run(folder / "points" / str(i), [], [1.0], AP50=i / 4)
        if i == 0:
            content = json.loads((path / "metrics.json").read_text())
            del content["metrics"]["AP50"]
            (path / "metrics.json").write_text(json.dumps(content))
    axes = [axis["key"] for axis in parallel(summary_of([folder], ""))["axes"]]
    assert axes == ["x", "AP50"]


def test_trainings_show_what_they_are_judged_by(tmp_path):
    section = text_of(sweep_section(rates(tmp_path / "sweep", ["1e-5", "1e-4"])))
    assert "seeds difference to the baseline loss ↓ 1e-5 1 baseline 2.000 1e-4 1 – 1.900" in section
    assert "loss: the last value of each training." in section
    assert "finished" not in section


def test_totals_of_different_rewards_have_no_best(tmp_path):
    rewards = ("hard_recall", "balanced")
    folder = sweep_of_points(tmp_path, [[f"reward={reward}"] for reward in rewards], ["grpo"])
    for i, reward in enumerate(rewards):
        rows = [{"step": 1, "reward/total/mean": 2.0 + i}]
        trained_run(folder / "points" / str(i), ["stage=grpo", f"reward={reward}"], rows)
    section = sweep_section(summary_of([folder], ""))
    assert OTHER_REWARDS in section
    assert "3.000" in section
    assert "<b>3.000" not in section


def test_seeds_sort_by_how_many_have_results(tmp_path):
    folder = sweep_of_points(tmp_path, [[f"x={x}", f"seed={s}"] for x in "ab" for s in "01"])
    for i in range(3):
        evaluated_run(folder / "points" / str(i), [], [1.0])
    section = sweep_section(summary_of([folder], ""))
    assert re.findall(r'class="n" data-value="(.*?)">(\d of \d|\d)', section) == [
        ("2", "2"),
        ("1", "1 of 2"),
    ]


def test_commands_and_differences_of_configs(sweep):
    summary = summary_of([sweep], "")
    section = text_of(sweep_section(summary))
    assert "sgg pipeline=sft_grpo_eval data=jsonl reward=balanced seed=2" in section
    changes = summary.groups[1].changes
    assert changes["grpo: reward.similarity"] == ("exact", "table")
    assert {key.rpartition(".")[0] for key in changes} == {"grpo: reward", "grpo: reward.terms"}
    assert "grpo: reward.similarity exact table" in section


def test_folders_of_pipelines_are_pooled_over_the_seeds_of_their_training(sweep):
    """Two rewards by three seeds, each point given as a folder of its own."""
    points = sorted((sweep / "points").iterdir())
    summary = summary_of(points, "")
    assert [[run.seed for run in g.runs] for g in summary.groups] == [["0", "1", "2"]] * 2
    test = summary.groups[1].test
    assert (test.seeds, test.scope) == (("0", "1", "2"), "")
    assert test.difference == pytest.approx(0.3)
    assert test.p_holm == test.p, "one comparison, not five"


def test_one_run_has_no_table_of_configurations(sweep):
    assert summary_of([sweep / "points" / "000_reward-hard_recall_seed-0"], "") is None
    assert summary_of([sweep, sweep], "") is None
    for folders in ([sweep / "points" / "000_reward-hard_recall_seed-0"], [sweep, sweep]):
        with pytest.raises(SggError, match="baseline=nothing would be ignored"):
            write_report(folders, sweep.parent / "refused", baseline="nothing")


def test_two_runs_are_compared_by_their_configs(sweep):
    folders = [
        sweep / f"points/00{n}/eval"
        for n in ("0_reward-hard_recall_seed-0", "3_reward-balanced_seed-0")
    ]
    page = write_report(folders, sweep.parent / "two").read_text()
    assert "What configs differ in from" in page
    assert "better than" in page
    assert HANDLER not in page


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Of 30 images A finds 0.600; B 0.700 and C 0.700, each by one relation more in six other images."""
    base = tmp_path_factory.mktemp("three")
    write_data(base / "data")
    skills = {"A": [1, 1, 1, 1, 3], "B": [1, 1, 3, 1, 3], "C": [1, 3, 1, 1, 3]}
    for name, answers in skills.items():
        model = base / f"model-{name}"
        write_evaluation(base / name, base / "data", base / "cache", model, answers)
    return base


def table_of(page, name):
    found = re.search(rf'<table id="{name}".*?</table>', page, re.DOTALL)
    return text_of(found[0])


def test_each_part_of_the_page_is_against_the_chosen_baseline(three):
    folders = [three / "A", three / "B"]
    page = write_report(folders, three / "chosen", baseline="B").read_text()
    [said] = re.findall(r'<ul class="verdicts">(.*?)</ul>', page, re.DOTALL)
    assert "A is worse than B: triplet recall 0.700 → 0.600, -0.100 " in text_of(said)
    assert "A 1 -0.100 ✓ real" in table_of(page, "configurations")
    assert "A B 0 6 6 18 0" in table_of(page, "changes")
    first = write_report(folders, three / "first").read_text()
    assert "B A 6 0 6 18 0" in table_of(first, "changes")


def test_a_page_has_one_p_for_each_pair(three):
    """Six of 30 images change: p is 2 / 2^6 = 0.031, of two comparisons 0.062: no part calls that real."""
    page = write_report([three / name for name in "ABC"], three / "all").read_text()
    [said] = re.findall(r'<ul class="verdicts">(.*?)</ul>', page, re.DOTALL)
    assert text_of(said).count("No difference between ") == 2
    assert "better than" not in page
    assert 'class="real"' not in page
    assert table_of(page, "configurations").count("≈ unclear") == 2
    assert "difference" not in table_of(page, "scores")


def test_predicates_of_a_sweep_are_pooled_over_seeds(sweep):
    page = write_report([sweep]).read_text()
    table = table_of(page, "worst")
    assert "predicate gold reward=balanced reward=hard_recall on 30" in table
    assert "on 30 0.822 0.733 to 1.000, 24.7 found 0.478 0.233 to 0.733, 14.3 found" in table
    assert "Rows are in the order of the mean of the columns." in page
    assert "Misses: those of 005_reward-balanced_seed-2/eval." in page


def test_of_many_configurations_the_best_and_the_baseline_have_predicates(three, monkeypatch):
    monkeypatch.setattr("sgg.report.worst_predicates.COLUMNS", 2)
    folders = [three / name for name in "ABC"]
    page = write_report(folders, three / "two_of_three").read_text()
    assert "predicate gold B A on 30" in table_of(page, "worst")
    assert "2 of 3 configurations: the best ones and the baseline. Misses: those of B." in page


def gallery_of(page):
    return json.loads(re.search(r'id="gallery-index"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


def test_where_the_best_is_the_baseline_the_next_best_stands_beside_it(sweep):
    """Never two seeds of one configuration, whichever of the two configurations is the baseline."""
    summary = summary_of([sweep], "reward=balanced")
    first = first_of_summary(summary)
    assert [name[:3] for name in first.runs] == ["005", "002", "003", "000", "004", "001"]
    index = gallery_of(write_report([sweep], baseline="reward=balanced").read_text())
    assert [index["runs"][place][:3] for place in index["shown"]] == ["002", "005"]
    assert index["runs"][index["run"]][:3] == "002", "5 is what 2 is compared with"
    assert index["runs"][index["baselines"][index["run"]]][:3] == "005"
    index = gallery_of(write_report([sweep]).read_text())
    assert [index["runs"][place][:3] for place in index["shown"]] == ["002", "005"]
    assert index["runs"][index["run"]][:3] == "005"


def test_changes_between_configurations_and_between_seeds_stand_apart(sweep):
    table = re.search(
        r'<table id="changes".*?</table>', write_report([sweep]).read_text(), re.DOTALL
    )[0]
    named = re.findall(r'"rowgroup"[^>]*>(.*?)<|scope="row">(...)|small">(...)', table)
    assert [title or label or baseline for title, label, baseline in named] == [
        "Configurations at the same seed",
        *("005", "002", "004", "001", "003", "000"),
        "Seeds of one configuration: how much chance alone changes",
        *("002", "000", "001", "000"),
    ]


def test_a_folder_given_twice_has_pairs_of_its_own(three):
    page = write_report([three / "A", three / "B", three / "B"], three / "twice").read_text()
    assert "Other pairs B (2) A 6 0 6 18 0" in table_of(page, "changes")
