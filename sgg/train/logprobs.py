"""Where SFT's and GRPO's trainers get log-probabilities: the head that takes them from hidden states.

TRL puts a head of its own into its models, and asks them by `model(…, labels=…, fused_lm_head=True)`;
`ScoringHead.installed` has it take this one. It stands inside the model's forward, since only there FSDP and
ZeRO-3 have the weights whole and DDP waits for their gradients. It scores the tokens that have a label, in
tiles: with a vocabulary of 152,000 the logits of every token of a prompt would cost more than all layers of a
small model. TRL's own does so on a GPU alone; elsewhere it scores the prompt, too, in tiles of up to 134
million logits.

Rows that share a prompt are passed as one packed row (`shared_prefix`), so that prompts and images are
computed once, and padding never.

GRPO's sampling and scoring use the same distribution, which two things change, in this order. Tokens that
stand for images, or rows of the head without a token, are forbidden in both (`sgg.models.forbidden`): a
sampled image token makes training fail with “image features and image tokens do not match”; vLLM is forbidden
them by `sgg.inference.requests`. The masks of a grammar (`grammar_masks`) are applied here only when scoring:
a grammar is allowed only where vLLM samples, which applies its own.
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
from trl.trainer.utils import FusedCausalLMOutput, maybe_gather_lm_head_ctx

from sgg.compat.trl import replaced
from sgg.config.stage import FastPath
from sgg.models.forbidden import BIAS
from sgg.train.grammar_masks import Masks, masked_log_probs
from sgg.train.shared_prefix.sharing import SharedPrefix

_COLUMNS = 32768
"""Columns of the logits that are there at once on a GPU, where no grammar masks them; TRL's number."""
_TOKENS = 4096
"""Rows of the logits that are there at once; TRL's number."""
TILE = 2**19
"""Logits that are there at once without a GPU: a tile is read and written some twenty times, so it should
stay in the processor's cache. 870 tokens × 152,000 took 3.3 s of one core forward and backward, and 7.7 s in
tiles of 870 × 32,768."""


class ScoringHead:
    """One for a run: GRPO's policy and its reference model score by the same distribution."""

    def __init__(
        self,
        forbidden: Sequence[int] = (),
        masks: Masks | None = None,
        sharing: SharedPrefix | None = None,
    ) -> None:
        """Know the distribution: that of the model, where neither of the first two is given.

        Args:
            forbidden: ids of tokens that are never sampled.
            masks: of the grammar that holds the completions, if one does.
            sharing: packs rows that share a prompt; without it every batch is passed as it is.

        """
        self.sharing = sharing or SharedPrefix(FastPath.off)
        self._forbidden, self._masks = list(forbidden), masks
        self._ids: torch.Tensor | None = None
        self.masked_mass: torch.Tensor | None = None
        """Probability that the last forward's masks took away, mean over the tokens; None without masks."""

    @contextmanager
    def installed(self, trainers: Any) -> Iterator[None]:
        """A trainer of this module of TRL's that is made inside has this head where TRL has its own."""
        with replaced(trainers, "add_fused_lm_head", self.add_to):
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
        self.sharing.prepare(model)

        @functools.wraps(
            type(model).forward
        )  # `generate` checks its arguments against the signature
        def forward(own: Any, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
            if not fused_lm_head:
                shared = None if args else self.sharing.prefill(own, kwargs)
                output = theirs(*args, **(kwargs if shared is None else shared.inputs))
                if shared is not None:
                    shared.spread(output)
                if self._forbidden:
                    output.logits[..., self._places(output.logits.device)] += BIAS
                return output
            labels = kwargs.pop("labels")
            kwargs["use_cache"] = False
            packed = None if args else self.sharing.packed(own, labels, kwargs)
            labels = labels[:, 1:]
            if packed is None:
                hidden = own.base_model(*args, **kwargs).last_hidden_state[:, :-1]
                hidden = hidden[labels != -100]
            else:
                hidden = own.base_model(**packed.inputs).last_hidden_state[0]
                # indexing adds up the gradients of a place in any order of threads
                hidden = hidden.index_select(0, packed.places)
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

    def _places(self, device: torch.device) -> torch.Tensor:
        """The forbidden ids on a device, which a list would be copied to at every token."""
        if self._ids is None or self._ids.device != device:
            self._ids = torch.tensor(self._forbidden, device=device)
        return self._ids

    def _scored(
        self,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        labels: torch.Tensor,
        temperature: float,
        outputs: tuple[str, ...],
    ) -> FusedCausalLMOutput:
        """What the model returns.

        Args:
            hidden: (N, H), of the tokens that predict the labels.
            weight: of the head, (V, H).
            labels: (B, T), -100 where none is wanted, N others.
            temperature: of the distribution.
            outputs: what is asked of TRL's kernel.

        """
        wanted, bias = labels != -100, self._bias(weight)
        if self._masks is None:
            return _unmasked(hidden, weight, bias, labels, temperature, outputs)
        completions = [row[keep].tolist() for row, keep in zip(labels, wanted, strict=True)]
        masks = self._masks.packed(completions).to(labels.device)
        log_probs, entropies, removed = masked_log_probs(
            hidden, weight, bias, labels[wanted], masks, temperature
        )
        self.masked_mass = removed.mean()
        return FusedCausalLMOutput(
            log_probs=_spread(log_probs, wanted),
            entropy=_spread(entropies, wanted),
            label_mask=wanted,
        )

    def _bias(self, weight: torch.Tensor) -> torch.Tensor | None:
        """(V,), or None; under ZeRO-3 marked as a whole parameter, as TRL's kernel asks in its backward."""
        if not self._forbidden:
            return None
        bias: Any = weight.new_zeros(weight.shape[0])
        bias[self._forbidden] = BIAS
        if hasattr(weight, "ds_status"):
            from deepspeed.runtime.zero.partition_parameters import ZeroParamStatus

            bias.ds_status = ZeroParamStatus.AVAILABLE
        return bias


def _unmasked(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    labels: torch.Tensor,
    temperature: float,
    outputs: tuple[str, ...],
) -> FusedCausalLMOutput:
    """By TRL's kernel, which recomputes each tile in the backward; arguments as `ScoringHead._scored`."""
    wanted = labels != -100
    columns = _COLUMNS if hidden.is_cuda else _columns(len(hidden))
    found = ChunkedLogProbFunction.apply(
        hidden, weight, bias, labels[wanted], temperature, columns, None, 1.0, outputs
    )
    log_probs, entropy, *_, is_top1 = (
        None if values is None else _spread(values, wanted) for values in found
    )
    return FusedCausalLMOutput(
        log_probs=log_probs, entropy=entropy, is_top1=is_top1, label_mask=wanted
    )


def _columns(rows: int) -> int:
    """Columns of a tile with that many rows."""
    return max(1, TILE // max(1, min(rows, _TOKENS)))


def _spread(values: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(N,) to the N places that are wanted, 0 elsewhere; connected to the model even where N is 0."""
    return values.new_zeros(wanted.shape).masked_scatter(wanted, values)
