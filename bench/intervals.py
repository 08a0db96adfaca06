"""How often the 95 % intervals hold the truth, and how often the paired test is wrong, by simulation.

A population of synthetic images with a long tail of predicates gets predictions of three models and scored
by the project's own code; then 50, 200 or 2,000 images are drawn from it again and again. The truth of a
ratio is its value over the population; that of mean recall is stated beside each figure. scipy's bootstrap
is measured beside it. Tables go into docs/metrics.md.
    python bench/intervals.py [--draws 4000] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from page import METRICS, put
from scipy.stats import bootstrap

from sgg.config.protocol import Mode, ProtocolConfig
from sgg.metrics.bootstrap import difference, interval
from sgg.metrics.permutation import compare
from sgg.metrics.recall import Estimate, Recalls
from sgg.metrics.tally import Builder, Task
from sgg.report.tables import markdown
from sgg.scene.graph import Edge, Node, SceneGraph
from sgg.scene.vocab import VOCABULARIES
from sgg.text.codec import ErrorKind, Parsed, Problem

PREDICATES = VOCABULARIES["vg150"].predicates
SIZES = (50, 200, 2_000)
MARK = "<!-- bench/intervals.py -->"
LOW, HIGH = 0.93, 0.97
Runs = dict[str, Estimate]
"""The estimates of one model's predictions, by metric."""
Shares = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Model:
    """How often a completion fails as a whole, and how likely a relation is hit."""

    failures: float
    skill: float
    """Log odds of a hit for the commonest predicate."""


MODELS = {
    "weak": Model(0.2, -1.2),
    "middling": Model(0.06, 1.0),
    "strong": Model(0.04, 3.2),
}


def images(count: int, rng: np.random.Generator) -> Iterator[tuple[SceneGraph, float]]:
    """Gold graphs and difficulties: about 7 relations of predicates by a power law, 4 % have none.

    Every relation has two objects of its own; one in twenty is of an unseen triplet (its subject a zebra).
    """
    shares = 1 / np.arange(1, len(PREDICATES) + 1) ** 1.8
    shares /= shares.sum()
    for _ in range(count):
        size = 0 if rng.random() < 0.04 else min(1 + rng.negative_binomial(1.2, 0.17), 40)
        nodes, edges = [], []
        for i, p in enumerate(rng.choice(len(PREDICATES), size=size, p=shares)):
            subject = "zebra" if rng.random() < 0.05 else "man"
            nodes += [
                Node(subject, (40 * i, 0, 40 * i + 30, 30)),
                Node("dog", (40 * i, 50, 40 * i + 30, 80)),
            ]
            edges.append(Edge(2 * i, PREDICATES[p], 2 * i + 1))
        yield SceneGraph(tuple(nodes), tuple(edges)), rng.normal()


def predicted(gold: SceneGraph, difficulty: float, who: Model, rng: np.random.Generator) -> Parsed:
    """Relations hit by their predicate's and the image's difficulty; half of the others misnamed."""
    if rng.random() < who.failures:
        return Parsed(SceneGraph(), (Problem(ErrorKind.no_json),))
    edges = []
    for edge in gold.edges:
        rarity = PREDICATES.index(edge.predicate) / len(PREDICATES)
        odds = who.skill - difficulty - 2 * rarity - (gold.nodes[edge.subject].name == "zebra")
        if rng.random() < 1 / (1 + np.exp(-odds)):
            edges.append(edge)
        elif rng.random() < 0.5:
            edges.append(edge._replace(predicate="unknown"))
    wrong = rng.poisson(1.0) if gold.nodes else 0
    edges += [Edge(1, "unknown", int(rng.integers(len(gold.nodes)))) for _ in range(wrong)]
    return Parsed(SceneGraph(gold.nodes, tuple(edges)), ())


def scored(golds: Sequence[tuple[SceneGraph, float]], who: Model, seed: int) -> Runs:
    """The estimates of one model's predictions for a population."""
    rng = np.random.default_rng(seed)
    unseen = frozenset(("zebra", predicate, "dog") for predicate in PREDICATES)
    protocol = ProtocolConfig(modes=[Mode.sgdet], cutoffs=[20], graph_constraint=False)
    builder = Builder(Task(protocol, VOCABULARIES["vg150"], unseen), first=True)
    for index, (gold, difficulty) in enumerate(golds):
        builder.add(index, predicted(gold, difficulty, who, rng), gold)
    tally = builder.tally()
    found = Recalls(tally, protocol, PREDICATES, len(golds))
    return {
        "failure_rate": found.mean_of(tally.failed),
        "duplicate_rate": found.rate("repeated", "predicted"),
        "R": found.recall("sgdet", None),
        "zR": found.recall("sgdet", None, tally.unseen),
        "precision": found.precision(None),
        "F1": found.f1(None),
        "mR": replace(found.mean_recall("sgdet", None), divisor=None),
    }


def drawn(estimate: Estimate, rows: np.ndarray) -> Estimate:
    """The estimate of a sample of images."""
    over, under = estimate.numerator[rows], estimate.denominator[rows]
    return replace(estimate, numerator=over, denominator=under)


def truth(estimate: Estimate, sample: Estimate) -> float:
    """The population's value, over the predicates that the sample's gold shows."""
    if estimate.harmonic:
        return estimate.value
    shown = sample.denominator.any(axis=0)
    rates = estimate.numerator.sum(axis=0)[shown] / estimate.denominator.sum(axis=0)[shown]
    return float(rates.mean())


def counted(estimate: Estimate) -> bool:
    """Whether there is anything to be right about: not so for zR without an unseen triplet."""
    shown = estimate.denominator.any(axis=0)
    return bool(shown.all() if estimate.harmonic else shown.any())


def holds(ends: Sequence[float], value: float) -> bool:
    return bool(ends[0] <= value + 1e-12 and value <= ends[1] + 1e-12)


def coverage(estimate: Estimate, size: int, draws: int, seed: int) -> float:
    """Share of samples of `size` images whose interval holds the truth."""
    rng = np.random.default_rng([seed, size])
    right = total = 0
    for _ in range(draws):
        sample = drawn(estimate, rng.integers(0, len(estimate.numerator), size))
        if counted(sample):
            total += 1
            right += holds(interval(sample), truth(estimate, sample))
    return right / total


def targets(estimate: Estimate, size: int, draws: int, seed: int) -> list[float]:
    """What mean recall is near: means of sample value and truth, coverage of that, of E, of the whole."""
    rng = np.random.default_rng([seed, size])
    found, ends = [], []
    for _ in range(draws):
        sample = drawn(estimate, rng.integers(0, len(estimate.numerator), size))
        shown = float(sample.denominator.any(axis=0).mean())
        found.append((sample.value, truth(estimate, sample), shown))
        ends.append(interval(sample))
    values, near, shown = np.array(found).T
    share = [
        np.mean([holds(e, t) for e, t in zip(ends, target, strict=True)])
        for target in (near, np.full(draws, values.mean()), np.full(draws, estimate.value))
    ]
    return [float(shown.mean()), float(values.mean()), float(near.mean()), *map(float, share)]


def by_bootstrap(
    estimate: Estimate, size: int, draws: int, seed: int, method: str, absent_is_0: bool
) -> float:
    """Coverage of scipy's bootstrap, of 999 resamples."""
    rng = np.random.default_rng([seed, size])
    right = total = 0
    for _ in range(draws):
        sample = drawn(estimate, rng.integers(0, len(estimate.numerator), size))
        if not counted(sample):
            continue
        shown = int(sample.denominator.any(axis=0).sum())
        if absent_is_0 and not sample.harmonic:
            sample = replace(sample, divisor=shown)

        def statistic(rows: np.ndarray, axis: int = -1, sample: Estimate = sample) -> np.ndarray:
            # `rows` are image numbers, resampled along the last axis
            over, under = sample.numerator[rows], sample.denominator[rows]
            return sample.reduced(over.sum(axis=-2), under.sum(axis=-2))

        with np.errstate(all="ignore"):
            ends = bootstrap(
                (np.arange(size),), statistic, n_resamples=999, method=method, rng=rng, batch=100
            ).confidence_interval
        total += 1
        right += holds(ends, truth(estimate, sample)) if not np.isnan(ends).any() else False
    return right / total


def paired(a: Runs, b: Runs, size: int, draws: int, seed: int, equal: bool) -> Shares:
    """By metric: coverage of the difference's interval, and the share of p below .05 of equal runs.

    Runs are made equal by exchanging a and b in random images: two whole populations of predictions differ
    by chance, which 2,000 of their images would find.
    """
    rng = np.random.default_rng([seed, size])
    names = [name for name in a if name != "duplicate_rate"]
    right, small, total = (dict.fromkeys(names, 0) for _ in range(3))
    for place in range(draws):
        rows = rng.integers(0, len(a["R"].numerator), size)
        left, other = [[drawn(run[name], rows) for name in names] for run in (a, b)]
        if equal:
            swapped = rng.random(size) < 0.5
            pairs = [exchanged(x, y, swapped) for x, y in zip(left, other, strict=True)]
            left, other = [x for x, _ in pairs], [y for _, y in pairs]
        found = compare(left, other, seed=place) if equal else []
        for i, name in enumerate(names):
            x, y = left[i], other[i]
            if not (counted(x) and counted(y)):
                continue
            total[name] += 1
            aim = 0.0 if equal else truth(a[name], x) - truth(b[name], y)
            right[name] += holds(difference(x, y), aim)
            small[name] += bool(found) and found[i].p <= 0.05
    return {n: (right[n] / total[n], small[n] / total[n]) for n in names}


def exchanged(a: Estimate, b: Estimate, swapped: np.ndarray) -> tuple[Estimate, Estimate]:
    """Two runs that have changed places in some images."""
    pick = swapped[:, None]
    first, second = (
        replace(
            x,
            numerator=np.where(pick, y.numerator, x.numerator),
            denominator=np.where(pick, y.denominator, x.denominator),
        )
        for x, y in ((a, b), (b, a))
    )
    return first, second


def shown(share: float) -> str:
    """A per cent figure, marked where it is not between 93 and 97."""
    text = f"{100 * share:.1f}"
    return text if LOW <= round(share, 3) <= HIGH else f"**{text}**"


def covered(runs: dict[str, Runs], draws: int) -> str:
    """The table of every metric, model and number of images."""
    head = ["coverage, %", *(f"{name} {n:,}" for name in runs for n in SIZES)]
    rows = [head]
    for metric in runs["weak"]:
        cells = [
            shown(coverage(run[metric], n, draws // (1 + (n == SIZES[-1])), 3))
            for run in runs.values()
            for n in SIZES
        ]
        rows.append([metric, *cells])
        print(rows[-1], flush=True)
    return markdown(rows)


def beside_bootstraps(run: Runs, draws: int) -> str:
    """The table of what scipy's bootstraps hold."""
    rows = [["coverage, %", "images", "this", "BCa", "percentile", "percentile, absent counts 0"]]
    for metric in ("R", "precision", "mR"):
        for n in SIZES[:2]:
            rivals = [("BCa", False), ("percentile", False), ("percentile", True)]
            cells = [by_bootstrap(run[metric], n, draws, 4, *how) for how in rivals]
            own = coverage(run[metric], n, draws, 4)
            rows.append([metric, str(n), *map(shown, [own, *cells])])
            print(rows[-1], flush=True)
    return markdown(rows)


def aimed_at(runs: dict[str, Runs], draws: int) -> str:
    """The table of what mean recall is near."""
    rows = [["mR of", "images", "predicates shown", "mean mR", "mean truth over those shown"]]
    rows[0] += ["holds that, %", "holds the mean mR, %", "holds the population's over all, %"]
    for name, run in runs.items():
        for n in SIZES:
            part, value, near, *shares = targets(run["mR"], n, draws, 5)
            texts = [f"{100 * part:.0f} %", f"{value:.3f}", f"{near:.3f}"]
            rows.append([name, f"{n:,}", *texts, *map(shown, shares)])
            print(rows[-1], flush=True)
    return markdown(rows)


def of_two_runs(runs: dict[str, Runs], twin: Runs, draws: int) -> str:
    """The table of the paired test, and of the intervals of differences."""
    what = ("p ≤ .05, %:", "equal, %:", "unequal, %:")
    rows = [["two runs", *(f"{words} {n:,}" for words in what for n in SIZES)]]
    null, real = ({n: {} for n in SIZES} for _ in range(2))
    for n in SIZES:
        some = draws // (1 + (n == SIZES[-1]))
        null[n] = paired(runs["middling"], twin, n, some, 6, equal=True)
        real[n] = paired(runs["middling"], runs["weak"], n, some, 7, equal=False)
        print(n, null[n], real[n], flush=True)
    for metric in null[SIZES[0]]:
        cells = [f"{100 * null[n][metric][1]:.1f}" for n in SIZES]
        cells += [shown(found[n][metric][0]) for found in (null, real) for n in SIZES]
        rows.append([metric, *cells])
    return markdown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--images", type=int, default=10_000, help="of the population")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/metrics.md")
    args = parser.parse_args()
    draws = args.draws
    golds = list(images(args.images, np.random.default_rng(0)))
    runs = {name: scored(golds, who, 1) for name, who in MODELS.items()}
    twin = scored(golds, MODELS["middling"], 2)
    pages = [
        f"Coverage of the 95 % intervals, in %, for three kinds of predictions and 50, 200 and 2,000 images "
        f"(**bold**: outside\n93 to 97). Population: {args.images:,} synthetic images. {draws:,} samples, "
        f"{draws // 2:,} of 2,000 images: standard error\n{error(draws)} and {error(draws // 2)}.",
        covered(runs, draws),
        f"Beside scipy's bootstraps of 999 resamples, middling predictions, {draws // 16} samples: "
        f"standard error {error(draws // 16)}.",
        beside_bootstraps(runs["middling"], draws // 16),
        f"What mean recall is near, {draws // 4:,} samples:",
        aimed_at(runs, draws // 4),
        f"Two runs on the same images: how often the paired test finds p ≤ .05 between equal runs, and "
        f"how often the\ninterval of the difference holds the truth, for equal and for unequal runs. "
        f"{draws // 2:,} samples, {draws // 4:,} of 2,000 images:\nstandard error {error(draws // 2)} and "
        f"{error(draws // 4)}.",
        of_two_runs(runs, twin, draws // 2),
    ]
    print("\n\n".join(pages))
    if args.write:
        put(MARK, "\n\n".join(pages), METRICS)


def error(draws: int) -> str:
    """Standard error of a share of .95, in points."""
    return f"{100 * np.sqrt(0.95 * 0.05 / draws):.1f}".lstrip("0")


if __name__ == "__main__":
    main()
