"""What wandb has stored in its files, by wandb's own reader (`wandb leet inspect`)."""

import json
import subprocess

from wandb.util import get_core_path


def records(file, kind):
    """The content of each record of one kind, in order."""
    reader = [get_core_path(), "leet", "inspect", "--json", "--no-observability"]
    where = ["--run-file", str(file), str(file.parent.parent)]
    done = subprocess.run([*reader, *where], capture_output=True, text=True, check=True)
    found = map(json.loads, done.stdout.splitlines())
    return [record[kind] for record in found if record["type"] == kind]


def history(file):
    """The rows of all steps."""
    return [row["item"] for row in records(file, "history")]
