"""Every YAML of conf/ composes, fits the schema and passes validation, alone and with others."""

from itertools import product

import pytest
import yaml
from configs import check, fitting, options

from sgg.config.frozen import read_frozen, write_frozen
from sgg.config.tree import CONF_DIR, PRIVATE_GROUPS

NEEDS_ROOT = {"vg150_raw", "psg_raw", "gqa", "vrd", "jsonl"}
COMPANIONS = {  # what an option needs beside it to make sense
    **{("data", name): ["data.root=somewhere"] for name in NEEDS_ROOT},
    ("prompt", "dataset_open"): ["data=vg150"],
    ("prompt", "dataset_closed"): ["data=psg"],
    ("reward", "none"): ["stage=sft"],
    ("grammar", "bounded"): ["stage=eval", "generate=vllm"],
    ("generate", "server"): ["generate.servers=[http://127.0.0.1:8000]"],
    ("pipeline", "overfit"): ["data=jsonl", "data.root=somewhere"],
    **{("hardware", h): ["model=qwen2_vl_7b"] for h in ("a100", "gh200", "h100", "rtx4090_zero3")},
    **{
        (group, option.stem): ["model=qwen2_vl_7b", "hardware.processes_per_node=2"]
        for group in ("deepspeed", "fsdp")
        for option in (CONF_DIR / group).glob("*.yaml")
    },
}


GROUPS = sorted(p.name for p in CONF_DIR.iterdir() if p.is_dir() and p.name not in PRIVATE_GROUPS)
EVERY_OPTION = [(group, option) for group in GROUPS for option in options(group)]


@pytest.mark.parametrize(("group", "option"), EVERY_OPTION)
def test_every_option_composes_and_validates(group, option):
    check([f"{group}={option}", *COMPANIONS.get((group, option), [])])


@pytest.mark.parametrize(("stage", "model"), product(options("stage"), options("model")))
def test_stages_models_data_prompts_and_hardware_go_together(stage, model):
    """Each stage and model with every data set, prompt and profile that can be meant with it."""
    words = [f"stage={stage}", f"model={model}"]
    for data, prompt in (("shapes", "open"), ("vg150", "closed_think"), ("psg", "dataset_open")):
        check([*words, f"data={data}", f"prompt={prompt}"])
    profiles = ["cpu", "local"] if model.startswith("tiny") else options("hardware")
    for hardware in profiles:
        fits = [] if model.startswith("tiny") else fitting(stage, hardware)
        check([*words, "data=vg150", f"hardware={hardware}", *fits])


def test_every_stage_of_a_tiny_model_has_its_own_settings():
    """stage_model/ holds one file for each stage and tiny model, and none that nothing selects."""
    tiny = [m for m in options("model") if m.startswith("tiny")]
    assert options("stage_model") == sorted(f"{s}_{m}" for s in options("stage") for m in tiny)


def test_sft_and_grpo_ask_the_same():
    """One prompt and one system message for both stages of a model, unless set otherwise."""
    prompts = [
        check([f"stage={s}", "model=qwen2_vl_7b", "data=vg150"]).prompt for s in ("sft", "grpo")
    ]
    assert prompts[0] == prompts[1]


@pytest.mark.parametrize("stage", options("stage"))
def test_a_frozen_config_reads_back_as_it_was(stage, tmp_path):
    config = check([f"stage={stage}", "stage.max_pixels=99999"])
    write_frozen(config, tmp_path / "config.yaml")
    assert read_frozen(tmp_path / "config.yaml") == config
    assert "${" not in (tmp_path / "config.yaml").read_text()


def test_yaml_files_stay_small_and_say_no_booleans():
    """Leaves have at most 30 lines, experiments 25; no option is called off, on, yes or no."""
    for path in CONF_DIR.rglob("*.yaml"):
        lines = path.read_text().splitlines()
        limit = {"experiment": 25, "pipeline": 40}.get(path.parent.name, 30)
        assert len(lines) <= limit or path.name == "config.yaml", path
        assert path.stem not in {"off", "on", "yes", "no"}, path
        yaml.safe_load(path.read_text())
