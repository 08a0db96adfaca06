"""The paper's table of a sweep, beside numbers written out by hand."""

from __future__ import annotations

import csv
import io
import json

import pytest
from sweep_folders import evaluated_run, sweep_of_points, trained_run

from sgg.cli.report import main
from sgg.cli.report_table import FORMATS
from sgg.errors import SggError
from sgg.report.sweep_summary import runs_summary, sweep_summary
from sgg.report.sweep_table import FORMS, notes, sweep_table
from sgg.runs.search import SearchRecord
from sgg.tracking.names import TOTAL_REWARD

RECALLS = {
    ("strict", 0): [1.0] * 4 + [0.0] * 6,
    ("strict", 1): [1.0] * 5 + [0.0] * 5,
    ("strict", 2): [1.0] * 6 + [0.0] * 4,
    ("soft", 0): [1.0] * 10,
    ("soft", 1): [1.0] * 10,
    ("soft", 2): None,
    ("none", 0): [0.0] * 10,
    **{("lax", seed): [1.0] * 3 + [0.0] * 7 for seed in range(3)},
}
"""strict: .4, .5, .6: mean .5, s = .1, t(2 df) = 4.30265, half = 4.30265 · .1 / √3 = .24841.
soft: 1, 1: half 0, one run missing. none: one run, its own interval. lax: .3 three times."""
FAILURES = {"strict": 0.1, "soft": 0.1, "none": 0.3, "lax": 0.2}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    words = [[f"reward={reward}", f"seed={seed}"] for reward, seed in RECALLS]
    sweep_of_points(folder, words)
    for i, ((reward, _), recalls) in enumerate(RECALLS.items()):
        intervals = {"R": [0.0, 0.278]}
        path = folder / "points" / str(i)
        evaluated_run(
            path,
            [f"model.path={reward}"],
            recalls,
            intervals,
            failure_rate=FAILURES[reward],
            mR=0.25,
            AP50=0.5,
        )
    ending = {"state": "failed", "code": 1, "reason": "out of memory"}
    (folder / "points" / "5" / "exit.json").write_text(json.dumps(ending))
    return folder


def rows_of(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


def test_markdown_by_hand(sweep):
    text = sweep_table(sweep_summary(sweep), "md")
    head, strict, soft, none, lax = rows_of(text)
    assert head[:6] == [
        "reward",
        "seeds",
        "failure rate ↓",
        "triplet recall ↑",
        "mean recall ↑",
        "AP@50 ↑",
    ]
    assert strict[:4] == ["strict", "3", "**0.100 ± 0.000**", "**0.500 ± 0.248**"]
    assert soft[:4] == ["soft", "2 of 3", "0.100 ± 0.000", "1.000 ± 0.000"]  # fewer seeds
    assert none[:4] == ["none", "1", "0.300", "0.000 [0.000, 0.278]"]
    assert lax[:4] == ["lax", "3", "0.200 ± 0.000", "0.300 ± 0.000"]
    assert [row[5] for row in (strict, none)] == ["0.500 ± 0.000", "0.500"]  # no best of equal ones
    assert strict[6:] == ["—", "—"]
    # soft beside strict, seeds 0 and 1 of both: 1 - .45; none beside strict, seed 0: 0 - .4
    assert soft[6].startswith("+0.550 [")
    assert soft[6].endswith("] (seeds 0, 1 only)")
    assert none[6].startswith("\N{MINUS SIGN}0.400 [")
    assert none[6].endswith("] (seed 0 only)")
    assert lax[6].startswith("\N{MINUS SIGN}0.200 [")
    assert lax[6].endswith("]")


def test_what_the_numbers_mean_is_said(sweep):
    said = notes(sweep_summary(sweep))
    assert "±: mean over seeds and half of its 95 % t interval over seeds." in said
    assert "[low, high]: 95 % score interval over the images of one run." in said
    assert "Missing: reward=soft, seed 2: failed (out of memory)." in said
    against = "triplet recall against reward=strict on the same 10 images"
    assert any(against in note and "for 3 comparisons (Holm)" in note for note in said)
    text = sweep_table(sweep_summary(sweep), "md")
    assert all(note in text for note in said)


def test_latex_by_hand(sweep):
    lines = sweep_table(sweep_summary(sweep), "tex").splitlines()
    assert r"\begin{tabular}{lrrrrrrr}" in lines
    assert [rule for rule in lines if "rule" in rule] == [r"\toprule", r"\midrule", r"\bottomrule"]
    cells = {line.split(" & ")[0]: line.split(" & ") for line in lines if " & " in line}
    assert cells["reward"][2:4] == [
        r"failure rate $\downarrow$",
        r"triplet recall $\uparrow$",
    ]
    bold = [r"\textbf{0.100 $\pm$ 0.000}", r"\textbf{0.500 $\pm$ 0.248}"]
    assert cells["strict"][1:4] == ["3", *bold]
    assert cells["soft"][3] == r"1.000 $\pm$ 0.000"
    assert cells["none"][3] == "0.000 [0.000, 0.278]"
    assert cells["strict"][-1] == r"--- \\"
    assert cells["none"][-2].startswith("$-$0.400 [")
    assert sum(line.startswith("% ") for line in lines) == 4  # three verdicts, one missing run
    caption = next(line for line in lines if line.startswith(r"\caption{"))
    assert r"95 \% t interval over seeds" in caption


def test_csv_has_numbers(sweep):
    text = sweep_table(sweep_summary(sweep), "csv")
    strict, soft, none, _ = csv.DictReader(io.StringIO(text))
    assert float(strict["R"]) == pytest.approx(0.5)
    assert float(strict["R_high"]) == pytest.approx(0.5 + 4.30265 * 0.1 / 3**0.5, rel=1e-5)
    assert (none["R_low"], none["R_high"], none["mR_low"]) == ("0.0", "0.278", "")
    assert (soft["seeds"], soft["missing"]) == ("2", "seed 2: failed (out of memory)")
    assert float(soft["R_difference"]) == pytest.approx(0.55)
    assert soft["R_difference_seeds"] == "0 1"
    assert (strict["R_difference_seeds"], strict["p"]) == ("", "")


HOSTILE = r"=a|b_&%$#{}~^\<x>"


def test_names_are_text_in_each_form(tmp_path):
    folder = sweep_of_points(tmp_path, [[f"{HOSTILE}\n={HOSTILE}"], ["x=2"]])
    evaluated_run(folder / "points" / "0", [], [1.0])
    summary = sweep_summary(folder)
    tex = sweep_table(summary, "tex")
    escaped = r"a\textbar{}b\_\&\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert escaped in tex
    assert all(line.startswith(("%", "\\")) or " & " in line for line in tex.splitlines())
    assert r"a\|b" in sweep_table(summary, "md")
    for row in csv.reader(io.StringIO(sweep_table(summary, "csv"))):
        assert not any(cell.startswith("=") for cell in row)


def test_a_row_of_latex_begins_with_no_argument(tmp_path):
    r"""After `\\` and `\midrule` LaTeX takes `[` for a length and `*` for a variant."""
    folder = sweep_of_points(tmp_path, [["protocol.cutoffs=[20,50]"], ["protocol.cutoffs=*"]])
    lines = sweep_table(sweep_summary(folder), "tex").splitlines()
    at = lines.index(r"\midrule")
    assert [line.split(" & ")[0] for line in lines[at + 1 : at + 3]] == ["{}[20,50]", "{}*"]


def searched(folder, objective, direction):
    """Three learning rates of an SFT, of which the last has failed."""
    rates = ("3e-6", "2e-5", "1e-3")
    sweep_of_points(folder, [[f"stage.args.learning_rate={rate}"] for rate in rates], ["sft"])
    for i, state in enumerate(("finished", "finished", "failed")):
        rows = [{"step": s, "loss": 4.0 - i - s, "token_accuracy": 0.1 * s + i} for s in (1, 2)]
        trained_run(folder / "points" / str(i), ["stage=sft"], rows, state)
    if objective:
        SearchRecord(objective, direction, 3, []).write(folder)
    return sweep_summary(folder)


@pytest.mark.parametrize(
    ("objective", "direction", "head", "shown"),
    [
        ("", "", "loss ↓", ["2.000", "**1.000**"]),
        ("loss", "maximize", "loss ↑", ["**2.000**", "1.000"]),
        ("token_accuracy", "minimize", "token_accuracy ↓", ["**0.200**", "1.200"]),
    ],
)
def test_trainings_have_the_last_value_of_the_objective(
    tmp_path, objective, direction, head, shown
):
    text = sweep_table(searched(tmp_path, objective, direction), "md")
    heads, *rows = rows_of(text)
    assert heads == ["stage.args.learning_rate", "seeds", head]
    assert [row[1:] for row in rows] == [
        *(["1", value] for value in shown),
        ["0 of 1", "—"],
    ]
    notes = [line for line in text.splitlines() if line.startswith("- ")]
    assert notes == [
        f"- {objective or 'loss'}: the last value of each training.",
        "- Bold: the best of each column, among rows with the most seeds.",
        "- Missing: stage.args.learning_rate=1e-3, seed 0: failed.",
    ]


def test_a_grpo_training_is_judged_by_its_reward(tmp_path):
    folders = [
        trained_run(
            tmp_path / str(seed),
            ["stage=grpo", f"seed={seed}"],
            [{"step": 1, "loss": 0, TOTAL_REWARD: value}],
        )
        for seed, value in enumerate((0.5, 0.75))
    ]
    text = sweep_table(runs_summary(folders), "csv")
    assert [row[TOTAL_REWARD] for row in csv.DictReader(io.StringIO(text))] == ["0.625"]


def test_an_evaluation_has_the_metric_that_a_search_improves(tmp_path):
    folder = sweep_of_points(tmp_path, [["x=1"], ["x=2"]])
    for i in range(2):
        metrics = {"duplicate_rate": 0.5 - i / 4}
        evaluated_run(folder / "points" / str(i), [], [1.0], **metrics)
    SearchRecord("duplicate_rate", "minimize", 2, []).write(folder)
    heads, *rows = rows_of(sweep_table(sweep_summary(folder), "md"))
    place = heads.index("duplicate_rate ↓")
    assert [row[place] for row in rows] == ["0.500", "**0.250**"]
    assert "triplet recall ↑" in heads


def test_a_sweep_without_results_is_a_table_of_what_is_missing(tmp_path):
    folder = sweep_of_points(tmp_path, [["x=1"], ["x=2"]])
    text = sweep_table(sweep_summary(folder), "md")
    assert rows_of(text)[1] == ["1", "0 of 1", "—", "—", "—", "—"]
    assert "Missing: x=2, seed —: not started." in text
    assert r"\textbf" not in sweep_table(sweep_summary(folder), "tex")


def test_the_command(sweep, capsys):
    assert tuple(FORMS) == FORMATS
    main([str(sweep), "--format", "tex", "baseline=reward=soft"])
    assert "against reward=soft on the same 10 images" in capsys.readouterr().out
    main([str(sweep), "--format=csv"])
    printed = capsys.readouterr()
    assert printed.out.startswith("reward,seeds,missing,failure_rate,")
    assert "Missing: reward=soft, seed 2: failed" in printed.err
    main([str(sweep / "points" / "0"), str(sweep / "points" / "3"), "--format", "md"])
    assert [row[0] for row in rows_of(capsys.readouterr().out)] == ["run", "0", "3"]
    with pytest.raises(SggError, match="out=… would be ignored"):
        main([str(sweep), "--format", "md", "out=x"])
