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
import signal
import sys
import time
from collections import Counter
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).resolve().parents[1]
Mutant = dict[str, str | int]

LIMIT_S = 60.0
"""A mutant that takes longer than this is killed: it loops."""

MODULES = [
    *("sgg/boxes.py", "sgg/match.py", "sgg/similarity.py", "sgg/graph.py", "sgg/codec.py"),
    *("sgg/passages.py", "sgg/documents.py", "sgg/items.py", "sgg/lenient_json.py"),
    *("sgg/sound.py", "sgg/problems.py", "sgg/vocab.py"),
    *("sgg/reward/", "sgg/metric/"),
]
"""What scores: files, and the files of folders."""

_NAMES = ("answer_styles", "boxes", "codec", "graph", "items", "match", "predictions")
TESTS = [
    *("tests/unit/reward", "tests/unit/metric"),
    *(
        f"tests/unit/test_{n}.py"
        for n in (*_NAMES, "scoring_path", "similarity", "sound", "verb_reward", "vocab")
    ),
    "tests/golden",
]
"""The tests of the scoring code."""

ENOUGH_S = 3.0
"""Tests of one mutant, seconds as measured once, the quickest first; what lives is tried by all later."""

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
    r"(frozen|slots)=(True|False)",  # of a dataclass: what it forbids, nothing does
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
            if _is_same(old[line], new[line]) or (
                "RemoveDecorator" in name and "cache" in old[line - 1]
            ):
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
    return sorted(found, key=lambda m: (m["line"], m["operator"], m["new"]))


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


class Coverage:
    """Which tests run which line, and how long each takes; measured once and kept in a file."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            _measure(path)
        content = json.loads(path.read_text())
        self._seconds: dict[str, float] = content["seconds"]
        self._lines: dict[str, dict[str, list[str]]] = content["lines"]

    def tests(self, module: str, line: int, enough_s: float) -> list[str]:
        """The tests of a line, quickest first; those of the whole module where it runs on import."""
        lines = self._lines.get(module, {})
        names = set(lines.get(str(line), []))
        if not names:
            names = {name for found in lines.values() for name in found}
        chosen, spent = [], 0.0
        for name in sorted(names, key=lambda n: self._seconds.get(n, 0.0)):
            spent += self._seconds.get(name, 0.0)
            if chosen and spent > enough_s:
                break
            chosen.append(name)
        return chosen


def _measure(path: Path) -> None:
    """Run all tests of the scoring code once under coverage, each as a context of its own."""
    import coverage
    import pytest

    class Seconds:
        found: ClassVar[dict[str, float]] = {}
        setup: ClassVar[Counter[str]] = Counter()

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.when == "call" and report.passed:
                self.found[report.nodeid] = report.duration
            if (
                report.when == "setup"
            ):  # a file's fixtures are paid by whichever of its tests is run
                self.setup[report.nodeid.partition("::")[0]] += report.duration

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_setup(self, item: pytest.Item) -> None:
            measured.switch_context(item.nodeid)

    measured = coverage.Coverage(data_file=None, source=["sgg"], config_file=False)
    measured.start()
    code = pytest.main([*_OPTIONS, *TESTS], plugins=[Seconds()])
    measured.stop()
    if code != 0:
        sys.exit("the tests fail without a change")
    data = measured.get_data()
    lines = {}
    for file in data.measured_files():
        found = {
            line: [name for name in names if name in Seconds.found]
            for line, names in data.contexts_by_lineno(file).items()
        }
        lines[str(Path(file).relative_to(ROOT))] = {k: v for k, v in found.items() if v}
    seconds = {n: s + Seconds.setup[n.partition("::")[0]] for n, s in Seconds.found.items()}
    path.write_text(json.dumps({"seconds": seconds, "lines": lines}))


_OPTIONS = [
    *("-q", "--no-header", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"),
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),
    *("-m", "not slow and not thorough"),
]


def _run(mutant: Mutant, tests: list[str]) -> int:
    """Start a forked process that tests a mutant; returns its pid. It exits 0 where all tests pass."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    import pytest

    code = 1
    try:
        sys.meta_path.insert(0, _Changed(str(mutant["module"]), str(mutant["source"])))
        code = int(pytest.main(["-x", *_OPTIONS, *tests]))
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
    gc.collect()
    gc.freeze()  # a mutant's process then neither walks nor copies what is loaded here


def main() -> None:
    """Test the mutants of the modules named, or of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", help="files, or folders with a slash at the end")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"), help="a row a mutant")
    parser.add_argument("--coverage", type=Path, default=Path("mutants.coverage.json"))
    parser.add_argument(
        "--again", type=Path, help="only what survived in that file, by all its tests"
    )
    parser.add_argument("--count", action="store_true", help="count the mutants and run none")
    given = parser.parse_args()
    names = [
        str(path.relative_to(ROOT))
        for name in given.modules or MODULES
        for path in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).glob("*.py")))
    ]
    todo = [m for name in names for m in mutants(name)]
    if given.again is not None:
        rows = map(json.loads, given.again.read_text().splitlines())
        alive = {_key(row) for row in rows if not row["killed"]}
        todo = [m for m in todo if _key(m) in alive]
    if given.out.is_file():  # a run that was stopped goes on
        done = {_key(row) for row in map(json.loads, given.out.read_text().splitlines())}
        todo = [m for m in todo if _key(m) not in done]
    for name in names:
        print(f"{name}: {sum(m['module'] == name for m in todo)} mutants", flush=True)
    if given.count:
        return
    out, kept = given.out.resolve(), given.coverage.resolve()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    if not kept.is_file():  # in a process of its own: this one must not import what it will change
        pid = os.fork()
        if not pid:
            _measure(kept)
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            sys.exit("coverage could not be measured")
    _load_libraries()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # a mutant that wants more examples of a property test to be seen is not well tested
    os.environ["SGG_EXAMPLES"] = "12"
    _test_all(todo, Coverage(kept), 1e9 if given.again else ENOUGH_S, given.jobs, out)


def _key(mutant: Mutant) -> tuple[object, ...]:
    return tuple(mutant[k] for k in ("module", "operator", "old", "new"))


def _test_all(
    todo: list[Mutant], coverage: Coverage, enough_s: float, jobs: int, out: Path
) -> None:
    running: dict[int, tuple[Mutant, float]] = {}
    waiting = list(reversed(todo))
    survivors = 0
    with out.open("a", encoding="utf-8") as file:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant = waiting.pop()
                tests = coverage.tests(str(mutant["module"]), int(mutant["line"]), enough_s)
                running[_run(mutant, tests)] = (mutant, time.monotonic())
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
