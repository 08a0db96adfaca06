"""One table of an evaluation for the terminal. Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgg.report.tables import markdown


def score_table(content: Mapping[str, Any]) -> str:
    """Rows of metrics, columns of cutoffs; then what has no cutoff, and the counts."""
    protocol, metrics = content["protocol"], content["metrics"]
    cuts = [*(f"@{k}" for k in protocol["cutoffs"]), ""]
    names = [n for n in metrics if f"{n}{cuts[0]}" in metrics]
    rows = [["metric", *(c or "all" for c in cuts)]]
    for name in names:
        rows.append([name, *(_cell(content, f"{name}{c}") for c in cuts)])
    for name in ("R", "mR") if content["mapped"] else ():
        mapped = content["mapped"]
        rows.append([f"{name} mapped", *(f"{mapped[f'{name}{c}']:.4f}" for c in cuts)])
    for group, values in content["groups"].items():
        rows.append([f"mR {group}", *(f"{values[f'mR{c}']:.4f}" for c in cuts)])
    cut = {f"{n}{c}" for n in names for c in cuts}
    alone = [n for n in metrics if n not in cut]
    rows += [[n, *[""] * (len(cuts) - 1), _cell(content, n)] for n in alone]
    rows += [[n, *[""] * (len(cuts) - 1), f"{v:.4f}"] for n, v in content["several"].items()]
    lines = [
        f"protocol {protocol['id']}: {content['images']} images, {content['completions']} completions, "
        f"{content['gold_relations']} gold relations",
        *(f"  quirk: {quirk}" for quirk in protocol["quirks"]),
        markdown(rows),
    ]
    wrong = [f"{k} {v['completions']}" for k, v in content["problems"].items()]
    return "\n".join([*lines, f"completions with problems: {', '.join(wrong) or 'none'}"])


def _cell(content: Mapping[str, Any], name: str) -> str:
    value = f"{content['metrics'][name]:.4f}"
    ends = content["intervals"].get(name)
    return f"{value} [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else value
