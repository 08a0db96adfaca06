"""Hardware profiles: their facts, what is refused with a message, and a site's own folder."""

import importlib.util
import os
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from commands import command, environment, sgg
from configs import check, options

from sgg.cli.help import help_screen
from sgg.config.compose import compose_config
from sgg.config.hardware import HardwareConfig, RolloutConfig, RolloutMode, SlurmConfig, gpus_here
from sgg.config.tree import groups, options_of
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.plan.rules.hardware import OWNED_SBATCH, ready_here

DOCS = Path(__file__).parents[2] / "docs" / "hardware.md"
BIG = ["model=qwen2_vl_7b", "data=vg150", "model.parameters=null"]
"""A model without its number of parameters: whether it fits is tested in test_rules_memory.py."""


@pytest.mark.parametrize(
    ("profile", "gpus", "memory_gb", "zero", "offload"),
    [
        ("a100", 4, 80, 2, None),
        ("h100", 8, 80, 2, None),
        ("gh200", 4, 96, 2, "cpu"),
        ("rtx4090_zero3", 8, 24, 3, None),
    ],
)
def test_facts_of_the_nodes(profile, gpus, memory_gb, zero, offload):
    config = check([*BIG, f"hardware={profile}", "hardware.nodes=2"])
    hardware = config.hardware
    assert (hardware.gpu, hardware.precision.name) == (True, "bf16")
    assert (hardware.processes_per_node, hardware.ranks) == (gpus, 2 * gpus)
    assert hardware.gpu_memory_gb == memory_gb
    assert (hardware.slurm.exclusive, hardware.slurm.memory_gb) == (True, 0)
    assert hardware.environment == {}
    assert config.deepspeed["zero_optimization"]["stage"] == zero
    device = config.deepspeed["zero_optimization"].get("offload_optimizer", {}).get("device")
    assert device == offload


def test_every_profile_of_nodes_has_its_facts_tested():
    of_nodes = {"a100", "h100", "gh200", "rtx4090_zero3"}
    of_one_gpu = {"one_24gb", "one_80gb"}  # tests/conf/test_experiments.py
    assert set(options("hardware")) == {"cpu", "local"} | of_nodes | of_one_gpu


@pytest.mark.parametrize("stage", ["sft", "eval"])
def test_all_eight_rtx4090_train_and_evaluate(stage):
    hardware = check([*BIG, "hardware=rtx4090_zero3", f"stage={stage}"]).hardware
    assert (hardware.processes_per_node, hardware.rollout) == (8, RolloutConfig())


def test_half_of_the_rtx4090_generate_in_grpo():
    hardware = check([*BIG, "hardware=rtx4090_zero3", "stage=grpo"]).hardware
    rollout = hardware.rollout
    assert (hardware.processes_per_node, rollout.gpus_per_node, rollout.nodes) == (4, 4, 0)
    assert (rollout.mode, rollout.tensor_parallel) == (RolloutMode.server, 4)


def test_the_command_line_wins_over_a_profiles_share():
    words = ["hardware.processes_per_node=8", "hardware.rollout.gpus_per_node=0"]
    hardware = check(
        [*BIG, "hardware=rtx4090_zero3", "stage=grpo", *words, "hardware.rollout.nodes=2"]
    ).hardware
    assert (hardware.processes_per_node, hardware.rollout.nodes) == (8, 2)


@pytest.mark.parametrize(
    ("visible", "count"),
    [("0,1,2", 3), ("3", 1), ("GPU-5af,MIG-17c", 2), ("", 1), ("-1", 1), ("0,-1,2", 1)],
)
def test_local_takes_the_gpus_that_are_visible(visible, count, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == count
    assert check(["hardware=local", "stage=eval"]).hardware.processes_per_node == count


def test_presets_and_groups_can_be_taken_off():
    """Hydra itself takes null for a group in YAML only."""
    words = [*BIG, "hardware=a100", "experiment=null", "debug=null", "pipeline=null"]
    assert check([*words, "deepspeed=null", "fsdp=null"]).deepspeed is None
    assert check([*words, "deepspeed=zero3"]).deepspeed["zero_optimization"]["stage"] == 3


SERVER = ["hardware.gpu=true", "hardware.rollout.mode=server"]


@pytest.mark.parametrize(
    ("words", "phrases"),
    [
        (
            ["hardware.rollout.gpus_per_node=4"],
            ["gpus_per_node=4", "has no effect", "mode=trainer"],
        ),
        (SERVER, ["mode=server needs GPUs", "hardware.rollout.gpus_per_node"]),
        (
            ["hardware.rollout.mode=server", "hardware.rollout.gpus_per_node=1"],
            ["gpus_per_node=1 with hardware.rollout.mode=server: without GPUs take 0"],
        ),
        (
            ["hardware.rollout.mode=server", "hardware.nodes=2"],
            ["hardware.nodes=2", "without GPUs take 1"],
        ),
        (
            ["hardware.rollout.mode=colocate", "hardware.rollout.tensor_parallel=2"],
            ["tensor_parallel=2", "without GPUs take 1"],
        ),
        (
            ["hardware=a100", "stage.args.vllm_importance_sampling_correction=false"],
            ["vllm_importance_sampling_correction=false would hide"],
        ),
        (
            ["hardware=a100", "hardware.rollout.max_length=1200"],
            ["max_length=1200 leaves no room", "an image of 512 tokens"],
        ),
        (["hardware.rollout.max_logp_difference=0"], ["max_logp_difference=0.0: must be above 0"]),
        (
            [*SERVER, "hardware.rollout.gpus_per_node=4", "hardware.rollout.tensor_parallel=3"],
            ["tensor_parallel=3 does not divide hardware.rollout.gpus_per_node, 4"],
        ),
        (
            [*SERVER, "hardware.rollout.nodes=1", "hardware.rollout.tensor_parallel=2"],
            ["tensor_parallel=2 does not divide the GPUs of a serving node, 1"],
        ),
        (
            [
                "hardware=a100",
                "hardware.rollout.mode=colocate",
                "hardware.rollout.tensor_parallel=8",
            ],
            ["tensor_parallel=8 does not divide hardware.processes_per_node, 4"],
        ),
        (
            ["hardware.rollout.gpu_memory_utilization=1.5"],
            ["gpu_memory_utilization=1.5", "at most 1"],
        ),
        (["hardware.rollout.restarts=-1"], ["restarts=-1: must be 0 or more"]),
        (
            ["hardware=rtx4090_zero3", "hardware.rollout.max_length=1024"],
            ["max_length=1024 leaves no room", "max_completion_length=1024"],
        ),
        (["hardware.grace_s=0"], ["hardware.grace_s=0: must be 1 or more"]),
        (["hardware.slurm.time_min=0"], ["hardware.slurm.time_min=0: must be 1 or more"]),
        (["hardware.slurm.memory_gb=-1"], ["hardware.slurm.memory_gb=-1: must be 0 or more"]),
        (["hardware.slurm.time_min=5"], ["signal_before_end_s=300", "time_min=5 minutes"]),
        (
            ["hardware.slurm.gpu_type=h100", "hardware.slurm.gpu_request=none"],
            ["gpu_type=h100 would be ignored"],
        ),
        (
            ["hardware.slurm.sbatch.partition=gpu"],
            ["sgg writes --partition", "hardware.slurm.partition instead"],
        ),
        (["hardware.slurm.sbatch.time=60"], ["hardware.slurm.time_min instead"]),
        (["hardware.slurm.sbatch.array=0-3"], ["sgg writes --array", "set -m"]),
        (["hardware.slurm.sbatch.dependency=x"], ["set pipeline instead"]),
        (["hardware.slurm.sbatch.gpus_per_node=4"], ["hardware.slurm.gpu_request and gpu_type"]),
        (["hardware.slurm.sbatch.p=gpu"], ["write the long name"]),
        (["hardware.environment.WANDB_API_KEY=x"], ["WANDB_API_KEY: secrets have no place"]),
        (["hardware.environment.WANDB_APIKEY=x"], ["WANDB_APIKEY: secrets have no place"]),
        (["hardware.environment.AWS_ACCESS_KEY_ID=x"], ["AWS_ACCESS_KEY_ID: secrets"]),
        (
            ["hardware.slurm.setup=['module load a','export WANDB_API_KEY=abc']"],
            ["hardware.slurm.setup[1] gives WANDB_API_KEY a value: secrets have no place"],
        ),
        (
            ["hardware.slurm.sbatch.export='ALL,HF_TOKEN=xyz'"],
            ["hardware.slurm.sbatch.export gives HF_TOKEN a value"],
        ),
        (["hardware.slurm.srun=['--export=ALL,my_secret=x']"], ["srun[0] gives my_secret a value"]),
        (["hardware.environment.RANK=0"], ["RANK: set by the launcher"]),
        (["hardware.environment.SGG_SECRET_HOME=/a"], ["SGG_SECRET_HOME: set by the launcher"]),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(words, phrases):
    with pytest.raises(SggError) as error:
        check([*BIG, "stage=grpo", *words])
    for phrase in phrases:
        assert phrase in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        [*SERVER, "hardware.rollout.nodes=2", "hardware.processes_per_node=4"],
        ["hardware=a100", "hardware.rollout.mode=colocate", "hardware.rollout.tensor_parallel=2"],
        ["hardware.slurm.sbatch.mail-type=ALL", "hardware.slurm.sbatch.reservation=course"],
        ["hardware.environment.NCCL_SOCKET_IFNAME=hsn", "hardware.environment.NCCL_CROSS_NIC=1"],
        ["hardware.nodes=4", "hardware.processes_per_node=2"],
        [
            "hardware.environment.TOKENIZERS_PARALLELISM=false",
            "hardware.environment.NCCL_IB_PKEY=1",
        ],
        ["hardware.slurm.setup=['export HF_TOKEN=\"$(cat ~/.hf)\"','sort --key=2 x']"],
    ],
)
def test_what_goes_together(words):
    check([*BIG, "stage=grpo", *words])


def test_a_line_that_yaml_reads_as_a_mapping_is_told():
    with pytest.raises(SggError, match=r"hardware.slurm.setup\[0\]=.*must be text.*quotes"):
        check([*BIG, "hardware=a100", "hardware.slurm.setup=[{echo a: b}]"])


def test_owned_options_name_keys_that_exist():
    known = {
        *(f"hardware.{f.name}" for f in fields(HardwareConfig)),
        *(f"hardware.slurm.{f.name}" for f in fields(SlurmConfig)),
    }
    named = {key.split(" ")[0] for key in OWNED_SBATCH.values() if key.startswith("hardware.")}
    assert named <= known


def test_a_login_node_without_vllm_checks_what_only_the_job_can_run(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "vllm" else find(name)
    )
    told = r"vllm, which is not installed: pip install 'sgg\[vllm\]'"
    with pytest.raises(SggError, match=told):
        ready_here(check([*BIG, "hardware=rtx4090_zero3", "stage=grpo"]))
    ready_here(check([*BIG, "hardware=rtx4090_zero3", "stage=sft"]))
    ready_here(check([*BIG, "hardware=a100", "stage=grpo", "hardware.rollout.mode=trainer"]))
    with pytest.raises(SggError, match=f"generate.engine=vllm needs {told}"):
        ready_here(check([*BIG, "hardware=a100", "stage=eval", "generate=vllm"]))
    ready_here(check([*BIG, "hardware=a100", "stage=sft", "generate=vllm"]))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "generate.gpu_memory_utilization=1.5",
            "generate.gpu_memory_utilization=1.5: must be above 0 and at most 1",
        ),
        ("generate.temperature=3", "generate.temperature=3.0: vLLM takes at most 2"),
        ("hardware.rollout.max_length=1024", "leaves no room for a prompt beside generate.max_new"),
    ],
)
def test_what_vllm_cannot_do_is_told(words, told):
    with pytest.raises(SggError, match=told):
        check([*BIG, "hardware=a100", "stage=eval", "generate=vllm", words])


MYCLUSTER = """# @package _global_
defaults: [rtx4090_zero3, _self_]
hardware:
  environment: {NCCL_SOCKET_IFNAME: hsn}
  slurm: {partition: gpu, account: a1, gpu_type: rtx_4090}
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A private folder with a profile of its own, named by SGG_CONF."""
    folder = tmp_path / "our site"
    (folder / "hardware").mkdir(parents=True)
    (folder / "hardware" / "mycluster.yaml").write_text(MYCLUSTER)
    monkeypatch.setenv("SGG_CONF", str(folder))
    return folder


def test_a_sites_profile_builds_on_ours(site):
    hardware = check([*BIG, "hardware=mycluster", "stage=grpo"]).hardware
    assert (hardware.slurm.partition, hardware.slurm.account) == ("gpu", "a1")
    assert hardware.environment == {"NCCL_SOCKET_IFNAME": "hsn"}
    assert (hardware.processes_per_node, hardware.rollout.gpus_per_node) == (4, 4)
    assert hardware.slurm.exclusive


RECIPE = re.search(r"mycluster.yaml`.*?```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
"""The profile of a site's own that docs/hardware.md shows, on `gh200`."""


@pytest.mark.parametrize("base", options("hardware"))
def test_the_recipe_of_the_docs_works_with_every_base(base, site):
    assert "defaults: [gh200, _self_]" in RECIPE
    (site / "hardware" / "ours.yaml").write_text(RECIPE.replace("gh200", base))
    words = [*BIG, "stage=grpo"]  # the stage that a profile may have a share for
    ours, theirs = check([*words, "hardware=ours"]), check([*words, f"hardware={base}"])
    variables = {"NCCL_NET": "AWS Libfabric", "NCCL_SOCKET_IFNAME": "hsn"}
    assert ours.hardware.environment == variables
    slurm = ours.hardware.slurm
    assert (slurm.partition, slurm.account, slurm.exclude) == ("normal", "a-123", "nid006792")
    assert slurm.setup == ["module load cuda", "source /shared/venv/bin/activate"]
    assert slurm.sbatch == {"mail-type": "FAIL", "reservation": "course"}
    assert (slurm.srun, slurm.python) == (["--environment=/shared/env.toml"], "python")
    ours.hardware.environment = {}
    for name in ("partition", "account", "exclude", "setup", "sbatch", "srun", "python"):
        setattr(slurm, name, getattr(theirs.hardware.slurm, name))
    ours.choices = theirs.choices  # the name of the profile, and a share that its name chooses
    assert ours == theirs, "all else is the base's"


def _makes_a_folder_of_its_own(setup):
    """The lines of a job's script, on one node: a second start of the same name ends."""
    folder = Path(f"/tmp/sgg-test-{os.getpid()}-7-")
    lines = ['srun() { "$@"; }', *setup, 'echo "$VLLM_CACHE_ROOT"; stat -c %a "$MINE"']
    variables = {**os.environ, "USER": f"sgg-test-{os.getpid()}", "SLURM_JOB_ID": "7"}
    try:
        first, second = (
            subprocess.run(
                ["bash", "-c", "\n".join(lines)], env=variables, capture_output=True, text=True
            )
            for _ in range(2)
        )
    finally:
        folder.rmdir()
    assert first.stdout == f"{folder}/vllm\n700\n"
    assert (second.returncode, second.stdout) == (1, "")


def test_the_cluster_page_works_as_it_is_written(site, monkeypatch):
    """Its profile, the paths that it takes, and the pipeline with options of one step."""
    monkeypatch.setenv("USER", "someone")
    page = (DOCS.parent / "cluster.md").read_text()
    names = ("hardware/trial", "hardware/mycluster", "paths/mycluster", "pipeline/mine")
    for name, text in zip(names, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL), strict=True):
        (site / name).parent.mkdir(exist_ok=True)
        (site / f"{name}.yaml").write_text(text)
    assert check(["stage=sft", "hardware=trial"]).hardware.slurm.time_min == 30
    config = check([*BIG, "stage=grpo", "hardware=mycluster"])
    assert (config.paths.root, config.paths.cache) == ("/shared/runs", "/shared/sgg-cache")
    assert config.hardware.environment["HF_HOME"] == "/shared/hf"
    _makes_a_folder_of_its_own(config.hardware.slurm.setup)
    steps = check([*BIG, "hardware=mycluster", "pipeline=mine"]).pipeline.steps
    assert "hardware.slurm.time_min=720" in steps["grpo"].overrides
    assert steps["sft"].overrides == ["stage=sft"]


GLOBAL = "# @package _global_\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "defaults: [gh200, _self_]\nhardware: {nodes: 2}",
            "hardware=ours sets hardware.hardware: no such key. A file that begins with `hardware:` "
            "needs `# @package _global_` as its first line.",
        ),
        (
            GLOBAL + "defaults: [gh200, _self_]\nnodes: 2",
            "hardware=ours sets nodes: no such key. In a file with `# @package _global_`, nodes belongs",
        ),
        (
            GLOBAL + "hardware: {slurms: {}}",
            "hardware=ours sets hardware.slurms: no such key. Did you mean 'slurm'? Allowed under hardware",
        ),
        (
            GLOBAL + "hardware: {nodes: many}",
            "hardware=ours: hardware.nodes: Value 'many' of type 'str' could not be converted to Integer.",
        ),
        (
            GLOBAL + "hardware: {slurm: {setup: module load}}",
            "hardware=ours: hardware.slurm.setup: Invalid value",
        ),
        (
            GLOBAL + "defaults: [gh201, _self_]",
            "Did you mean 'gh200'? hardware/ours asks for it.",
        ),
        (
            GLOBAL + "defaults: [gh200, override /deepsped: zero2]",
            "deepsped: no such group or key. Did you mean 'deepspeed'? hardware/ours asks for it.",
        ),
        (GLOBAL + "hardware: {nodes: 2", "expected ',' or '}', but got '<stream end>'\n  in "),
        (GLOBAL + "defaults: gh200", "defaults must be a list (got str)"),
        (GLOBAL + "defaults: [ours]", "The defaults of an option lead back to itself"),
        (GLOBAL + "defaults: [gh200, /model: qwen2_vl_7b]", "Multiple values for model."),
        ("- nodes", "list is not a subclass of HardwareConfig"),
        (
            "# Our nodes.\n" + GLOBAL + "defaults: [gh200, _self_]",
            "ours.yaml: `# @package _global_` must be its first line",
        ),
    ],
)
def test_what_is_wrong_in_a_sites_file_is_told_whole(text, told, site):
    (site / "hardware" / "ours.yaml").write_text(f"{text}\n")
    with pytest.raises(Exception, match=r".") as error:
        compose_config(["hardware=ours"])
    assert told in str(explain(error.value))


def test_an_option_that_ours_would_hide_is_refused(site):
    (site / "hardware" / "gh200.yaml").write_text(MYCLUSTER)
    with pytest.raises(SggError, match=r"gh200.yaml: sgg has hardware=gh200 itself"):
        compose_config(["hardware=gh200"])


def test_help_and_options_know_the_sites_own(site):
    (site / "experiment").mkdir()
    (site / "experiment" / "ours.yaml").write_text("# @package _global_\nseed: 5\n")
    assert "mycluster" in options_of("hardware")
    assert "a100" in options_of("hardware")
    assert "mycluster" in help_screen()
    assert "ours" in options_of("experiment")
    assert not {"stage_model", "stage_hardware", "hydra"} & set(groups())
    assert check(["experiment=ours"]).seed == 5


def test_messages_and_tab_completion_know_the_sites_own(site, tmp_path):
    done = sgg("hardware=mycluste", cwd=tmp_path)
    assert "hardware=mycluste: no such option. Did you mean 'mycluster'?" in done.stderr
    shell = {**environment(tmp_path), "COMP_LINE": "sgg hardware=my"}
    words = command("--shell-completion", "query=bash")
    asked = subprocess.run(words, env=shell, capture_output=True, text=True, check=True)
    assert asked.stdout.split() == ["hardware=mycluster"]


def test_a_site_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SGG_CONF", str(tmp_path / "moved"))
    for words in (["--help"], ["--cfg", "job"]):
        done = sgg(*words, cwd=tmp_path)
        assert done.returncode
        assert done.stderr.startswith(f"sgg: SGG_CONF={tmp_path / 'moved'}: no such folder.")


def test_the_folder_can_be_typed_instead_for_a_pipeline_too(site, tmp_path, monkeypatch):
    """The steps of a pipeline are composed anew and see what the command named."""
    monkeypatch.delenv("SGG_CONF")
    assert options_of("hardware") == options("hardware")
    with pytest.raises(Exception, match="mycluster"):
        compose_config(["hardware=mycluster"])
    words = [f"hydra.searchpath=['file://{site}']", "hardware=mycluster", "hardware.grace_s=0"]
    done = sgg(*words, "pipeline=sft_grpo_eval", "stage=eval", cwd=tmp_path)
    assert "sgg: hardware.grace_s=0: must be 1 or more." in done.stderr, done.stderr
