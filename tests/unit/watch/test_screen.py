"""A look as text: what is on it, that it fits, and that nothing of a stranger steers the terminal."""

from dataclasses import replace

import pytest

from launchers.watch.follow import as_text
from sgg.runs.records import Best, Metrics, ProtocolName
from sgg.watch.pace import Progress
from sgg.watch.run_files import RunFacts, Sample
from sgg.watch.series import Series
from sgg.watch.snapshot import Row, RunView, Snapshot, duration, main_number

SAMPLE = Sample('{"objects": []}', "004.png", 118, "rotating", {"node_box": 0.4, "own": None}, 0.62)


def curve(*values):
    made = Series()
    for value in values:
        made.add(value)
    return made


CURVES = {"loss": curve(2.0, 1.0, 0.5), "reward/total/mean": curve(0.1, 0.625)}
FACTS = RunFacts(
    stage="grpo",
    model="tiny",
    progress=Progress("step", 120, 400, 2.0, 1.0),
    curves=CURVES,
    metrics=None,
    sample=SAMPLE,
    checkpoint=("checkpoint-100", 65.0),
    best=None,
    restarts=1,
    notes=(),
)
VIEW = RunView("run", "running", "", "process 7 on node3", "run/run.log", "", FACTS)


def snapshot(view=VIEW, rows=(), chosen=None, note="", resume=""):
    return Snapshot("DIR", rows, chosen, view, note, resume)


def test_a_run():
    text = as_text(snapshot(), 100)
    assert text.splitlines() == [
        "run · grpo · tiny · running · restarts: 1",
        "  process 7 on node3",
        "███████░░░░░░░░░░░░░░░░░░  step 120/400  30%  2 s/step  9 min 19 s left  last step 1 s ago",
        "loss               █▃▁  2 → 0.5",
        "reward/total/mean  ▁█   0.1 → 0.625",
        "newest checkpoint: checkpoint-100, 1 min 5 s ago",
        "last sample · step 118 · image 004.png · reward 0.62 (node_box 0.4, own –)",
        '  {"objects": []}',
        "log: run/run.log",
    ]


def test_the_best_checkpoint_and_the_last_evaluation():
    best = Best("R@50", 80, 0.4567, "checkpoint-80", 200, "vg")
    facts = replace(FACTS, best=(best, 0.412))
    text = as_text(snapshot(replace(VIEW, facts=facts)), 100)
    assert "best checkpoint: checkpoint-80, R@50 0.457; last evaluation 0.412\n" in text
    best.metric = "R\x1b[2J\nstep"
    text = as_text(snapshot(replace(VIEW, facts=replace(FACTS, best=(best, "nan")))), 100)
    assert "checkpoint-80, R step 0.457; last evaluation nan\n" in text


def test_a_curve_has_its_unit():
    curves = {"completion/length/mean": curve(60.0, 67.0), "completion/failed": curve(0.5, 0.25)}
    text = as_text(snapshot(replace(VIEW, facts=replace(FACTS, curves=curves))), 100)
    assert "60 → 67 tokens\n" in text
    assert "0.5 → 0.25 share\n" in text


def test_one_that_failed():
    view = replace(
        VIEW, state="failed", reason="RuntimeError: no", said="ValueError: why", where=""
    )
    text = as_text(snapshot(view, resume="sgg resume DIR"), 100)
    assert "failed (RuntimeError: no)" in text
    assert "run/run.log: ValueError: why" in text
    assert " left" not in text
    assert text.endswith("Resume with: sgg resume DIR\n")


def test_the_points_of_a_sweep():
    queued = replace(VIEW, state="queued", reason="Priority", facts=replace(FACTS, progress=None))
    rows = (Row("001", "seed=1", VIEW), Row("000", "seed=0", queued))
    lines = as_text(snapshot(None, rows, 1, note="Slurm is away."), 120).splitlines()
    assert lines[:2] == ["DIR", "1 running, 1 queued"]
    assert " ".join(lines[2].split()) == "001 running step 120/400 reward 0.625 seed=1"
    assert " ".join(lines[3].split()) == "› 000 queued reward 0.625 seed=0 Priority"
    assert lines[4] == "Slurm is away."


@pytest.mark.parametrize("width", [80, 110, 200])
def test_of_long_lines_state_and_step_stay_whole(width):
    failed = replace(
        VIEW, state="failed", reason="torch.OutOfMemoryError: CUDA out of memory. " * 5
    )
    overrides = "seed=1 reward.terms.edge_hard.weight=0.5 " * 4
    rows = (Row("001", overrides, failed), Row("002", overrides, VIEW))
    lines = as_text(snapshot(None, rows, 0), width).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("› 001  failed   step 120/400  reward 0.625  seed=1 rewar")
    assert "torch.Out" in lines[2]
    assert lines[3].startswith("  002  running  step 120/400  reward 0.625  seed=1 rewar")
    assert max(map(len, lines)) <= width


def test_the_chosen_point_of_a_long_sweep_is_on_the_screen():
    from rich.console import Console

    from sgg.watch.screen import screen

    rows = tuple(Row(f"{i:03}", "", VIEW) for i in range(100))
    console = Console(width=100, height=20)
    with console.capture() as captured:
        console.print(screen(snapshot(None, rows, 70), 100, 20))
    lines = captured.get().splitlines()
    assert len(lines) <= 20
    assert sum("› 070" in line for line in lines) == 1


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(width):
    facts = replace(FACTS, sample=replace(SAMPLE, text="x" * 9000), notes=("y" * 3000,))
    text = as_text(snapshot(replace(VIEW, facts=facts, reason="z" * 300)), width)
    assert max(len(line) for line in text.splitlines()) <= width


STEERING = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\x07\r\nnext [bold]"


def test_nothing_of_a_stranger_steers_the_terminal():
    sample = Sample(STEERING, STEERING, 1, "", {STEERING: 1.0}, 1.0)
    facts = replace(
        FACTS,
        curves={STEERING: curve(1.0, STEERING)},
        sample=sample,
        checkpoint=(STEERING, 1.0),
        notes=(STEERING,),
        model=STEERING,
    )
    view = RunView(STEERING, "running", STEERING, STEERING, STEERING, STEERING, facts)
    rows = (Row(STEERING, STEERING, view),)
    text = as_text(Snapshot(STEERING, rows, 0, view, STEERING, STEERING), 100)
    assert all(character == "\n" or character.isprintable() for character in text)
    assert "[bold]" in text  # not read as rich's markup


def test_seconds_in_words():
    assert [duration(s) for s in (0.4, 59.4, 60, 3599, 86_400 * 4)] == [
        *("0 s", "59 s", "1 min 0 s", "59 min 59 s", "96 h 0 min")
    ]


def test_an_evaluation_has_its_metrics_with_their_intervals():
    values = {"R": 0.4931, "mR": float("nan"), "failure_rate": 0.0}
    metrics = Metrics(
        *(9, 9, 9, 9, values, {"R": [0.25, 0.75], "mR": None}, {}, {}, ProtocolName("p"))
    )
    done = replace(FACTS, progress=Progress("completion", 9, 9, None, 0.0), metrics=metrics)
    text = as_text(snapshot(replace(VIEW, facts=done)), 100)
    said = "triplet recall 0.493 [0.250, 0.750] · mean recall nan · failure rate 0.000\n"
    assert f"completion 9/9  100%\n{said}" in text
    assert main_number(done) == "recall 0.493"


def test_the_one_number_of_a_line():
    assert main_number(FACTS) == "reward 0.625"
    assert main_number(replace(FACTS, curves={"loss": CURVES["loss"]})) == "loss 0.5"
    assert main_number(replace(FACTS, curves={})) == ""
