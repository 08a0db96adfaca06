"""Where the package finds its own files."""

from pathlib import Path

CONF_DIR = next(
    path
    for path in (Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf")
    if (path / "config.yaml").is_file()
)
"""The config tree: inside the package when installed from a wheel, beside it in a checkout."""


def groups() -> list[str]:
    """The config groups that a command line may choose from."""
    return sorted(p.name for p in CONF_DIR.iterdir() if p.is_dir() and p.name not in _NOT_CHOSEN)


_NOT_CHOSEN = ("stage_model", "hydra")


def options_of(group: str) -> list[str]:
    """The options of a config group."""
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
