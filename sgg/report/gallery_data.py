"""The gallery as the page's script reads it: which runs stand beside each other, and one block an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sgg.report.content.baseline import is_control
from sgg.report.content.evaluations import Evaluation
from sgg.report.content.gallery import RUNS, cards
from sgg.report.first_shown import FirstShown
from sgg.report.html import Html, json_block


def chosen(runs: Sequence[Evaluation], first: FirstShown) -> list[Evaluation]:
    """The runs that the gallery shows.

    Of too many, those that are shown first, then the last ones, each with the one that it is compared with.
    """
    if len(runs) <= RUNS:
        return list(runs)
    labels = {run.run.label: place for place, run in enumerate(runs)}
    wanted: dict[int, None] = {}
    named = [labels[name] for name in first.runs if name in labels]
    for place in (*named, *reversed(range(len(runs)))):
        base = runs[place].baseline
        for one in (place, *([] if base is None else [base])):
            if len(wanted) < RUNS:
                wanted.setdefault(one)
    return [runs[place] for place in sorted(wanted)]


def focus_of(runs: Sequence[Evaluation], first: FirstShown) -> int:
    """The run that filters are about at first: the best or, where this is its baseline, its partner.

    Where none is the best, the last that is no control.
    """
    labels = [run.run.label for run in runs]
    if first.partner in labels:
        comparison = runs[labels.index(first.partner)].comparison
        if comparison is not None and comparison.before_name == first.best:
            return labels.index(first.partner)
    if first.best in labels:
        return labels.index(first.best)
    places = [i for i, run in enumerate(runs) if not is_control(run.run.config)]
    return places[-1] if places else len(runs) - 1


def gallery_blocks(
    runs: Sequence[Evaluation], focus: int, first: FirstShown, images: int
) -> Iterator[Html]:
    """The data of the gallery: a block an image, and the index."""
    if not runs:
        return
    place_of = {id(run): place for place, run in enumerate(runs)}
    baselines = [place_of.get(id(_baseline_of(run, runs))) for run in runs]
    pair = [i for i, run in enumerate(runs) if run.run.label in (first.best, first.partner)]
    shown = sorted({focus, *pair} | ({base} if (base := baselines[focus]) is not None else set()))
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
