"""Whether a run can be tracked, and its samples taken, as configured."""

from __future__ import annotations

from collections.abc import Iterator

from sgg.config.derived import in_pieces
from sgg.config.schema import Config
from sgg.config.stage import TrainStageConfig
from sgg.config.tracker import TrackerKind, trackers
from sgg.plan.rules.hardware import installed

_EXTRA = {TrackerKind.trackio: "sgg[trackio]"}
"""What a tracker that is not always installed comes with."""


def tracker_problems(config: Config) -> Iterator[str]:
    """What is wrong with `tracker`."""
    tracker = config.tracker
    for kind in trackers(tracker):
        yield from installed(kind.name, f"tracker={kind.name}", _EXTRA.get(kind))
    for key in ("samples", "samples_every"):
        if (value := getattr(tracker, key)) < 0:
            yield f"tracker.{key}={value}: must be 0 or more."
    if not tracker.samples_every or not isinstance(config.stage, TrainStageConfig):
        return
    if not tracker.samples:
        yield "tracker.samples_every takes the first tracker.samples images, and tracker.samples=0."
    if in_pieces(config):
        yield (
            f"tracker.samples_every={tracker.samples_every} needs whole weights in one process; ZeRO-3 and "
            "FSDP keep them in pieces. Take tracker.samples_every=0."
        )
