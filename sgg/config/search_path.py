"""Adds the folder that SGG_CONF names to Hydra's search path, after conf/, for options of a site."""

from __future__ import annotations

import re
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from sgg.config.tree import CONF_DIR, SITE, site_folder
from sgg.errors import SggError


class SitePlugin(SearchPathPlugin):
    """Asked by Hydra whenever a search path is made: for a command, for composing, for tab completion."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folder, if one is named."""
        site = site_folder()
        if site is not None:
            _refuse_misread(site)
            search_path.append("sgg-site", f"file://{site}")


def _refuse_misread(site: Path) -> None:
    """Raise SggError for a file that Hydra would pass over, or of which it would pass over a line.

    That is an option with the name of one of ours, and `# @package` below any other line.
    """
    for path in site.glob("*/*.yaml"):
        if (CONF_DIR / path.relative_to(site)).is_file():
            raise SggError(
                f"{path}: sgg has {path.parent.name}={path.stem} itself, and would take its own. "
                f"Give yours another name (it stands in {SITE})."
            )
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
        package = [line for line in lines if re.match(rb"#\s*@package", line)]
        if package and lines[0] != package[0]:
            line = package[0].decode(errors="replace")
            raise SggError(f"{path}: `{line}` must be its first line, to be heeded.")
