"""All kinds of data sets, by `data.source`: a new one is a module of this folder and a line here."""

from __future__ import annotations

from sgg.config.data import Source
from sgg.data.sources import (
    coco,
    gqa,
    hub_rows,
    jsonl,
    psg,
    shapes,
    vg,
    vrd,
)

SOURCES = {
    Source.rows: hub_rows.SOURCE,
    Source.vg: vg.SOURCE,
    Source.psg: psg.SOURCE,
    Source.coco: coco.SOURCE,
    Source.gqa: gqa.SOURCE,
    Source.vrd: vrd.SOURCE,
    Source.jsonl: jsonl.SOURCE,
    Source.shapes: shapes.SOURCE,
}
