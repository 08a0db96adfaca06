"""`sgg reward`: what each completion of a file earns, term by term, and why."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sgg.errors import SggError, nearest
from sgg.verbs.words import split_words

if TYPE_CHECKING:
    from sgg.config import Config
    from sgg.graph import SceneGraph
    from sgg.reward.score import Mix, Reward, Scorer

OWN_KEYS = ("completions", "explain", "part")


class Row(NamedTuple):
    """One answer."""

    image_id: str
    number: int
    text: str


class Gold(NamedTuple):
    """What answers to one image are compared with; boxes in pixels."""

    graph: SceneGraph
    width: int
    height: int


def main(argv: list[str]) -> None:
    """`sgg reward completions=FILE reward=… data=… [explain=ID]`: each term for each completion."""
    parser = argparse.ArgumentParser(
        prog="sgg reward",
        description="Print what each completion earns, term by term, and the means. No model is needed.",
        epilog="A line of FILE: {image_id, index, text}, as evaluation writes completions.jsonl; gold is "
        "then the split that data=… names. Or self-contained, with width, height and gold: {objects, "
        "relationships} in pixels. example: sgg reward completions=runs/R/completions.jsonl "
        "reward=balanced explain=2300001",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        help="completions=FILE; explain=ID or ID#INDEX; part=train|eval (eval); key=value as for a run. "
        "Beside a run's config.yaml, its model, prompt and data are the defaults",
    )
    words = parser.parse_args(argv).overrides
    own, overrides = split_words(words, OWN_KEYS)
    if "completions" not in own:
        raise SggError("sgg reward needs completions=FILE.")
    path = Path(own["completions"])
    if not path.is_file():
        raise SggError(f"completions={path}: no such file.")
    config = _config(path, overrides)
    from sgg.reward.score import Scorer, with_counts
    from sgg.spec import graph_spec, reward_mix

    rows, golds = _read(path, config, own.get("part", "eval"))
    predicates = [e.predicate for g in golds.values() for e in g.graph.edges]
    mix = with_counts(
        reward_mix(config.reward, config.paths.cache),
        lambda: {name: predicates.count(name) for name in set(predicates)},
    )
    scorer = Scorer(mix, graph_spec(config))
    if "explain" in own:
        _explain(scorer, rows, golds, own["explain"])
    else:
        _table(scorer, rows, golds)


def _config(path: Path, overrides: list[str]) -> Config:
    from sgg.validate_reward import reward_problems
    from sgg.verbs.run_config import config_for

    config = config_for(path, overrides)
    problems = list(reward_problems(config.reward))
    if problems:
        raise SggError("\n".join(problems))
    if not config.reward.terms:
        raise SggError("The reward has no term. Take reward=balanced, or another preset.")
    return config


def _read(path: Path, config: Config, part: str) -> tuple[list[Row], dict[str, Gold]]:
    """The answers in order, and gold by image id: from the rows themselves, or from the split."""
    from sgg.data.build import prepare
    from sgg.run import read_json_lines

    lines = list(read_json_lines(path))
    if not lines:
        raise SggError(f"completions={path}: no lines.")
    for number, line in enumerate(lines, 1):
        if not {"image_id", "text"} <= set(line):
            raise SggError(f"completions={path}, line {number}: image_id or text is missing.")
    rows = [Row(str(line["image_id"]), int(line.get("index", 0)), line["text"]) for line in lines]
    if all("gold" in line for line in lines):
        return rows, {row.image_id: _own_gold(line) for row, line in zip(rows, lines, strict=True)}
    if part not in ("train", "eval"):
        raise SggError(f"part={part}: allowed are train and eval.")
    prepared = prepare(config.data, part, Path(config.paths.cache))
    split = (prepared.gold(i) for i in range(len(prepared)))
    golds = {g["image_id"]: Gold(g["graph"], g["width"], g["height"]) for g in split}
    for row in rows:
        if row.image_id not in golds:
            raise SggError(
                f"completions={path}: image {row.image_id} is not in the {part} split of the data."
                f"{nearest(row.image_id, golds)} Check data=…, its limits and part=train|eval."
            )
    return rows, golds


def _own_gold(line: dict[str, Any]) -> Gold:
    from sgg.graph import from_dict

    try:
        return Gold(from_dict(line["gold"]), int(line["width"]), int(line["height"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SggError(
            f"image {line['image_id']}: a row with gold needs width, height and "
            f"gold={{objects, relationships}}: {error!r}."
        ) from error


def _scored(scorer: Scorer, rows: list[Row], golds: dict[str, Gold]) -> list[Reward]:
    """One reward per row, all answers to an image together."""
    of_image: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        of_image.setdefault(row.image_id, []).append(place)
    rewards: dict[int, Reward] = {}
    for image_id, places in of_image.items():
        found = scorer.group([rows[p].text for p in places], *golds[image_id])
        rewards.update(zip(places, found, strict=True))
    return [rewards[place] for place in range(len(rows))]


def _table(scorer: Scorer, rows: list[Row], golds: dict[str, Gold]) -> None:
    rewards = _scored(scorer, rows, golds)
    names = list(scorer.mix.weights)
    width = max(len("completion"), *(len(f"{r.image_id}#{r.number}") for r in rows))
    columns = [max(len(name), 6) for name in names]

    def line(first: str, values: list[float], total: float, note: str = "") -> str:
        cells = " ".join(f"{v:>{w}.3f}" for v, w in zip(values, columns, strict=True))
        return f"{first:<{width}} {cells} {total:>7.3f} {note}".rstrip()

    heads = " ".join(f"{name:>{w}}" for name, w in zip(names, columns, strict=True))
    print(f"{'completion':<{width}} {heads} {'total':>7}")
    for row, reward in zip(rows, rewards, strict=True):
        failure = reward.parsed.failure
        values = [reward.breakdown[name] for name in names]
        note = failure.value if failure else ""
        print(line(f"{row.image_id}#{row.number}", values, reward.total, note))
    means = [sum(r.breakdown[name] for r in rewards) / len(rewards) for name in names]
    print(line("mean", means, sum(r.total for r in rewards) / len(rewards)))
    weights = " ".join(
        f"{scorer.mix.weights[n]:>{w}g}" for n, w in zip(names, columns, strict=True)
    )
    print(f"{'weight':<{width}} {weights}")


def _explain(scorer: Scorer, rows: list[Row], golds: dict[str, Gold], wanted: str) -> None:
    from sgg.reward.explain import explain

    chosen = [r for r in rows if wanted in (r.image_id, f"{r.image_id}#{r.number}")]
    if not chosen:
        raise SggError(
            f"explain={wanted}: no such image in the file.{nearest(wanted, {r.image_id for r in rows})}"
        )
    for row in chosen:
        gold = golds[row.image_id]
        group = [r for r in rows if r.image_id == row.image_id]
        reward = _scored(scorer, group, golds)[group.index(row)]
        print(f"{row.image_id}#{row.number}: total {reward.total:.3f}")
        for name, value in reward.breakdown.items():
            print(f"  {name}: {value:.3f} × weight {scorer.mix.weights[name]:g}")
        case = scorer.case(row.text, *gold)
        for threshold, terms in _thresholds(scorer.mix).items():
            print(
                f"  hits at IoU {threshold:g} and above ({', '.join(terms) or 'no term asks for them'}):"
            )
            print("\n".join(f"  {line}" for line in explain(case, threshold)))


def _thresholds(mix: Mix) -> dict[float, list[str]]:
    """Which terms of the reward hit relations at which IoU; .5 where none does."""
    found: dict[float, list[str]] = {}
    for name in dict.fromkeys((*mix.weights, *mix.gates.values())):
        term = mix.term(name)
        if name.startswith("edge_") and "iou_threshold" in term.options:
            default = inspect.signature(term.function).parameters["iou_threshold"].default
            threshold = float(mix.options.get(name, {}).get("iou_threshold", default))
            found.setdefault(threshold, []).append(name)
    return found or {0.5: []}
