"""`sgg predict`: one image in, its graph out."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sgg.cli.arguments import split_arguments
from sgg.errors import SggError

if TYPE_CHECKING:
    from sgg.config.schema import Config


def main(argv: list[str]) -> None:
    """`sgg predict MODEL IMAGE`: one image in, drawn image and JSON out."""
    parser = argparse.ArgumentParser(
        prog="sgg predict",
        description="Write the scene graph of one image as JSON and draw it.",
        epilog="example: sgg predict runs/my-run photo.jpg out=graphs",
    )
    parser.add_argument("model", help="run folder, checkpoint folder or hub id")
    parser.add_argument("image", type=Path)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="out=DIR, where to write to (.); generate.temperature=1 and the like; without a run folder "
        "also model=…",
    )
    args = parser.parse_args(argv)
    own, overrides = split_arguments(args.overrides, ("out",))
    if bare := [word for word in overrides if "=" not in word and not word.startswith("~")]:
        raise SggError(
            f"{bare[0]}: sgg predict reads one image a call. Call it again for each other image; what "
            "is read otherwise is said by key=value."
        )
    from sgg.inference.predict import predict_file
    from sgg.plan.unread import refuse_unread_by

    config = _config_for(args.model, overrides)
    refuse_unread_by("predict", overrides, config)
    written, parsed = predict_file(config, args.image, Path(own.get("out", ".")).expanduser())
    print("\n".join(map(str, written)), file=sys.stdout)
    print(parsed.summary, file=sys.stderr)


def _config_for(model: str, overrides: list[str]) -> Config:
    """How the model was trained to be asked, changed by further overrides; one process, no DeepSpeed."""
    from sgg.cli.run_config import config_for
    from sgg.config.model import Init, LoraConfig

    config = config_for(Path(model), ["stage=eval", *overrides])
    config.model = replace(config.model, path=model, init=Init.pretrained, lora=LoraConfig())
    config.hardware = replace(config.hardware, nodes=1, processes_per_node=1)
    config.deepspeed = None
    return config
