"""trackio: a data base and pictures in the run folder, a web page to look at them, no account and no network.

A start is told the run's whole history, so it begins with an empty folder: of a step that was made twice, the
values of the resumed run stay.
"""

from __future__ import annotations

import logging
import shlex
import shutil
from pathlib import Path
from typing import Any

from sgg.compat.trackio import local_and_quiet, trackio_in
from sgg.config.literal import plain
from sgg.config.schema import Config
from sgg.files import make_output_folder, refuse_link
from sgg.tracking.state import group_of, provenance, shown_name

log = logging.getLogger("sgg")

FOLDER = "trackio"
"""Where trackio writes, in the run folder."""


class TrackioTracker:
    """One run in one project of a data base of its own."""

    def __init__(self, config: Config, run_dir: Path) -> None:
        folder = run_dir / FOLDER
        refuse_link(folder)
        if folder.exists():
            shutil.rmtree(folder)
        make_output_folder(folder)
        self._trackio = trackio_in(folder)
        self._step = 0
        with local_and_quiet():
            self._run = self._trackio.init(
                project=config.tracker.project,
                name=shown_name(run_dir, config.stage.name.name),
                group=group_of(config, run_dir),
                config={**plain(config), "provenance": provenance(run_dir)},
                resume="never",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        log.info(
            "trackio's page: TRACKIO_DIR=%s trackio show --project %s",
            shlex.quote(str(folder.resolve())),
            shlex.quote(config.tracker.project),
        )

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        self._step = step
        self._run.log(dict(values), step=step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """See `Tracker.table`."""
        cells = [[self._cell(value) for value in row] for row in rows]
        self._run.log({name: self._trackio.Table(columns=columns, data=cells)}, step=self._step)

    def model(self, folder: Path) -> None:
        """Nothing: its data base lies beside the model."""

    def finish(self, exit_code: int = 0) -> None:
        """See `Tracker.finish`; trackio has no place for the exit code."""
        with local_and_quiet():
            self._trackio.finish()  # the package forgets the run, too

    def abandon(self) -> None:
        """Nothing: each run has its own data base."""

    def _cell(self, value: Any) -> Any:
        return self._trackio.Image(value) if hasattr(value, "getpixel") else value
