"""A checkpoint folder that passes for whole until it is loaded."""

import json
import shutil

from sgg.models.weights import locate

MISMATCH = "ignore_mismatched_sizes"
"""In the error that transformers raises."""


def unloadable(folder):
    """The tiny model's folder with a config that its weights do not fit; returns it."""
    shutil.copytree(locate("tiny_qwen2_5_vl"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] += 32
    (folder / "config.json").write_text(json.dumps(config))
    return folder
