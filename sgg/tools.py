"""The verbs: `sgg prepare`, `sgg predict`, `sgg report`. Each takes overrides or a folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sgg.compose import compose_config
from sgg.config import FROZEN_NAME, Config, thaw
from sgg.errors import SggError


def prepare(argv: list[str]) -> None:
    """`sgg prepare data=… [key=value …]`: read, check, count and cache a data set."""
    parser = argparse.ArgumentParser(
        prog="sgg prepare",
        description="Read, check, count and cache a data set, as a run would; prints what was amiss.",
        epilog="example: sgg prepare data=jsonl data.root=DIR part=eval",
    )
    parser.add_argument(
        "overrides", nargs="*", help="key=value as for a run; part=train|eval|all (all)"
    )
    words = parser.parse_args(argv).overrides
    parts = {w.partition("=")[2] for w in words if w.startswith("part=")} or {"all"}
    chosen = ["train", "eval"] if parts == {"all"} else sorted(parts)
    unknown = set(chosen) - {"train", "eval"}
    if unknown:
        raise SggError(f"part={', '.join(unknown)}: allowed are train, eval and all.")
    config, _ = compose_config([w for w in words if not w.startswith("part=")])
    from sgg.data.build import prepare as prepare_part
    from sgg.report.data_summary import summary
    from sgg.validate import validate

    validate(config)
    for part in chosen:
        prepared = prepare_part(config.data, part, Path(config.paths.cache))
        print(f"\n{summary(part, prepared)}")


def report(argv: list[str]) -> None:
    """`sgg report RUN_DIR`: write report.html."""
    parser = argparse.ArgumentParser(
        prog="sgg report", description="Write one self-contained HTML file about a run or pipeline."
    )
    parser.add_argument("run_dir", type=Path)
    from sgg.report.build import write_report

    print(write_report(parser.parse_args(argv).run_dir))


def predict(argv: list[str]) -> None:
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
            inherited = _inherited(trained)
            config, _ = compose_config([*inherited, *overrides, f"model.path={model}"])
            return config
    config, _ = compose_config([*overrides, "stage=eval", f"model.path={model}"])
    return config


def _inherited(trained: Config) -> list[str]:
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
