"""Where the package finds its own files, and a site its private ones."""

import os
from pathlib import Path

from sgg.errors import SggError

PACKAGE = Path(__file__).parents[1]
"""The folder of `sgg`; `launchers` lies beside it."""

CONF_DIR = next(
    path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if (path / "config.yaml").is_file()
)
"""The config tree: inside the package when installed from a wheel, beside it in a checkout."""


SITE = "SGG_CONF"
"""Environment variable: a folder of a site's own options, such as hardware/mycluster.yaml below it."""

PRIVATE_GROUPS = ("stage_model", "stage_hardware", "hydra")
"""Groups that other options include; they cannot be chosen on the command line."""


def site_folder() -> Path | None:
    """The folder that SGG_CONF names, if it names one.

    Raises:
        SggError: it is not there.

    """
    named = os.environ.get(SITE)
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise SggError(f"{SITE}={named}: no such folder. Correct the variable, or unset it.")
    return folder


def cache_here() -> str:
    """This user's cache of prepared data and of what was downloaded."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return str(Path(home) / "sgg")


def cache_to_write(named: str) -> str:
    """The cache that a frozen config names; this user's own where that one is another user's."""
    nearest = next(p for p in (Path(named), *Path(named).absolute().parents) if p.exists())
    return named if os.access(nearest, os.W_OK | os.X_OK) else cache_here()


def groups() -> list[str]:
    """The config groups that a command line may choose from."""
    found = {p.name for folder in _conf_dirs() for p in folder.iterdir() if p.is_dir()}
    return sorted(name for name in found - {*PRIVATE_GROUPS} if not name.startswith((".", "_")))


def options_of(group: str) -> list[str]:
    """The options of a config group, a site's own among them."""
    return sorted({p.stem for folder in _conf_dirs() for p in (folder / group).glob("*.yaml")})


def _conf_dirs() -> list[Path]:
    site = site_folder()
    return [CONF_DIR, site] if site else [CONF_DIR]
