"""Samples of real trainings: what they hold, that they survive a resume and that they change no weight."""

import json
import shutil

import pytest
from commands import sgg_ok

from sgg.runs.progress import read_curves
from sgg.runs.training_samples import SampleKind, read_samples
from sgg.tracking.names import known

STEPS, COUNT, EVERY = 4, 2, 2
STAGES = {
    "sft": ["stage=sft", "stage.global_batch=4"],
    "grpo": [
        *("stage=grpo", "stage.prompts_per_step=2", "stage.args.num_generations=4"),
        *("stage.args.max_completion_length=24", "stage.args.learning_rate=1e-3"),
        *("reward.terms.length.weight=1", "reward.terms.length.options.free_chars=0"),
        "reward.terms.length.options.limit_chars=200",
    ],
}
COMMON = [
    *("hardware.threads=1", "data.train.limit=12", "data.eval.limit=6"),
    *(f"stage.args.max_steps={STEPS}", "stage.args.save_steps=3"),
]


def weights(run_dir):
    return (run_dir / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module", params=list(STAGES))
def sampled(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    words = [*STAGES[request.param], *COMMON]
    taken = [f"tracker.samples={COUNT}", f"tracker.samples_every={EVERY}"]
    taken.append("generate.max_new_tokens=24")
    sgg_ok(*words, *taken, f"paths.run_dir={folder / 'sampled'}", cwd=folder)
    return folder, words, request.param


@pytest.mark.slow
def test_fixed_images_are_completed_before_every_few_steps_and_at_the_end(sampled):
    fixed = [s for s in read_samples(sampled[0] / "sampled") if s.kind is SampleKind.fixed]
    assert [s.step for s in fixed] == [0, 0, 2, 2, 4, 4]
    ids = [s.image_id for s in fixed]
    assert ids == ids[:COUNT] * 3
    assert len(set(ids)) == COUNT
    assert all(s.text and s.reward is None and s.total is None for s in fixed)
    assert {s.text for s in fixed if s.step == 0} != {s.text for s in fixed if s.step == STEPS}


@pytest.mark.slow
def test_of_each_step_of_grpo_some_completions_are_kept(sampled):
    folder, _, stage = sampled
    run_dir = folder / "sampled"
    kept = [s for s in read_samples(run_dir) if s.kind is SampleKind.rotating]
    if stage == "sft":
        assert kept == []
        return
    assert [s.step for s in kept] == [n for n in range(1, STEPS + 1) for _ in range(COUNT)]
    names = {"format", "edge_hard", "length"}
    for sample in kept:
        assert names <= sample.reward.keys()
        assert None not in sample.reward.values()
    assert len({s.image_id for s in kept if s.step == 1}) == COUNT


@pytest.mark.slow
def test_all_that_is_logged_is_in_the_table_of_names(sampled):
    folder, _, stage = sampled
    rows = read_curves(folder / "sampled")
    names = {name for row in rows for name in row} - {"step"}
    assert {name for name in names if not known(name)} == set()
    timed = {
        f"speed/{n}" for n in ("step_s", "update_s", "optimizer_s", "tokens_per_s", "memory_gb")
    }
    assert {"loss", "tokens", *timed} <= names
    if stage == "grpo":
        rewards = [f"reward/{term}/{of}" for term in ("format", "total") for of in ("mean", "std")]
        timed = {f"speed/{n}_s" for n in ("generation", "reward", "preparation")}
        lengths = {f"completion/length/{of}" for of in ("mean", "min", "max")}
        kinds = {"completion/failed", "completion/failed/no_json", "completion/truncated"}
        assert {*rewards, *timed, *lengths, *kinds, "reward/no_variance"} <= names
    steps = [row for row in rows if "loss" in row]
    phases = ("generation", "reward", "preparation", "update", "optimizer")
    for row in steps:
        parts = [row.get(f"speed/{name}_s", 0) for name in phases]
        assert min(parts) >= 0
        assert sum(parts) == pytest.approx(row["speed/step_s"])


@pytest.mark.slow
def test_no_weight_depends_on_samples(sampled):
    folder, words, _ = sampled
    sgg_ok(*words, "tracker.samples=0", f"paths.run_dir={folder / 'plain'}", cwd=folder)
    assert weights(folder / "plain") == weights(folder / "sampled")
    assert not (folder / "plain" / "samples.jsonl").exists()


@pytest.mark.slow
def test_steps_that_are_made_again_have_their_samples_once(sampled):
    """Resumed from step 3, which lies between two of the fixed images."""
    folder, whole = sampled[0], sampled[0] / "sampled"
    before = [json.loads(line) for line in (whole / "samples.jsonl").read_text().splitlines()]
    kept = weights(whole)
    for name in ("model", f"checkpoint-{STEPS}"):
        shutil.rmtree(whole / name)
    sgg_ok("resume", str(whole), cwd=folder)
    assert weights(whole) == kept
    after = [json.loads(line) for line in (whole / "samples.jsonl").read_text().splitlines()]
    assert after == before
