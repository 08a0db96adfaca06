"""Mutation test of the scoring code: change one operator, number or word at a time; some test must fail.

A development tool, no part of CI: `pip install cosmic-ray`, then

    python tests/mutants.py [MODULE.py …] [--jobs 2] [--out FILE.jsonl] [--again FILE.jsonl]

Cosmic Ray says what can be changed where; here each changed module is run in a forked process, with
the libraries loaded before, against the tests that `TESTS` names for it, until the first one fails.
Mutants that cannot matter are left out: changed annotations, and a source that another mutant gives
too. Of Cosmic Ray's replacements those are taken that programmers really confuse (`<` with `<=`, `+`
with `-` …); the others are killed by nearly any test and would only flatter the share.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import json
import os
import re
import resource
import signal
import sys
import time
from collections import Counter
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
Mutant = dict[str, str | int]

CPU_LIMIT_S = 15
"""A mutant that computes longer, and 3 times as long as the tests without a change, loops: it is killed."""
LIMIT_S = 900.0
"""Likewise one that does nothing."""

_FORMULAS = "terms term_limits more_terms"
_RECALLS = "summary recall defects pass_at_k judged"


def _files(names: str) -> list[str]:
    """Unit tests by their names, which are unique."""
    found = {path.stem: path for path in (ROOT / "tests" / "unit").rglob("test_*.py")}
    return [str(found[f"test_{name}"].relative_to(ROOT)) for name in names.split()]


TESTS = {
    "sgg/metrics/hits.py": _files("hits recall defects judged"),
    "sgg/metrics/bootstrap.py": _files("intervals_plainly intervals"),
    "sgg/metrics/permutation.py": _files("intervals_plainly intervals"),
    "sgg/metrics/recall.py": _files(f"{_RECALLS} intervals_plainly intervals"),
    "sgg/metrics/tally.py": _files(f"{_RECALLS} hits") + _files("scoring_path"),
    "sgg/metrics/summary.py": _files(_RECALLS),
    "sgg/metrics/pass_at_k.py": _files("pass_at_k"),
    "sgg/config/protocol.py": _files("protocols defects"),
    "sgg/metrics/arrays.py": _files("hits defects recall summary"),
    "sgg/metrics/judged.py": _files("judged"),
    "sgg/metrics/synonyms.py": _files("summary defects"),
    "sgg/metrics/detection.py": _files("detection defects summary"),
    "sgg/text/tolerant_parser.py": _files("tolerant_parser strict_parser completion_styles codec"),
    "sgg/text/strict_parser.py": _files("tolerant_parser strict_parser codec"),
    "sgg/text/codec.py": _files("codec completion_styles strict_parser"),
    "sgg/text/passages.py": _files("passages completion_styles codec"),
    "sgg/text/documents.py": _files("completion_styles codec"),
    "sgg/text/lenient_json.py": _files("lenient_json completion_styles codec"),
    "sgg/text/problems.py": _files("codec"),
    "sgg/scene/graph.py": _files("graph codec tolerant_parser"),
    "sgg/scene/vocab.py": _files("vocab graph codec"),
    "sgg/scene/boxes.py": _files("match boxes resized_size"),
    "sgg/scene/match.py": _files("match") + _files(_FORMULAS),
    "sgg/scene/similarity.py": _files("similarity match") + _files(_FORMULAS),
    "sgg/reward/terms/edges.py": _files(_FORMULAS),
    "sgg/reward/terms/nodes.py": _files(_FORMULAS),
    "sgg/reward/case.py": _files("term_limits terms more_terms"),
    "sgg/reward/terms/form.py": _files(_FORMULAS),
    "sgg/reward/terms/guards.py": _files(_FORMULAS),
    "sgg/reward/registry.py": _files("term_table terms mix"),
    "sgg/reward/score.py": _files("score mix term_table trl_adapter"),
    "sgg/reward/explain.py": _files("explain") + _files("cli_reward"),
    "sgg/reward/workers.py": _files("trl_adapter mix"),
    "sgg/reward/trl_adapter.py": _files("trl_adapter term_table"),
}
"""What scores, and the tests of each, the quickest and closest first."""

ALL_TESTS = [
    *("tests/unit/reward", "tests/unit/metrics"),
    *_files(
        "completion_styles boxes codec graph tolerant_parser lenient_json match passages predictions"
    ),
    *_files("resized_size scoring_path similarity strict_parser cli_reward vocab"),
    "tests/golden",
]
"""What a mutant is tried by that its module's own tests did not see (`--again`)."""

_SWAPS = {
    "Lt": ["LtE", "Gt"],
    "LtE": ["Lt", "GtE"],
    "Gt": ["GtE", "Lt"],
    "GtE": ["Gt", "LtE"],
    "Eq": ["NotEq"],
    "NotEq": ["Eq"],
    "Is": ["IsNot"],
    "IsNot": ["Is"],
    "Add": ["Sub"],
    "Sub": ["Add"],
    "Mul": ["Div", "Add"],
    "Div": ["Mul"],
    "FloorDiv": ["Div"],
    "Mod": ["FloorDiv"],
    "Pow": ["Mul"],
    "BitAnd": ["BitOr"],
    "BitOr": ["BitAnd"],
    "LShift": ["RShift"],
    "RShift": ["LShift"],
}


def _wanted(operator: str) -> bool:
    name = operator.removeprefix("core/")
    if name.startswith(("ReplaceComparisonOperator_", "ReplaceBinaryOperator_")):
        _, old, new = name.split("_")
        return new in _SWAPS.get(old, ())
    return name not in {"NoOp", "VariableInserter", "VariableReplacer", "ExceptionReplacer"}


_NO_CHANGE = (
    r"strict=(True|False)",  # of a zip: a check of our own
    r"(frozen|slots|gc)=(True|False)",  # of a dataclass: what it forbids, nothing does
    r"@lru_cache\(.*",  # a cache's size, or whether there is one
    r"reshape\([-~] ?\d+",  # any negative number stands for what is left
    r"[*/],",  # keyword-only options that might come by position
)
"""What may change without a change of what is computed."""


def _is_same(old: str, new: str) -> bool:
    return any(re.sub(part, "", old) == re.sub(part, "", new) for part in _NO_CHANGE)


class _NoAnnotations(ast.NodeTransformer):
    """A tree without annotations and docstrings: what they say changes no run."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node


def _meaning(source: str) -> str | None:
    try:
        return ast.dump(_NoAnnotations().visit(ast.parse(source)))
    except SyntaxError:
        return None


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module: the operator, the line, old and new text, the whole new source."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    source = (ROOT / module).read_text(encoding="utf-8")
    seen = {_meaning(source), None}
    found: list[Mutant] = []
    for name in filter(_wanted, operator_names()):
        operator = get_operator(name)
        if operator.arguments():
            continue
        occurrence = 0
        while (changed := mutate_code(source, operator(), occurrence)) is not None:
            occurrence += 1
            meaning = _meaning(changed)
            if meaning in seen:
                continue
            seen.add(meaning)
            old, new = source.splitlines(), changed.splitlines()
            line = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
            uncached = "RemoveDecorator" in name and changed.count("cache") < source.count("cache")
            if uncached or _is_same(old[line], new[line]):
                continue
            found.append(
                {
                    "module": module,
                    "operator": name.removeprefix("core/"),
                    "line": line + 1,
                    "old": old[line].strip(),
                    "new": new[line].strip(),
                    "source": changed,
                }
            )
    found.sort(key=lambda m: (m["line"], m["operator"], m["new"]))
    alike: Counter[tuple[object, ...]] = Counter()
    for mutant in found:
        key = _key(mutant)
        alike[key] += 1
        mutant["nth"] = alike[key]
    return found


class _Changed(MetaPathFinder, Loader):
    """Imports one module from a text."""

    def __init__(self, module: str, source: str) -> None:
        self.path = str(ROOT / module)
        self.name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.source = source

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        if fullname != self.name:
            return None
        spec = ModuleSpec(fullname, self, origin=self.path)
        spec.has_location = True
        return spec

    def create_module(self, spec):  # type: ignore[no-untyped-def]
        return None

    def exec_module(self, module) -> None:  # type: ignore[no-untyped-def]
        exec(compile(self.source, self.path, "exec", dont_inherit=True), module.__dict__)


_OPTIONS = [
    *(
        "-x",
        "-q",
        "--tb=no",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "-p",
        "_hypothesis_pytestplugin",
    ),
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),
    *("-m", "not slow and not thorough"),
]


def _run(mutant: Mutant, tests: list[str], cpu_limit_s: int) -> int:
    """Start a forked process that tests a mutant; returns its pid. It exits 0 where all tests pass."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit_s, cpu_limit_s))
    code = 1
    try:
        sys.meta_path.insert(0, _Changed(str(mutant["module"]), str(mutant["source"])))
        # one by one: the first file sees most mutants, and the others then need no import
        code = int(any(pytest.main([*_OPTIONS, file]) for file in tests))
    finally:
        os._exit(code)


def _load_libraries() -> None:
    """What every mutant's tests import, loaded once: anything but the package itself."""
    for name in ("hypothesis", "hydra", "msgspec", "numpy", "omegaconf", "PIL.Image", "pytest"):
        importlib.import_module(name)
    for name in ("pycocotools.cocoeval", "scipy.optimize", "scipy.stats"):
        importlib.import_module(name)
    from _pytest.config import builtin_plugins

    for name in (
        *sorted(f"_pytest.{name}" for name in builtin_plugins),
        "_hypothesis_pytestplugin",
    ):
        importlib.import_module(name)
    from hypothesis import Phase, settings

    # the profile of tests/conftest.py builds on this one: no smallest example is sought
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    gc.collect()
    gc.freeze()  # a mutant's process then neither walks nor copies what is loaded here


def main() -> None:
    """Test the mutants of the modules named, or of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", help="keys of TESTS; all unless named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"), help="a row a mutant")
    parser.add_argument(
        "--again", type=Path, help="only what survived in that file, by the tests of all modules"
    )
    parser.add_argument("--count", action="store_true", help="count the mutants and run none")
    given = parser.parse_args()
    out, again = given.out.resolve(), given.again and given.again.resolve()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    sys.dont_write_bytecode = False  # each mutant's process would compile all modules and tests
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # a mutant that wants more examples of a property test to be seen is not well tested
    os.environ["SGG_EXAMPLES"] = "12"
    _load_libraries()
    alive = {_key(row) for row in _rows(again) if not row["killed"]} if again else None
    done = {_key(row) for row in _rows(out)}  # a run that was stopped goes on
    for module in given.modules or TESTS:
        todo = [m for m in mutants(module) if _key(m) not in done]
        if alive is not None:
            todo = [m for m in todo if _key(m) in alive]
        print(f"{module}: {len(todo)} mutants", flush=True)
        if todo and not given.count:
            tests = ALL_TESTS if again else TESTS[module]
            _test_all(todo, tests, _cpu_limit(module, tests), given.jobs, out)


def _cpu_limit(module: str, tests: list[str]) -> int:
    """Seconds that a mutant may compute; ends here where the tests fail without a change."""
    source = (ROOT / module).read_text(encoding="utf-8")
    unchanged = _run({"module": module, "source": source}, tests, int(LIMIT_S))
    _, status, used = os.wait4(unchanged, 0)
    if status:
        sys.exit(f"{module}: its tests fail without a change: {' '.join(tests)}")
    return max(CPU_LIMIT_S, int(3 * (used.ru_utime + used.ru_stime)))


def _rows(path: Path) -> list[Mutant]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _key(mutant: Mutant) -> tuple[object, ...]:
    """What names a mutant although lines before it come and go."""
    return tuple(mutant.get(k) for k in ("module", "operator", "old", "new", "nth"))


def _test_all(todo: list[Mutant], tests: list[str], cpu_limit_s: int, jobs: int, out: Path) -> None:
    running: dict[int, tuple[Mutant, float]] = {}
    waiting = list(reversed(todo))
    survivors = 0
    with out.open("a", encoding="utf-8") as file:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant = waiting.pop()
                running[_run(mutant, tests, cpu_limit_s)] = (mutant, time.monotonic())
            pid, status = os.waitpid(-1, os.WNOHANG)
            for late, (_, start) in running.items():
                if time.monotonic() - start > LIMIT_S:
                    os.killpg(late, signal.SIGKILL)
            if pid == 0:
                time.sleep(0.02)
                continue
            mutant, start = running.pop(pid)
            killed = status != 0
            row = {k: v for k, v in mutant.items() if k != "source"}
            row |= {"killed": killed, "seconds": round(time.monotonic() - start, 1)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            if not killed:
                survivors += 1
                where = f"{mutant['module']}:{mutant['line']}"
                print(
                    f"{where} {mutant['operator']}\n  - {mutant['old']}\n  + {mutant['new']}",
                    flush=True,
                )
    print(f"{len(todo)} mutants, {survivors} survived", flush=True)


if __name__ == "__main__":
    main()
