"""Every YAML of conf/ composes, fits the schema and passes validation, alone and with others."""

from itertools import product

import pytest
import yaml

from sgg.compose import compose_config
from sgg.config import freeze, thaw
from sgg.places import CONF_DIR
from sgg.validate import validate

NEEDS_ROOT = {"vg150_raw", "psg_raw", "gqa", "vrd", "jsonl"}
COMPANIONS = {  # what an option needs beside it to make sense
    **{("data", name): ["data.root=somewhere"] for name in NEEDS_ROOT},
    ("prompt", "dataset_open"): ["data=vg150"],
    ("prompt", "dataset_closed"): ["data=psg"],
    ("reward", "none"): ["stage=sft"],
    ("pipeline", "overfit"): ["data=jsonl", "data.root=somewhere"],
    **{("hardware", h): ["model=qwen2_vl_7b"] for h in ("a100", "gh200", "rtx4090_zero3")},
    **{
        (group, option.stem): ["model=qwen2_vl_7b", "hardware.processes_per_node=2"]
        for group in ("deepspeed", "fsdp")
        for option in (CONF_DIR / group).glob("*.yaml")
    },
}


def options(group):
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


GROUPS = sorted(p.name for p in CONF_DIR.iterdir() if p.is_dir() and p.name != "stage_model")
EVERY_OPTION = [(group, option) for group in GROUPS for option in options(group)]


def check(overrides):
    config, _ = compose_config(overrides)
    validate(config)
    return config


@pytest.mark.parametrize(("group", "option"), EVERY_OPTION)
def test_every_option_composes_and_validates(group, option):
    check([f"{group}={option}", *COMPANIONS.get((group, option), [])])


@pytest.mark.parametrize(("stage", "model"), product(options("stage"), options("model")))
def test_stages_models_data_prompts_and_hardware_go_together(stage, model):
    """Each stage and model with every data set, prompt and profile that can be meant with it."""
    tiny = model.startswith("tiny")
    profiles = ["cpu", "local"] if tiny else options("hardware")
    for data, prompt in (("shapes", "open"), ("vg150", "closed_think"), ("psg", "dataset_open")):
        for hardware in profiles:
            words = [f"stage={stage}", f"model={model}", f"data={data}", f"prompt={prompt}"]
            check([*words, f"hardware={hardware}"])


def test_every_stage_of_a_tiny_model_has_its_own_settings():
    """stage_model/ holds one file for each stage and tiny model, and none that nothing selects."""
    tiny = [m for m in options("model") if m.startswith("tiny")]
    assert options("stage_model") == sorted(f"{s}_{m}" for s in options("stage") for m in tiny)


def test_grpo_states_the_papers_settings():
    """Table of docs: 32 prompts × 8, lr 6e-7, beta 0, eps .2, T 1, top_p .9, top_k 50, 512·28² pixels."""
    config = check(
        ["stage=grpo", "model=qwen2_5_vl_7b", "data=vg150", "reward=hard_recall", "hardware=a100"]
    )
    args = config.stage.args
    assert (config.stage.prompts_per_step, args["num_generations"]) == (32, 8)
    assert (args["learning_rate"], args["beta"], args["epsilon"]) == (6e-7, 0.0, 0.2)
    assert (args["temperature"], args["top_p"], args["top_k"]) == (1.0, 0.9, 50)
    assert (args["max_completion_length"], args["num_iterations"]) == (1024, 1)
    assert config.stage.max_pixels == 512 * 28 * 28
    weights = {name: term.weight for name, term in config.reward.terms.items()}
    assert weights == {"format": 1.0, "edge_hard": 5.0}
    assert config.prompt.reasoning


def test_sft_states_the_papers_settings():
    """3 epochs of 128 samples, lr 1e-5, 5 % warm-up, gradient norm .3, 1024·28² pixels."""
    config = check(["stage=sft", "model=qwen2_vl_7b", "data=vg150", "hardware=a100"])
    args = config.stage.args
    assert (config.stage.global_batch, args["num_train_epochs"]) == (128, 3)
    assert (args["learning_rate"], args["warmup_steps"], args["max_grad_norm"]) == (1e-5, 0.05, 0.3)
    assert config.stage.max_pixels == 1024 * 28 * 28


def test_sft_and_grpo_ask_the_same():
    """One prompt and one system message for both stages of a model, unless told otherwise."""
    prompts = [
        check([f"stage={s}", "model=qwen2_vl_7b", "data=vg150"]).prompt for s in ("sft", "grpo")
    ]
    assert prompts[0] == prompts[1]


@pytest.mark.parametrize("stage", options("stage"))
def test_a_frozen_config_reads_back_as_it_was(stage, tmp_path):
    config = check([f"stage={stage}", "stage.max_pixels=99999"])
    freeze(config, tmp_path / "config.yaml")
    assert thaw(tmp_path / "config.yaml") == config
    assert "${" not in (tmp_path / "config.yaml").read_text()


def test_yaml_files_stay_small_and_say_no_booleans():
    """Leaves have at most 30 lines, experiments 25; no option is called off, on, yes or no."""
    for path in CONF_DIR.rglob("*.yaml"):
        lines = path.read_text().splitlines()
        limit = {"experiment": 25, "pipeline": 40}.get(path.parent.name, 30)
        assert len(lines) <= limit or path.name == "config.yaml", path
        assert path.stem not in {"off", "on", "yes", "no"}, path
        yaml.safe_load(path.read_text())
