"""Weights & Biases: one run there for each run folder, whatever happens to the processes between.

At wandb a step can be written once and steps only grow, while a run that resumes from a checkpoint makes
some steps again, and a killed process has not stored its last seconds. So each start is told the run's whole
history (`MetricsCallback` does that) and keeps what wandb lacks:

* offline, the new file holds everything, and the files of earlier starts are set aside, where `wandb sync`
  does not find them: of a step that was made twice, the values of the resumed run (the second ones) arrive;
* what a server has already (uploaded as it was written, or by `wandb sync`) cannot be taken back: the
  file begins behind it, and of a step that was made twice the first values stay.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sgg.config.literal import plain
from sgg.config.schema import Config
from sgg.errors import SggError
from sgg.files import refuse_link
from sgg.runs.folder import PIPELINE
from sgg.runs.sweep import SWEEP
from sgg.tracking.names import EVALUATED_STEP
from sgg.tracking.reach import out_of_reach
from sgg.tracking.state import group_of, provenance, shown_name, tracker_run_id

log = logging.getLogger("sgg")

FOLDER = "wandb"
"""Where wandb writes, in the run folder."""

REPLACED = "replaced"
"""In that folder: files of earlier starts whose steps the newest one holds again."""

_LONGEST_START_S = 20.0
"""Longest wait for wandb's server once it has answered at all; WANDB_INIT_TIMEOUT sets another."""

_LONGEST_UPLOAD_S = 30.0
"""Longest wait at the end of a run for wandb's server; WANDB_FINISH_TIMEOUT sets another."""


def refuse_settings_of(run_dir: Path) -> None:
    """Raise where wandb would take its settings, and so the server that gets the key, from a run's folder.

    wandb reads `wandb/settings` of the current folder, which is where it keeps its own files in a run.

    Raises:
        SggError: there is such a file, and the current folder is that of the run, its pipeline or sweep.

    """
    here, run = Path.cwd().resolve(), run_dir.resolve()
    holds_runs = here in run.parents and any((here / name).exists() for name in (SWEEP, PIPELINE))
    if here != run and not holds_runs:
        return
    for file in (here / "wandb" / "settings", here / ".wandb" / "settings"):
        if file.exists():
            raise SggError(
                f"{file}: wandb would take the server that gets your key from it. Start from another folder."
            )


class WandbTracker:
    """Online with a key, offline without; with a server that cannot be reached, offline too."""

    def __init__(self, config: Config, run_dir: Path) -> None:
        # reports of wandb's own errors: a network that swallows them holds every process back at its end
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        refuse_settings_of(run_dir)
        import wandb

        self._wandb = wandb
        self._folder = run_dir / FOLDER
        self._step = 0
        os.environ.pop("WANDB_SERVICE", None)  # that of who started us, and would end with it
        _set_aside(self._folder)
        mode = None if os.environ.get("WANDB_MODE") or has_login() else "offline"
        if mode is None and (problem := no_way_to_server()) is not None:
            log.warning("wandb's server cannot be reached, so it tracks offline: %s", problem)
            mode = "offline"
        try:
            self._run = self._init(config, run_dir, mode)
        except Exception as error:  # no route, wrong key, no such project …
            if mode == "offline":
                raise
            log.warning("wandb could not start online, so it tracks offline: %s", error)
            with suppress(Exception):  # it says again what is said above
                wandb.teardown(1)  # else the half-started run keeps the id
            self._run = self._init(config, run_dir, "offline")
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        self._run.define_metric("eval/*", step_metric=EVALUATED_STEP)
        self._upload_model = config.tracker.upload_model
        offline = self._run.offline
        self._sent = _last_step_sent(self._folder) if offline else self._run.starting_step - 1
        if offline:
            log.info(
                "wandb is offline: no key (WANDB_API_KEY or `wandb login`), no server, or "
                "WANDB_MODE=offline; later: wandb sync %s/offline-run-*",
                shlex.quote(str(self._folder)),
            )

    def _init(self, config: Config, run_dir: Path, mode: Any) -> Any:
        tracker = config.tracker
        settings: dict[str, Any] = {}
        if "WANDB_INIT_TIMEOUT" not in os.environ:
            settings["init_timeout"] = _LONGEST_START_S
        if "WANDB_FINISH_TIMEOUT" not in os.environ:
            settings["finish_timeout"] = _LONGEST_UPLOAD_S
        return self._wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            group=group_of(config, run_dir),
            job_type=config.stage.name.name,
            name=shown_name(run_dir, config.stage.name.name),
            id=tracker_run_id(run_dir),
            resume="allow",
            tags=sorted(f"{k}:{v}" for k, v in config.choices.items() if len(f"{k}:{v}") <= 64),
            config={**plain(config), "provenance": provenance(run_dir)},
            dir=str(run_dir),
            mode=mode,
            settings=self._wandb.Settings(
                silent=True,
                disable_git=True,
                save_code=False,
                # never the run of an earlier stage in this process, whatever became of it
                reinit="create_new",
                finish_timeout_raises=True,
                **settings,
            ),
        )

    def log(self, values: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        self._step = step
        if step > self._sent:
            self._run.log(values | {"step": step}, step=step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """See `Tracker.table`."""
        if self._step <= self._sent:
            return
        if (
            problem := self._unreachable()
        ) is not None:  # numbers wait for the server, a table does not
            log.warning("step %d: wandb does not get the table %s: %s", self._step, name, problem)
            return
        with _images_kept_in(self._folder):
            cells = [[self._cell(value) for value in row] for row in rows]
            table = self._wandb.Table(columns=columns, data=cells)
            self._run.log({name: table}, step=self._step)

    def model(self, folder: Path) -> None:
        """A reference: path and hash of each file; the files themselves with `tracker.upload_model`."""
        if (problem := self._unreachable()) is not None:
            raise ConnectionError(problem)
        artifact = self._wandb.Artifact(f"model-{self._run.id}", type="model")
        if self._upload_model:
            artifact.add_dir(str(folder))
        else:
            artifact.add_reference(folder.resolve().as_uri())
        self._run.log_artifact(artifact)

    def finish(self, exit_code: int = 0) -> None:
        """See `Tracker.finish`."""
        self._run.finish(exit_code=exit_code)

    def abandon(self) -> None:
        """End wandb's service, which may be what has failed: the next run starts its own."""
        self._wandb.teardown(1)

    def _unreachable(self) -> str | None:
        """Why what needs the server at once cannot be sent: wandb itself would try for 20 s to find out."""
        return None if self._run.offline else no_way_to_server()

    def _cell(self, value: Any) -> Any:
        return self._wandb.Image(value, file_type="jpg") if hasattr(value, "getpixel") else value


def has_login() -> bool:
    """Whether wandb can log in by itself."""
    import wandb

    return bool(os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or wandb.api.api_key)


def no_way_to_server() -> str | None:
    """Why wandb's server does not answer, where it is to be asked at all: wandb itself tries for minutes."""
    import wandb

    settings = wandb.setup().settings
    if settings.mode not in ("online", "shared"):
        return None
    given = {"http": settings.http_proxy, "https": settings.https_proxy}
    proxies = {scheme: address for scheme, address in given.items() if address}
    problem = out_of_reach(settings.base_url, proxies)
    return problem and f"{settings.base_url}: {problem}"


def _set_aside(folder: Path) -> None:
    """Files of earlier starts that no server has: the new start is told all of it again.

    Left where they are, `wandb sync` would upload their steps, too, and give other numbers to those that come
    twice; one that was killed before its first write would even end the whole upload.

    Raises:
        OSError: a symbolic link is in the way: files elsewhere are not moved, and none is moved there.

    """
    refuse_link(folder)
    refuse_link(folder / REPLACED)
    for old in sorted(folder.glob("offline-run-*")):
        refuse_link(old)
        if _is_synced(old):
            continue
        for file in old.glob("*.wandb"):
            file.rename(file.with_name(f"{file.name}.{REPLACED}"))
        (folder / REPLACED).mkdir(exist_ok=True)
        old.rename(folder / REPLACED / old.name)


def _is_synced(written: Path) -> bool:
    """Whether `wandb sync` has uploaded what one start has written."""
    return any(written.glob("*.wandb.synced"))


def _last_step_sent(folder: Path) -> int:
    """The last step of what earlier starts have uploaded; -1 where there is none."""
    uploaded = [*folder.glob("run-*"), *filter(_is_synced, folder.glob("offline-run-*"))]
    files = (file for written in uploaded for file in written.glob("*.wandb"))
    return max((step for file in files for step in _steps_in(file)), default=-1)


def _steps_in(file: Path) -> Iterator[int]:
    """Steps of one of wandb's files, by wandb's own reader."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    environment = {**os.environ, "WANDB_MODE": "offline"}  # it reads a file: nothing to report
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    for line in done.stdout.splitlines():
        record = json.loads(line)
        if record["type"] == "history":
            yield int(record["history"]["step"].get("num", 0))


@contextmanager
def _images_kept_in(folder: Path) -> Iterator[None]:
    """A table's images wait for their upload in the run folder, not in the user's home: they move along."""
    name = "WANDB_DATA_DIR"
    before = os.environ.get(name)
    os.environ[name] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
