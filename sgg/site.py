"""A site's own options: the folder that SGG_CONF names stands on Hydra's search path after conf/."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from sgg.places import site_folder


class SiteFolder(SearchPathPlugin):
    """Asked by Hydra whenever a search path is made: for a command, for composing, for tab completion."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folder, if one is named."""
        site = site_folder()
        if site is not None:
            search_path.append("sgg-site", f"file://{site}")
