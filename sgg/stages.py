"""Stage name -> module, and one stage of a frozen config run in this process."""

from __future__ import annotations

import logging
import os
from importlib import import_module
from pathlib import Path

STAGES = {"sft": "sgg.train.sft", "grpo": "sgg.train.grpo", "eval": "sgg.evaluation.stage"}
"""Module with `run(config, run_dir)` for every stage."""


def run_stage(path: Path) -> None:
    """Run the stage of a frozen config in this process, which may be one rank of several."""
    from sgg.config.frozen import read_frozen
    from sgg.config.tree import cache_to_write
    from sgg.explain.run import explained
    from sgg.models.weights import is_complete
    from sgg.runs.folder import record_start, start_logging
    from sgg.runs.lease import holder
    from sgg.runs.sweep import resume_command

    config, run_dir = read_frozen(path), path.parent
    config.paths.cache = cache_to_write(config.paths.cache)
    config.paths.run_dir = str(run_dir)
    rank = int(os.environ.get("RANK", 0))
    with explained([run_dir, Path(config.paths.cache)], resume_command(run_dir)):
        start_logging(run_dir, rank)
        if rank == 0:
            if not is_complete(run_dir):  # else nothing starts
                record_start(run_dir, config)
            if (owner := holder(run_dir)) is not None and owner.took_over:
                logging.getLogger("run").warning("%s", owner.took_over)  # the screen has it already
        import_module(STAGES[config.stage.name.name]).run(config, run_dir)
