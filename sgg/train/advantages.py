"""Groups whose completions all earned the same, so that `grpo_trainer` can set their advantages to exactly 0.

With fp32 rewards, the mean of equal numbers that TRL (1.16) takes may differ from them in the last bit, and
what is left is divided by the deviation, 0, plus 1e-4: advantages of up to .01, of one sign for the whole
group. The trainer gives TRL fp64 rewards, in which the mean of equal fp32 numbers is exact, but not that of
every weighted sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from sgg.errors import SggError


def undecided(rewards: torch.Tensor, weights: torch.Tensor, group: int, apart: bool) -> list[bool]:
    """For each completion, whether every completion in its group has exactly the same reward.

    Totals are summed exactly and rounded once (`math.fsum`), so equal totals are equal bit for bit, whichever
    terms they come from.

    Args:
        rewards: completions × terms in fp32, unweighted, groups one after the other; NaN where a term says
            nothing of a completion.
        weights: of each term, in fp32.
        group: completions in a group.
        apart: whether terms are normalised each on its own, so that each must be equal, not the total.

    """
    shares = rewards.double() * weights.to(rewards.device).double()  # exact
    earned = [_earned(row, apart) for row in shares.tolist()]
    found = []
    for start in range(0, len(earned), group):
        together = earned[start : start + group]
        different = {(term, share) for row in together for term, share in row.items()}
        found += [len(different) == len({term for term, _ in different})] * len(together)
    return found


def weighs_by_micro_batch(args: Any) -> str | None:
    """Why a completion's weight in the loss depends on the others of its micro batch; None if it does not.

    Args:
        args: TRL's config of GRPO.

    """
    if args.loss_type == "bnpo":
        return "stage.args.loss_type=bnpo divides by the tokens of the micro batch"
    if args.entropy_coef or args.use_adaptive_entropy:
        return "the entropy bonus is a mean over the micro batch"
    if args.top_entropy_quantile < 1:
        return "stage.args.top_entropy_quantile compares the tokens of the micro batch"
    return None


def droppable(args: Any) -> str | None:
    """Why rows without advantage must not be left out of the update; None if they may be.

    Args:
        args: TRL's config of GRPO.

    """
    if args.beta:
        return f"stage.args.beta={args.beta:g} holds every completion to the reference"
    return weighs_by_micro_batch(args)


def without_undecided(batch: dict[str, Any]) -> dict[str, Any]:
    """The micro batch with nothing to score in rows whose advantage is 0."""
    decided = batch["advantages"] != 0
    mask = batch["completion_mask"]
    return batch | {"completion_mask": mask * decided.unsqueeze(1).to(mask.dtype)}


def refuse_infinite(rewards: torch.Tensor, terms: Sequence[str]) -> None:
    """Raise SggError where a term gave a completion an infinite value, which no advantage can be made of."""
    for name, column in zip(terms, rewards.T, strict=True):
        if column.isinf().any():
            raise SggError(f"reward.terms.{name} gave a completion an infinite value.")


def silent(rewards: torch.Tensor, terms: Sequence[str]) -> list[str]:
    """Terms that gave no number (NaN) to any of the completions, so that they count for nothing."""
    return [name for name, column in zip(terms, rewards.T, strict=True) if column.isnan().all()]


def _earned(shares: list[float], apart: bool) -> dict[int, float]:
    """What is compared of a completion; nothing where no term says anything of it."""
    heard = {term: share for term, share in enumerate(shares) if not math.isnan(share)}
    return heard if apart or not heard else {0: math.fsum(heard.values())}
