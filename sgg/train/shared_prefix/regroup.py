"""The order of a generation's completions over its micro batches: groups stay together.

TRL shuffles single completions, which scatters a group over micro batches. A sum over a generation is the
same in any order (`grpo_trainer` keeps TRL's where a loss is none); where one generation serves several
optimiser steps, each gets whole groups.

The order of the groups is that in which TRL's own permutation first meets them, so that as many random
numbers are drawn as without sharing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch

Rows = dict[str, Any]
"""Of one generation in one process: tensors or lists with a row for each completion, single numbers, None."""


def shuffle_of_groups(group: int, before: int) -> Callable[[Rows], Rows]:
    """What takes the place of TRL's `shuffle_sequence_dict`.

    Args:
        group: completions of a prompt; they stand one behind another over all processes.
        before: completions of the processes before this one.

    """

    def shuffle(rows: Rows) -> Rows:
        count = len(next(column for column in rows.values() if column is not None))
        starts = [0, *range(-before % group or group, count, group), count]
        parts = [range(a, b) for a, b in pairwise(starts)]
        of_row = [part for part, own in enumerate(parts) for _ in own]
        met = dict.fromkeys(of_row[row] for row in torch.randperm(count).tolist())
        order = [row for part in met for row in parts[part]]
        return {name: _taken(column, order) for name, column in rows.items()}

    return shuffle


def _taken(column: Sequence[Any] | None, order: list[int]) -> Any:
    if column is None or (isinstance(column, torch.Tensor) and column.ndim == 0):
        return column
    if isinstance(column, torch.Tensor):
        return column[order]
    return [column[row] for row in order]
