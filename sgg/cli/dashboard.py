"""`sgg dashboard`: a workspace and a report at wandb about runs, pipelines and sweeps."""

from __future__ import annotations

import argparse
import shlex
from importlib.util import find_spec
from pathlib import Path

from sgg.cli.arguments import split_arguments, typed_folders
from sgg.errors import SggError

OWN = ("entity", "project", "out")
SPEC = "dashboard.json"
_EPILOG = f"""\
arguments of this tool:
  entity=TEAM        wandb's team or user (that of the configs, or the key's own)
  project=PROJECT    wandb's project (that of the configs)
  out=FILE           where the dashboard is written ({SPEC} in the folder; of several folders, in the current)

With a key (WANDB_API_KEY or `wandb login`) and a server that answers, workspace and report are saved there
and their addresses printed; without, the same command does it later.

examples:
  sgg dashboard runs/demo-20260101-120000
  sgg dashboard multirun/my-sweep entity=my-team"""


def main(argv: list[str]) -> None:
    """`sgg dashboard FOLDER… [entity=…] [project=…] [out=FILE]`."""
    parser = argparse.ArgumentParser(
        prog="sgg dashboard",
        usage="sgg dashboard FOLDER ... [entity=TEAM] [project=PROJECT] [out=FILE]",
        description="Curves, reward terms, metrics and samples of runs that wandb has tracked, as a "
        "workspace and a report there.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="FOLDER", help="of runs, pipelines or sweeps")
    words = parser.parse_args(argv).words
    own, others = split_arguments(words, OWN)
    folders = typed_folders(others, "sgg dashboard", OWN)
    if find_spec("wandb_workspaces") is None:
        raise SggError(
            "sgg dashboard needs the package wandb-workspaces: pip install 'sgg[dashboard]'."
        )
    _write(folders, own, shlex.join(["sgg", "dashboard", *words]))


def _write(folders: list[Path], own: dict[str, str], command: str) -> None:
    from sgg.config.tree import cache_here
    from sgg.dashboard.content import dashboard_of, title_of
    from sgg.files import as_json, make_output_folder, write_whole
    from sgg.report.content.folders import runs_of
    from sgg.runs.signature import is_signed_run
    from sgg.tracking.wandb import refuse_settings_of

    found = runs_of(folders)
    is_own = all(is_signed_run(run.path) for run in found)
    dashboard = dashboard_of(
        folders,
        title_of(folders),
        own.get("entity"),
        own.get("project"),
        None if is_own else cache_here(),
    )
    for run in found:
        refuse_settings_of(run.path)
    from sgg.dashboard.publish import no_way_to_publish, published
    from sgg.dashboard.spec import spec_of

    file = Path(own["out"]).expanduser() if "out" in own else _default_file(folders)
    make_output_folder(file.parent)
    write_whole(file, as_json(spec_of(dashboard)))
    for what in dashboard.left_out:
        print(f"Left out: {what}")
    print(file)
    if not is_own and not {"entity", "project"} <= own.keys():
        print(
            "Not saved at wandb: you have neither made nor accepted these runs, so say where it goes with "
            "entity=… project=…"
        )
    elif (problem := no_way_to_publish()) is not None:
        print(f"Not saved at wandb: {problem}. Once there is a key and a server:\n  {command}")
    else:
        print("\n".join(published(dashboard)))


def _default_file(folders: list[Path]) -> Path:
    return folders[0] / SPEC if len(folders) == 1 else Path(SPEC)
