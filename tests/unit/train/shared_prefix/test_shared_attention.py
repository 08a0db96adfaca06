"""Attention within a packed row against one dense mask over the row."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from sgg.train.shared_prefix.attention import attention
from sgg.train.shared_prefix.layout import Group, Layout

WIDTH = 16
LAYOUTS = {
    "one prompt": Layout((Group(9, (5, 5, 5)),)),
    "ragged": Layout((Group(7, (1, 12, 4)),)),
    "two prompts and a lone row": Layout((Group(3, (2, 6)), Group(8), Group(1, (4, 1)))),
}


def dense(layout):
    """What each token of the row sees, as a matrix."""
    group, part = [], []
    for number, members in enumerate(layout.groups):
        group += [number] * members.tokens
        part += [0] * members.prompt
        for own, length in enumerate(members.completions, start=1):
            part += [own] * length
    group, part = torch.tensor(group), torch.tensor(part)
    earlier = torch.ones(len(group), len(group), dtype=torch.bool).tril()
    same = part[:, None] == part[None]
    return earlier & (group[:, None] == group[None]) & (same | (part[None] == 0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_values_and_gradients_are_those_of_a_dense_mask(layout, key_heads, dtype):
    drawn = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(1, heads, layout.tokens, WIDTH, generator=drawn).to(dtype).requires_grad_()
        for heads in (4, key_heads, key_heads)
    )
    ours, weights = attention(None, q, k, v, None, scaling=0.3, packed_layout=layout)
    repeated = (tensor.repeat_interleave(4 // key_heads, 1) for tensor in (k, v))
    theirs = scaled_dot_product_attention(q, *repeated, attn_mask=dense(layout), scale=0.3)
    theirs = theirs.transpose(1, 2)
    assert weights is None
    tolerance = 1e-5 if dtype is torch.float32 else 2e-2
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)
    grad = torch.randn(theirs.shape, generator=drawn).to(dtype)
    mine = torch.autograd.grad(ours, (q, k, v), grad)
    for one, other in zip(mine, torch.autograd.grad(theirs, (q, k, v), grad), strict=True):
        largest = other.abs().max().item()
        torch.testing.assert_close(one, other, atol=tolerance * largest, rtol=tolerance)
