"""Where GRPO's trainer gets log-probabilities: the head that takes them from a policy's hidden states.

TRL puts a head of its own into the policy and the reference model, and asks both by
`model(…, labels=…, fused_lm_head=True)`; `PolicyHead.installed` has it take this one. It stands inside the
model's forward, since only there FSDP and ZeRO-3 have the weights whole and DDP waits for their gradients.

Sampling and scoring use the same distribution, which two things change, in this order. Tokens that stand for
images, or rows of the head without a token, are forbidden in both (`sgg.models.forbidden`): a sampled image
token makes training fail with “image features and image tokens do not match”; vLLM is forbidden them by
`sgg.inference.requests`. The masks of a grammar (`grammar_masks`) are applied here only when scoring: a
grammar is allowed only where vLLM samples, which applies its own.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from trl.kernels import ChunkedLogProbFunction
from trl.trainer import grpo_trainer
from trl.trainer.utils import FusedCausalLMOutput, maybe_gather_lm_head_ctx

from sgg.compat.trl import replaced
from sgg.models.forbidden import BIAS
from sgg.train.grammar_masks import Masks, masked_log_probs

_VOCABULARY_CHUNK = 32768
"""Columns of the logits that are there at once, where no grammar masks them; TRL's number."""


class PolicyHead:
    """One for a run: the policy and the reference model score by the same distribution."""

    def __init__(self, forbidden: Sequence[int], masks: Masks | None = None) -> None:
        """Know the distribution.

        Args:
            forbidden: ids of tokens that are never sampled.
            masks: of the grammar that holds the completions, if one does.

        """
        self._forbidden, self._masks = list(forbidden), masks
        self.masked_mass: torch.Tensor | None = None
        """Probability that the last forward's masks took away, mean over the tokens; None without masks."""

    @contextmanager
    def installed(self) -> Iterator[None]:
        """A GRPOTrainer that is made inside has this head where TRL has its own."""
        with replaced(grpo_trainer, "add_fused_lm_head", self.add_to):
            yield

    def add_to(
        self,
        model: Any,
        temperature: float = 1.0,
        cast_lm_head_to_fp32: bool = False,
        outputs: tuple[str, ...] = ("log_probs",),
    ) -> None:
        """As TRL's `add_fused_lm_head`; the plain forward, which `generate` samples from, is biased too."""
        theirs = model.forward

        @functools.wraps(
            type(model).forward
        )  # `generate` checks its arguments against the signature
        def forward(own: Any, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
            if not fused_lm_head:
                output = theirs(*args, **kwargs)
                output.logits[..., self._forbidden] += BIAS
                return output
            labels = kwargs.pop("labels")[:, 1:]
            hidden = own.base_model(*args, **kwargs, use_cache=False).last_hidden_state[:, :-1]
            cast: Any = nullcontext()
            if cast_lm_head_to_fp32:
                hidden = hidden.float()
                cast = torch.autocast(hidden.device.type, enabled=False)
            weight = own.get_output_embeddings().weight
            if isinstance(weight, DTensor):
                weight = weight.full_tensor()
            with cast, maybe_gather_lm_head_ctx(weight):
                return self._scored(hidden, weight, labels, temperature, outputs)

        model.forward = types.MethodType(forward, model)

    def _scored(
        self,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        labels: torch.Tensor,
        temperature: float,
        outputs: tuple[str, ...],
    ) -> FusedCausalLMOutput:
        bias = self._bias(weight)
        if self._masks is None:
            return _unmasked(hidden, weight, bias, labels, temperature, outputs)
        wanted = labels != -100
        completions = [row[keep].tolist() for row, keep in zip(labels, wanted, strict=True)]
        masks = self._masks.packed(completions).to(labels.device)
        log_probs, entropies, removed = masked_log_probs(
            hidden[wanted], weight, bias, labels[wanted], masks, temperature
        )
        self.masked_mass = removed.mean()
        return FusedCausalLMOutput(
            log_probs=_spread(log_probs, wanted), entropy=_spread(entropies, wanted)
        )

    def _bias(self, weight: torch.Tensor) -> torch.Tensor:
        """(V,); under ZeRO-3 marked as a whole parameter, since TRL's kernel asks in its backward."""
        bias: Any = weight.new_zeros(weight.shape[0])
        bias[self._forbidden] = BIAS
        if hasattr(weight, "ds_status"):
            from deepspeed.runtime.zero.partition_parameters import ZeroParamStatus

            bias.ds_status = ZeroParamStatus.AVAILABLE
        return bias


def _unmasked(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    labels: torch.Tensor,
    temperature: float,
    outputs: tuple[str, ...],
) -> FusedCausalLMOutput:
    """By TRL's kernel and on the same rows as TRL: without a GPU it scores the unwanted ones, too.

    Args:
        hidden: (B, T, H).
        weight: of the head, (V, H).
        labels: (B, T), -100 where none is wanted.

    """
    wanted, all_rows = labels != -100, not hidden.is_cuda
    rows = hidden.flatten(0, 1) if all_rows else hidden[wanted]
    targets = labels.clamp(min=0).flatten() if all_rows else labels[wanted]
    found = ChunkedLogProbFunction.apply(
        rows, weight, bias, targets, temperature, _VOCABULARY_CHUNK, None, 1.0, outputs
    )
    log_probs, entropy = (
        None
        if values is None
        else values.view(wanted.shape).masked_fill(~wanted, 0)
        if all_rows
        else _spread(values, wanted)
        for values in found[:2]
    )
    return FusedCausalLMOutput(log_probs=log_probs, entropy=entropy)


def _spread(values: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(N,) to the N places that are wanted, 0 elsewhere; connected to the model even where N is 0."""
    return values.new_zeros(wanted.shape).masked_scatter(wanted, values)
