"""Sweeps and pipelines on a real Slurm of several nodes."""

import json

import pytest
from broken_models import MISMATCH, unloadable
from commands import sgg, sgg_ok
from trainings import NODES, SFT, SLURM, losses, points, states, until

from sgg.config.frozen import read_frozen

pytestmark = pytest.mark.slow


@pytest.mark.thorough
def test_two_nodes_train_like_one_process(cluster, tmp_path):
    """3 points × 2 nodes × 2 ranks: the losses of one process with the same global batch."""
    words = [*SFT, "seed=0,1,2", "stage.args.max_steps=3"]
    many, one = tmp_path / "many", tmp_path / "one"
    script = tmp_path / "prepare.sh"
    script.write_text(f"touch {tmp_path}/prepared-$SLURM_NODEID\n")
    done = sgg_ok(
        *("-m", *words, *SLURM, *NODES, "hydra.launcher.parallel=1", "hydra.launcher.wait=true"),
        f"hardware.slurm.setup=['srun sh {script}']",
        f"paths.sweep_dir={many}",
        cwd=tmp_path,
    )
    assert "3 finished" in done.stdout
    prepared = {path.name for path in tmp_path.glob("prepared-*")}
    assert prepared == {"prepared-0", "prepared-1"}  # by srun in setup, which itself runs on node 0
    sgg_ok("-m", *words, f"paths.sweep_dir={one}", cwd=tmp_path)
    for spread, alone in zip(points(many), points(one), strict=True):
        assert spread.name == alone.name
        assert losses(spread) == pytest.approx(losses(alone), rel=1e-5)
        assert len(losses(spread)) == 3
        start = json.loads((spread / "provenance.json").read_text())["starts"][0]
        assert len(start["git"]["revision"]) == 40  # of the checkout, not of the copy that ran
    assert len({tuple(losses(p)) for p in points(many)}) == 3
    assert (
        len({run["jobs"][0].partition("_")[0] for run in _record(many)["runs"]}) == 1
    )  # one array


def test_pipeline_in_dependent_jobs(cluster, tmp_path):
    """SFT -> GRPO -> eval for two points; where SFT fails, Slurm cancels what follows."""
    sweep = tmp_path / "chain"
    tiny = ["stage=sft", "stage.global_batch=4", "stage.args.max_steps=2"]
    bad = [*tiny, f"model.path={unloadable(tmp_path / 'broken')}"]
    grpo = ["stage=grpo", "stage.prompts_per_step=1", "stage.args.max_steps=1"]
    grpo += ["stage.args.num_generations=2", "stage.args.max_completion_length=16"]
    done = sgg(
        *("-m", "pipeline=sft_grpo_eval", "data.train.limit=16", "data.eval.limit=4"),
        f"pipeline.steps.sft.overrides={_list(tiny)},{_list(bad)}",
        f"pipeline.steps.grpo.overrides={_list(grpo)}",
        *("generate.max_new_tokens=16", "hardware.threads=1", "reward.terms.node_box.weight=1"),
        *(*SLURM, "hydra.launcher.wait=true", f"paths.sweep_dir={sweep}"),
        cwd=tmp_path,
    )
    assert done.returncode == 2, done.stdout[-3000:] + done.stderr[-3000:]
    good, failed = points(sweep)
    assert (good / "eval" / "metrics.json").is_file()
    assert f"path: {good / 'sft'}" in (good / "grpo" / "config.yaml").read_text()
    assert "triplet recall" in (good / "table.md").read_text()
    assert (good / "report.html").is_file()
    found = {key: status.state for key, status in states(sweep).items()}
    assert [found[f"{failed.name}/{step}"] for step in ("sft", "grpo", "eval")] == [
        *("failed", "cancelled", "cancelled")
    ]
    assert MISMATCH in (failed / "sft" / "exit.json").read_text()
    assert list(found.values()).count("finished") == 3
    submitted = {run["jobs"][0].partition("_")[0] for run in _record(sweep)["runs"]}
    assert len(submitted) == 3  # one array for each step


def test_queued_jobs_are_seen_cancelled_and_started_again(cluster, tmp_path):
    """Without -m it is a sweep of one; nothing of it trains here."""
    sweep = tmp_path / "later"
    words = ["pipeline=sft_grpo_eval", "hardware.slurm.sbatch.begin=now+1hour", *SLURM]
    submitted = sgg_ok(*words, f"paths.sweep_dir={sweep}", cwd=tmp_path)
    assert f"sgg status {sweep}" in submitted.stdout
    # Slurm gives no reason before it has looked at a job for the first time
    until(lambda: any(s.reason == "BeginTime" for s in states(sweep).values()), "a reason", 60)
    assert "queued (BeginTime)" in sgg_ok("status", str(sweep), cwd=tmp_path).stdout
    watched = sgg_ok("watch", str(sweep), cwd=tmp_path).stdout
    place = "sft · tiny_qwen2_5_vl · queued (BeginTime, place 1 of 3 in its partition"
    assert place in " ".join(watched.split())  # a long path wraps the line
    assert "3 runs cancelled" in sgg_ok("cancel", str(sweep), cwd=tmp_path).stdout
    assert {s.state for s in states(sweep).values()} == {"cancelled"}
    _refuses_science(sweep, tmp_path)
    changes = ["hardware.slurm.time_min=240", "hardware.slurm.partition=preempt"]
    again = sgg_ok("resume", str(sweep), *changes, cwd=tmp_path)
    assert "3 of 3 runs" in again.stdout
    jobs = {run["jobs"][-1].partition("_")[0] for run in _record(sweep)["runs"]}
    asked = cluster.slurm("squeue", "-h", "-j", ",".join(jobs), "-o", "%P %l").split("\n")
    assert asked == ["preempt 4:00:00"] * 3
    [change] = _record(sweep)["changes"]
    assert (change["words"], len(change["runs"])) == (changes, 3)
    frozen = read_frozen(points(sweep)[0] / "sft" / "config.yaml").hardware.slurm
    assert (frozen.time_min, frozen.sbatch) == (240, {"begin": "now+1hour"})
    done = sgg("resume", str(sweep), "hardware.slurm.time_min=9", cwd=tmp_path)
    assert done.returncode == 2
    assert f"sgg cancel {sweep}" in done.stderr
    assert {s.state for s in states(sweep).values()} == {"queued"}
    assert "0 of 3 runs" in sgg_ok("resume", str(sweep), cwd=tmp_path).stdout
    sgg_ok("cancel", str(sweep), cwd=tmp_path)


def test_held_jobs_are_not_waited_for(cluster, tmp_path):
    sweep = tmp_path / "held"
    words = ["stage=sft", "hardware.slurm.sbatch.hold=true", *SLURM, "hydra.launcher.wait=true"]
    done = sgg("-m", *words, "seed=0,1", f"paths.sweep_dir={sweep}", cwd=tmp_path)
    assert done.returncode == 1, done.stderr[-3000:]
    assert "scontrol release" in done.stderr
    assert f"sgg resume {sweep} wait=true" in done.stderr
    assert "2 runs cancelled" in sgg_ok("cancel", str(sweep), cwd=tmp_path).stdout


def test_what_the_cluster_would_refuse_is_refused_before_anything_is_written(cluster, tmp_path):
    words = ["-m", "stage=sft", "seed=range(1002)", *SLURM]  # MaxArraySize is 1001 by default
    done = sgg(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "MaxArraySize" in done.stderr
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == []


def test_the_shells_sbatch_variables_do_not_count(cluster, tmp_path):
    sweep = tmp_path / "sweep"
    words = ["stage=sft", "hardware.slurm.sbatch.begin=now+1hour", *SLURM]
    shell = {"SBATCH_TIMELIMIT": "5", "SBATCH_ARRAY_INX": "7-8"}
    sgg_ok("-m", *words, "seed=0,1", f"paths.sweep_dir={sweep}", cwd=tmp_path, **shell)
    assert {s.state for s in states(sweep).values()} == {"queued"}
    job = _record(sweep)["runs"][0]["jobs"][0].partition("_")[0]
    asked = cluster.slurm("squeue", "-h", "-r", "-j", job, "-o", "%K %l").split("\n")
    assert sorted(line.split()[0] for line in asked if line) == ["0", "1"]
    assert "5:00" not in {line.split()[1] for line in asked if line}
    cluster.slurm("scancel", f"{job}_1")  # of which Slurm then knows nothing
    assert [s.state for s in states(sweep).values()] == ["queued", "cancelled"]
    again = sgg_ok("resume", str(sweep), "hardware.slurm.time_min=9", cwd=tmp_path).stdout
    assert "hardware.slurm.time_min=9: for 1 run" in again
    assert "1 more are queued or running and keep what they asked for" in again
    sgg_ok("cancel", str(sweep), cwd=tmp_path)


def _refuses_science(sweep, folder):
    """Nothing is changed and nothing submitted."""
    before = (sweep / "sweep.json").read_text()
    for word, why in [
        ("stage.args.learning_rate=1", "one config from its first step to its last"),
        ("hardware.nodes=2", "only hardware.slurm.… can change"),
        ("hardware.slurm.time_min=1", "signal_before_end_s=60 is not before the end"),
        ("hardware.slurm.time_mun=9", "Did you mean 'time_min'?"),
        ("hardware.slurm.time_min=long", "could not be converted to Integer"),
    ]:
        done = sgg("resume", str(sweep), "hardware.slurm.qos=q", word, cwd=folder)
        assert (done.returncode, why in done.stderr) == (2, True), done.stderr
    assert (sweep / "sweep.json").read_text() == before
    assert read_frozen(points(sweep)[0] / "sft" / "config.yaml").hardware.slurm.qos is None


def _list(words):
    return f"[{','.join(map(repr, words))}]"


def _record(sweep):
    return json.loads((sweep / "sweep.json").read_text())
