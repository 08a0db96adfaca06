"""`sgg score`: predictions against gold, without a model; or two runs against each other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgg.cli.arguments import split_arguments, typed_path

if TYPE_CHECKING:
    from sgg.cli.sides import Side
    from sgg.evaluation.comparison import Comparison
    from sgg.evaluation.predictions import Predictions
    from sgg.evaluation.score import Scored

OWN = ("against", "out")
"""Arguments of this tool; the others are keys of a config."""
_EPILOG = """\
  PREDICTIONS        a run folder, completions.jsonl, one graph a line, R1-SGG's folder of JSON files
                     or its gathered file (docs/metrics.md)
arguments of this tool:
  against=PATH       other predictions for the same images, the baseline: prints what differs, whether that
                     is noise (paired test), and writes the images that changed to flips.jsonl
  out=DIR            where metrics.json, per_predicate.csv and failures.jsonl go
                     (score-PROTOCOL beside the predictions)
Predictions in a run folder are read as that run's config says; further overrides change it. Of two sides each
is read by its own config (a file without one as the other side is), and both are judged by one protocol and
one gold; where their configs name two, say one for both, such as protocol=sgg.

examples:
  sgg score runs/my-eval
  sgg score graphs.jsonl data=jsonl data.root=DIR protocol=sgg
  sgg score R1_SGG_OUTPUT data=vg150 protocol=vg150_val5k_r1sgg
  sgg score runs/a against=runs/b"""


def main(argv: list[str]) -> None:
    """`sgg score PREDICTIONS data=… protocol=…`: score predictions without a model."""
    parser = argparse.ArgumentParser(
        prog="sgg score",
        usage="sgg score PREDICTIONS [against=PATH] [out=DIR] [key=value ...]",
        description="Score predictions against gold and write what was found.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("predictions", metavar="PREDICTIONS", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    own, rest = split_arguments(args.overrides, OWN)
    _score(typed_path(args.predictions), own, rest)


def _score(path: Path, own: dict[str, str], overrides: list[str]) -> None:
    from sgg.cli.sides import one_side, refuse_two_judges, rival_of
    from sgg.config.derived import gold_data, scored_split
    from sgg.data.prepare import prepare, vocabulary
    from sgg.evaluation.comparison import compare_scored
    from sgg.evaluation.flips import write_flips
    from sgg.evaluation.prediction_files import find
    from sgg.evaluation.predictions import read_predictions
    from sgg.evaluation.stage import score_split
    from sgg.plan.unread import refuse_unread_by
    from sgg.plan.validate import validate
    from sgg.report.comparison_table import comparison_table
    from sgg.report.score_table import score_table

    other = typed_path(Path(own["against"])) if own.get("against") else None
    side = one_side(path, overrides, other)
    rival = rival_of(side, other, overrides) if other is not None else None
    config = side.config
    refuse_unread_by("score", overrides, config)
    validate(config)
    names = vocabulary(config.data)
    find(path)  # before gold is prepared, which may take minutes
    gold = prepare(gold_data(config), scored_split(config), Path(config.paths.cache))
    ids = gold.image_ids
    predictions = read_predictions(path, names, ids=ids)
    others = read_predictions(rival.path, names, ids) if rival is not None else None
    if rival is not None:
        refuse_two_judges(side, rival, gold)
    scored = score_split(config, predictions, gold)
    scored.content["made_from"] = _origin(side, predictions) | {
        "data_fingerprint": gold.fingerprint
    }
    comparison = None
    if rival is not None and others is not None:
        second = score_split(config, others, gold, rival.spec)
        comparison = compare_scored(scored, second, _names(side.path, rival.path))
        scored.content["against"] = _origin(rival, others) | _counts(second) | _found(comparison)
    out = own.get("out")
    beside = path if path.is_dir() else path.parent
    folder = Path(out).expanduser() if out else beside / f"score-{config.protocol.id}"
    written = scored.write(folder)
    if comparison is not None:
        written.append(write_flips(comparison, gold, folder))
    print(f"{side.path}: read {side.how}", file=sys.stderr)
    print(score_table(scored.content))
    if comparison is not None:
        print(f"\n{_against(scored.content['against'])}\n{comparison_table(comparison)}")
    print("\n" + "\n".join(map(str, written)), file=sys.stdout)


def _origin(side: Side, predictions: Predictions) -> dict[str, Any]:
    return {
        "predictions": str(side.path),
        "predictions_sha256": predictions.digest(),
        "read": side.how,
    }


def _counts(scored: Scored) -> dict[str, Any]:
    missing = scored.content["problems"].get("no_completion", {"completions": 0})
    return {
        "completions": scored.content["completions"],
        "images_without_completion": missing["completions"],
    }


def _names(path: Path, rival: Path) -> tuple[str, str]:
    """What a verdict calls the two: their last names, or the whole paths where those are the same."""
    if path.name == rival.name:
        return str(path), str(rival)
    return path.name, rival.name


def _found(comparison: Comparison) -> dict[str, Any]:
    """What metrics.json holds of a comparison."""
    tested = ("difference", "low", "high", "p", "p_holm")
    return {
        "verdict": comparison.verdict,
        "is_real": comparison.main.is_real,
        "tests": {
            name: {key: getattr(metric, key) for key in tested}
            for name, metric in comparison.metrics.items()
        },
        "predicates": [asdict(predicate) for predicate in comparison.predicates],
        "images_by_change": comparison.counts,
    }


def _against(content: Mapping[str, Any]) -> str:
    """Which predictions are the baseline, and how they are read."""
    missing = content["images_without_completion"]
    note = f"; {missing} images without a completion" if missing else ""
    return (
        f"against {content['predictions']}, read {content['read']}: {content['completions']} "
        f"completions{note}\n"
    )
