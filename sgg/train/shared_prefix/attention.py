"""Attention within a packed row: a prompt sees itself; a completion sees its prompt and itself.

The language model takes it from transformers' table of attention functions; where a call brings no layout, it
is transformers' own `sdpa`. Nothing of the modelling code is copied: the layout travels through the model's
keyword arguments, under gradient checkpointing, too.

On a CPU in fp32, what completions see of their prompt is one call without a mask for all of them together;
what each sees of itself is a second, causal call; the log-sum-exp of each query's scores merges the two.
(1,000 + 8 × 300 tokens, 8 heads: .85 of the time of `_masked` forward and backward, .69 with ragged
completions.) Elsewhere one call has the prompt's keys repeated for each completion.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from sgg.train.shared_prefix.layout import Group, Layout

NAME = "shared_prefix"
"""In transformers' table."""
_FORWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def use_shared_prefix(text_config: Any) -> None:
    """Let a language model that was loaded with `sdpa` attend by `attention`.

    Args:
        text_config: the language model's own.

    """
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    text_config._attn_implementation = NAME


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    packed_layout: Layout | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers' attention functions.

    Args:
        module: the layer.
        query: (1, heads, tokens, width of a head).
        key: the same with fewer heads; `value`, too.
        attention_mask: None where there is a layout.
        scaling: of the scores.
        packed_layout: of the row; None for a plain batch.
        others: for `sdpa`.

    Returns:
        (1, tokens, heads, width of a head), and None for the weights.

    """
    if packed_layout is None:
        found, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
        return found, None
    sizes = [group.tokens for group in packed_layout.groups]
    groups = zip(
        packed_layout.groups,
        *(torch.split(tensor, sizes, 2) for tensor in (query, key, value)),
        strict=True,
    )
    parts = [_group_attention(group, q, k, v, scaling) for group, q, k, v in groups]
    return torch.cat(parts, 2).transpose(1, 2), None


def _group_attention(
    group: Group, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float
) -> torch.Tensor:
    """Attention of one prompt and its completions; (1, heads, tokens, width of a head)."""
    split = [group.prompt, group.tokens - group.prompt]
    (q0, q1), (k0, k1), (v0, v1) = (torch.split(tensor, split, 2) for tensor in (q, k, v))
    prompt = scaled_dot_product_attention(
        q0, k0, v0, is_causal=True, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
    )
    if not group.completions:
        return prompt
    shared = q.shape[1] // k.shape[1]
    k0, k1, v0, v1 = (tensor.repeat_interleave(shared, 1) for tensor in (k0, k1, v0, v1))
    rows = _rows(group.completions, q.device)
    # merging rounds twice, which fp32 can afford; the two calls are the processor's own kernels
    merges = q.device.type == "cpu" and q.dtype == v.dtype == torch.float32
    merges = merges and not torch.is_autocast_enabled("cpu")
    attend = _Merged.apply if merges else _masked
    completions = attend(rows, q1, k0, v0, k1, v1, scaling)
    return torch.cat([prompt, completions], 2)


class Rows:
    """Completions one behind another, and the same as rows that are filled up to the longest."""

    def __init__(self, lengths: tuple[int, ...], device: torch.device) -> None:
        self._rows, self.longest = len(lengths), max(lengths)
        self._places: torch.Tensor | None = None
        if min(lengths) != self.longest:
            every = torch.arange(self._rows * self.longest, device=device)
            ends = torch.tensor(lengths, device=device).repeat_interleave(
                self.longest, output_size=len(every)
            )
            self._places = every[every % self.longest < ends]

    def filled(self, tensor: torch.Tensor) -> torch.Tensor:
        """(1, heads, tokens, …) to (completions, heads, longest, …), with zeros."""
        tokens = tensor[0].transpose(0, 1)
        if self._places is not None:
            whole = tokens.new_zeros(self._rows * self.longest, *tokens.shape[1:])
            tokens = whole.index_copy(0, self._places, tokens)
        return tokens.reshape(self._rows, self.longest, *tokens.shape[1:]).transpose(1, 2)

    def joined(self, tensor: torch.Tensor) -> torch.Tensor:
        """The way back."""
        tokens = tensor.transpose(1, 2).flatten(0, 1)
        if self._places is not None:
            tokens = tokens[self._places]
        return tokens.transpose(0, 1).unsqueeze(0)


@lru_cache(maxsize=256)
def _rows(lengths: tuple[int, ...], device: torch.device) -> Rows:
    """Made once for all layers and passes of a batch: a GPU would wait for it in each."""
    return Rows(lengths, device)


def _masked(
    rows: Rows,
    query: torch.Tensor,
    prompt_key: torch.Tensor,
    prompt_value: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float,
) -> torch.Tensor:
    """Of completions, by one call with the prompt repeated."""
    q, k, v = (rows.filled(tensor) for tensor in (query, key, value))
    k, v = (
        torch.cat([prompt.expand(len(own), -1, -1, -1), own], 2)
        for prompt, own in ((prompt_key, k), (prompt_value, v))
    )
    seen = torch.ones(rows.longest, k.shape[2], dtype=torch.bool, device=k.device)
    seen = seen.tril(prompt_key.shape[2])
    return rows.joined(scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scaling))


class _Merged(torch.autograd.Function):
    """Of completions, by two calls whose results are merged.

    A query's result is a mean of values with weights exp(score - lse), where lse is the log-sum-exp over all
    that it sees. Each call's backward computes its own weights anew from the lse that it is given: with the
    merged one, and the merged result, they are the weights within the whole, and so the gradients are.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Rows,
        query: torch.Tensor,
        prompt_key: torch.Tensor,
        prompt_value: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        """As `_masked`."""
        of_prompt, lse = _FORWARD(query, prompt_key, prompt_value, scale=scaling)
        filled = (rows.filled(tensor) for tensor in (query, key, value))
        of_own, own_lse = _FORWARD(*filled, 0.0, True, scale=scaling)
        of_own, own_lse = rows.joined(of_own), rows.joined(own_lse)
        merged_lse = torch.logaddexp(lse, own_lse)
        share = (own_lse - merged_lse).exp().unsqueeze(-1).to(query.dtype)
        merged = torch.lerp(of_prompt, of_own, share)
        ctx.rows, ctx.scaling = rows, scaling
        ctx.save_for_backward(query, prompt_key, prompt_value, key, value, merged, merged_lse)
        return merged

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        """Of query, keys and values."""
        query, prompt_key, prompt_value, key, value, merged, lse = ctx.saved_tensors
        rows, scaling = ctx.rows, ctx.scaling
        dq, dk0, dv0 = _BACKWARD(
            grad, query, prompt_key, prompt_value, merged, lse, 0.0, False, scale=scaling
        )
        own = (rows.filled(t) for t in (grad, query, key, value, merged, lse))
        own_dq, dk1, dv1 = _BACKWARD(*own, 0.0, True, scale=scaling)
        own_dq, dk1, dv1 = (rows.joined(tensor) for tensor in (own_dq, dk1, dv1))
        return None, dq + own_dq, dk0, dv0, dk1, dv1, None
