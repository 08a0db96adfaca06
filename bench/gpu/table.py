"""gpu-check.json as Markdown."""

from __future__ import annotations

import statistics
from typing import Any

PHASES = ("generation", "rewards", "preparation", "update", "optimizer", "other")


def table(results: dict[str, Any]) -> str:
    """One row for each timed run, a line for each other part, the kernels of a profiled update."""
    machine = results.get("machine", {})
    lines = [", ".join(f"{k} {shown(v)}" for k, v in machine.items() if k != "took_s"), ""]
    lines += [
        f"| run | step s | {' | '.join(PHASES)} | tokens/s | update MFU | peak GiB |",
        "|---|" + "---|" * (len(PHASES) + 4),
    ]
    rest = []
    for name, found in results.items():
        if found.get("steps"):
            lines.append(row(name, found, machine.get("tflops")))
        for reason in ("failed", "stopped"):
            if reason in found:
                rest.append(f"- {name}: {reason.upper()}: {found[reason]}")
        if found.get("kernels"):
            rest += kernels(name, found["kernels"])
        if not (found.get("steps") or {"failed", "stopped"} & found.keys() or name == "machine"):
            told = [f"{k} {shown(v)}" for k, v in found.items() if v not in (None, [], {})]
            rest.append(f"- {name}: {', '.join(told)}")
    return "\n".join([*lines, "", *rest, ""])


def kernels(name: str, found: dict[str, Any]) -> list[str]:
    busy = f"{found['seconds']:.2f} s, a kernel ran in {found['busy']:.0%} of them"
    head = f"- {name}, one update: {busy}; {found['calls']} kernels"
    each = [f"  - {k['share']:.1%} in {k['calls']} × `{k['name']}`" for k in found["top"]]
    return [head, *each]


def row(name: str, found: dict[str, Any], tflops: float | None) -> str:
    plain = [step for step in found["steps"] if "profiled" not in step]
    steps = plain[1:] or plain or found["steps"]  # the first one compiles and allocates
    middle = {k: statistics.median(s.get(k, 0.0) for s in steps) for k in ("seconds", *PHASES)}
    tokens = statistics.median(s["tokens"] for s in steps)
    cells = [f"{middle[p]:.2f}" for p in PHASES]
    mfu = "" if tflops is None else f"{useful(found, steps) / tflops:.0%}"
    peak = "" if found["peak_gib"] is None else f"{found['peak_gib']:.1f}"
    speed = f"{tokens / middle['seconds']:.0f}"
    return f"| {name} | {middle['seconds']:.2f} | {' | '.join(cells)} | {speed} | {mfu} | {peak} |"


def useful(found: dict[str, Any], steps: list[dict[str, Any]]) -> float:
    """TFLOP/s of the update, of what must be computed.

    2 for each weight that a token meets going forward, 2 for the gradient of its input, 2 for its own where
    it is trained. Attention's products, recomputed activations and the head on tokens that have no loss are
    not counted.
    """
    has, trained = found["parameters"], found["trained"]
    learns = sum(trained.values()) > 0
    head = "head" if has.get("head") else "embedding"

    def times(part: str, gradient_passes: bool) -> int:
        return 2 + 2 * gradient_passes + 2 * (trained.get(part, 0) > 0)

    rates = []
    for step in steps:
        flops = (
            step["tokens"] * has["body"] * times("body", learns)
            + step["completion_tokens"] * has[head] * times(head, learns)
            + step["patches"] * has.get("vision", 0) * times("vision", trained.get("vision", 0) > 0)
        )
        rates.append(flops / step["update"] / 1e12)
    return statistics.median(rates)


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k} {shown(v)}" for k, v in value.items()) + ")"
    return str(value)
