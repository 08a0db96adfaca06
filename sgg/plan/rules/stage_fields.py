"""What becomes of each field of TRL's and transformers' arguments that `stage.args` may name: the table.

Every field is in exactly one place: it follows from another key (`OWNED`), it has one value with which
README's promises hold (`FIXED`: exact resumption, whole targets, complete checkpoints, the stated batch, one
frozen config, no secrets, no upload), it is handed on within limits (`RANGES`, `CHOICES`), or as it is
(`PASSED`). docs/stage_args.md says why, field by field. Tests hold both against the installed classes: a
field of a later version has to be placed before anybody can set it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_EVAL = "stage.evaluate"
_ROWS = "nothing: sgg builds the rows itself"
_UPLOAD = "nothing: sgg uploads nothing; `hf upload REPO RUN_DIR/model` does"
_ROLLOUT = "hardware.rollout"
_TOKENS = "the files of model.path, which evaluation reads, too"
_LOSS = "nothing: the loss is on the completion only"

OWNED: dict[str, str] = {
    **{
        "output_dir": "paths.run_dir",
        "run_name": "paths.run_dir",
        "resume_from_checkpoint": "nothing: `sgg resume RUN_DIR` takes the newest complete checkpoint",
    },
    **{"seed": "seed", "data_seed": "seed", "local_rank": "hardware.processes_per_node"},
    **dict.fromkeys(("report_to", "project", "log_multimodal", "log_unique_prompts"), "tracker"),
    **dict.fromkeys(
        (f"trackio_{k}" for k in ("space_id", "bucket_id", "static_space_id")), "tracker"
    ),
    "per_device_train_batch_size": "stage.micro_batch",
    "gradient_accumulation_steps": "stage.global_batch or stage.prompts_per_step",
    **dict.fromkeys(("generation_batch_size", "steps_per_generation"), "stage.prompts_per_step"),
    "auto_find_batch_size": "stage.micro_batch: the batch is what the config says",
    **{"bf16": "hardware.precision", "fp16": "hardware.precision", "tf32": "hardware.tf32"},
    **{"use_cpu": "hardware.gpu", "ddp_backend": "hardware.gpu", "deepspeed": "deepspeed"},
    **dict.fromkeys(("fsdp", "fsdp_config"), "fsdp"),
    **dict.fromkeys(("accelerator_config", "parallelism_config"), "hardware, deepspeed or fsdp"),
    **dict.fromkeys(
        ("gradient_checkpointing", "gradient_checkpointing_kwargs"),
        "hardware.gradient_checkpointing",
    ),
    "dataloader_num_workers": "hardware.loader_workers",
    "reward_weights": "reward.terms.NAME.weight",
    "save_total_limit": "stage.keep_checkpoints",
    "hub_token": "the environment variable HF_TOKEN (secrets have no place in a config)",
    "disable_tqdm": "nothing: sgg draws its own progress bar",
    "trust_remote_code": "nothing: remote code is never run",
    "model_init_kwargs": "model",
    "router_aux_loss_coef": "nothing: Qwen-VL has no experts",
    **dict.fromkeys(("completion_only_loss", "assistant_only_loss"), _LOSS),
    **dict.fromkeys(("chat_template_path", "eos_token", "pad_token"), _TOKENS),
    "chat_template_kwargs": "prompt, which SFT, GRPO and evaluation share",
    **dict.fromkeys(("remove_unused_columns", "label_names", "length_column_name"), _ROWS),
    **dict.fromkeys(("dataset_text_field", "dataset_kwargs", "dataset_num_proc"), _ROWS),
    "max_tool_calling_iterations": "nothing: completions call no tools",
    **dict.fromkeys(("eval_strategy", "eval_steps", "eval_delay", "eval_on_start"), _EVAL),
    **dict.fromkeys(("per_device_eval_batch_size", "eval_accumulation_steps"), _EVAL),
    **dict.fromkeys(("eval_do_concat_batches", "eval_use_gather_object", "eval_packing"), _EVAL),
    **dict.fromkeys(("prediction_loss_only", "include_for_metrics", "batch_eval_metrics"), _EVAL),
    **dict.fromkeys(("bf16_full_eval", "fp16_full_eval", "num_generations_eval"), _EVAL),
    **dict.fromkeys(("do_train", "do_eval", "do_predict"), _EVAL),
    **dict.fromkeys(("metric_for_best_model", "greater_is_better"), _EVAL),
    **dict.fromkeys(("push_to_hub", "hub_model_id", "hub_strategy", "hub_private_repo"), _UPLOAD),
    **dict.fromkeys(("hub_always_push", "hub_revision", "log_completions_hub_repo"), _UPLOAD),
    **dict.fromkeys(("use_vllm", "vllm_mode"), f"{_ROLLOUT}.mode"),
    **dict.fromkeys(("vllm_server_base_url", "vllm_server_host", "vllm_server_port"), _ROLLOUT),
    **{"vllm_group_port": _ROLLOUT, "vllm_server_timeout": f"{_ROLLOUT}.startup_timeout_s"},
    "vllm_gpu_memory_utilization": f"{_ROLLOUT}.gpu_memory_utilization",
    "vllm_max_model_length": f"{_ROLLOUT}.max_length",
    "vllm_tensor_parallel_size": f"{_ROLLOUT}.tensor_parallel",
    "vllm_structured_outputs_regex": "grammar",
    "vllm_importance_sampling_cap": "stage.args.vllm_importance_sampling_clip_max",
    **dict.fromkeys(
        ("use_transformers_paged", "use_transformers_continuous_batching"), f"{_ROLLOUT}.mode"
    ),
    "transformers_continuous_batching_config": f"{_ROLLOUT}.mode",
    **dict.fromkeys(
        ("ref_model_mixup_alpha", "ref_model_sync_steps"), "nothing: see sync_ref_model"
    ),
}
"""Fields that follow from other keys, and the key to set instead."""

_EXACT = "a resumed run would not be the same"

FIXED: dict[str, tuple[tuple[Any, ...], str]] = {
    "save_only_model": (
        (False,),
        "without optimiser and schedule a run cannot be resumed exactly. stage.keep_checkpoints "
        "limits the space; RUN_DIR/model is the weights only",
    ),
    "save_strategy": (("steps", "epoch"), "a run that saves nothing loses all when it is killed"),
    "save_on_each_node": ((False,), "the nodes of a run share its folder"),
    "enable_jit_checkpoint": ((False,), "sgg itself saves a complete checkpoint on SIGTERM"),
    "load_best_model_at_end": (
        (False,),
        "stage.evaluate.keep_best keeps the best checkpoint, as model.path=RUN_DIR/best",
    ),
    "ignore_data_skip": ((False,), f"{_EXACT}: it would see the first images again"),
    "restore_callback_states_from_checkpoint": (
        (False,),
        "sgg's callbacks keep nothing to restore",
    ),
    "dataloader_drop_last": ((False,), "images at the end of each epoch would be left out"),
    "dataloader_in_order": ((True,), f"{_EXACT}: batches would come as they are ready"),
    "dataloader_multiprocessing_context": ((None, "fork"), "rows are made in forked processes"),
    "average_tokens_across_devices": (
        (True,),
        "the same batch would give another loss on another number of processes",
    ),
    "logging_strategy": (("steps",), "say how often by stage.args.logging_steps"),
    "logging_nan_inf_filter": ((False,), "a loss that is not a number has to show"),
    "use_cache": ((False,), "training reads no cache; rollouts keep their own"),
    **dict.fromkeys(
        ("optim_args", "optim_target_modules"),
        ((None,), "only optimisers that sgg does not take read it"),
    ),
    **dict.fromkeys(
        ("packing", "padding_free"), ((False,), "TRL has it for text only, not for images")
    ),
    "packing_strategy": (("bfd",), "TRL packs text only, not images"),
    "truncation_mode": (("keep_start",), "targets are never cut; see stage.args.max_length"),
    "sync_ref_model": (
        (False,),
        f"{_EXACT}: checkpoints do not hold the reference that has moved. Leave it out; a lower "
        "stage.args.beta lets the policy go further",
    ),
    "disable_dropout": ((True,), "completions would be scored otherwise than they were drawn"),
    "cast_lm_head_to_fp32": (
        (False,),
        f"{_EXACT}: the head is saved in fp32 and loaded in the model's dtype. model.dtype=float32 keeps "
        "the whole model in fp32",
    ),
    "generation_kwargs": (
        (None, {}),
        "completions would be drawn otherwise than they are scored. Set stage.args.temperature, "
        "top_p, top_k, min_p or repetition_penalty; grammar holds completions to a form",
    ),
    "cache_implementation": ((None,), "not tried with images; hardware.rollout.mode is faster"),
    "ds3_gather_for_generation": (
        (True,),
        "not tried. hardware.rollout.mode=server keeps generation off the training GPUs",
    ),
    "vllm_model_impl": (("vllm",), "pushed weights are named for vLLM's own Qwen-VL"),
}
"""Fields whose other values break a promise: what is allowed, and why no more."""

FIXED_IN: dict[str, dict[str, tuple[tuple[Any, ...], str]]] = {
    "sft": {
        "pad_to_multiple_of": ((None, "auto"), "TRL has it for text only, not for images"),
        "train_sampling_strategy": (
            ("random", "sequential"),
            "lengths are known only once a row is made",
        ),
    },
    "grpo": {
        "train_sampling_strategy": (("random",), "GRPO's order is stage.args.shuffle_dataset"),
        "neftune_noise_alpha": (
            (None,),
            "completions would be scored otherwise than they were drawn",
        ),
        "label_smoothing_factor": ((0.0,), "GRPO's loss has no labels"),
        "include_num_input_tokens_seen": (("no", False), "GRPO counts num_tokens itself"),
    },
}
"""The same for one stage."""

_Check = Callable[[float], bool]
_ABOVE: tuple[_Check, str] = (lambda v: v > 0, "above 0")
_FROM_0: tuple[_Check, str] = (lambda v: v >= 0, "0 or more")
_FROM_1: tuple[_Check, str] = (lambda v: v >= 1, "1 or more")
_SHARE: tuple[_Check, str] = (lambda v: 0 <= v < 1, "0 or more and below 1")
_STEPS: tuple[_Check, str] = (
    lambda v: 0 < v < 1 or (v >= 1 and v == int(v)),
    "a number of steps, or a share of all steps between 0 and 1",
)
RANGES: dict[str, tuple[_Check, str]] = {
    **dict.fromkeys(("learning_rate", "num_train_epochs", "adam_epsilon", "temperature"), _ABOVE),
    **dict.fromkeys(("epsilon", "epsilon_high", "delta", "repetition_penalty"), _ABOVE),
    **dict.fromkeys(("sapo_temperature_neg", "sapo_temperature_pos"), _ABOVE),
    **dict.fromkeys(("off_policy_mask_threshold", "neftune_noise_alpha"), _ABOVE),
    "vllm_importance_sampling_clip_max": _ABOVE,
    "max_steps": (lambda v: v == -1 or v > 0, "above 0, or -1 for whole epochs"),
    "warmup_steps": (lambda v: v >= 0, "0 or more (below 1: a share of all steps)"),
    **dict.fromkeys(("max_grad_norm", "weight_decay", "top_k", "beta"), _FROM_0),
    **dict.fromkeys(("entropy_coef", "entropy_coef_min", "entropy_coef_max"), _FROM_0),
    **dict.fromkeys(("entropy_coef_delta", "entropy_target"), _FROM_0),
    **dict.fromkeys(
        ("vespo_k_pos", "vespo_k_neg", "vespo_lambda_pos", "vespo_lambda_neg"), _FROM_0
    ),
    "vllm_importance_sampling_clip_min": _FROM_0,
    **dict.fromkeys(("adam_beta1", "adam_beta2", "label_smoothing_factor"), _SHARE),
    "min_p": (lambda v: 0 <= v <= 1, "between 0 and 1"),
    **dict.fromkeys(
        ("top_p", "top_entropy_quantile"), (lambda v: 0 < v <= 1, "above 0 and at most 1")
    ),
    "num_generations": (lambda v: v >= 2, "2 or more: advantages compare completions of one group"),
    **dict.fromkeys(("num_iterations", "max_completion_length", "max_length"), _FROM_1),
    **dict.fromkeys(("dataloader_prefetch_factor", "ddp_bucket_cap_mb", "ddp_timeout"), _FROM_1),
    **dict.fromkeys(("torch_empty_cache_steps", "num_completions_to_print"), _FROM_1),
    **dict.fromkeys(("save_steps", "logging_steps"), _STEPS),
}
"""Numbers, and the limits that their meaning sets."""

CHOICES: dict[str, tuple[str, ...]] = {
    "lr_scheduler_type": (
        *("linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "inverse_sqrt"),
        *("constant_with_warmup", "cosine_with_min_lr", "cosine_warmup_with_min_lr"),
        "warmup_stable_decay",
    ),
    "optim": (
        *("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop"),
        *("adamw_bnb_8bit", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit"),
    ),
    **dict.fromkeys(
        ("log_level", "log_level_replica"),
        ("detail", "debug", "info", "warning", "error", "critical", "passive"),
    ),
    "importance_sampling_level": ("token", "sequence"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "scale_rewards": ("group", "batch", "none"),
    "vllm_importance_sampling_mode": (
        *("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
    ),
}
"""Words. Schedules that wait for an evaluation, and optimisers whose state no checkpoint holds whole or that
nobody here has resumed, are not among them."""

CHOICES_IN: dict[str, dict[str, tuple[str, ...]]] = {
    "sft": {"loss_type": ("nll", "dft")},
    "grpo": {
        "loss_type": ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    },
}
"""The same for one stage."""

PASSED = frozenset(
    [
        *("lr_scheduler_kwargs", "logging_first_step", "log_on_each_node"),
        *("debug", "skip_memory_metrics", "full_determinism"),
        *("include_num_input_tokens_seen", "dataloader_pin_memory"),
        *("dataloader_persistent_workers", "ddp_find_unused_parameters"),
        *("ddp_broadcast_buffers", "ddp_static_graph", "torch_compile", "torch_compile_backend"),
        *("torch_compile_mode", "use_liger_kernel", "liger_kernel_config", "activation_offloading"),
        *("shuffle_dataset", "pad_to_multiple_of", "mask_truncated_completions"),
        *("use_adaptive_entropy", "use_bias_correction_kl", "log_completions"),
        *("vllm_enable_sleep_mode", "vllm_importance_sampling_correction"),
    ]
)
"""Fields that are handed on as they are."""
