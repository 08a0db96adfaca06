"""`paths`: where things are written."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class PathsConfig:
    """Where things are written."""

    root: str = "runs"
    """Folder of run folders."""
    run_dir: str | None = None
    """This run's folder; null for a new one below the root, named after the choices and the time."""
    sweep_dir: str | None = None
    """Folder of a sweep's points; null for a new one below the root."""
    cache: str = MISSING
    """Prepared data sets."""
