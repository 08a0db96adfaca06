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
        "sgg.config.options",
        "sgg.errors",
        "sgg.config.tree",
        "sgg.compat.torchvision",
        "sgg.compat.openmp",
        "sgg.files",
    ],
    ["sgg.scene.graph", "sgg.scene.boxes", "sgg.scene.vocab", "sgg.data.vocab_file"],
    [
        "sgg.text.codec",
        "sgg.text.problems",
        "sgg.text.passages",
        "sgg.text.documents",
        "sgg.text.tolerant_parser",
        "sgg.text.strict_parser",
        "sgg.text.lenient_json",
        "sgg.text.grammar",
        "sgg.text.prompt",
        "sgg.scene.similarity",
        "sgg.scene.embeddings",
        "sgg.scene.match",
        "sgg.scene.draw",
    ],
    ["sgg.reward", "sgg.metrics"],
    [
        "sgg.config.literal",
        "sgg.config.unknown",
        "sgg.config.schema",
        "sgg.config.search_path",
        "sgg.config.hardware",
        "sgg.plan.rules.trl_fields",
        "sgg.plan.rules.schedules",
        "sgg.plan.rules.stage_fields",
        "sgg.plan.rules.stage_args",
        "sgg.models.lora",
        "sgg.plan.batch",
        "sgg.plan.validate",
        "sgg.plan.rules.resume",
        "sgg.plan.rules.reward",
        "sgg.plan.rules.hardware",
        "sgg.plan.rules.generate",
        "sgg.plan.rules.sharding",
        "sgg.plan.rules.grammar",
        "sgg.spec",
        "sgg.cli.help",
    ],
    [
        "sgg.plan.conditions",
        "sgg.plan.read_when",
        "sgg.plan.unread",
        "sgg.config.compose",
        "sgg.config.overrides",
        "sgg.config.corrections",
        "sgg.explain.exceptions",
        "sgg.explain.config",
        "sgg.explain.run",
    ],
    ["sgg.data"],
    [
        "sgg.runs.checkpoint",
        "sgg.runs.code_state",
        "sgg.runs.process_id",
        "sgg.runs.owner",
        "sgg.runs.lease",
        "sgg.tracking.reach",
        "sgg.runs.folder",
        "sgg.runs.sweep",
        "sgg.tracking.state",
        "sgg.tracking.open",
        "sgg.tracking.wandb",
        "sgg.evaluation.prediction_files",
        "sgg.evaluation.prediction_rows",
        "sgg.evaluation.predictions",
        "sgg.evaluation.score",
    ],
    [
        "sgg.models.weights",
        "sgg.models.load",
        "sgg.models.tiny",
        "sgg.models.make_tiny",
        "sgg.scene.make_similarity_table",
    ],
    [
        "sgg.inference.generate",
        "sgg.inference.hf",
        "sgg.inference.requests",
        "sgg.inference.vllm.model_dir",
        "sgg.inference.vllm.masked_mass",
        "sgg.inference.vllm.setup",
        "sgg.inference.vllm.engine",
        "sgg.rollout",
        "sgg.inference.vllm.server",
        "sgg.chat_api",
        "sgg.inference.engines",
        "sgg.train",
        "sgg.evaluation.stage",
        "sgg.report",
        "sgg.inference.predict",
        "sgg.plan.presence",
        "sgg.plan.opening",
    ],
    ["sgg.pipeline"],
    [
        "launchers",
        "launchers.sweep.cancellation",
        "launchers.process_plan",
        "launchers.ports",
        "sgg.runs.requeue",
        "launchers.node.last_words",
        "launchers.placement",
        "sgg.runs.exit_status",
        "launchers.node.rollout_key",
        "launchers.node.child",
        "launchers.node.supervisor",
        "launchers.node.signals",
        "launchers.node.agent",
        "launchers.local",
    ],
    [
        "launchers.sweep.code_snapshot",
        "launchers.sweep.points",
        "launchers.sweep.changes",
        "launchers.slurm.script",
        "launchers.slurm.arrays",
        "launchers.slurm.queue",
        "sgg.runs.progress",
        "launchers.sweep.local",
        "launchers.sweep.status",
        "launchers.sweep.status_table",
        "launchers.sweep.wait",
        "launchers.kinds",
        "launchers.sweep.commands",
        "launchers.hydra_plugins",
    ],
    ["sgg.cli"],
    ["sgg.main", "sgg.__main__"],
    ["launchers.rank", "sgg.rollout.server", "launchers.node"],
]
"""From left to right; a package stands for its modules. docs/house.md draws the same picture."""

LIGHT = 7
"""Layers before this index import without torch, transformers, trl and vllm."""

EXCEPTIONS = {
    ("sgg.cli.help", "sgg.explain.exceptions"): "asked for only when something went wrong",
    ("sgg.models.make_tiny", "sgg.models.muon"): "a script: trains the shipped base",
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
