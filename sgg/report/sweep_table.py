"""The table of a sweep as a paper has it: Markdown, CSV or LaTeX, by the overrides that differ.

Input: a `SweepSummary`. Output: text. Names and values of overrides may be a stranger's: they are escaped as
each form wants it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator

from sgg.evaluation.score import csv_cell
from sgg.evaluation.verdict import p_value
from sgg.report.baseline_test import BaselineTest
from sgg.report.sweep_summary import Group, SweepSummary, Value
from sgg.report.tables import markdown

MISSING, MINUS = "—", "\N{MINUS SIGN}"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    MISSING: "---",
    MINUS: "$-$",
    "→": r"$\rightarrow$",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def sweep_table(summary: SweepSummary, form: str) -> str:
    """The table in one of `FORMS`, with what its numbers mean where the form has a place for that."""
    return FORMS[form](summary)


def notes(summary: SweepSummary) -> list[str]:
    """What the numbers mean, the verdicts, and what is missing: one sentence each."""
    return [*_caption(summary), *summary.verdicts, *_without(summary)]


def _markdown(summary: SweepSummary) -> str:
    head, rows = _texts(summary, lambda text, is_best: f"**{text}**" if is_best else text)
    said = "\n".join(f"- {_on_one_line(note)}" for note in notes(summary))
    return f"{markdown([head, *rows])}\n\n{said}"


def _latex(summary: SweepSummary) -> str:
    bold = "\\textbf{{{}}}".format
    head, rows = _texts(
        summary, lambda text, is_best: bold(_escaped(text)) if is_best else _escaped(text), _escaped
    )
    left = len(summary.keys or ["run"]) + summary.has_steps
    lines = [
        *(f"% {_on_one_line(note)}" for note in [*summary.verdicts, *_without(summary)]),
        r"\begin{table}",
        r"\centering",
        rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(head) - left)}}}",
        r"\toprule",
        *(f"{' & '.join(cells)} \\\\" for cells in (head,)),
        r"\midrule",
        *(f"{' & '.join(cells)} \\\\" for cells in rows),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{_escaped(' '.join(_caption(summary)))}}}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _csv(summary: SweepSummary) -> str:
    """Numbers as they are, a column each; what is not known is empty."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    named = [part for key in summary.columns for part in (key, f"{key}_low", f"{key}_high")]
    tested = ["R_difference", "R_difference_low", "R_difference_high", "R_difference_seeds", "p"]
    table.writerow(map(csv_cell, [*_heads(summary), "seeds", "missing", *named, *tested, "p_holm"]))
    for group in summary.groups:
        values = [group.values.get(key) for key in summary.columns]
        cells: list[float | str | None] = []
        for value in values:
            cells += [value.mean, value.low, value.high] if value else [None] * 3
        scored, test = _scored(group), group.test
        if test:
            cells += [test.difference, test.low, test.high]
            cells += [" ".join(test.seeds), test.p, test.p_holm]
        else:
            cells += [None] * 6
        missing = "; ".join(_why(group))
        row = [*_names(summary, group), scored, missing, *("" if c is None else c for c in cells)]
        table.writerow(map(csv_cell, row))
    return file.getvalue().rstrip("\n")


FORMS: dict[str, Callable[[SweepSummary], str]] = {"md": _markdown, "csv": _csv, "tex": _latex}
"""By name of `sgg report --format`."""


def _texts(
    summary: SweepSummary, marked: Callable[[str, bool], str], escaped: Callable[[str], str] = str
) -> tuple[list[str], list[list[str]]]:
    """Head and rows as texts; `marked` says how a value looks, given whether it is the best of its column."""
    is_tested = any(group.test is not None for group in summary.groups)
    head = [*_heads(summary), "seeds", *(_column(summary, key) for key in summary.columns)]
    head += ["Δ triplet recall", "p"] if is_tested else []
    best = {key: {id(group) for group in summary.bold(key)} for key in summary.columns}
    rows = []
    for group in summary.groups:
        cells = [escaped(_on_one_line(name)) for name in _names(summary, group)]
        scored = _scored(group)
        all_runs = len(group.runs)
        cells.append(str(scored) if scored == all_runs else f"{scored} of {all_runs}")
        for key in summary.columns:
            value = group.values.get(key)
            cells.append(
                marked(MISSING if value is None else _shown(value), id(group) in best[key])
            )
        cells += map(escaped, _tested(group.test)) if is_tested else []
        rows.append(cells)
    return [escaped(name) for name in head], rows


def _heads(summary: SweepSummary) -> list[str]:
    return [*(summary.keys or ["run"]), *(["step"] if summary.has_steps else [])]


def _names(summary: SweepSummary, group: Group) -> list[str]:
    own = [group.overrides.get(key, "") for key in summary.keys] or [group.label]
    return [*own, *([group.step] if summary.has_steps else [])]


def _column(summary: SweepSummary, key: str) -> str:
    arrow = "↓" if key in summary.lower_is_better else "↑"
    return f"{_on_one_line(summary.columns[key])} {arrow}"


def _shown(value: Value) -> str:
    if value.low is None or value.high is None:
        return f"{value.mean:.3f}"
    if value.seeds > 1:
        return f"{value.mean:.3f} ± {value.high - value.mean:.3f}"
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _tested(test: BaselineTest | None) -> list[str]:
    if test is None:
        return [MISSING, MISSING]
    span = f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}]".replace("-", MINUS)
    if test.scope:
        span += f" ({_on_one_line(test.scope)})"
    return [span, p_value(test.p_holm).removeprefix("p = ").removeprefix("p ")]


def _scored(group: Group) -> int:
    return sum(bool(run.values) for run in group.runs)


def _caption(summary: SweepSummary) -> Iterator[str]:
    values = [v for group in summary.groups for v in group.values.values() if v.low is not None]
    tests = [group.test for group in summary.groups if group.test is not None]
    for name in summary.of_trainings:
        yield f"{_on_one_line(name)}: the last value of each training."
    if any(v.seeds > 1 for v in values):
        yield "±: mean over seeds and half of its 95 % t interval over seeds."
    if any(v.seeds == 1 for v in values):
        yield "[low, high]: 95 % score interval over the images of one run."
    if any(summary.bold(key) for key in summary.columns):
        yield "Bold: the best of each column, among rows with the most seeds."
    if tests:
        number = len(tests)
        adjusted = f", p adjusted for {number} comparisons (Holm)" if number > 1 else ""
        yield (
            f"Δ and p: triplet recall against {_on_one_line(summary.baseline)} on the same "
            f"{tests[0].images:,} images, with the 95 % interval over images; paired permutation "
            f"test{adjusted}."
        )
    if any(test.scope for test in tests):
        yield "Where seeds are named beside Δ, one side lacks the others: Δ and p leave them out."


def _without(summary: SweepSummary) -> Iterator[str]:
    """Which runs have no results, and which rows no test."""
    for group in summary.groups:
        yield from (f"Missing: {summary.title(group)}, {why}." for why in _why(group))
        if group.untested and group.values:
            yield f"Not tested: {summary.title(group)}, {group.untested}."


def _why(group: Group) -> list[str]:
    """What is known of runs without results."""
    return [
        f"seed {run.seed or MISSING}: {run.state}{f' ({run.reason})' if run.reason else ''}"
        for run in group.runs
        if not run.values
    ]


def _escaped(text: str) -> str:
    """Text that LaTeX sets as it stands; arrows that say what is better as mathematics.

    A row that began with `[` or `*` would be an argument of the rule or the line break before it.
    """
    arrows = {"↓": r"$\downarrow$", "↑": r"$\uparrow$"}
    said = "".join(arrows.get(c) or _SPECIAL.get(c, c) for c in _on_one_line(text))
    return f"{{}}{said}" if said.startswith(("[", "*")) else said


def _on_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
