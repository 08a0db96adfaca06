"""`sgg predict`: one picture in, its graph out."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from sgg.compose import compose_config
from sgg.config import FROZEN_NAME, Config, thaw


def main(argv: list[str]) -> None:
    """`sgg predict MODEL IMAGE`: one picture in, drawn picture and JSON out."""
    parser = argparse.ArgumentParser(
        prog="sgg predict",
        description="Write the scene graph of one picture as JSON and draw it.",
        epilog="example: sgg predict runs/my-run photo.jpg --out graphs",
    )
    parser.add_argument("model", help="run folder, checkpoint folder or hub id")
    parser.add_argument("image", type=Path)
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to (.)")
    parser.add_argument(
        "overrides",
        nargs="*",
        help="key=value, such as generate.temperature=1; without a run folder also model=…",
    )
    args = parser.parse_intermixed_args(argv)
    from sgg.predict import predict_file

    config = _config_for(args.model, args.overrides)
    written = predict_file(config, args.image, args.out)
    print("\n".join(map(str, written)), file=sys.stdout)


def _config_for(model: str, overrides: list[str]) -> Config:
    """How the model was trained to be asked: a run's frozen config, else what the overrides compose."""
    for folder in (Path(model), Path(model).parent):
        if (folder / FROZEN_NAME).is_file():
            return _inherited(thaw(folder / FROZEN_NAME), model, overrides)
    config, _ = compose_config([*overrides, "stage=eval", f"model.path={model}"])
    return config


def _inherited(trained: Config, model: str, overrides: list[str]) -> Config:
    """The run's way of asking and its precision, with the command line's words on top."""
    choices = trained.choices
    groups = [f"{g}={choices[g]}" for g in ("model", "data", "prompt") if g in choices]
    config, _ = compose_config([*groups, *overrides, "stage=eval", f"model.path={model}"])
    said = [o.lstrip("+").partition("=")[0] for o in overrides]
    for key in INHERITED:
        if not any(key == s or key.startswith(f"{s}.") for s in said):
            _set(config, key, _get(trained, key))
    if "hardware" not in said:
        config.hardware = replace(trained.hardware, nodes=1, processes_per_node=1)
    config.deepspeed = None
    return config


INHERITED = (
    "model.min_pixels",
    "model.max_pixels",
    "model.dtype",
    "model.attention",
    "prompt.template",
    "prompt.reasoning",
    "prompt.system",
    "data.root",
    "data.vocabulary",
)
"""Values, not choices: the run may have set them on its command line."""


def _get(config: Config, key: str) -> Any:
    group, name = key.split(".")
    return getattr(getattr(config, group), name)


def _set(config: Config, key: str, value: Any) -> None:
    group, name = key.split(".")
    setattr(getattr(config, group), name, value)
