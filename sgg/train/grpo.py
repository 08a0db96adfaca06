"""Reinforcement learning: TRL's GRPOTrainer with images and graph rewards."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from trl import GRPOTrainer
from trl.trainer import grpo_trainer
from trl.trainer.utils import RepeatSampler

from sgg.compat.trl import replaced
from sgg.config.hardware import RolloutMode
from sgg.config.schema import Config
from sgg.config.stage import Groups, GrpoConfig
from sgg.data.prepare import image_store
from sgg.errors import SggError
from sgg.models.processor import token_count
from sgg.models.spec import completion_grammar, graph_spec, prompter
from sgg.models.vision_attention import attend_alike
from sgg.models.weights import adapter_base
from sgg.plan.batch import refuse_too_few
from sgg.reward.mix import reward_mix
from sgg.reward.score import RewardSpec, with_counts
from sgg.reward.trl_adapter import reward_functions, text_of
from sgg.rollout.from_config import ends, rollouts
from sgg.text.grammar import CompletionGrammar
from sgg.train.advantages import (
    droppable,
    refuse_infinite,
    silent,
    undecided,
    weighs_by_micro_batch,
    without_undecided,
)
from sgg.train.callbacks import EpochCallback
from sgg.train.grammar_masks import Masks
from sgg.train.logprobs import ScoringHead
from sgg.train.loop import AtomicCheckpoints, TrainerInputs, muon_optimizers, train
from sgg.train.rows import GrpoRows, as_trl_dataset
from sgg.train.samples import StepSamples
from sgg.train.shared_prefix.regroup import shuffle_of_groups
from sgg.train.shared_prefix.sharing import SharedPrefix
from sgg.train.trl_args import words_of_trl

log = logging.getLogger("sgg")

_DIFFERENCE = "sampling/sampling_logp_difference/mean"
_REMOVED = "grammar/masked_mass"
_MEANS_OVER_TOKENS = {
    *("entropy", "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"),
    *("cispo_clip_ratio", "vespo/phi_seq_mean"),
}
"""TRL's metrics of a micro batch that say nothing where nothing in it is scored."""


def order_by_epoch(sampler: RepeatSampler, epoch: int) -> None:
    """Make the order of TRL's sampler depend on the seed and the epoch only.

    TRL draws each epoch's order from one generator that a resumed run starts afresh, so a resumed
    second epoch would repeat the first one's order.
    """
    if sampler.shuffle:
        sampler.generator = torch.Generator()
        sampler.generator.manual_seed((sampler.seed or 0) * 1_000_003 + epoch)


class Trainer(AtomicCheckpoints, GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer with complete checkpoints, exact resumption and weights that warm up."""

    _rewards: torch.Tensor
    """Of the newest completions of all ranks, completions × terms."""

    def __init__(
        self,
        mix: RewardSpec,
        head: ScoringHead,
        rollouts: Callable[[Callable[[], int]], AbstractContextManager[None]],
        max_logp_difference: float,
        samples: StepSamples,
        groups: Groups,
        **theirs: Any,
    ) -> None:
        """Make TRL's trainer, which takes neither a head nor rollouts from outside.

        Args:
            mix: the reward terms' weights, at each step.
            head: where log-probabilities come from.
            rollouts: who generates; takes a function that gives the step that completions are drawn for, and
                stands in TRL's places while the block lasts.
            max_logp_difference: how far vLLM's log-probabilities may lie from the trainer's, nats, mean.
            samples: keeps some completions of a step.
            groups: what becomes of those without advantage.
            theirs: `keep_checkpoints`, and `GRPOTrainer`'s arguments.

        """
        self._mix, self._head, self._max_difference = mix, head, max_logp_difference
        self._samples = samples
        self._silent: set[str] = set()
        with rollouts(lambda: self.state.global_step), head.installed(grpo_trainer), words_of_trl():
            super().__init__(**theirs)
        kept = droppable(self.args)
        self._drops = groups is Groups.drop and kept is None
        if groups is Groups.drop and kept is not None:
            log.info("stage.groups=drop: groups without advantage are passed, too, since %s", kept)
        self.clock.others.append(head.sharing.measured)
        if self.ref_model is not None:  # which TRL has loaded
            attend_alike(self.model, self.accelerator.unwrap_model(self.ref_model))

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(dataset)
        self.add_callback(EpochCallback(partial(order_by_epoch, sampler)))
        return sampler

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        """No advantage where a group's rewards are all equal, or vLLM and the trainer disagree."""
        with self.clock.phase("preparation"):
            scored = super()._generate_and_score_completions(inputs)
        self._settle(scored)
        seen = self._metrics["train" if self.model.training else "eval"][_DIFFERENCE]
        if seen and not seen[-1] <= self._max_difference:
            raise SggError(
                f"Step {self.state.global_step}: vLLM sampled with log-probabilities that differ from the "
                f"trainer's by {seen[-1]:.3g} nats on average, more than "
                f"hardware.rollout.max_logp_difference={self._max_difference:g}. Such completions teach "
                "nothing. Sampling by top_p, top_k or a penalty makes a part of it (stage.args); "
                "hardware.rollout.mode=trainer generates without vLLM."
            )
        return scored

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """Groups stay together in micro batches where they are shared and no loss is the other for it."""
        if not self._head.sharing.is_on or weighs_by_micro_batch(self.args) is not None:
            return super()._prepare_inputs(generation_batch)
        rows = self.args.per_device_train_batch_size * self.args.steps_per_generation
        before = self.accelerator.process_index * rows
        shuffle = shuffle_of_groups(self.num_generations, before)
        with replaced(grpo_trainer, "shuffle_sequence_dict", shuffle):
            return super()._prepare_inputs(generation_batch)

    def _generate(self, prompts: Any) -> Any:
        """Timed."""
        with self.clock.phase("generation"):
            return super()._generate(prompts)

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        """Leave out what has no advantage; log how much probability the grammar's masks took away."""
        metrics = self._metrics["train" if self.model.training else "eval"]
        if self._drops:
            inputs = without_undecided(inputs)
        loss = super()._compute_loss(model, inputs)
        if self._head.masked_mass is not None:
            removed = self.accelerator.gather(self._head.masked_mass).nanmean().item()
            metrics[_REMOVED].append(removed)
        if self._drops and not self.accelerator.reduce(inputs["completion_mask"].sum()).item():
            for name in _MEANS_OVER_TOKENS & metrics.keys():  # TRL has 0 for a mean over nothing
                metrics[name][-1] = math.nan
        return loss

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, *rest: Any) -> Any:
        """Set the step's weights first: values stay unweighted, as they are logged."""
        weights = self._mix.weights_at(self.state.global_step)
        self.reward_weights = torch.tensor(list(weights.values()), dtype=torch.float32)
        with self.clock.phase("reward"):
            rewards = super()._calculate_rewards(inputs, prompts, completions, *rest)
        refuse_infinite(rewards, self.reward_func_names)
        self._warn_of_silent_terms(silent(rewards, self.reward_func_names))
        if self.accelerator.is_main_process:
            mine = rewards[: len(inputs)].T.tolist()  # of all ranks' rewards, its own stand first
            self._samples.keep(
                self.state.global_step + 1,
                self.state.max_steps,
                [row["image_id"] for row in inputs],
                [text_of(completion) for completion in completions],
                dict(zip(weights, mine, strict=True)),
                weights,
            )
        self._rewards = rewards.double()  # in which TRL's means of equal fp32 numbers are exact
        return self._rewards

    def _warn_of_silent_terms(self, terms: list[str]) -> None:
        """Warn once of each term that gives no number: its column is missing in what is logged."""
        for name in {*terms} - self._silent if self.accelerator.is_main_process else ():
            log.warning(
                "reward.terms.%s gave no number to any completion of step %d: it counts for nothing there.",
                name,
                self.state.global_step,
            )
        self._silent.update(terms)

    def _settle(self, scored: dict[str, Any]) -> None:
        """Set advantages to 0 where a group has one reward; see `advantages`. In what is logged, too."""
        mode = "train" if self.model.training else "eval"
        group = self.num_generations if mode == "train" else self.num_generations_eval
        apart = self.multi_objective_aggregation == "normalize_then_sum"
        equal = undecided(self._rewards, self.reward_weights, group, apart)
        metrics, logged = self._metrics[mode], self._logs["advantages"]
        metrics["frac_reward_zero_std"][-1] = sum(equal) / len(equal)
        if all(undecided(self._rewards, self.reward_weights, len(equal), apart=False)):
            metrics["reward_std"][-1] = 0.0
        for place, zero in zip(range(1, len(logged) + 1), reversed(equal), strict=False):
            if zero:
                logged[-place] = 0.0
        advantages = scored["advantages"].float()
        first = self.accelerator.process_index * len(advantages)
        mine = torch.tensor(equal[first : first + len(advantages)], device=advantages.device)
        scored["advantages"] = advantages.masked_fill(mine, 0.0)


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
