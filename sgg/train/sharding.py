"""DeepSpeed and FSDP: what is set up before the model is built, and models whose weights are sharded.

Input: the config, with the process group up. Output: an environment in which TRL's trainers shard.
Knows what the libraries leave out, on a CPU above all; the sharding itself is theirs.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch.distributed.fsdp import MixedPrecisionPolicy

from sgg.config.derived import zero_stage
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.models.weights import adapter_base


def start(config: Config) -> None:
    """Join DeepSpeed, if it is configured: ZeRO-3 shards weights while they load, and asks it for peers.

    Raises:
        SggError: the optimiser is offloaded and there is no compiler for the CPU's Adam.

    """
    if config.deepspeed is None:
        return
    if not config.hardware.gpu:
        # read when deepspeed is imported; a GPU may be here too
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed

    # an all-reduce for inference on one node: training never calls it, and compiling takes a minute
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("nccl" if config.hardware.gpu else "gloo", verbose=False)
    if "offload_optimizer" in config.deepspeed["zero_optimization"]:
        _compile_cpu_adam()


def _compile_cpu_adam() -> None:
    """Have the CPU's Adam compiled (a minute and a half, once) under a lock that dies with its owner.

    The lock of torch's own compiler is a file that a killed process leaves, and the next one waits for
    ever without a message.
    """
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        raise SggError(
            "deepspeed.zero_optimization.offload_optimizer is updated by an Adam that is compiled where "
            f"it runs, and there is no C++ compiler ({compiler}). Install g++, name a compiler in the "
            "environment variable CXX, or take a deepspeed option without _offload."
        )
    scripts = str(Path(sys.executable).parent)  # ninja's place, on the PATH of an active venv only
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), scripts])
    from deepspeed.ops.op_builder import CPUAdamBuilder
    from torch.utils.cpp_extension import _get_build_directory

    builder = CPUAdamBuilder()
    folder = Path(_get_build_directory(builder.name, verbose=False))
    with FileLock(f"{folder}.lock"):
        (folder / "lock").unlink(missing_ok=True)
        builder.load(verbose=False)


def refuse_adapter(config: Config, folder: Path) -> None:
    """Refuse to start from an adapter under ZeRO-3: its base is sharded, so the adapter cannot be merged.

    Raises:
        SggError: the start is an adapter and the stage is 3.

    """
    if zero_stage(config) == 3 and adapter_base(folder) is not None:
        raise SggError(
            f"model.path={config.model.path} is an adapter: it is merged into its base before training, "
            "and under ZeRO-3 no process holds the base whole. Take deepspeed=zero2 or fsdp=full_shard."
        )


def force_fsdp_on_cpu(config: Config) -> None:
    """Make accelerate use FSDP on a CPU; called between TRL's config object and its trainer.

    accelerate 1.15 shards on the GPU kinds that it lists, and on a CPU trains unsharded in silence.
    """
    if config.fsdp is not None and not config.hardware.gpu:
        from accelerate.state import DistributedType, PartialState

        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def reduce_grads_in_fp32(trainer: Any) -> None:
    """Under FSDP and bf16: compute in bf16, but add gradients up over ranks, and keep the loss, in fp32.

    accelerate's own policy rounds both to bf16. Called before the trainer wraps its model.
    """
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is not None and trainer.args.bf16:
        plugin.mixed_precision_policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32
        )
