"""The table of reward terms: by what name, from what to what, and how a stranger's term gets in.

A term is a pure function of one `ScoredCompletion` (or, if it sees the whole group, of the group's cases) and
keyword options. Weights, warm-up, clipping and gates live in the config; see `sgg.reward.score`.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sgg.errors import SggError, did_you_mean
from sgg.reward.terms import edges, form, guards, nodes


@dataclass(frozen=True, slots=True)
class Term:
    """A term and what it promises."""

    function: Callable[..., Any]
    low: float = 0.0
    high: float = 1.0
    group: bool = False
    """Whether it takes all cases of a group and returns one value for each."""

    @property
    def options(self) -> list[str]:
        """Names of its keyword options."""
        parameters = inspect.signature(self.function).parameters.values()
        return [p.name for p in parameters][1:]

    @property
    def required(self) -> list[str]:
        """Those of them that have no default."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        return [p.name for p in parameters if p.default is inspect.Parameter.empty]


TERMS: dict[str, Term] = {
    "format": Term(form.format),
    "format_graded": Term(form.format_graded),
    "answered": Term(form.answered),
    "reasoning": Term(form.reasoning),
    "length": Term(form.length),
    "node_acc": Term(nodes.node_acc),
    "node_box": Term(nodes.node_box),
    "node_iou2": Term(nodes.node_iou2),
    "node_f1": Term(nodes.node_f1),
    "node_ap": Term(nodes.node_ap),
    "category_f1": Term(nodes.category_f1),
    "edge_soft": Term(edges.edge_soft),
    "edge_hard": Term(edges.edge_hard),
    "edge_relax": Term(edges.edge_relax),
    "edge_cls": Term(edges.edge_cls),
    "edge_precision": Term(edges.edge_precision),
    "edge_f1": Term(edges.edge_f1),
    "edge_weighted": Term(edges.edge_weighted),
    "edge_r_mr": Term(edges.edge_r_mr),
    "edge_rare": Term(edges.edge_rare),
    "edge_ap": Term(edges.edge_ap),
    "coverage": Term(guards.coverage, group=True),
    "count_guard": Term(guards.count_guard),
    "node_hallucination": Term(nodes.node_hallucination, -1.0, 0.0),
    "edge_hallucination": Term(edges.edge_hallucination, -1.0, 0.0),
    "duplicates": Term(guards.duplicates, -1.0, 0.0),
}
"""Every term by the name that `reward.terms` takes."""


def find_term(name: str, import_path: str | None = None) -> Term:
    """The term of that name, or the function that `import_path` (package.module:function) names.

    A function from outside whose first parameter is called `cases` sees the whole group.

    Raises:
        SggError: there is none.

    """
    if import_path is not None:
        return _imported(f"reward.terms.{name}.import_path={import_path}", import_path)
    if name not in TERMS:
        raise SggError(
            f"reward.terms.{name}: no such term.{did_you_mean(name, TERMS)} Allowed: {', '.join(TERMS)}; "
            f"a term of your own is named by reward.terms.{name}.import_path=package.module:function."
        )
    return TERMS[name]


def option_problems(name: str, term: Term, options: Iterable[str]) -> list[str]:
    """Options that a term does not have, and those that must be given (`counts` is filled in by the run)."""
    known, given = term.options, list(options)
    problems = [
        f"reward.terms.{name}.options.{option}: the term has no such option."
        f"{did_you_mean(option, known)} Allowed: {', '.join(known) or 'none'}."
        for option in given
        if option not in known
    ]
    missing = [option for option in term.required if option not in (*given, "counts")]
    problems += [
        f"reward.terms.{name}.options.{option} must be given: the term's function has no default for it."
        for option in missing
    ]
    return problems


def _imported(key: str, import_path: str) -> Term:
    module_name, colon, function_name = import_path.partition(":")
    if not (module_name and colon and function_name):
        raise SggError(f"{key}: must be package.module:function.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SggError(f"{key}: {error}. Is it installed, or on PYTHONPATH?") from error
    function = getattr(module, function_name, None)
    if not inspect.isfunction(function):
        names = [n for n, _ in inspect.getmembers(module, inspect.isfunction)]
        raise SggError(
            f"{key}: {module_name} has no function {function_name}.{did_you_mean(function_name, names)}"
        )
    parameters = list(inspect.signature(function).parameters.values())
    kinds = [p.kind for p in parameters]
    takes_one = kinds[:1] == [inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if not takes_one or set(kinds[1:]) - {inspect.Parameter.KEYWORD_ONLY}:
        raise SggError(f"{key}: must take one case (or `cases`), then keyword-only options.")
    return Term(function, -math.inf, math.inf, parameters[0].name == "cases")
