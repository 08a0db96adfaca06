"""The reference's scripts as experiments: what each states, where it runs; the docs' commands work."""

import re
import shlex
from pathlib import Path

import pytest
from configs import check, fitting, options, points

from launchers.sweep.commands import LaunchOptions, start_sweep
from sgg.config.hardware import RolloutMode
from sgg.config.prompt import Template
from sgg.config.stage import EvalConfig, GrpoConfig, SftConfig
from sgg.errors import counted
from sgg.plan.validate import batch_plan

GPU_PROFILES = [name for name in options("hardware") if name not in ("cpu", "local")]
DOCS = Path(__file__).parents[2] / "docs"

SIZES = {"2b": "Qwen/Qwen2-VL-2B-Instruct", "7b": "Qwen/Qwen2-VL-7B-Instruct"}
VARIANTS = {  # by the last word of an experiment's name: what it changes
    "closed": {"template": Template.closed},
    "psg": {"data": "JosephZ/psg_train_sg"},
    "lora": {"lora": True},
    "fsdp": {"fsdp": True},
}
ONE_GPU = {  # recipes for one card: with adapters, of Qwen2.5-VL
    "sft_7b_lora_one_gpu": ("Qwen/Qwen2.5-VL-7B-Instruct", "one_24gb"),
    "grpo_3b_one_gpu": ("Qwen/Qwen2.5-VL-3B-Instruct", "one_24gb"),
    "grpo_7b_one_gpu": ("Qwen/Qwen2.5-VL-7B-Instruct", "one_80gb"),
}


def machine_of(name):
    return ONE_GPU[name][1] if name in ONE_GPU else "local"


def expected(name):
    """What the name promises."""
    if name in ONE_GPU:
        path = ONE_GPU[name][0]
        return expected("grpo_7b") | {"path": path, "lora": True}
    stage, size, *variant = name.split("_")
    plain = {
        "path": SIZES[size],
        "data": "JosephZ/vg150_train_sgg_prompt",
        "template": Template.open,
        "lora": False,
        "fsdp": stage == "sft",
    }
    return plain | (VARIANTS[variant[0]] if variant else {})


@pytest.mark.parametrize("name", options("experiment"))
def test_an_experiment_is_what_its_name_says(name):
    config = check([f"experiment={name}", "hardware=a100"])
    stated = {
        "path": config.model.path,
        "data": config.data.train.path,
        "template": config.prompt.template,
        "lora": config.model.lora.enable,
        "fsdp": config.fsdp is not None,
    }
    assert stated == expected(name)
    assert config.stage.name.name == name.split("_")[0]
    assert config.prompt.reasoning
    assert (config.fsdp is None) or (config.deepspeed is None)


@pytest.mark.parametrize("name", ONE_GPU)
def test_a_recipe_for_one_card_takes_one(name):
    config = check([f"experiment={name}"])
    machine = check([f"hardware={machine_of(name)}", "stage=sft"]).hardware
    assert (config.hardware.ranks, config.hardware.gpu) == (1, True)
    assert config.hardware.gpu_memory_gb == machine.gpu_memory_gb
    assert config.hardware.gradient_checkpointing
    assert config.hardware.rollout.mode is RolloutMode.trainer
    assert config.fsdp is config.deepspeed is None
    assert batch_plan(config).micro_batch > 1


REFERENCE = [name for name in options("experiment") if name not in ONE_GPU]


@pytest.mark.parametrize("name", [n for n in REFERENCE if n.startswith("sft")])
def test_sft_states_the_references_settings(name):
    """128 samples, lr 1e-5, 5 % warm-up, gradient norm .3, 1024·28² pixels; 3 epochs, on PSG 6."""
    config = check([f"experiment={name}", "hardware=a100"])
    stage, args, lora = config.stage, config.stage.args, config.model.lora
    assert isinstance(stage, SftConfig)
    assert (stage.global_batch, args["num_train_epochs"]) == (128, 6 if "psg" in name else 3)
    assert (args["learning_rate"], args["warmup_steps"], args["max_grad_norm"]) == (1e-5, 0.05, 0.3)
    assert stage.max_pixels == 1024 * 28 * 28
    assert (lora.r, lora.alpha, lora.dropout) == (16, 32, 0.05)
    assert config.hardware.gradient_checkpointing


@pytest.mark.parametrize("name", [n for n in REFERENCE if n.startswith("grpo")])
def test_grpo_states_the_references_settings(name):
    """32 prompts × 8, lr 6e-7, beta 0, eps .2, T 1, 512·28² pixels, Hard Recall; but no top_p, no top_k."""
    config = check([f"experiment={name}", "hardware=a100", "hardware.nodes=4"])
    stage, args = config.stage, config.stage.args
    assert isinstance(stage, GrpoConfig)
    assert (stage.prompts_per_step, args["num_generations"]) == (32, 8)
    assert (args["learning_rate"], args["beta"], args["epsilon"]) == (6e-7, 0.0, 0.2)
    assert (args["temperature"], args["top_p"], args["top_k"]) == (1.0, 1.0, 0)
    assert (args["max_completion_length"], args["num_iterations"]) == (1024, 1)
    length = {"max_steps": 2000} if "psg" in name else {"num_train_epochs": 1}
    assert length.items() <= args.items()
    assert stage.max_pixels == 512 * 28 * 28
    weights = {term: options.weight for term, options in config.reward.terms.items()}
    assert weights == {"format": 1.0, "edge_hard": 5.0}
    plan = batch_plan(config)
    assert (plan.processes, plan.global_batch) == (16, 32 * 8)


@pytest.mark.parametrize("name", [n for n in options("experiment") if n.startswith("eval")])
def test_eval_states_the_references_settings(name):
    """1024·28² pixels, 1,024 new tokens, the reference's evaluator; greedy."""
    config = check([f"experiment={name}", "hardware=a100"])
    assert isinstance(config.stage, EvalConfig)
    assert config.stage.max_pixels == 1024 * 28 * 28
    assert (config.generate.max_new_tokens, config.generate.temperature) == (1024, 0.0)
    assert config.protocol.id == "vg150-val5k-r1sgg"
    assert config.data.eval.path == "JosephZ/vg150_val_sgg_prompt"


def test_sft_and_grpo_of_an_experiment_ask_the_same():
    for variant in ("", "_closed"):
        prompts = [check([f"experiment={s}_7b{variant}"]).prompt for s in ("sft", "grpo")]
        assert prompts[0] == prompts[1]


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_runs_on_every_profile(name):
    for hardware in GPU_PROFILES:
        fits = fitting(name.partition("_")[0], hardware)
        check([f"experiment={name}", f"hardware={hardware}", *fits])
    check([f"experiment={name}", "fsdp=null", "deepspeed=null"])  # the GPUs of this machine


def test_an_experiment_names_no_machine():
    import yaml

    from sgg.config.tree import CONF_DIR

    for name in options("experiment"):
        defaults = yaml.safe_load((CONF_DIR / "experiment" / f"{name}.yaml").read_text())[
            "defaults"
        ]
        named = [d["override /hardware"] for d in defaults if "override /hardware" in d]
        assert named in ([], [machine_of(name)]), name


def test_the_sweep_of_the_readme_composes():
    """Six points, each another reward or seed, on GH200."""
    words = ["experiment=grpo_7b", "hardware=gh200", "reward=hard_recall,soft_recall", "seed=0,1,2"]
    configs = [check(point) for point in points(words)]
    assert len(configs) == 6
    assert [c.seed for c in configs] == [0, 1, 2, 0, 1, 2]
    assert len({tuple(c.reward.terms) for c in configs}) == 2
    assert all(c.hardware.gpu_memory_gb == 96 for c in configs)


def test_an_experiment_goes_through_the_pipeline():
    """A step's stage wins over the experiment's, and takes its own share of the machine."""
    words = ["experiment=grpo_7b", "hardware=rtx4090_zero3", "hardware.nodes=2"]
    sft, grpo = (check([*words, f"stage={stage}"]) for stage in ("sft", "grpo"))
    assert isinstance(sft.stage, SftConfig)
    assert (sft.hardware.processes_per_node, sft.hardware.rollout.mode) == (8, RolloutMode.trainer)
    assert (grpo.hardware.processes_per_node, grpo.hardware.rollout.mode) == (4, RolloutMode.server)


def commands(page):
    """Every `sgg …` in backticks on a page of the docs."""
    text = (DOCS / page).read_text()
    return sorted(set(re.findall(r"`sgg ((?:-m )?(?:experiment|stage|pipeline)=[^`]+)`", text)))


@pytest.mark.parametrize("command", [*commands("experiments.md"), *commands("slurm.md")])
def test_dry_run_shows_the_commands_of_the_docs(command, capsys):
    """Here, and as jobs: what takes several nodes is shown all the same."""
    launcher = "hydra/launcher=slurm"
    words = [word for word in shlex.split(command) if word not in ("-m", launcher)]
    lines = (
        points([*words, "dry_run=true"]) if command.startswith("-m") else [[*words, "dry_run=true"]]
    )
    for line in lines:
        check(line)
    if command.startswith("-m") or launcher in command:
        for name in ("slurm",) if launcher in command else ("local", "slurm"):
            start_sweep(lines, LaunchOptions(name, parallel=1))
            assert counted(len(lines), "point") in capsys.readouterr().out


def test_the_docs_name_every_experiment():
    named = {re.search(r"experiment=(\w+)", command)[1] for command in commands("experiments.md")}
    assert named == set(options("experiment"))
