"""DeepSpeed and FSDP, two processes on a CPU: the losses of plain data parallelism, and models that load.

Adam divides a gradient by its own size, so rounding noise in a gradient that is all but zero becomes a
whole step, and runs that add in another order drift by 1e-4. An epsilon above that noise shows that
nothing else differs.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from commands import sgg, sgg_ok

from sgg.config.model import Family
from sgg.models.families import FAMILIES
from sgg.models.narrow import narrow_folder

pytestmark = pytest.mark.slow

COMMON = [
    *("hardware.processes_per_node=2", "hardware.threads=1"),
    *("stage.args.logging_steps=1", "stage.args.warmup_steps=0", "stage.args.max_steps=4"),
    *("stage.args.adam_epsilon=1e-5", "stage.args.save_steps=2"),
]
STAGES = {
    "sft": [
        *("stage=sft", "stage.global_batch=4", "stage.micro_batch=1", "data.train.limit=24"),
        "stage.optimizer.kind=trl",
    ],
    "grpo": [
        *("stage=grpo", "stage.prompts_per_step=2", "stage.micro_batch=2", "data.train.limit=12"),
        *("stage.args.num_generations=4", "stage.args.max_completion_length=24"),
        # the untrained model earns nothing by its graphs; by its lengths it learns at once
        *("reward.terms.length.weight=1", "reward.terms.length.options.free_chars=0"),
        "reward.terms.length.options.limit_chars=200",
    ],
}
WAYS = {
    "ddp": [],
    "zero1": ["deepspeed=zero1"],
    "zero2": ["deepspeed=zero2"],
    "zero3": ["deepspeed=zero3"],
    "fsdp": ["fsdp=full_shard"],
}
OWN_FILE = {
    "zero1": "global_step2/zero_pp_rank_1_mp_rank_00_optim_states.pt",
    "zero2": "global_step2/zero_pp_rank_1_mp_rank_00_optim_states.pt",
    "zero3": "global_step2/zero_pp_rank_1_mp_rank_00_model_states.pt",
    "fsdp": "pytorch_model_fsdp.bin",
}
"""What only this way of sharding leaves in a checkpoint: proof that it was taken up."""


def rows(run_dir):
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def curve(run_dir, name):
    return [row[name] for row in rows(run_dir) if name in row]


def weights(run_dir):
    return run_dir / "model" / "model.safetensors"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run by stage and way; each is made once."""
    folder = tmp_path_factory.mktemp("sharded")

    def run(stage, way):
        run_dir = folder / f"{stage}-{way}"
        if not run_dir.is_dir():
            words = [*STAGES[stage], *COMMON, *WAYS[way], f"paths.run_dir={run_dir}"]
            sgg_ok(*words, cwd=folder)
        return run_dir

    return run


@pytest.mark.parametrize(
    ("stage", "way"),
    [
        ("sft", "zero3"),
        ("sft", "fsdp"),
        *(
            pytest.param(*pair, marks=pytest.mark.thorough)
            for pair in [("sft", "zero1"), ("sft", "zero2"), *(("grpo", way) for way in OWN_FILE)]
        ),
    ],
)
def test_sharded_training_has_the_losses_of_plain_data_parallelism(undisturbed, stage, way):
    plain, sharded = undisturbed(stage, "ddp"), undisturbed(stage, way)
    assert (sharded / "checkpoint-2" / OWN_FILE[way]).is_file()
    assert len(curve(sharded, "loss")) == 4
    assert curve(sharded, "loss") == pytest.approx(curve(plain, "loss"), rel=1e-5, abs=2e-6)
    assert curve(sharded, "grad_norm") == pytest.approx(curve(plain, "grad_norm"), rel=1e-4)
    assert curve(sharded, "reward/total/mean") == curve(plain, "reward/total/mean")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A model whose head has the published 151,936 rows."""
    folder = tmp_path_factory.mktemp("narrow") / "model"
    return narrow_folder(FAMILIES[Family.qwen2_5_vl], folder)


@pytest.mark.thorough
@pytest.mark.parametrize("stage", list(STAGES))
def test_a_head_with_many_rows_scores_alike_where_its_weight_is_shared_out(narrow, stage, tmp_path):
    """With as many rows the head scores labelled tokens alone, in tiles: `sgg.train.logprobs`."""

    def trained(way):
        run_dir = tmp_path / way
        words = [*STAGES[stage], *COMMON, *WAYS[way], f"model.path={narrow}"]
        sgg_ok(*words, "stage.args.max_steps=2", f"paths.run_dir={run_dir}", cwd=tmp_path)
        return run_dir

    plain = trained("ddp")
    losses = curve(plain, "loss")
    assert len(losses) == 2
    for way in ("zero3", "fsdp"):
        sharded = trained(way)
        assert (sharded / "checkpoint-2" / OWN_FILE[way]).is_file()
        assert curve(sharded, "loss") == pytest.approx(losses, rel=1e-5, abs=2e-6)
        assert curve(sharded, "grad_norm") == pytest.approx(curve(plain, "grad_norm"), rel=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("family", [f for f in Family.__members__ if f != "qwen2_5_vl"])
@pytest.mark.parametrize(("stage", "ways"), [("sft", list(OWN_FILE)), ("grpo", ["zero3"])])
def test_other_families_are_sharded_alike(family, stage, ways, tmp_path):
    def curves(way):
        run_dir = tmp_path / way
        words = [*STAGES[stage], *COMMON, *WAYS[way], f"model=tiny_{family}"]
        sgg_ok(*words, f"paths.run_dir={run_dir}", cwd=tmp_path)
        return curve(run_dir, "loss"), curve(run_dir, "grad_norm")

    plain, plain_norms = curves("ddp")
    assert len(plain) == 4
    assert min(plain_norms) > 0
    for way in ways:
        losses, norms = curves(way)
        assert (tmp_path / way / "checkpoint-2" / OWN_FILE[way]).is_file()
        assert losses == pytest.approx(plain, rel=1e-5, abs=2e-6)
        assert norms == pytest.approx(plain_norms, rel=1e-4)


@pytest.mark.parametrize("way", ["zero3", "fsdp"])
def test_the_result_of_sharded_training_loads_by_from_pretrained(undisturbed, way):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    folder = undisturbed("sft", way) / "model"
    model, told = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert not told["mismatched_keys"]
    assert all(torch.isfinite(p).all() for p in model.parameters())
    plain = load_file(weights(undisturbed("sft", "ddp")))
    trained = load_file(weights(undisturbed("sft", way)))
    tied = {"lm_head.weight"} - plain.keys()  # FSDP's gathering writes it a second time
    assert plain.keys() <= trained.keys() <= plain.keys() | tied
    for name in tied & trained.keys():
        assert torch.equal(trained[name], trained["model.embed_tokens.weight"])
    for name, value in plain.items():
        torch.testing.assert_close(trained[name], value, rtol=0, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "c++")) is None,
    reason="no C++ compiler for DeepSpeed's CPU Adam (apt-get install g++)",
)
def test_weights_and_optimiser_in_cpu_memory_train_the_same(undisturbed, tmp_path):
    """The first run on a machine compiles DeepSpeed's Adam: a minute and a half."""
    plain, run_dir = undisturbed("sft", "ddp"), tmp_path / "run"
    words = [*STAGES["sft"], *COMMON, "deepspeed=zero3_offload", f"paths.run_dir={run_dir}"]
    kept = Path.home() / ".cache" / "torch_extensions"
    sgg_ok(*words, cwd=tmp_path, TORCH_EXTENSIONS_DIR=str(kept))
    assert curve(run_dir, "loss") == pytest.approx(curve(plain, "loss"), rel=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("family", Family.__members__)
def test_an_adapter_trained_under_zero3_stays_an_adapter_that_loads(family, tmp_path):
    run_dir, model = tmp_path / "run", f"model=tiny_{family}"
    words = [*STAGES["sft"], *COMMON, "deepspeed=zero3", "model.lora.enable=true", model]
    sgg_ok(*words, f"paths.run_dir={run_dir}", cwd=tmp_path)
    assert (run_dir / "model" / "adapter_model.safetensors").is_file()
    again = sgg_ok(
        *STAGES["sft"],
        *COMMON,
        model,
        f"model.path={run_dir}",
        f"paths.run_dir={tmp_path / 'next'}",
        cwd=tmp_path,
    )
    assert "Traceback" not in again.stderr
    assert weights(tmp_path / "next").is_file()
    evaluated = ["stage=eval", model, f"model.path={run_dir}", "data.eval.limit=4"]
    sgg_ok(*evaluated, f"paths.run_dir={tmp_path / 'eval'}", cwd=tmp_path)
    assert json.loads((tmp_path / "eval" / "metrics.json").read_text())["images"] == 4


def test_state_that_deepspeed_unpickles_is_signed_as_it_is_written(undisturbed, tmp_path):
    """The run goes on from its own, and from nothing that was put in."""
    run_dir = shutil.copytree(undisturbed("sft", "zero2"), tmp_path / "run")
    shutil.rmtree(run_dir / "model")
    shutil.rmtree(run_dir / "checkpoint-4")
    (run_dir / "checkpoint-2" / "global_step2" / "mp_rank_01_model_states.pt").touch()
    refused = sgg("resume", str(run_dir), cwd=tmp_path)
    assert refused.returncode == 2
    assert "in checkpoint-2; DeepSpeed unpickles" in refused.stderr
    (run_dir / "checkpoint-2" / "global_step2" / "mp_rank_01_model_states.pt").unlink()
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    assert "going on from checkpoint-2" in (run_dir / "run.log").read_text()
