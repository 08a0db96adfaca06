"""`sgg prepare`: read, check, count and cache a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from sgg.cli.arguments import refuse_starts
from sgg.errors import SggError


def main(argv: list[str]) -> None:
    """`sgg prepare data=… [key=value …]`: read, check, count and cache a data set."""
    parser = argparse.ArgumentParser(
        prog="sgg prepare",
        description="Read, check, count and cache a data set, as a run would; prints every issue.",
        epilog="example: sgg prepare data=jsonl data.root=DIR split=eval",
    )
    parser.add_argument(
        "overrides", nargs="*", help="key=value as for a run; split=train|eval|all (all)"
    )
    arguments = parser.parse_args(argv).overrides
    splits = {w.partition("=")[2] for w in arguments if w.startswith("split=")} or {"all"}
    chosen = ["train", "eval"] if splits == {"all"} else sorted(splits)
    unknown = set(chosen) - {"train", "eval"}
    if unknown:
        raise SggError(f"split={', '.join(unknown)}: allowed are train, eval and all.")
    overrides = [w for w in arguments if not w.startswith("split=")]
    refuse_starts(overrides)
    from sgg.config.compose import compose_config
    from sgg.data.overlap import shared_images
    from sgg.data.prepare import prepare as prepare_split
    from sgg.plan.unread import refuse_unread_by
    from sgg.plan.validate import validate
    from sgg.report.data_summary import summary

    config = compose_config(overrides)
    refuse_unread_by("prepare", overrides, config)
    validate(config)
    for split in chosen:
        prepared = prepare_split(config.data, split, Path(config.paths.cache), every_image=True)
        print(f"\n{summary(split, prepared)}")
        if prepared.refusal:
            raise SggError(prepared.refusal)
    shared = shared_images(config.data, chosen[-1], prepared, Path(config.paths.cache))
    if shared:
        print(f"\n**Warning:** {shared}")
