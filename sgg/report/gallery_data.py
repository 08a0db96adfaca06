"""The gallery as the page's script reads it: which runs stand beside each other, and one block an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sgg.report.content.baseline import is_control
from sgg.report.content.evaluations import Evaluation
from sgg.report.content.gallery import RUNS, cards
from sgg.report.html import Html, json_block


def chosen(runs: Sequence[Evaluation], first: Sequence[str]) -> list[Evaluation]:
    """The runs that the gallery shows.

    Of too many, those of `first`, then the last ones and those that they are compared with.
    """
    if len(runs) <= RUNS:
        return list(runs)
    labels = {run.run.label: place for place, run in enumerate(runs)}
    wanted = {labels[name]: None for name in first[:RUNS] if name in labels}
    for place in reversed(range(len(runs))):
        base = runs[place].baseline
        for one in (place, *([] if base is None else [base])):
            if len(wanted) < RUNS:
                wanted.setdefault(one)
    return [runs[place] for place in sorted(wanted)]


def focus_of(runs: Sequence[Evaluation], first: Sequence[str]) -> int:
    """The run that filters are about at first: the first of `first`, or the last that is no control."""
    labels = [run.run.label for run in runs]
    if first and first[0] in labels:
        return labels.index(first[0])
    places = [i for i, run in enumerate(runs) if not is_control(run.run.config)]
    return places[-1] if places else len(runs) - 1


def gallery_blocks(runs: Sequence[Evaluation], focus: int, images: int) -> Iterator[Html]:
    """The data of the gallery: a block an image, and the index."""
    if not runs:
        return
    place_of = {id(run): place for place, run in enumerate(runs)}
    baselines = [place_of.get(id(_baseline_of(run, runs))) for run in runs]
    base = baselines[focus]
    shown = sorted({focus} if base is None else {focus, base})
    rows = []
    for place, card in enumerate(cards(runs, images)):
        rows.append(card.index)
        yield json_block(f"image-{place}", card.block)
    index = {
        "runs": [run.run.label for run in runs],
        "baselines": baselines,
        "run": focus,
        "shown": shown,
        "images": rows,
    }
    yield json_block("gallery-index", index)


def _baseline_of(run: Evaluation, runs: Sequence[Evaluation]) -> Evaluation | None:
    if run.comparison is None:
        return None
    name = run.comparison.before_name
    return next((other for other in runs if other.run.label == name), None)


def gallery_note(runs: Sequence[Evaluation], gallery: Sequence[Evaluation], images: int) -> str:
    """What the gallery shows, and what it leaves out."""
    total = len(gallery[0].prepared)
    parts = [
        "Point at a relation to see its objects and its partner. In a prediction, a solid arrow is right and "
        "a dashed one wrong; gold relations that were not found are listed below it."
    ]
    if total > images:
        parts.append(
            f"The first {images:,} of {total:,} images (sgg report … images=N shows more)."
        )
    if len(runs) > len(gallery):
        parts.append(
            f"{len(gallery)} of {len(runs)} runs are here; the tables of metrics have all of them."
        )
    return " ".join(parts)
