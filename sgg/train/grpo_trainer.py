"""TRL's GRPOTrainer with images, graph rewards, shared prompts and exact resumption."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from trl import GRPOTrainer
from trl.trainer import grpo_trainer
from trl.trainer.utils import RepeatSampler

from sgg.compat.trl import replaced
from sgg.config.stage import Groups
from sgg.errors import SggError
from sgg.models.vision_attention import attend_alike
from sgg.reward.score import RewardSpec
from sgg.reward.trl_adapter import text_of
from sgg.train.advantages import (
    droppable,
    refuse_infinite,
    silent,
    undecided,
    weighs_by_micro_batch,
    without_undecided,
)
from sgg.train.callbacks import EpochCallback
from sgg.train.logprobs import ScoringHead
from sgg.train.loop import AtomicCheckpoints
from sgg.train.samples import StepSamples
from sgg.train.shared_prefix.kept_features import KeptFeatures
from sgg.train.shared_prefix.regroup import shuffle_of_groups
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
        features: KeptFeatures | None,
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
            features: of images, over the passes of a step; None where the tower learns.
            theirs: `keep_checkpoints`, and `GRPOTrainer`'s arguments.

        """
        self._mix, self._head, self._max_difference = mix, head, max_logp_difference
        self._samples, self._features = samples, features
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
        if self._features is not None:
            self._features.clear()
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
