"""Reinforcement learning: what the GRPO stage builds its trainer from."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from sgg.config.hardware import RolloutMode
from sgg.config.schema import Config
from sgg.config.stage import GrpoConfig
from sgg.data.prepare import image_store
from sgg.errors import SggError
from sgg.models.processor import token_count
from sgg.models.spec import completion_grammar, graph_spec, prompter
from sgg.models.weights import adapter_base
from sgg.plan.batch import refuse_too_few
from sgg.reward.mix import reward_mix
from sgg.reward.score import with_counts
from sgg.reward.trl_adapter import reward_functions
from sgg.rollout.from_config import ends, rollouts
from sgg.text.grammar import CompletionGrammar
from sgg.train.grammar_masks import Masks
from sgg.train.grpo_trainer import Trainer
from sgg.train.logprobs import ScoringHead
from sgg.train.loop import TrainerInputs, muon_optimizers, train
from sgg.train.rows import GrpoRows, as_trl_dataset
from sgg.train.samples import StepSamples
from sgg.train.shared_prefix.kept_features import kept_features
from sgg.train.shared_prefix.sharing import SharedPrefix

log = logging.getLogger("sgg")


def run(config: Config, run_dir: Path) -> None:
    """The GRPO stage; see `loop.train`."""
    train(config, run_dir, _trainer)


def _trainer(parts: TrainerInputs) -> Any:
    config, held = parts.config, completion_grammar(parts.config)
    assert isinstance(config.stage, GrpoConfig)
    _refuse(parts, held)
    _log_cut_sampling(config)
    mix = with_counts(
        reward_mix(config.reward, config.paths.cache), lambda: _predicate_counts(parts)
    )
    functions = reward_functions(mix, graph_spec(config), config.reward.workers)
    rows = GrpoRows(image_store(config.data, "train"), prompter(config))
    parts.processor.keep_patches()
    dataset, optimizers = as_trl_dataset(parts.prepared, rows), muon_optimizers(parts)
    return Trainer(
        mix,
        ScoringHead(
            parts.processor.forbidden_ids,
            _masks(parts, held),
            SharedPrefix(config.stage.fast_path, compiled=parts.args.torch_compile),
        ),
        partial(rollouts, config, Path(parts.args.output_dir), parts.model, parts.processor),
        config.hardware.rollout.max_logp_difference,
        StepSamples(Path(parts.args.output_dir), config.tracker.samples),
        config.stage.groups,
        kept_features(config, parts.model),
        keep_checkpoints=config.stage.keep_checkpoints,
        model=parts.model,
        reward_funcs=functions,
        args=parts.args,
        train_dataset=dataset,
        processing_class=parts.processor,
        optimizers=optimizers,
    )


def _masks(parts: TrainerInputs, held: CompletionGrammar | None) -> Masks | None:
    if held is None:
        return None
    rows, processor = parts.model.get_output_embeddings().weight.shape[0], parts.processor
    return Masks(held.grammar(), processor.tokenizer, rows, ends(parts.model, processor))


def _refuse(parts: TrainerInputs, held: CompletionGrammar | None) -> None:
    """What shows only with data, weights and tokenizer at hand."""
    config = parts.config
    assert isinstance(config.stage, GrpoConfig)
    refuse_too_few(config.stage.prompts_per_step, len(parts.prepared))
    beta = float(config.stage.args.get("beta", 0.0))
    start = Path(parts.model.config._name_or_path)
    if beta > 0 and not config.model.lora.enable and adapter_base(start) is not None:
        raise SggError(
            f"stage.args.beta={beta} needs the start weights a second time as the reference, "
            f"but {start} is an adapter. Take stage.args.beta=0, or model.lora.enable=true."
        )
    if held is not None:
        limit, count = parts.args.max_completion_length, token_count(parts.processor.tokenizer)
        held.check_fits(limit, "stage.args.max_completion_length", count)


def _log_cut_sampling(config: Config) -> None:
    """Log what cuts the sampled distribution: TRL corrects for that only with vLLM's completions."""
    assert isinstance(config.stage, GrpoConfig)
    whole = {"top_p": 1.0, "top_k": 0, "min_p": None, "repetition_penalty": 1.0}
    args = config.stage.args
    cut = [f"stage.args.{k}={args[k]}" for k, v in whole.items() if args.get(k, v) not in (v, None)]
    if cut and config.hardware.rollout.mode is RolloutMode.trainer:
        log.warning(
            "%s: completions come from another distribution than the one that is scored, and nothing "
            "corrects for it. Leave them out, or take hardware.rollout.mode=colocate.",
            " ".join(cut),
        )


def _predicate_counts(parts: TrainerInputs) -> dict[str, int]:
    """How often each predicate occurs in the training split; what `edge_rare` weighs by."""
    graphs = parts.prepared.graphs()
    return dict(Counter(edge.predicate for graph in graphs for edge in graph.edges))
