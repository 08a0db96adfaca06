"""Muon on a CPU: orthogonalised in the gradient's own precision, equal to torch's up to bf16's rounding."""

from __future__ import annotations

import pytest
import torch
from torch.optim import _muon

from sgg.models.muon import MuonAdamW, orthogonal

SETTINGS = ((3.4445, -4.775, 2.0315), 5, 1e-7)
"""torch's own coefficients, steps and eps."""


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_singular_values_come_near_1_and_directions_stay(shape):
    torch.manual_seed(0)
    grad = torch.randn(shape)
    made = orthogonal(grad, *SETTINGS)
    assert made.dtype == torch.float32
    values = torch.linalg.svdvals(made)
    assert 0.3 < float(values.min()) <= float(values.max()) < 1.3
    theirs = _muon._zeropower_via_newtonschulz(grad, *SETTINGS).float()
    assert float((made - theirs).abs().max()) < 0.05


def test_a_step_moves_matrices_by_it_and_leaves_torch_as_it_was():
    torch.manual_seed(0)
    matrix, vector = torch.nn.Parameter(torch.randn(4, 6)), torch.nn.Parameter(torch.randn(4))
    before, theirs = matrix.detach().clone(), _muon._zeropower_via_newtonschulz
    optimizer = MuonAdamW([("a.weight", matrix), ("a.bias", vector)], 0.1, 0.01)
    (matrix.square().sum() + vector.square().sum()).backward()
    optimizer.step()
    assert _muon._zeropower_via_newtonschulz is theirs
    moved = (before - matrix.detach()) / 0.1
    assert 0.3 < float(torch.linalg.svdvals(moved).min()) < 3
