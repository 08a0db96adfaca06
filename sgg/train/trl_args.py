"""Config -> TRL's own config object: what follows from other keys, then the user's `stage.args`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sgg.config.hardware import Precision, RolloutConfig, RolloutMode
from sgg.config.schema import Config
from sgg.config.stage import GrpoConfig, SftConfig, TrainStageConfig
from sgg.errors import SggError
from sgg.plan.validate import batch_plan


def trl_args(config: Config, run_dir: Path) -> Any:
    """`trl.SFTConfig` or `trl.GRPOConfig` for this run.

    Raises:
        SggError: TRL refuses the combination; its own message is kept.

    """
    import trl

    stage = config.stage
    assert isinstance(stage, TrainStageConfig)
    derived, given = _common(config, run_dir), dict(stage.args)
    if isinstance(stage, SftConfig):
        kind: Any = trl.SFTConfig
        derived |= {"completion_only_loss": True}
        given["max_length"] = (
            None  # nothing is cut: `sft` refuses what is longer than stage.args says
        )
    else:
        assert isinstance(stage, GrpoConfig)
        kind = trl.GRPOConfig
        derived |= _rollout(config.hardware.rollout)
        derived["disable_dropout"] = (
            True  # an adapter's would make completions score otherwise than drawn
        )
    with words_of_trl():
        return kind(**{**derived, **given})


@contextmanager
def words_of_trl() -> Iterator[None]:
    """Raise errors of TRL's constructors as SggError, with the key that they are about.

    Around nothing but a constructor: what our own parts raise has nothing to do with `stage.args`. The one
    of a trainer asks for its first row; see `rows.as_trl_dataset` for what that raises.
    """
    try:
        yield
    except SggError:
        raise
    except (ValueError, TypeError, ImportError, NotImplementedError) as error:
        raise SggError(f"stage.args: TRL refuses them: {error}") from error


def _common(config: Config, run_dir: Path) -> dict[str, Any]:
    plan, hardware = batch_plan(config), config.hardware
    derived: dict[str, Any] = {
        "output_dir": str(run_dir),
        "report_to": "none",
        "seed": config.seed,
        "per_device_train_batch_size": plan.micro_batch,
        "gradient_accumulation_steps": plan.accumulation,
        "bf16": hardware.precision is Precision.bf16,
        "gradient_checkpointing": hardware.gradient_checkpointing and config.fsdp is None,
        "dataloader_num_workers": hardware.loader_workers,
        "remove_unused_columns": False,
        "disable_tqdm": True,
        "save_total_limit": None,  # old checkpoints go when a newer one is complete, not before
        "logging_nan_inf_filter": False,  # a NaN is to be seen
        "use_cpu": not hardware.gpu,
        "deepspeed": config.deepspeed,
    }
    if config.fsdp is not None:
        derived |= {
            "fsdp": True,
            "fsdp_config": _fsdp(config.fsdp, hardware.gradient_checkpointing),
        }
    if hardware.gpu:
        derived["tf32"] = hardware.tf32
    elif plan.processes > 1:
        derived["ddp_backend"] = "gloo"
    return derived


def _rollout(rollout: RolloutConfig) -> dict[str, Any]:
    """Who generates, in TRL's terms; more of it in sgg/rollout/from_config.py."""
    if rollout.mode is RolloutMode.trainer:
        return {}
    return {
        # where a look for a free port to send weights from begins; runs that share a node begin apart
        "vllm_group_port": 30000 + int(os.environ.get("MASTER_PORT", 0)) % 2000,
        "use_vllm": True,
        "vllm_mode": rollout.mode.name,
        "vllm_tensor_parallel_size": rollout.tensor_parallel,
        "vllm_gpu_memory_utilization": rollout.share,
        "vllm_max_model_length": rollout.max_length,
    }


def _fsdp(chosen: dict[str, Any], gradient_checkpointing: bool) -> dict[str, Any]:
    """Transformers' `fsdp_config`: FSDP2 around each layer, weights gathered whole into a checkpoint."""
    return {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "state_dict_type": "FULL_STATE_DICT",  # the other kind leaves nothing for `from_pretrained`
        "activation_checkpointing": gradient_checkpointing,
        **chosen,
    }
