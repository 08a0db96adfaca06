"""What `sgg prepare` prints: counts as read and as kept, and everything amiss."""

from __future__ import annotations

from sgg.data.build import Prepared
from sgg.data.check import KINDS
from sgg.report.table import markdown


def summary(part: str, prepared: Prepared) -> str:
    """Two tables in Markdown."""
    report = prepared.report
    counts = [[part, "read", "kept"]]
    for what in ("images", "objects", "relations"):
        counts.append(
            [what, f"{report['read'].get(what, 0):,}", f"{report['kept'].get(what, 0):,}"]
        )
    if report["zero_shot_triplets"]:
        counts.append(["zero-shot triplets", f"{report['zero_shot_triplets']:,}", ""])
    amiss = [["amiss", "count", "what it means", "first images"]]
    for kind, count in report["amiss"].items():
        shown = ", ".join(report["shown"].get(kind, [])[:3])
        amiss.append([kind, f"{count:,}", KINDS[kind], shown])
    tables = [markdown(counts)] + ([markdown(amiss)] if len(amiss) > 1 else ["Nothing is amiss."])
    return "\n\n".join([*tables, f"fingerprint {prepared.fingerprint}"])
