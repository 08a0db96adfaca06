"""`sgg predict`: one picture in, its graph out."""

from __future__ import annotations

import argparse
import json
import sys
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
            trained = thaw(folder / FROZEN_NAME)
            choices = inherited(trained)
            config, _ = compose_config([*choices, *overrides, f"model.path={model}"])
            return config
    config, _ = compose_config([*overrides, "stage=eval", f"model.path={model}"])
    return config


def inherited(trained: Config) -> list[str]:
    """The choices and values of a run that decide how its model is asked."""
    choices = trained.choices
    groups = [f"{g}={choices[g]}" for g in ("model", "data", "prompt") if g in choices]
    root = [f"data.root={trained.data.root}"] if trained.data.root else []
    values: dict[str, Any] = {
        "model.min_pixels": trained.model.min_pixels,
        "model.max_pixels": trained.model.max_pixels,
        "prompt.template": trained.prompt.template.name,
        "prompt.reasoning": trained.prompt.reasoning,
        "prompt.system": trained.prompt.system,
        "data.vocabulary": trained.data.vocabulary.name,
    }
    return [*groups, "stage=eval", *root, *(f"{k}={json.dumps(v)}" for k, v in values.items())]
