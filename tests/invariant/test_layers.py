"""The floors of the house: a package imports from those below it alone, and what is light stays light."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS = [
    ["errors"],
    ["files", "terminal", "compat"],
    ["sgg", "config", "chat_api"],
    ["scene", "explain", "distributed"],
    ["runs", "text", "drawing"],
    ["data", "metrics", "reward", "tracking", "models"],
    ["inference", "plan"],
    ["evaluation", "rollout"],
    ["report", "train", "watch"],
    ["pipeline", "stages", "dashboard"],
    ["launchers"],
    ["cli"],
    ["main"],
    ["__main__"],
]
"""Packages and plain files directly in `sgg`, and `launchers`; those of one layer do not know each other."""

OF_LAUNCHERS = [
    ["launchers", "placement", "kinds", "disclosure"],
    ["consent", "ports"],
    ["process_plan", "rank"],
    ["slurm"],
    ["node"],
    ["local"],
    ["local_pipeline", "sweep"],
    ["watch"],
    ["hydra_plugins"],
]
"""The same inside `launchers`."""

HEAVY = ("torch", "transformers", "trl", "vllm", "deepspeed", "wandb", "httpx")
LIGHT = (
    "errors",
    "files",
    "terminal",
    "config",
    "scene",
    "drawing",
    "explain",
    "runs",
    "text",
    "data",
    "metrics",
    "reward",
)
LIGHT += ("tracking", "plan", "report", "watch", "pipeline", "stages", "launchers", "cli", "main")
"""Packages that import without any of these."""


def modules():
    for folder in ("sgg", "launchers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


MODULES = dict(modules())


def imports(path):
    """Modules of this project that a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


IMPORTS = {name: {*imports(path)} - {name} for name, path in MODULES.items()}


def room(module):
    """The package or plain file of `sgg` that a module is of, or `launchers`."""
    parts = module.split(".")
    return parts[0] if parts[0] == "launchers" or len(parts) == 1 else parts[1]


def room_of_launchers(module):
    return module.split(".")[1] if "." in module else module


def upward(layers, room_of, names):
    """Imports that do not go to a lower layer, or to the module's own room."""
    place = {name: index for index, layer in enumerate(layers) for name in layer}
    for name in names:
        for imported in IMPORTS[name] & {*names}:
            a, b = room_of(name), room_of(imported)
            if a != b and place[b] >= place[a]:
                yield f"{name} -> {imported}"


def test_packages_import_from_lower_layers_only():
    assert not [*upward(LAYERS, room, MODULES)]


def test_so_do_those_of_launchers():
    names = {name for name in MODULES if room(name) == "launchers"}
    assert not [*upward(OF_LAUNCHERS, room_of_launchers, names)]


LEFT_OUT = ("CHANGELOG.md", "docs/development.md", "tests/")
NAMED = re.compile(r"`((?:sgg/|launchers/)?[a-z_][a-z_0-9/]*\.py|(?:sgg|launchers)(?:\.\w+)+)`")
"""A module in backticks, by its path or with its package."""


def test_modules_that_docstrings_and_docs_name_are_there():
    """A path may leave out folders before it; a dotted name may end in a name of the module.

    docs/development.md is left out: it names files that its reader makes, and a test of its own makes them.
    """
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    known = files.stdout.splitlines()
    gone = []
    for file in known:
        if not file.endswith((".py", ".md")) or file.startswith(LEFT_OUT):
            continue
        for name in NAMED.findall((ROOT / file).read_text()):
            if "/" in name or name.endswith(".py"):
                is_there = any(path == name or path.endswith(f"/{name}") for path in known)
            else:
                parts = name.split(".")
                is_there = any(".".join(parts[:n]) in MODULES for n in range(2, len(parts) + 1))
                is_there = is_there or name == "sgg.run"  # the package's own function
            if not is_there:
                gone.append(f"{file}: {name}")
    assert not gone


def test_every_room_stands_in_one_layer():
    listed = [name for layer in LAYERS for name in layer]
    assert sorted(listed) == sorted({room(name) for name in MODULES})
    assert len(LAYERS) <= 14


def test_modules_import_in_no_circle():
    [*TopologicalSorter(IMPORTS).static_order()]  # raises CycleError, which names them


def test_plain_files_are_few_and_modules_short():
    plain = [path for path in (ROOT / "sgg").glob("*.py") if path.name != "__init__.py"]
    assert len(plain) <= 10
    lengths = sorted(len(path.read_text().splitlines()) for path in MODULES.values())
    assert lengths[-1] <= 300
    assert lengths[len(lengths) // 2] < 110


@pytest.mark.parametrize("package", LIGHT)
def test_light_packages_import_without_heavy_libraries(package):
    names = [name for name in MODULES if room(name) == package and not name.endswith("__main__")]
    code = f"import sys, {', '.join(names)}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_way_to_help_is_free_of_numpy_and_hydra():
    code = (
        "import sys; sys.argv = ['sgg', '--help']\n"
        "from sgg.main import main; main()\n"
        "print([m for m in ('numpy', 'hydra', 'torch') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "sgg resume DIR" in done.stdout
