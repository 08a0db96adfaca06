"""The house's layers: a module imports from its own layer and those left of it, never to the right."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS = [
    [
        "sgg",
        "sgg.options",
        "sgg.errors",
        "sgg.places",
        "sgg.torchvision_operators",
        "sgg.openmp",
        "sgg.whole_files",
    ],
    ["sgg.graph", "sgg.boxes", "sgg.vocab", "sgg.vocab_file"],
    [
        "sgg.codec",
        "sgg.problems",
        "sgg.passages",
        "sgg.documents",
        "sgg.items",
        "sgg.sound",
        "sgg.lenient_json",
        "sgg.structure",
        "sgg.prompt",
        "sgg.similarity",
        "sgg.similarity_models",
        "sgg.match",
        "sgg.draw",
    ],
    ["sgg.reward", "sgg.metric"],
    [
        "sgg.literal",
        "sgg.unknown",
        "sgg.config",
        "sgg.site",
        "sgg.hardware",
        "sgg.trl_fields",
        "sgg.schedules",
        "sgg.stage_fields",
        "sgg.stage_args",
        "sgg.lora",
        "sgg.plan",
        "sgg.validate",
        "sgg.validate_resume",
        "sgg.validate_reward",
        "sgg.validate_hardware",
        "sgg.validate_servers",
        "sgg.validate_sharding",
        "sgg.validate_structure",
        "sgg.spec",
        "sgg.cli",
    ],
    [
        "sgg.conditions",
        "sgg.read_when",
        "sgg.unread",
        "sgg.compose",
        "sgg.overrides",
        "sgg.mended",
        "sgg.explain",
        "sgg.explain_config",
        "sgg.explain_run",
    ],
    ["sgg.data"],
    [
        "sgg.checkpoint",
        "sgg.code_state",
        "sgg.processes",
        "sgg.owner",
        "sgg.lease",
        "sgg.reach",
        "sgg.run",
        "sgg.sweep_file",
        "sgg.tracked",
        "sgg.tracker",
        "sgg.wandb_tracker",
        "sgg.prediction_files",
        "sgg.prediction_rows",
        "sgg.predictions",
        "sgg.score",
    ],
    ["sgg.weights", "sgg.model", "sgg.tiny", "sgg.tiny_base", "sgg.similarity_table"],
    [
        "sgg.generate",
        "sgg.hf_engine",
        "sgg.asking",
        "sgg.vllm_model",
        "sgg.removed_mass",
        "sgg.vllm_setup",
        "sgg.vllm_engine",
        "sgg.rollout",
        "sgg.vllm_server",
        "sgg.servers",
        "sgg.engines",
        "sgg.train",
        "sgg.evaluate",
        "sgg.report",
        "sgg.predict",
        "sgg.preflight",
        "sgg.opening",
    ],
    ["sgg.pipeline"],
    [
        "launchers",
        "launchers.cancellation",
        "launchers.plan",
        "launchers.ports",
        "launchers.requeue",
        "launchers.last_words",
        "launchers.place",
        "launchers.ending",
        "launchers.secret",
        "launchers.child",
        "launchers.supervise",
        "launchers.signals",
        "launchers.share",
        "launchers.local",
    ],
    [
        "launchers.snapshot",
        "launchers.points",
        "launchers.changes",
        "launchers.slurm",
        "launchers.arrays",
        "launchers.queue",
        "launchers.progress",
        "launchers.local_sweep",
        "launchers.status",
        "launchers.table",
        "launchers.waiting",
        "launchers.kinds",
        "launchers.sweeps",
        "launchers.plugins",
    ],
    ["sgg.verbs"],
    ["sgg.main", "sgg.__main__"],
    ["launchers.rank", "launchers.server", "launchers.node"],
]
"""From left to right; a package stands for its modules. docs/house.md draws the same picture."""

LIGHT = 7
"""Layers before this index import without torch, transformers, trl and vllm."""

EXCEPTIONS = {
    ("sgg.cli", "sgg.explain"): "asked for only when something went wrong",
    ("sgg.tiny_base", "sgg.train.optim"): "a script: trains the shipped base",
}


def layer(module):
    """Index of the longest listed prefix."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        for index, names in enumerate(LAYERS):
            if name in names and (length == len(parts) or name not in ("sgg", "launchers")):
                return index
    raise AssertionError(f"{module} stands in no layer; add it to LAYERS and docs/house.md")


def modules():
    for folder in ("sgg", "launchers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(path):
    """Modules of this project that a file imports, at its top or inside functions."""
    names = {name for name, _ in modules()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in ("sgg", "launchers"))
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for alias in node.names if module.split(".")[0] in ("sgg", "launchers") else ():
                full = f"{module}.{alias.name}"
                yield full if full in names else module


def test_imports_go_from_right_to_left_only():
    wrong = [
        f"{name} -> {imported}"
        for name, path in modules()
        for imported in imports(path)
        if layer(imported) > layer(name) and (name, imported) not in EXCEPTIONS
    ]
    assert not wrong


def test_no_exception_is_idle():
    """An exception that nothing needs any more has to go."""
    used = {(name, imported) for name, path in modules() for imported in imports(path)}
    assert {pair for pair in EXCEPTIONS if layer(pair[1]) > layer(pair[0])} <= used


HEAVY = ("torch", "transformers", "trl", "vllm", "deepspeed", "wandb", "httpx")
LIGHT_MODULES = sorted(name for name, _ in modules() if layer(name) < LIGHT)


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_layers_import_without_heavy_libraries(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
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
    assert "sgg resume=RUN_DIR" in done.stdout
