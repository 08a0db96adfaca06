"""A search by Optuna: a sweep whose points are made batch by batch, from what earlier ones have scored.

hydra-optuna-sweeper asks Optuna for values and hands batches to `_Batches`, which adds them to one sweep
folder, runs them and tells their objective. The study is in memory: all it knows is in the sweep's files.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launchers.local import owned
from launchers.slurm.script import require_slurm
from launchers.sweep.code_snapshot import take_snapshot
from launchers.sweep.commands import (
    LaunchOptions,
    first_that_composes,
    launch_runs,
    new_record,
    start_sweep,
)
from launchers.sweep.objective import check_objective, objective_of
from launchers.sweep.points import (
    Point,
    compose_points,
    point_record,
    refuse_another_sweep,
    sweep_folders,
)
from launchers.sweep.status import status_of
from launchers.sweep.status_table import status_table
from launchers.sweep.wait import wait
from sgg.config.compose import Composer
from sgg.config.schema import Config
from sgg.errors import Failed, SggError, counted
from sgg.files import make_output_folder
from sgg.models.weights import is_complete
from sgg.runs.folder import made
from sgg.runs.search import RESULTS, SearchRecord
from sgg.runs.sweep import CODE, SLURM, SweepRecord, resume_command


@dataclass(frozen=True)
class SearchOptions:
    """hydra.sweeper of a search."""

    objective: str | None
    direction: str | None
    n_trials: int
    n_jobs: int
    sampler: str
    seed: int | None
    max_failure_rate: float

    def check(self) -> None:
        """Raise SggError for a value that is missing or wrong."""
        for name in ("objective", "direction"):
            if getattr(self, name) is None:
                raise SggError(
                    f"hydra/sweeper=optuna wants hydra.sweeper.{name}: "
                    "hydra.sweeper.objective=R hydra.sweeper.direction=maximize, for example."
                )
        for name, allowed in (
            ("direction", ("maximize", "minimize")),
            ("sampler", ("tpe", "random")),
        ):
            if getattr(self, name) not in allowed:
                raise SggError(
                    f"hydra.sweeper.{name}={getattr(self, name)}: allowed are {' and '.join(allowed)}."
                )
        for name in ("n_trials", "n_jobs"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SggError(f"hydra.sweeper.{name}={value}: must be a whole number, 1 or more.")
        if self.seed is not None and not isinstance(self.seed, int):
            raise SggError(f"hydra.sweeper.seed={self.seed}: must be a whole number or null.")
        rate = self.max_failure_rate
        if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise SggError(f"hydra.sweeper.max_failure_rate={rate}: must be a number, 0 to 1.")


def search(
    space: Sequence[str], fixed: Sequence[str], options: SearchOptions, launching: LaunchOptions
) -> None:
    """Make all trials and write the best values.

    Args:
        space: overrides with several values or an interval.
        fixed: those that all trials share.

    Raises:
        SggError: the package is missing, or something cannot run; nothing was started.
        Failed: more trials of a batch have failed than may.

    """
    options.check()
    if not space:
        raise SggError(
            "hydra/sweeper=optuna has nothing to search in. Give a key several values (seed=1,2,3) or an "
            "interval: 'stage.args.learning_rate=tag(log,interval(1e-6,1e-4))'."
        )
    try:
        from hydra_plugins.hydra_optuna_sweeper._impl import (
            OptunaSweeperImpl,
            create_params_from_overrides,
        )
        from optuna import logging as optuna_logging
        from optuna import samplers
    except ImportError as error:
        raise SggError(
            "hydra/sweeper=optuna needs the package hydra-optuna-sweeper: pip install 'sgg[optuna]'."
        ) from error
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    distributions, _ = create_params_from_overrides(list(space))
    edges = [[*fixed, *words] for words in _edges(distributions)]
    first = first_that_composes(edges, Composer())
    if first.dry_run:
        start_sweep(edges, launching)
        print("A dry run shows the edges of what is searched.")
        return
    batches = _Batches(options, launching, list(fixed), list(space))
    batches.open(edges, first)
    kinds = {"tpe": samplers.TPESampler, "random": samplers.RandomSampler}
    sweeper = OptunaSweeperImpl(
        sampler=kinds[options.sampler](seed=options.seed),
        direction=options.direction,
        storage=None,
        study_name=None,
        n_trials=options.n_trials,
        n_jobs=options.n_jobs,
        max_failure_rate=options.max_failure_rate,
        search_space=None,
        custom_search_space=None,
        params=None,
    )
    sweeper.config = _where(batches.folder)
    sweeper.hydra_context = launching
    sweeper.launcher = batches
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Optuna 2 about Optuna 3
        try:
            sweeper.sweep(list(space))
        except ValueError as error:  # Optuna has no best trial
            if batches.values:
                raise
            raise Failed(f"No trial of {batches.folder} has finished.", 1) from error
    batches.finish()


def _where(folder: Path) -> Any:
    """Where the sweeper writes its results, in the form in which it looks for it."""
    from omegaconf import OmegaConf

    return OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}})


def _edges(distributions: dict[str, Any]) -> list[list[str]]:
    """Points that reach every end of the space: all first values, all last ones, each choice between."""
    ends = {
        name: list(getattr(d, "choices", None) or (d.low, d.high))
        for name, d in distributions.items()
    }
    lines = [[f"{name}={values[at]}" for name, values in ends.items()] for at in (0, -1)]
    for name, values in ends.items():
        for value in values[1:-1]:
            lines.append([f"{n}={value if n == name else v[0]}" for n, v in ends.items()])
    return [list(line) for line in dict.fromkeys(map(tuple, lines))]


@dataclass
class _Batches:
    """The sweep folder, which grows by a batch of points at a time; a launcher for the sweeper."""

    options: SearchOptions
    launching: LaunchOptions
    fixed: list[str]
    space: list[str]
    folder: Path = Path()
    values: dict[str, float] = field(default_factory=dict)
    """By the name of the point."""
    _record: SweepRecord | None = None
    _composer: Composer = field(default_factory=Composer)

    def open(self, edges: list[list[str]], first: Config) -> None:
        """Check the edges of the space and make the folder."""
        check = self.launching.check
        for folder in sweep_folders(first):
            if self.launching.launcher == SLURM:
                require_slurm(folder, self.options.n_jobs)
            points = compose_points(edges, self._composer, folder, check, self.launching.launcher)
            for point in points:
                check_objective(str(self.options.objective), point.steps[-1].config)
            if first.paths.sweep_dir or made(folder):
                break
        self.folder = make_output_folder(folder)
        with owned(folder):
            refuse_another_sweep(folder)
            configs = [step.config for point in points for step in point.steps]
            take_snapshot(folder / CODE, configs)
            options = self.options
            SearchRecord(
                str(options.objective), str(options.direction), options.n_trials, self.space
            ).write(folder)
        print(f"A search of {counted(options.n_trials, 'trial')} in {folder}", flush=True)

    def launch(self, batch: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        """Run a batch to its end; what each trial has scored, as Hydra's sweepers take it."""
        from hydra.core.utils import JobReturn, JobStatus

        points = self._add(batch)
        returned = []
        for words, point in zip(batch, points, strict=True):
            result = JobReturn(overrides=list(words))
            try:
                result.return_value = self._value(point)
                result.status = JobStatus.COMPLETED
            except SggError as error:
                result.return_value = error
                result.status = JobStatus.FAILED
                print(f"{point.record.name}: {error}", flush=True)
            returned.append(result)
        return returned

    def _add(self, batch: Sequence[Sequence[str]]) -> list[Point]:
        lines = [[*self.fixed, *words] for words in batch]
        number = len(self._record.points) if self._record else 0
        names = [point_record(number + i, words) for i, words in enumerate(batch)]
        launching = self.launching
        points = compose_points(
            lines, self._composer, self.folder, launching.check, launching.launcher, names, number
        )
        configs = {(p.number, s.name): s.config for p in points for s in p.steps}
        with owned(self.folder):
            for point in points:
                point.write_frozen()
            if self._record is None:
                self._record = new_record(lines, launching, points, self.folder)
                self._record.overrides = self.fixed
                runs = self._record.runs
            else:
                runs = [run for point in points for run in point.runs(self.folder)]
                self._record.points += names
                self._record.runs += runs
            self._record.sign(self.folder)
            self._record.sign_launch(self.folder)
            self._record.write(self.folder)
            launch_runs(
                self.folder, self._record, list(runs), lambda run: configs[run.point, run.step]
            )
        if launching.launcher == SLURM:
            wait(self.folder)
        return points

    def _value(self, point: Point) -> float:
        run_dir = Path(point.steps[-1].config.paths.run_dir or "")
        if not is_complete(run_dir):
            raise Failed(
                f"{run_dir} did not finish. {resume_command(self.folder)} finishes it.",
                1,
            )
        value = objective_of(str(self.options.objective), run_dir)
        self.values[point.record.name] = value
        best = self._best()
        print(
            f"{point.record.name}: {self.options.objective} = {value:.4g} "
            f"(best: {self.values[best]:.4g}, {best})",
            flush=True,
        )
        return value

    def _best(self) -> str:
        sign = 1 if self.options.direction == "maximize" else -1
        return max(self.values, key=lambda name: sign * self.values[name])

    def finish(self) -> None:
        """Say what was best."""
        assert self._record is not None
        best = self._best()
        overrides = next(point.overrides for point in self._record.points if point.name == best)
        words = " ".join(word.lstrip("+") for word in overrides)
        print(f"\n{status_table(status_of(self.folder), reasons=False)}", flush=True)
        print(
            f"Best {self.options.objective}: {self.values[best]:.6g} with {words}. "
            f"{self.folder / RESULTS} has the values.",
            flush=True,
        )
