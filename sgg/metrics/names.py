"""Names of an evaluation's metrics, known before there are predictions, and which of two values is better."""

from __future__ import annotations

from collections.abc import Iterator

from sgg.config.protocol import Mode, ProtocolConfig

_ALONE = (
    *("failure_rate", "AP50", "AP", "mR_pooled_present", "object_recall", "object_precision"),
    *("duplicate_rate", "relations_per_image"),
)
WITHOUT_RELATIONS = frozenset({"failure_rate", "AP50", "AP", "object_recall", "object_precision"})
"""Metrics that gold without relations has, too."""
LOWER_IS_BETTER = frozenset({"failure_rate", "duplicate_rate"})
_NO_QUALITY = frozenset({"relations_per_image", "duplicate_rate"})
"""A model that predicts nothing repeats nothing."""


def metric_names(protocol: ProtocolConfig) -> Iterator[str]:
    """All of a protocol, in no order that means something; `zR` where its list may turn out to exist."""
    yield from _ALONE
    recalls = ["R", "mR", *(["zR"] if protocol.zero_shot else [])]
    names = [*recalls, "precision", "F1", "R_deduplicated", *(f"ng{name}" for name in recalls)]
    for mode in protocol.modes:
        if mode is not Mode.sgdet:
            names += [f"{mode.name} {ng}{name}" for ng in ("", "ng") for name in recalls]
    for name in names:
        yield name
        yield from (f"{name}@{k}" for k in protocol.cutoffs)


def quality_names(protocol: ProtocolConfig) -> list[str]:
    """Those by which one model is better than another."""
    return [name for name in metric_names(protocol) if name not in _NO_QUALITY]


def is_better(name: str, value: float, than: float) -> bool:
    """Whether a value of a metric is better than another: rates of faults are better when lower."""
    return value < than if name in LOWER_IS_BETTER else value > than
