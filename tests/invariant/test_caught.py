"""docs/caught.md names every place that catches broadly or logs a failure, and a test of its good case."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ANYTHING = {"Exception", "BaseException"}
MANY = 3
TOLD = {"warning", "error", "exception", "critical"}


def types_named(node):
    if node is None:
        return [*ANYTHING]  # a bare except
    if isinstance(node, ast.Tuple):
        return [name for part in node.elts for name in types_named(part)]
    return [ast.unparse(node)]


def is_broad(names):
    return not ANYTHING.isdisjoint(names) or len(names) >= MANY


def is_told(call):
    """`log.warning(…)`, `logging.getLogger(…).error(…)` and what is like them."""
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and function.attr in TOLD
        and "log" in ast.unparse(function.value).lower()
    ) or ast.unparse(function) in ("warnings.warn", "warn")


def is_place(node):
    if isinstance(node, ast.ExceptHandler):
        return is_broad(types_named(node.type))
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
        return is_broad([name for argument in node.args for name in types_named(argument)])
    return isinstance(node, ast.Call) and is_told(node)


def places(tree, module):
    """Names of the functions that hold one, from the module down."""

    def walk(node, name):
        for child in ast.iter_child_nodes(node):
            if is_place(child):
                yield name
            owner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            yield from walk(child, f"{name}.{child.name}" if owner else name)

    return set(walk(tree, module))


def in_code():
    for folder in ("sgg", "launchers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield from places(ast.parse(path.read_text()), module.removesuffix(".__init__"))


def in_docs():
    lines = (ROOT / "docs/caught.md").read_text().splitlines()
    found = [re.fullmatch(r"\| `([\w.]+)` \| .+ \| `(tests/[\w/.]+)::(\w+)` \|", x) for x in lines]
    rows = [match.groups() for match in found if match]
    assert len(rows) == sum(line.startswith("| `") for line in lines), "a row of another form"
    return rows


def test_every_place_has_one_row():
    assert sorted(in_code()) == sorted(place for place, _, _ in in_docs())


@pytest.mark.parametrize(("place", "file", "test"), in_docs())
def test_the_good_case_has_a_test(place, file, test):
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), place


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n try: pass\n except: pass",
        "def f():\n try: pass\n except (KeyError, ValueError, TypeError): pass",
        "def f():\n try: pass\n except (OSError, BaseException): pass",
        "def f():\n with contextlib.suppress(Exception): pass",
        "def f(): _log.warning('x')",
        "def f(): logging.getLogger('x').exception('x')",
        "def f(): warnings.warn('x')",
    ],
)
def test_a_place_is_found(code):
    assert places(ast.parse(code), "m") == {"m.f"}


def test_what_is_no_place():
    code = "def f():\n try: log.info('x')\n except (KeyError, ValueError): raise"
    assert places(ast.parse(code), "m") == set()
