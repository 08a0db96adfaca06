"""A dashboard as wandb's own packages describe it: a workspace and a report, checked against their schema.

Imports wandb and wandb-workspaces. Nothing here asks a server for anything; `publish` does.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import wandb_workspaces.reports.v2 as reports
import wandb_workspaces.workspaces as workspaces
from wandb_workspaces import expr
from wandb_workspaces.reports.v2.internal import Spec
from wandb_workspaces.workspaces.internal import WorkspaceViewspec

from sgg.dashboard.content import Dashboard
from sgg.dashboard.panels import Kind, Panel
from sgg.errors import SggError

_FEWEST_RUNS, _MOST_RUNS = 10, 100
"""Runs in one panel: wandb's own number, and what a curve panel can still show."""
_COLUMNS = 24
"""Width of a report, in units of its grid."""


def workspace_of(dashboard: Dashboard) -> Any:
    """Wandb's `Workspace`: a section for each of the dashboard's, only its runs."""
    most = min(max(_FEWEST_RUNS, len(dashboard.run_ids)), _MOST_RUNS)
    return workspaces.Workspace(
        entity=dashboard.entity,
        project=dashboard.project,
        name=dashboard.title,
        sections=[
            workspaces.Section(
                name=section.name,
                panels=[_panel(panel) for panel in section.panels],
                is_open=True,
            )
            for section in dashboard.sections
        ],
        settings=workspaces.WorkspaceSettings(x_axis="Step", max_runs=most),
        runset_settings=workspaces.RunsetSettings(filters=[_only(dashboard)]),
    )


def report_of(dashboard: Dashboard) -> Any:
    """Wandb's `Report`: verdicts and metrics in words, then the same sections."""
    blocks: list[Any] = [reports.P(dashboard.what_was_run)]
    if dashboard.verdicts or dashboard.scores:
        blocks.append(reports.H1("Verdict" if dashboard.verdicts else "Metrics"))
        blocks += [reports.P(sentence) for sentence in dashboard.verdicts]
        if dashboard.scores:
            blocks.append(reports.UnorderedList(items=dashboard.scores))
    for section in dashboard.sections:
        blocks.append(reports.H1(section.name))
        runs = reports.Runset(name=dashboard.title, filters=[_only(dashboard)])
        panels = [_panel(panel) for panel in section.panels]
        blocks.append(reports.PanelGrid(runsets=[runs], panels=panels))
    return reports.Report(
        project=dashboard.project,
        entity=dashboard.entity,
        title=dashboard.title,
        blocks=blocks,
        width="fluid",
    )


def spec_of(dashboard: Dashboard) -> dict[str, Any]:
    """Workspace and report as JSON, as the server would get them.

    Raises:
        SggError: wandb's own schema reads them back as something else.

    """
    workspace = workspace_of(dashboard)._to_model()
    report = report_of(dashboard)._to_model()
    return {
        "entity": dashboard.entity or None,
        "project": dashboard.project,
        "title": dashboard.title,
        "runs": dashboard.run_ids,
        "workspace": _checked(workspace.spec, WorkspaceViewspec),
        "report": _checked(report.spec, Spec),
    }


def _only(dashboard: Dashboard) -> Any:
    """The filter for the dashboard's runs; ids are hexadecimal, so none breaks out of it."""
    return expr.Metric("ID").isin(dashboard.run_ids)


def _panel(panel: Panel) -> Any:
    match panel.kind:
        case Kind.curve:
            return reports.LinePlot(
                title=panel.title,
                x="Step",
                y=[panel.name],
                title_x="step",
                title_y=panel.unit or panel.name,
            )
        case Kind.bars:
            return reports.BarPlot(
                title=panel.title, metrics=[panel.name], title_x=panel.unit or panel.name
            )
        case Kind.table:
            wide = reports.Layout(w=_COLUMNS, h=16)
            return reports.WeavePanelSummaryTable(table_name=panel.name, layout=wide)
        case Kind.parallel:
            columns = [
                reports.ParallelCoordinatesPlotColumn(metric=reports.Config(key), display_name=key)
                for key in panel.keys
            ]
            metric = reports.SummaryMetric(panel.name)
            columns.append(
                reports.ParallelCoordinatesPlotColumn(metric=metric, display_name=panel.name)
            )
            wide = reports.Layout(w=_COLUMNS, h=10)
            return reports.ParallelCoordinatesPlot(title=panel.title, columns=columns, layout=wide)
        case Kind.differences:
            return reports.RunComparer(diff_only="split", layout=reports.Layout(w=_COLUMNS, h=12))


def _checked(spec: Any, schema: Any) -> Any:
    """Write, read by the schema, write again: the same, and nothing in it that the schema does not know."""
    written = spec.model_dump_json(by_alias=True, exclude_none=True)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error"
        )  # by which the schema says that it has not understood a block
        try:
            back = schema.model_validate_json(written)
        except (ValueError, UserWarning) as error:
            raise SggError(f"wandb's schema does not read the dashboard: {error}") from error
    again = back.model_dump_json(by_alias=True, exclude_none=True)
    content = json.loads(written)
    if _without_comments(json.loads(again)) != _without_comments(content):
        raise SggError("wandb's schema reads the dashboard as another one.")
    return content


def _without_comments(content: Any) -> Any:
    """The same without empty lists of comments, which the schema adds to the headings that it reads."""
    if isinstance(content, dict):
        kept = {k: v for k, v in content.items() if k != "inlineComments" or v}
        return {key: _without_comments(value) for key, value in kept.items()}
    return [_without_comments(value) for value in content] if isinstance(content, list) else content
