"""SWEEP_DIR/search.json: that a sweep is a search, and for what. Its points are in sweep.json, as always."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, to_builtins

from sgg.files import read_record, write_json

SEARCH = "search.json"
RESULTS = "optimization_results.yaml"
"""Best values, written by the sweeper when the search has ended."""


class SearchRecord(Struct):
    """What is searched for."""

    objective: str
    direction: str
    trials: int
    """As many as there will be."""
    space: list[str]
    """Overrides with several values or intervals."""

    def write(self, folder: Path) -> None:
        """Write SWEEP_DIR/search.json, whole or not at all."""
        write_json(folder / SEARCH, to_builtins(self))

    def note(self, made: int) -> str:
        """What `sgg resume` does with it, after so many trials."""
        return (
            f"A search with hydra/sweeper=optuna: {made} of {self.trials} trials have begun. sgg resume "
            "finishes these and makes no further ones."
        )


def read_search(folder: Path) -> SearchRecord | None:
    """The search of a sweep; None where its points were all known when it began.

    Raises:
        SggError: search.json has another form.

    """
    return read_record(folder / SEARCH, SearchRecord)
