"""Every field of TRL's and transformers' arguments has its place, in the code and in the docs."""

import re
from pathlib import Path

import pytest
from configs import check

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.plan.rules.schedules import FUNCTIONS
from sgg.plan.rules.stage_fields import CHOICES, CHOICES_IN, FIXED, FIXED_IN, OWNED, PASSED, RANGES
from sgg.plan.rules.trl_fields import trl_fields
from sgg.plan.validate import validate

STAGES = ("sft", "grpo")
DOCS = Path(__file__).parents[4] / "docs" / "stage_args.md"


def refused(*words, stage="sft"):
    with pytest.raises(SggError) as error:
        check([f"stage={stage}", *words])
    return str(error.value)


def places(stage):
    """Each place with the names in it; a stage's own comes before the common one."""
    fixed = FIXED.keys() | FIXED_IN[stage].keys()
    limited = (RANGES.keys() | CHOICES.keys() | CHOICES_IN[stage].keys()) - FIXED_IN[stage].keys()
    passed = PASSED - FIXED_IN[stage].keys()
    return {"owned": OWNED.keys(), "fixed": fixed, "limited": limited, "passed": passed}


@pytest.mark.parametrize("stage", STAGES)
def test_every_field_has_exactly_one_place(stage):
    found = {name: [] for name in trl_fields(stage)}
    for place, names in places(stage).items():
        for name in names & found.keys():
            found[name].append(place)
    assert {name: where for name, where in found.items() if len(where) != 1} == {}


def test_no_place_is_for_a_field_that_is_gone():
    known = trl_fields("sft").keys() | trl_fields("grpo").keys()
    placed = {name for stage in STAGES for names in places(stage).values() for name in names}
    assert placed - known == set()


def test_the_docs_say_of_every_field_what_the_code_does():
    """Rows of the tables: fields, what becomes of them, why."""
    verdicts = {
        "set another key": lambda n: n in OWNED,
        "one value": lambda n: n in FIXED or any(n in FIXED_IN[s] for s in STAGES),
        "within limits": lambda n: n in {*RANGES, *CHOICES, *CHOICES_IN["sft"]},
        "as it is": lambda n: n in PASSED,
    }
    told = {}
    for line in DOCS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            assert cells[2], line
            for name in re.findall(r"`(\w+)`", cells[0]):
                told.setdefault(name, []).extend(v.strip() for v in cells[1].split(";"))
    known = trl_fields("sft").keys() | trl_fields("grpo").keys()
    assert told.keys() == known
    for name, said in told.items():
        right = [verdict for verdict, holds in verdicts.items() if holds(name)]
        assert sorted(said) == sorted(right), name


@pytest.mark.slow
def test_the_fields_are_those_of_the_installed_classes():
    from dataclasses import fields

    import trl

    for stage, kind in (("sft", trl.SFTConfig), ("grpo", trl.GRPOConfig)):
        assert trl_fields(stage).keys() == {f.name for f in fields(kind)}


@pytest.mark.slow
def test_words_are_those_of_the_installed_versions():
    from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames, trainer_log_levels

    schedules = {kind.value for kind in SchedulerType}
    assert schedules - set(CHOICES["lr_scheduler_type"]) == {"reduce_lr_on_plateau", "greedy"}
    assert set(CHOICES["optim"]) < {kind.value for kind in OptimizerNames}
    assert FUNCTIONS.keys() == set(CHOICES["lr_scheduler_type"])
    for name, function in FUNCTIONS.items():
        assert TYPE_TO_SCHEDULER_FUNCTION[SchedulerType(name)].__name__ == function
    assert set(CHOICES["log_level"]) == trainer_log_levels.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_a_checkpoint_that_cannot_be_resumed_exactly_is_refused(stage):
    """Without optimiser and schedule, a resumed run would start both anew, and say nothing."""
    assert "stage.args.save_only_model=True: only false" in refused(
        "stage.args.save_only_model=true", stage=stage
    )


@pytest.mark.parametrize(
    ("stage", "words", "phrases"),
    [
        ("sft", ["ignore_data_skip=true"], ["would see the first images again"]),
        ("sft", ["dataloader_in_order=false"], ["a resumed run would not be the same"]),
        ("sft", ["save_strategy=no"], ["only steps or epoch", "loses all when it is killed"]),
        ("sft", ["save_strategy=best"], ["only steps or epoch"]),
        ("sft", ["enable_jit_checkpoint=true"], ["complete checkpoint on SIGTERM"]),
        ("sft", ["load_best_model_at_end=true"], ["stage.evaluate.keep_best"]),
        ("sft", ["push_to_hub=true"], ["hf upload REPO RUN_DIR/model"]),
        ("sft", ["hub_token=abc"], ["HF_TOKEN"]),
        ("sft", ["auto_find_batch_size=true"], ["set stage.micro_batch"]),
        ("sft", ["average_tokens_across_devices=false"], ["another number of processes"]),
        ("sft", ["accelerator_config={split_batches: true}"], ["hardware, deepspeed or fsdp"]),
        ("sft", ["eval_strategy=steps"], ["set stage.evaluate instead"]),
        ("sft", ["packing=true"], ["for text only"]),
        ("sft", ["truncation_mode=keep_end"], ["targets are never cut"]),
        ("sft", ["eos_token='</s>'"], ["the files of model.path"]),
        ("sft", ["chat_template_path=x.jinja"], ["the files of model.path"]),
        ("sft", ["pad_to_multiple_of=8"], ["for text only"]),
        ("sft", ["train_sampling_strategy=group_by_length"], ["only random or sequential"]),
        ("sft", ["optim=lomo"], ["sgg takes adamw_torch"]),
        ("sft", ["optim=adamw_torhc"], ["Did you mean 'adamw_torch'?"]),
        ("sft", ["lr_scheduler_type=reduce_lr_on_plateau"], ["sgg takes linear"]),
        ("sft", ["lr_scheduler_type=cosin"], ["Did you mean 'cosine'?"]),
        ("sft", ["log_level=foo"], ["sgg takes detail, debug, info"]),
        ("grpo", ["log_level_replica=wraning"], ["Did you mean 'warning'?"]),
        ("sft", ["lr_scheduler_kwargs='{\"num_cycles\": 2}x'"], ["options by name", ".NAME=VALUE"]),
        ("sft", ["lr_scheduler_kwargs=x"], ["must be options by name"]),
        ("sft", ["liger_kernel_config=x"], ["must be options by name"]),
        (
            "sft",
            ["lr_scheduler_kwargs={num_cyclez: 2}", "lr_scheduler_type=cosine"],
            [
                "lr_scheduler_kwargs.num_cyclez: stage.args.lr_scheduler_type=cosine takes num_cycles."
            ],
        ),
        ("sft", ["lr_scheduler_kwargs.a=2", "lr_scheduler_type=constant"], ["takes no options"]),
        (
            "sft",
            ["lr_scheduler_kwargs.num_cycles=two", "lr_scheduler_type=cosine"],
            ["num_cycles='two': must be float"],
        ),
        ("sft", ["lr_scheduler_type=cosine_with_min_lr"], ["needs one of min_lr and min_lr_rate"]),
        (
            "sft",
            [
                "lr_scheduler_type=cosine_warmup_with_min_lr",
                "lr_scheduler_kwargs={min_lr: 0, min_lr_rate: 0.1}",
            ],
            ["needs one of min_lr"],
        ),
        ("sft", ["lr_scheduler_type=warmup_stable_decay"], ["needs num_decay_steps"]),
        (
            "sft",
            [
                "lr_scheduler_kwargs={num_decay_steps: 2, decay_type: sqrt}",
                "lr_scheduler_type=warmup_stable_decay",
            ],
            ["decay_type=sqrt: allowed are linear, cosine, 1-sqrt"],
        ),
        (
            "sft",
            [
                "lr_scheduler_kwargs.lr_end=0.1",
                "lr_scheduler_type=polynomial",
                "learning_rate=0.01",
            ],
            ["lr_end=0.1: must be below stage.args.learning_rate=0.01"],
        ),
        ("sft", ["loss_type=chunked_nll"], ["sgg takes nll, dft"]),
        ("sft", ["max_steps=0"], ["above 0, or -1"]),
        ("sft", ["save_steps=2.5"], ["a number of steps, or a share"]),
        ("sft", ["learning_rate=inf"], ["a finite number"]),
        ("sft", ["adam_beta2=1"], ["below 1"]),
        ("sft", ["weight_decay=nan"], ["a finite number"]),
        ("sft", ["max_length=0"], ["1 or more"]),
        ("grpo", ["sync_ref_model=true", "beta=0.1"], ["reference that has moved"]),
        ("grpo", ["cast_lm_head_to_fp32=true"], ["model.dtype=float32"]),
        ("grpo", ["disable_dropout=false"], ["otherwise than they were drawn"]),
        ("grpo", ["generation_kwargs={num_beams: 4}"], ["stage.args.temperature"]),
        ("grpo", ["use_vllm=true"], ["set hardware.rollout.mode"]),
        ("grpo", ["vllm_server_port=9000"], ["set hardware.rollout"]),
        ("grpo", ["vllm_importance_sampling_mode=token_mask"], ["mode=colocate or server only"]),
        ("grpo", ["steps_per_generation=4"], ["set stage.prompts_per_step"]),
        ("grpo", ["use_transformers_continuous_batching=true"], ["set hardware.rollout.mode"]),
        ("grpo", ["num_generations=null"], ["must have a value"]),
        ("grpo", ["max_completion_length=null"], ["must have a value"]),
        ("grpo", ["temperature=0"], ["above 0"]),
        ("grpo", ["loss_type=grop"], ["Did you mean 'grpo'?"]),
        ("grpo", ["neftune_noise_alpha=5"], ["otherwise than they were drawn"]),
        ("grpo", ["log_completions=true", "log_completions_hub_repo=a/b"], ["uploads nothing"]),
        (
            "grpo",
            ["num_iterations=2", "save_steps=5"],
            ["must be a multiple of stage.args.num_iterations=2"],
        ),
        ("grpo", ["num_iterations=2", "save_steps=0.1"], ["must be a multiple"]),
        ("grpo", ["num_iterations=2", "save_strategy=epoch"], ["save_strategy=steps"]),
    ],
)
def test_what_breaks_a_promise_is_refused_with_the_way_out(stage, words, phrases):
    said = refused("stage.optimizer.kind=trl", *(f"stage.args.{w}" for w in words), stage=stage)
    assert (
        f"stage.args.{words[0].partition('=')[0].partition('.')[0]}" in said
        or "stage.args.save_" in said
    )
    for phrase in phrases:
        assert phrase in said


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("sft", ["save_only_model=false", "save_strategy=epoch", "dataloader_in_order=true"]),
        ("sft", ["save_steps=0.25", "logging_steps=0.1", "neftune_noise_alpha=5"]),
        ("sft", ["optim=adafactor", "weight_decay=0.1", "label_smoothing_factor=0.1"]),
        ("sft", ["full_determinism=true", "train_sampling_strategy=sequential", "max_length=4096"]),
        ("sft", ["log_level=info", "lr_scheduler_type=cosine", "lr_scheduler_kwargs=null"]),
        ("sft", ["lr_scheduler_type=cosine_with_min_lr", "lr_scheduler_kwargs.min_lr_rate=0.1"]),
        (
            "sft",
            ["lr_scheduler_type=warmup_stable_decay", "lr_scheduler_kwargs.num_decay_steps=2"],
        ),
        ("sft", ["lr_scheduler_type=polynomial", "lr_scheduler_kwargs={lr_end: 0, power: 2}"]),
        ("grpo", ["num_iterations=2", "save_steps=4", "loss_type=bnpo", "scale_rewards=batch"]),
        ("grpo", ["use_adaptive_entropy=true", "mask_truncated_completions=true"]),
        ("grpo", ["log_completions=true", "sync_ref_model=false", "generation_kwargs=null"]),
    ],
)
def test_what_breaks_none_is_taken(stage, words):
    check([f"stage={stage}", "stage.optimizer.kind=trl", *(f"stage.args.{w}" for w in words)])


def test_what_the_tiny_models_own_optimiser_does_not_read_is_refused():
    assert "stage.args.weight_decay is read by TRL's optimisers only" in refused(
        "stage.args.weight_decay=0.1"
    )
    assert "needs stage.args.learning_rate" in refused("~stage.args.learning_rate")


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["model.lora.alpha=0"], "model.lora.alpha=0: must be 1 or more"),
        (["model.lora.alpha=-8"], "model.lora.alpha=-8: must be 1 or more"),
        (["model.lora.r=0"], "model.lora.r=0: must be 1 or more"),
        (["model.lora.dropout=1"], "model.lora.dropout=1.0: must be 0 or more and below 1"),
        (["model.lora.dropout=nan"], "model.lora.dropout=nan: must be"),
        (["model.lora.targets=[]"], "model.lora.targets=[]: no matrix would get an adapter"),
    ],
)
def test_an_adapter_that_would_learn_nothing_is_refused(words, phrase):
    config = compose_config(
        ["stage=sft", "model.lora.enable=true", "stage.optimizer.kind=trl", *words]
    )
    with pytest.raises(SggError) as error:
        validate(config)
    assert phrase in str(error.value)
