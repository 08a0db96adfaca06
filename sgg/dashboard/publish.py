"""A dashboard saved at wandb's server, where there is a key and a server that answers."""

from __future__ import annotations

import os
from dataclasses import replace

from sgg.dashboard.content import Dashboard
from sgg.dashboard.spec import report_of, workspace_of
from sgg.errors import SggError
from sgg.tracking.wandb import has_login, no_way_to_server

_OFF = ("offline", "disabled", "dryrun")


def no_way_to_publish() -> str | None:
    """Why nothing can be saved at wandb from here; None where it can."""
    mode = os.environ.get("WANDB_MODE", "")
    if mode in _OFF:
        return f"WANDB_MODE={mode}"
    if not has_login():
        return "no key (WANDB_API_KEY or `wandb login`)"
    return no_way_to_server()


def published(dashboard: Dashboard) -> list[str]:
    """Save workspace and report; their URLs.

    Raises:
        SggError: the server says no, or does not understand.

    """
    import wandb

    try:
        if not dashboard.entity:
            dashboard = replace(dashboard, entity=wandb.Api().default_entity or "")
        # the report first: saving it makes the project, where no run has
        return [made(dashboard).save().url for made in (report_of, workspace_of)]
    except Exception as error:  # whatever the client raises: the dashboard is on disk
        said = (str(error).splitlines() or [""])[0]
        raise SggError(
            f"wandb did not take the dashboard: {type(error).__name__}: {said}"
        ) from error
