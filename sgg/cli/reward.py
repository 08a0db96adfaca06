"""`sgg reward`: what each completion of a file earns, term by term, and why."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sgg.cli.arguments import is_trusted, split_arguments, typed_path
from sgg.errors import SggError, did_you_mean

if TYPE_CHECKING:
    from sgg.cli.reward_rows import Row
    from sgg.config.schema import Config
    from sgg.reward.score import Reward, RewardSpec, Scorer

OWN_KEYS = ("explain", "split", "trust")


def main(argv: list[str]) -> None:
    """`sgg reward COMPLETIONS reward=… data=… [explain=ID]`: each term for each completion."""
    parser = argparse.ArgumentParser(
        prog="sgg reward",
        description="Print what each completion earns, term by term, and the means. No model is needed.",
        epilog="A line of COMPLETIONS: {image_id, index, text}, as evaluation writes completions.jsonl; gold "
        "is then the split that data=… names. Or self-contained, with width, height and gold: {objects, "
        "relationships} in pixels. Boxes of the text are read in the frame of the config's model "
        "(as its prompt asks for them). example: sgg reward runs/R "
        "reward=balanced explain=2300001",
    )
    parser.add_argument(
        "completions",
        metavar="COMPLETIONS",
        type=Path,
        help="completions.jsonl, or the run folder that holds it",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="explain=ID or ID#INDEX; split=train|eval (eval); key=value as for a run. "
        "Beside a run's config.yaml, its model, prompt and data are the defaults; trust=true imports the "
        "reward terms of a run that you have neither made nor accepted",
    )
    args = parser.parse_args(argv)
    own, overrides = split_arguments(args.overrides, OWN_KEYS)
    path = typed_path(args.completions)
    from sgg.cli.reward_rows import read_rows
    from sgg.cli.sides import one_side
    from sgg.models.spec import graph_spec
    from sgg.plan.unread import refuse_unread_by
    from sgg.reward.mix import reward_mix
    from sgg.reward.score import Scorer, with_counts

    side = one_side(path, overrides, trust=is_trusted(own))
    config = side.config
    refuse_unread_by("reward", overrides, config)
    _check(config)
    print(f"{side.path}: read {side.how}", file=sys.stderr)
    rows = read_rows(path, config, own.get("split", "eval"))
    golds = {id(row.gold): row.gold for row in rows}.values()
    mix = with_counts(
        reward_mix(config.reward, config.paths.cache),
        lambda: Counter(edge.predicate for gold in golds for edge in gold.graph.edges),
    )
    scorer = Scorer(mix, graph_spec(config))
    if "explain" in own:
        _explain(scorer, rows, own["explain"])
    else:
        _table(scorer, rows)


def _check(config: Config) -> None:
    from sgg.plan.rules.reward import reward_problems

    problems = list(reward_problems(config.reward))
    if problems:
        raise SggError("\n".join(problems))
    if not config.reward.terms:
        raise SggError("The reward has no term. Take reward=balanced, or another preset.")


def _scored(scorer: Scorer, rows: list[Row]) -> list[Reward]:
    """One reward per row; completions that are compared with the same gold are a group."""
    groups: dict[tuple[str, int], list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault((row.image_id, id(row.gold)), []).append(place)
    rewards: dict[int, Reward] = {}
    for places in groups.values():
        found = scorer.group([rows[p].text for p in places], *rows[places[0]].gold)
        rewards.update(zip(places, found, strict=True))
    return [rewards[place] for place in range(len(rows))]


def _table(scorer: Scorer, rows: list[Row]) -> None:
    rewards = _scored(scorer, rows)
    names = list(scorer.mix.weights)
    width = max(len("completion"), *(len(row.name) for row in rows))
    columns = [max(len(name), 6) for name in names]

    def line(first: str, values: list[float], total: float, note: str = "") -> str:
        cells = " ".join(f"{v:>{w}.3f}" for v, w in zip(values, columns, strict=True))
        return f"{first:<{width}} {cells} {total:>7.3f} {note}".rstrip()

    heads = " ".join(f"{name:>{w}}" for name, w in zip(names, columns, strict=True))
    print(f"{'completion':<{width}} {heads} {'total':>7}")
    for row, reward in zip(rows, rewards, strict=True):
        values = [reward.breakdown[name] for name in names]
        kinds = dict.fromkeys(problem.kind.value for problem in reward.parsed.problems)
        print(line(row.name, values, reward.total, ", ".join(kinds)))
    means = [sum(r.breakdown[name] for r in rewards) / len(rewards) for name in names]
    print(line("mean", means, sum(r.total for r in rewards) / len(rewards)))
    weights = " ".join(
        f"{scorer.mix.weights[n]:>{w}g}" for n, w in zip(names, columns, strict=True)
    )
    print(f"{'weight':<{width}} {weights}")


def _explain(scorer: Scorer, rows: list[Row], wanted: str) -> None:
    from sgg.reward.explain import explain

    chosen = [row for row in rows if wanted in (row.image_id, row.name)]
    if not chosen:
        raise SggError(
            f"explain={wanted}: no such image in the file.{did_you_mean(wanted, {r.image_id for r in rows})}"
        )
    image = [row for row in rows if row.image_id == chosen[0].image_id]
    for row, reward in zip(image, _scored(scorer, image), strict=True):
        if row not in chosen:
            continue
        print(f"{row.name}: total {reward.total:.3f}")
        for name, value in reward.breakdown.items():
            print(f"  {name}: {value:.3f} × weight {scorer.mix.weights[name]:g}")
        case = scorer.case(row.text, *row.gold)
        for threshold, terms in _thresholds(scorer.mix).items():
            print(
                f"  hits at IoU {threshold:g} and above ({', '.join(terms) or 'no term asks for them'}):"
            )
            print("\n".join(f"  {line}" for line in explain(case, threshold)))


def _thresholds(mix: RewardSpec) -> dict[float, list[str]]:
    """Which terms of the reward hit relations at which IoU; .5 where none does."""
    found: dict[float, list[str]] = {}
    for name in dict.fromkeys((*mix.weights, *mix.gates.values())):
        term = mix.term(name)
        if name.startswith("edge_") and "iou_threshold" in term.options:
            default = inspect.signature(term.function).parameters["iou_threshold"].default
            threshold = float(mix.options.get(name, {}).get("iou_threshold", default))
            found.setdefault(threshold, []).append(name)
    return found or {0.5: []}
