"""Sweeps: composed, checked and frozen; what `dry_run=true` prints; how they stand, from files alone."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import sgg, sgg_ok
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from launchers.local import launch
from launchers.sweep.cancel import cancel_sweep
from launchers.sweep.cancellation import mark_cancelled
from launchers.sweep.code_snapshot import take_snapshot
from launchers.sweep.commands import (
    LaunchOptions,
    Resuming,
    launch_runs,
    resume_sweep,
    start_sweep,
)
from launchers.sweep.local import LocalSweep, check_local, gpu_shares
from launchers.sweep.points import compose_points
from launchers.sweep.status import status_of
from launchers.sweep.status_table import status_table
from sgg.cli.cancel import main as cancel
from sgg.cli.resume import main as resume
from sgg.cli.status import main as show_status
from sgg.config.argv import prepare_argv
from sgg.config.compose import Composer, with_choices
from sgg.config.frozen import write_frozen
from sgg.config.tree import CONF_DIR
from sgg.errors import SggError, Stopped
from sgg.runs.code_state import code_record
from sgg.runs.exit_status import ExitStatus, State, read_exit_status
from sgg.runs.lease import Lease
from sgg.runs.process_id import process_id
from sgg.runs.signature import sign_run
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord, read_sweep, resume_command

TINY = ["stage=sft", "stage.optimizer.kind=trl"]


def composed(lines, folder=Path("/sweep")):
    return compose_points(lines, Composer(), folder, lambda config: None)


def test_points_are_named_after_what_sets_them_apart():
    points = composed([[*TINY, f"seed={s}", "stage.global_batch=8"] for s in (0, 1)])
    assert [p.record.name for p in points] == ["000_seed-0", "001_seed-1"]
    assert [p.record.overrides for p in points] == [["seed=0"], ["seed=1"]]
    assert points[1].steps[0].config.seed == 1
    assert points[1].steps[0].config.paths.run_dir == "/sweep/points/001_seed-1"


def test_a_points_name_keeps_the_sign_of_an_exponent():
    points = composed([[*TINY, f"stage.args.learning_rate={r}"] for r in ("1e-05", "1e+05")])
    assert [p.record.name for p in points] == [
        "000_stage.args.learning-rate-1e-05",
        "001_stage.args.learning-rate-1e+05",
    ]


def composed_by_hydra(words):
    with initialize_config_dir(str(CONF_DIR.resolve()), version_base="1.3"):
        cfg = compose("config", prepare_argv(words), return_hydra_config=True)
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return with_choices(cfg, choices)


def test_a_quickly_composed_point_is_the_one_hydra_composes():
    """Groups once and values on a copy give what Hydra gives in one call, whatever was composed before."""
    composer = Composer()
    shared = ["stage=grpo", "hardware=a100", "reward=soft_recall"]
    for words in (
        [*shared, "reward.terms.node_box.weight=2", "seed=3"],
        [*shared, "stage.args.beta=0.1", "deepspeed=null"],
        [*shared, "~reward.terms.edge_soft", "model.lora.enable=true"],
        [*shared, "stage.args.beta=0.1"],
    ):
        config = composer.compose(words)
        assert config == composed_by_hydra(words)
        assert (config.choices["hardware"], config.choices["reward"]) == ("a100", "soft_recall")
        assert ("edge_soft" in config.reward.terms) == ("~reward.terms.edge_soft" not in words)


def test_every_bad_point_is_told_and_none_is_made(tmp_path):
    lines = [[*TINY, f"stage.global_batch={b}"] for b in (8, 0, -1)]
    with pytest.raises(SggError) as raised:
        composed(lines, tmp_path)
    assert "stage.global_batch=0" in str(raised.value)
    assert "stage.global_batch=-1" in str(raised.value)
    assert "001_stage.global-batch-0" in str(raised.value)
    assert "Nothing was started" in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_missing_weights_are_told_for_the_first_step_only():
    words = ["pipeline=sft_grpo_eval", "model.path=no/such/folder"]
    with pytest.raises(SggError, match=r"model.path=no/such/folder"):
        composed([words])
    [point] = composed([words[:1]])
    assert [step.name for step in point.steps] == ["sft", "grpo", "eval"]
    assert point.steps[2].config.model.path.endswith("/grpo")


def without_slurm():
    """A PATH without sbatch."""
    places = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(p for p in places if not (Path(p) / "sbatch").exists())


def test_dry_run_prints_jobs_on_a_machine_without_slurm(tmp_path):
    words = ["-m", "pipeline=sft_grpo_eval", "seed=0,1", "hydra/launcher=slurm", "dry_run=true"]
    done = sgg_ok(*words, cwd=tmp_path, PATH=without_slurm())
    assert done.stdout.count("#!/bin/bash") == 3
    assert "--dependency=aftercorr:JOB_OF_sft" in done.stdout
    assert "launchers.rank" in done.stdout
    assert not list(tmp_path.iterdir())


def test_submitting_without_slurm_says_so_first(tmp_path):
    done = sgg(*TINY, "hydra/launcher=slurm", cwd=tmp_path, PATH=without_slurm())
    assert done.returncode == 2
    assert "dry_run=true" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_hundred_points_are_one_submission(tmp_path):
    """A stand-in for sbatch counts its calls; everything is frozen when it is called."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    stand_in = bin_folder / "sbatch"
    stand_in.write_text(f"#!/bin/sh\nls {tmp_path}/sweep/points >> {tmp_path}/calls\necho 77\n")
    stand_in.chmod(0o755)
    words = [
        "-m",
        *TINY,
        "seed=range(100)",
        "hydra/launcher=slurm",
        f"paths.sweep_dir={tmp_path}/sweep",
    ]
    done = sgg_ok(*words, cwd=tmp_path, PATH=f"{bin_folder}:{os.environ['PATH']}")
    assert "job 77, 100 runs" in done.stdout
    assert len((tmp_path / "calls").read_text().splitlines()) == 100
    record = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert [run["jobs"] for run in record["runs"]] == [[f"77_{i}"] for i in range(100)]
    runs = (tmp_path / "sweep" / "slurm" / "sft.runs").read_text().splitlines()
    assert all((Path(run) / "config.yaml").is_file() for run in runs)
    code = tmp_path / "sweep" / "code"
    script = (
        "from sgg.runs.code_state import code_record; import sgg, json; "
        "print(json.dumps([sgg.__file__, code_record()['git']]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(code)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    file, state = json.loads(told.stdout)
    assert file.startswith(str(code))
    assert state["revision"] == code_record()["git"]["revision"]


@pytest.fixture
def sweep(tmp_path):
    """Writes a sweep of one point of three steps, as a launcher leaves it."""

    def write(launcher, **more):
        runs = [
            RunRecord(0, step, after, f"points/000/{step}", [])
            for step, after in (("sft", None), ("grpo", "sft"), ("eval", "grpo"))
        ]
        for run in runs:
            (tmp_path / run.folder).mkdir(parents=True)
        record = SweepRecord(
            *(launcher, 1, str(tmp_path), "2025-01-01T00:00:00+00:00", ["stage=sft"]),
            points=[PointRecord("000", ["seed=0"])],
            runs=runs,
            **{"host": platform.node(), "process": "1@0", **more},
        )
        record.write(tmp_path)
        record.sign(tmp_path)
        record.sign_launch(tmp_path)
        return tmp_path, record

    return write


def freeze(folder, record):
    """The configs of a sweep's runs, as a launcher writes them."""
    [point] = composed([TINY])
    for run in record.runs:
        write_frozen(point.config, folder / run.folder / "config.yaml")
        sign_run(folder / run.folder)


def test_status_of_a_chain_that_broke(sweep):
    folder, record = sweep("local")
    ExitStatus(State.failed, 1, "ValueError: no\nrank0 fell\n| more").write(
        folder / record.runs[0].folder
    )
    status = status_of(folder)
    assert [s.state for s in status.runs] == ["failed", "cancelled", "cancelled"]
    table = status_table(status)
    assert "rank0 fell" in table
    assert "ValueError: no" in table
    assert "more" not in table


def test_a_mistake_that_several_runs_share_is_told_once_and_whole(sweep):
    folder, record = sweep("local")
    message = "data.train: none of 2 images is usable.\n  broken_image: 2\n  Take others."
    for run in record.runs:
        ExitStatus(State.failed, 2, message).write(folder / run.folder)
    table = status_table(status_of(folder))
    assert table.count("none of 2 images") == 1
    assert "broken_image: 2" in table
    assert f"{record.runs[0].folder} and 2 more: failed: data.train" in table
    assert "none of 2 images" not in status_table(status_of(folder), reasons=False)


def test_a_local_sweep_tells_a_shared_reason_once(sweep):
    folder, record = sweep("local")
    local = LocalSweep(folder, record, [], 0)
    first, second, third = record.runs
    for run in (first, second):
        ExitStatus(State.failed, 2, "data.root=x: no.\nTake y.").write(folder / run.folder)
    assert local._why(first) == ":\n  data.root=x: no.\n  Take y."
    assert local._why(second) == f", as {first.folder} did"
    assert local._why(third) == "", "it left no word"


def test_a_mistake_that_only_the_first_point_has_names_the_point(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [["stage=eval", "debug=steps"], ["stage=eval", "debug=fast"]]
    for mistake, good in (lines, reversed(lines)):
        with pytest.raises(SggError) as error:
            start_sweep([mistake, good], LaunchOptions("local", 1))
        assert str(error.value).count("debug=steps sets stage.args") == 1
        assert "(in 1 of 2 points, first 00" in str(error.value)
        assert "Nothing was started." in str(error.value)
    assert not list(tmp_path.iterdir())


def test_status_while_the_launcher_lives_and_after(sweep):
    folder, record = sweep("local", process=process_id())
    record.runs[0].jobs = [process_id()]
    record.write(folder)
    assert [s.state for s in status_of(folder).runs] == ["running", "queued", "queued"]
    record.process, record.runs[0].jobs = "1@0", ["1@0"]
    record.write(folder)
    assert {s.state for s in status_of(folder).runs} == {"lost", "cancelled"}


def test_status_from_a_machine_without_slurm_says_what_it_cannot_know(sweep, monkeypatch):
    monkeypatch.setenv("PATH", without_slurm())
    folder, record = sweep("slurm")
    record.runs[1].jobs = ["5_0"]
    record.write(folder)
    ExitStatus(State.finished, 0, "all steps done").write(folder / record.runs[0].folder)
    status = status_of(folder)
    assert [s.state for s in status.runs] == ["finished", "unknown", "unknown"]
    assert "Slurm cannot be asked" in status_table(status)


def test_a_part_that_was_cancelled_stays_cancelled_when_slurm_has_forgotten_it(
    sweep, monkeypatch, tmp_path
):
    """Killed before it could say a word, or after; the other run of the sweep was lost."""
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\necho 'Invalid job id specified' >&2; exit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    folder, record = sweep("slurm")
    (folder / "slurm").mkdir()
    for number, run in enumerate(record.runs):
        run.after, run.jobs = None, [f"{number}_0"]
        (folder / "slurm" / f"{number}_0_0_log.out").touch()
    mark_cancelled(folder, record.runs[:2])
    ExitStatus(State.stopped, 143, "Stopped").write(folder / record.runs[1].folder)
    record.write(folder)
    assert [s.state for s in status_of(folder).runs] == ["cancelled", "cancelled", "lost"]


def test_status_of_a_part_of_a_sweep(sweep):
    folder, _ = sweep("local")
    assert len(status_of(folder / "points" / "000").runs) == 3
    assert len(status_of(folder / "points" / "000" / "grpo").runs) == 1
    (folder / "code").mkdir()
    with pytest.raises(SggError, match="no run of the sweep"):
        status_of(folder / "code")


def test_code_that_lies_in_the_folder_of_a_new_sweep_is_not_taken(tmp_path):
    """It would run instead of the installed sgg."""
    (tmp_path / "code" / "launchers").mkdir(parents=True)
    with pytest.raises(SggError, match=r"holds code/ and no sweep\. Remove"):
        start_sweep(
            [["stage=sft", f"paths.sweep_dir={tmp_path}"]], LaunchOptions("local", parallel=1)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_status_shows_step_and_numbers(sweep):
    folder, record = sweep("local")
    run_dir = folder / record.runs[0].folder
    (run_dir / "metrics.jsonl").write_text('{"step": 3, "loss": 1.25}\n{"step": 4, "loss"')
    (run_dir / "total.json").write_text('{"steps": 9}')
    table = status_table(status_of(folder))
    assert "3/9" in table
    assert "loss=1.25" in table


def test_status_shows_the_last_evaluation_and_the_best_one(sweep):
    folder, record = sweep("local")
    run_dir = folder / record.runs[0].folder
    rows = [{"step": 100, "eval/step": 100, "eval/R": 0.5, "eval/mR": 0.25}]
    rows += [{"step": 200, "eval/step": 200, "eval/R": 0.4, "eval/mR": 0.125}]
    rows += [{"step": 200 + i, "loss": 1.25} for i in range(50)]
    rows[1]["eval/zR"] = "nan"
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "loss=1.25, eval R=0.4 at step 200 |" in status_table(status_of(folder))
    best = {"metric": "mR", "step": 100, "value": 0.25, "checkpoint": "checkpoint-100"}
    (run_dir / "best.json").write_text(json.dumps(best | {"images": 2, "protocol": "vg"}))
    told = "loss=1.25, eval mR=0.125 at step 200, best 0.25 at step 100 |"
    assert told in status_table(status_of(folder))
    best["metric"] = "zR"
    (run_dir / "best.json").write_text(json.dumps(best | {"images": 2, "protocol": "vg"}))
    assert "eval zR=nan at step 200, best" in status_table(status_of(folder))


def test_a_run_that_was_never_started_is_cancelled_and_left_out(sweep, capsys):
    folder, record = sweep("local", process=process_id())
    waiting = subprocess.Popen(["sleep", "60"])
    record.runs[0].jobs = [process_id(waiting.pid)]
    record.write(folder)
    assert cancel_sweep(folder / "points" / "000" / "eval") == 1
    assert waiting.poll() is None
    assert [s.state for s in status_of(folder).runs] == ["running", "queued", "cancelled"]
    waiting.kill()
    waiting.wait()
    assert LocalSweep(folder, record, record.runs[2:], gpus=0).run() == 1
    assert "points/000/eval: left out, cancelled" in capsys.readouterr().out
    assert read_sweep(folder).runs[2].jobs == []


SQUEUE = """
n=0
for step in sft grpo eval; do
    n=$((n + 1))
    case "$*" in
        *%U*) echo "${{n}}_0|{user}|{sweep}.$step" ;;
        *) echo "${{n}}_0|PENDING|None" ;;
    esac
done
"""


@pytest.fixture
def slurm_queue(tmp_path, monkeypatch):
    """Stand-ins: sbatch numbers the arrays, runs what `beside` says, squeue shows all as pending."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(beside):
        scripts = {
            "sbatch": f"echo $1 >> {folder}/jobs; n=$(wc -l < {folder}/jobs)\n{beside}\necho $n",
            "squeue": SQUEUE.format(user=os.getuid(), sweep=tmp_path.name),
            "scancel": f'echo "$@" >> {folder}/ended',
        }
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder

    return make


@pytest.mark.parametrize("part", ["", "points/000/sft"])
def test_a_sweep_that_is_cancelled_while_it_is_submitted(sweep, slurm_queue, part):
    """By another process, while sbatch has the second of three arrays, so no file tells of its job yet."""
    folder, record = sweep("slurm")
    [point] = composed([TINY])
    command = f"{sys.executable} -c 'import sys; from pathlib import Path; "
    command += f'from launchers.sweep.cancel import cancel_sweep as c; c(Path("{folder}/{part}"))\''
    command += " </dev/null >&2 || exit 1"
    queue = slurm_queue(f'[ "$n" = 2 ] && {{ {command}; }}')
    launch_runs(folder, record, record.runs, lambda run: point.config)
    ended = (queue / "ended").read_text().splitlines()
    jobs = [run.jobs for run in read_sweep(folder).runs]
    if part:
        assert jobs == [["1_0"], ["2_0"], ["3_0"]]
        assert ended == ["1_0"]
    else:
        assert jobs == [["1_0"], ["2_0"], []]
        assert ended == ["1_0", "2_0"]
        assert [s.state for s in status_of(folder).runs] == ["queued", "queued", "cancelled"]


def test_what_was_cancelled_is_started_again_by_resuming(sweep, slurm_queue):
    folder, record = sweep("slurm")
    mark_cancelled(folder, record.runs)
    freeze(folder, record)
    queue = slurm_queue("")
    resume_sweep(folder, Resuming())
    assert not (queue / "ended").exists()
    assert [run.jobs for run in read_sweep(folder).runs] == [["1_0"], ["2_0"], ["3_0"]]
    assert list((folder / "cancelled").iterdir()) == []


def test_a_resume_that_slurm_refuses_changes_nothing(sweep, slurm_queue, capsys):
    """Sbatch takes no partition of that name: states, reasons, marks and configs stay as they were."""
    folder, record = sweep("slurm")
    freeze(folder, record)
    ExitStatus(State.stopped, 143, "Stopped by SIGTERM, after saving.").write(
        folder / record.runs[0].folder
    )
    mark_cancelled(folder, record.runs[1:])
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    changes = Resuming(retries=5, changes=("hardware.slurm.partition=nosuch",))
    slurm_queue("echo 'invalid partition specified: nosuch' >&2; exit 1")
    with pytest.raises(SggError) as raised:
        resume_sweep(folder, changes)
    assert "invalid partition specified: nosuch" in str(raised.value)
    assert f"sgg resume {folder} hardware.slurm.KEY=VALUE" in str(raised.value)
    for path, content in before.items():
        assert path.read_bytes() == content, path
    assert "records" not in capsys.readouterr().out
    slurm_queue("")
    resume_sweep(folder, changes)
    assert "hardware.slurm.partition=nosuch: for 3 runs" in capsys.readouterr().out
    now = read_sweep(folder)
    assert (now.retries, len(now.changes)) == (5, 1)
    assert not read_exit_status(folder / record.runs[0].folder)


def test_a_profile_cannot_change_when_a_sweep_goes_on(sweep, slurm_queue):
    folder, record = sweep("slurm")
    freeze(folder, record)
    slurm_queue("")
    with pytest.raises(SggError, match=r"only hardware.slurm.… can change"):
        resume([str(folder), "hardware=a100"])


def test_what_a_later_array_is_refused_for_keeps_the_change(sweep, slurm_queue):
    folder, record = sweep("slurm")
    freeze(folder, record)
    slurm_queue('[ "$n" = 2 ] && { echo no >&2; exit 1; }')
    with pytest.raises(SggError, match="What was submitted stays in the queue"):
        resume_sweep(folder, Resuming(changes=("hardware.slurm.time_min=77",)))
    now = read_sweep(folder)
    assert [run.jobs for run in now.runs] == [["1_0"], [], []]
    assert now.changes[0].words == ["hardware.slurm.time_min=77"]


def test_a_run_that_slurm_has_queued_is_left_to_its_job(sweep, slurm_queue, capsys):
    folder, record = sweep("slurm")
    slurm_queue("")
    freeze(folder, record)
    record.runs[0].jobs = ["1_0"]
    record.write(folder)
    run_dir = folder / record.runs[0].folder
    resume([str(run_dir)])
    assert "Starting 0 of 3 runs" in capsys.readouterr().out
    assert read_sweep(folder).runs[0].jobs == ["1_0"]


def test_a_job_of_another_name_is_not_cancelled(sweep, slurm_queue):
    """A number in sweep.json, of another sweep of the same user."""
    folder, record = sweep("slurm")
    queue = slurm_queue("")
    record.runs[0].jobs, record.runs[1].jobs = ["1_0"], ["3_0"]  # the second is an eval
    record.write(folder)
    with pytest.raises(SggError, match=r"jobs 3_0 are named .* Nothing was ended"):
        cancel_sweep(folder)
    assert not (queue / "ended").exists()
    assert not (folder / "cancelled").exists()


def test_a_copy_of_the_same_name_ends_no_job_of_the_original(sweep, slurm_queue, tmp_path_factory):
    """Slurm knows a job by user and name, and the name is the folder's last part."""
    folder, record = sweep("slurm")
    queue = slurm_queue("")
    record.runs[0].jobs = ["1_0"]
    record.write(folder)
    copy = tmp_path_factory.mktemp("backup") / folder.name
    shutil.copytree(folder, copy)
    with pytest.raises(SggError, match="or it is a copy of the sweep that you started"):
        cancel_sweep(copy)
    assert not (queue / "ended").exists()
    assert cancel_sweep(folder) == 1
    assert (queue / "ended").read_text() == "1_0\n"


@pytest.mark.parametrize("answer", ["echo 'Unable to contact slurm controller' >&2; exit 1", ":"])
def test_a_job_that_squeue_does_not_name_is_not_ended(sweep, slurm_queue, answer):
    """Squeue fails once the states are known, or it has forgotten the job meanwhile."""
    folder, record = sweep("slurm")
    queue = slurm_queue("")
    (queue / "squeue").write_text(
        f'#!/bin/sh\ncase "$*" in *%U*) {answer} ;; *) echo "1_0|RUNNING|None" ;; esac\n'
    )
    record.runs[0].jobs = ["1_0"]
    record.write(folder)
    if answer == ":":
        cancel_sweep(folder)
    else:
        with pytest.raises(SggError, match=r"does not say whose the jobs 1_0 are. Nothing was"):
            cancel_sweep(folder)
        assert not (folder / "cancelled").exists()
    assert not (queue / "ended").exists()


def test_cancelling_a_step_names_the_folder_of_the_whole_chain(sweep, slurm_queue, capsys):
    folder, record = sweep("slurm")
    slurm_queue("")
    record.runs[1].jobs = ["2_0"]
    record.write(folder)
    (folder / "points/000/pipeline.json").write_text('{"steps": ["sft", "grpo", "eval"]}')
    cancel([str(folder / "points/000/grpo")])
    told = capsys.readouterr().out
    assert told == f"1 run cancelled. Resume with: sgg resume {folder}/points/000\n"


def test_a_sweep_that_an_earlier_version_cancelled_is_read(sweep):
    folder, record = sweep("slurm")
    content = json.loads((folder / "sweep.json").read_text())
    for part in (content, *content["runs"]):
        part["cancelled"] = "2026-01-01"
    (folder / "sweep.json").write_text(json.dumps(content))
    assert read_sweep(folder) == record


def test_a_local_run_that_is_cancelled_while_it_is_started_ends(sweep, capsys):
    folder, record = sweep("local")
    (folder / "code" / "launchers").mkdir(parents=True)
    (folder / "code" / "launchers" / "__init__.py").touch()
    (folder / "code" / "launchers" / "node.py").write_text("import time; time.sleep(60)")
    local = LocalSweep(folder, record, [], gpus=0)
    mark_cancelled(folder, record.runs[:1])  # after the last look at who may start
    assert local._start(record.runs[0], 0).wait(30) == -signal.SIGTERM


def test_what_is_started_from_within_a_job_is_no_part_of_it(sweep, monkeypatch):
    """A run alone keeps this terminal: the table names no log that is not there."""
    folder, record = sweep("local")
    (folder / "code" / "launchers").mkdir(parents=True)
    (folder / "code" / "launchers" / "__init__.py").touch()
    script = "import json, os; json.dump(dict(os.environ), open('environment.json', 'w'))"
    (folder / "code" / "launchers" / "node.py").write_text(script)
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    assert LocalSweep(folder, record, record.runs[:1], gpus=0).run() == 0
    environment = json.loads((folder / "environment.json").read_text())
    assert {k for k in environment if k.startswith("SLURM_")} == {"SLURM_CONF"}
    assert not list((folder / record.runs[0].folder).iterdir())
    assert "launch.log" not in status_table(status_of(folder))


@pytest.mark.parametrize(("code", "starts"), [(1, 3), (-9, 3), (2, 1)])
def test_a_run_that_fails_is_started_again_as_often_as_the_sweep_allows(sweep, code, starts):
    """Not after a user's mistake, which would fail again; and what then ends well has not failed."""
    folder, record = sweep("local", retries=2)
    (folder / "code" / "launchers").mkdir(parents=True)
    (folder / "code" / "launchers" / "__init__.py").touch()
    script = "import os; open('starts', 'a').write('x')\nif os.path.getsize('starts') < 3: "
    script += "os.kill(os.getpid(), 9)" if code < 0 else f"raise SystemExit({code})"
    (folder / "code" / "launchers" / "node.py").write_text(script)
    worst = LocalSweep(folder, record, record.runs[:1], gpus=0).run()
    assert (folder / "starts").read_text() == "x" * starts
    assert worst == (0 if starts == 3 else code)


def test_missing_gpus_are_told_before_the_first_point_starts(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    [point] = composed([[*TINY, "hardware.gpu=true", "seed=1"]])
    with pytest.raises(SggError, match="0 GPUs are visible"):
        check_local(point.config, 1)


def test_the_way_on_is_that_of_the_sweep_or_the_pipeline(sweep, tmp_path_factory):
    folder, record = sweep("slurm")
    assert resume_command(folder / record.runs[0].folder) == f"sgg resume {folder}"
    assert resume_command(Path("/runs/a b")) == "sgg resume '/runs/a b'"
    pipeline = tmp_path_factory.mktemp("pipeline")
    (pipeline / "pipeline.json").touch()
    assert resume_command(pipeline / "sft") == resume_command(pipeline) == f"sgg resume {pipeline}"


@pytest.mark.parametrize(
    ("ended", "told"), [({"sft": State.finished}, True), ({}, True), (None, False)]
)
def test_status_of_a_pipeline_says_how_it_goes_on(tmp_path, capsys, ended, told):
    """Once a step has ended or never began, unless all are finished."""
    (tmp_path / "pipeline.json").write_text('{"steps": ["sft", "eval"], "table": ["eval"]}')
    for name in ("sft", "eval"):
        (tmp_path / name).mkdir()
        if ended is None or name in ended:
            (tmp_path / name / "metrics.json").write_text(
                '{"completions": 1, "metrics": {"R": 0, "failure_rate": 0}}'
            )
    show_status([str(tmp_path)])
    assert (f"Resume with: sgg resume {tmp_path}\n" in capsys.readouterr().out) == told
    if told:
        with Lease(tmp_path):
            show_status([str(tmp_path)])
        assert "Resume with" not in capsys.readouterr().out


def test_status_of_a_run_of_an_older_version(tmp_path):
    (tmp_path / "config.yaml").touch()
    start = {"starts": [{"time": "", "command": "sgg", "host": platform.node()}]}
    (tmp_path / "provenance.json").write_text(json.dumps(start))
    assert [s.state for s in status_of(tmp_path).runs] == ["unknown"]


def test_a_start_in_this_process_forgets_how_the_last_one_ended(tmp_path):
    [point] = composed([TINY])
    ExitStatus(State.stopped, 143, "SIGTERM").write(tmp_path)
    seen = []
    launch(
        tmp_path / "config.yaml", point.config, lambda path: seen.append(read_exit_status(tmp_path))
    )
    assert seen == [None]


@pytest.mark.parametrize(
    ("error", "state", "code", "reason"),
    [
        (
            SggError("model.path=x: no such folder."),
            State.failed,
            2,
            "model.path=x: no such folder.",
        ),
        (RuntimeError("shapes differ"), State.failed, 1, "RuntimeError: shapes differ"),
        (Stopped("Stopped at step 3.", signal.SIGTERM), State.stopped, 143, "Stopped at step 3."),
    ],
)
def test_a_start_in_this_process_leaves_how_it_ended(tmp_path, error, state, code, reason):
    [point] = composed([TINY])
    write_frozen(point.config, tmp_path / "config.yaml")

    def fall(_path):
        raise error

    with pytest.raises(type(error)):
        launch(tmp_path / "config.yaml", point.config, fall)
    [status] = status_of(tmp_path).runs
    assert (status.state, status.ending.code, status.reason) == (state.name, code, reason)
    assert f"\n{state.name}: {reason}" in status_table(status_of(tmp_path))


def test_a_job_whose_python_lacks_a_package_says_which_key_names_it(tmp_path):
    """-S: without the folder of installed packages."""
    command = [sys.executable, "-S", "-m", "launchers.node", str(tmp_path / "config.yaml")]
    done = subprocess.run(command, cwd=CONF_DIR.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "hardware.slurm.python" in done.stderr
    assert "has no module " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_snapshot_of_a_read_only_install_can_be_written(tmp_path):
    """Another install than this one: a copy of it, without a right to write for anyone."""
    install = tmp_path / "install"
    take_snapshot(install)
    (install / "revision.json").unlink()
    for path in (install, *install.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    code = (
        "from pathlib import Path; from launchers.sweep.code_snapshot import take_snapshot as take"
    )
    code += f"; take(Path('{tmp_path}/copy'))"
    environment = {**os.environ, "PYTHONPATH": str(install), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)
    copied = [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]
    assert len(copied) > 100
    assert all(path.stat().st_mode & 0o200 for path in copied)
    for path in (install, *install.rglob("*")):  # pytest is to clear it away
        path.chmod(path.stat().st_mode | 0o200)


def test_gpus_of_slots_are_disjoint(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_shares(2, 2) == ["0,1", "2,3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    assert gpu_shares(3, 1) == ["4", "5", "6"]
    with pytest.raises(SggError, match=r"hydra.launcher.parallel=2"):
        gpu_shares(2, 2)


@pytest.mark.parametrize("verb", ["status", "resume", "cancel"])
def test_help_comes_without_torch(verb):
    code = f"import sys; sys.argv = ['sgg', '{verb}', '--help']\nfrom sgg.main import main\n"
    code += "try: main()\nexcept SystemExit: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "nowhere"], "no sweep, pipeline or run there"),
        (["resume", "a_sweep", "parallel=none"], "parallel=none"),
        (["resume", "a_sweep", "retries=-1"], "retries=-1: must be a whole number, 0 or more"),
        (["resume", "a_sweep", "retrys=1"], "Did you mean 'retries'?"),
        (["resume", "a_sweep", "seed=1"], "no such key"),
        (["-m", "stage=sft", "seed=0,1", "hydra.launcher.parallel=0"], "hydra.launcher.parallel=0"),
        (["-m", "stage=sft", "seed=0,1", "hydra.launcher.retries=x"], "hydra.launcher.retries=x"),
        (["-m", "stage=sft", "seed=0,1", "paths.run_dir=x"], "paths.run_dir=x"),
    ],
)
def test_mistakes_in_words(words, said, tmp_path):
    (tmp_path / "a_sweep").mkdir()
    SweepRecord("local", 1, "/", "now", [], [], []).write(tmp_path / "a_sweep")
    done = sgg(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
