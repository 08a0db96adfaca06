"""Structured completions by real vLLM, and GRPO that learns from them, with untrained tiny models."""

import json
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch
from commands import environment, sgg, sgg_ok
from PIL import Image

from sgg.config.grammar import GrammarConfig, GrammarNames
from sgg.config.model import Family, Init, ModelConfig
from sgg.config.prompt import Template
from sgg.inference.generate import Batch, Request, Sampling, completion_of
from sgg.inference.vllm.engine import VllmEngine
from sgg.inference.vllm.limits import EngineLimits
from sgg.models.families import FAMILIES
from sgg.models.processor import load_processor
from sgg.models.vllm_folder import write_for_vllm
from sgg.models.weights import locate
from sgg.scene.vocab import VOCABULARIES
from sgg.text.codec import GraphSpec, parse
from sgg.text.grammar import CompletionGrammar
from sgg.text.problems import ErrorKind
from sgg.text.prompt import Prompter
from sgg.train.grammar_masks import Masks

pytestmark = [pytest.mark.slow, pytest.mark.vllm]
NAMES = [
    pytest.param(f, marks=[] if f == "qwen2_5_vl" else pytest.mark.thorough)
    for f in Family.__members__
]
PIXELS = 3136, 12544
SHAPES = VOCABULARIES["shapes"]
BOUNDS = GrammarConfig(3, 2, 20, 1, 1, GrammarNames.vocabulary)
LIMIT = 600


def spec(family, reasoning=True):
    return GraphSpec(FAMILIES[Family[family]].frame_spec(*PIXELS), reasoning, SHAPES)


class Untrained:
    """An engine on fresh weights, which remembers the tokens of its completions."""

    def __init__(self, family, folder, monkeypatch):
        model = ModelConfig(path=f"tiny_{family}", family=Family[family], init=Init.random)
        source, self.spec = locate(model.path), spec(family)
        self.grammar = CompletionGrammar(self.spec, BOUNDS, SHAPES)
        self.processor = load_processor(source, *PIXELS)
        write_for_vllm(model, source, self.processor, torch.float32, 0, folder)
        sampling = Sampling(LIMIT, temperature=1.0)
        room = EngineLimits(in_flight=16, max_length=2048, gpu_memory_utilization=0.5, gpu=False)
        grammar = self.grammar.grammar()
        self.engine = VllmEngine(
            folder, self.processor, sampling, torch.float32, room, self.grammar.grammar()
        )
        self.ends = self.engine._ends
        self.masks = Masks(grammar, self.processor.tokenizer, len(self.vocabulary()), self.ends)
        self.sampled = []
        monkeypatch.setattr("sgg.inference.vllm.engine.completion_of", self._remembered)

    def vocabulary(self):
        return range(self.engine.llm.model_config.get_vocab_size())

    def _remembered(self, ids, ends, tokenizer):
        self.sampled.append(ids)
        return completion_of(ids, ends, tokenizer)

    def completions(self, count):
        prompter = Prompter(self.spec, Template.closed, "")
        colours = np.random.default_rng(0).integers(0, 256, (count, 5, 4, 3), dtype=np.uint8)
        for i, blocks in enumerate(colours):
            image = Image.fromarray(blocks).resize((140, 112), Image.Resampling.NEAREST)
            request = Request(f"image-{i}", prompter.messages(140, 112, {}), image)
            yield Batch(i, [request], {(f"image-{i}", 0)})

    def parsed(self, count):
        self.sampled.clear()
        done = dict(self.engine.completions(self.completions(count)))
        return [(c, parse(c.text, self.spec, 140, 112)) for c in done.values()]


@pytest.fixture(scope="module", params=NAMES)
def untrained(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        made = Untrained(request.param, tmp_path_factory.mktemp("vllm") / "served", patch)
        yield made
        made.engine.close()


def test_no_completion_fails_where_nearly_all_did(untrained):
    removed, grammar = untrained.engine._removed, untrained.engine._grammar
    for structured in (False, True):
        untrained.engine._removed = removed if structured else None
        untrained.engine._grammar = grammar if structured else None
        found = untrained.parsed(30)
        failures = sum(p.failure is not None for _, p in found)
        assert failures == 0 if structured else failures > 27
    longest = untrained.grammar.longest()
    for completion, parsed in found:
        assert not completion.truncated
        assert completion.tokens <= longest <= LIMIT
        assert {p.kind for p in parsed.problems} <= {
            ErrorKind.degenerate_box,
            ErrorKind.outside_box,
            ErrorKind.dangling_relation,
        }
        assert parsed.tags_as_asked
        assert all(SHAPES.knows_object(node.name) for node in parsed.graph.nodes)
        assert 0.3 < completion.masked_mass < 1
    assert len({len(p.graph.nodes) for _, p in found}) > 1


def test_the_trainers_masks_are_those_that_vllm_applied(untrained):
    applied, apply = {}, untrained.engine._removed._apply

    def seen(scheduled, grammars, batch, logits):
        for request, row in zip(
            grammars.structured_output_request_ids, grammars.grammar_bitmask, strict=True
        ):
            applied.setdefault(request, []).append(row.copy())
        apply(scheduled, grammars, batch, logits)

    untrained.engine._removed._apply = seen
    untrained.parsed(10)
    untrained.engine._removed._apply = apply
    theirs = sorted(np.stack(rows).tobytes() for rows in applied.values())
    ours = sorted(untrained.masks.packed([ids]).numpy().tobytes() for ids in untrained.sampled)
    assert len(ours) == 10
    assert ours == theirs


def test_probability_that_masks_take_away_is_measured(untrained):
    """The mean that a completion carries, against one that is summed up by the trainer's masks."""
    applied, apply = {}, untrained.engine._removed._apply

    def seen(scheduled, grammars, batch, logits):
        masked = set(grammars.structured_output_request_ids)
        before = logits.float().softmax(-1)
        apply(scheduled, grammars, batch, logits)
        for request, row, kept in zip(batch.req_ids, before, logits.isfinite(), strict=True):
            if request in masked:
                applied.setdefault(request, []).append(float(row[~kept].sum()))

    untrained.engine._removed._apply = seen
    found = untrained.parsed(5)
    untrained.engine._removed._apply = apply
    expected = sorted(sum(steps) / len(steps) for steps in applied.values())
    carried = sorted(completion.masked_mass for completion, _ in found)
    assert carried == pytest.approx(expected, abs=1e-4)


EVAL = ["stage=eval", "generate=vllm", "hardware.threads=1", "prompt=closed"]
SMALL = ["grammar=bounded", "grammar.max_objects=2", "grammar.max_relationships=1"]


def test_an_evaluation_says_what_it_was_held_to(tmp_path):
    run_dir = tmp_path / "run"
    words = [*EVAL, *SMALL, "model.init=random", "generate.max_new_tokens=300"]
    sgg_ok(*words, "data.eval.limit=8", f"paths.run_dir={run_dir}", cwd=tmp_path)
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["metrics"]["failure_rate"] == 0
    rows = [json.loads(line) for line in (run_dir / "completions.jsonl").read_text().splitlines()]
    masses = [row["masked_mass"] for row in rows]
    assert min(masses) <= metrics["masked_mass"] <= max(masses)
    assert "took away" in (run_dir / "run.log").read_text()
    assert "max_objects: 2" in (run_dir / "config.yaml").read_text()


def test_a_limit_that_is_too_small_is_told(tmp_path):
    done = sgg(*EVAL, *SMALL, "generate.max_new_tokens=40", "data.eval.limit=4", cwd=tmp_path)
    assert done.returncode == 2
    assert "more than generate.max_new_tokens=40: it would be cut short" in done.stderr
    assert "Traceback" not in done.stderr


GRPO = [
    "stage=grpo",
    *SMALL,
    "grammar.names=vocabulary",
    "hardware.threads=1",
    "data.train.limit=6",
    "stage.prompts_per_step=2",
    "stage.fast_path=require",
    "stage.args.num_generations=4",
    "stage.args.max_completion_length=300",
    "stage.args.max_steps=3",
    "stage.args.warmup_steps=0",
    "stage.args.logging_steps=1",
]
DIFFERENCE = "sampling/sampling_logp_difference/max"


def curves(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("family", "mode"),
    [
        ("qwen2_5_vl", "colocate"),
        pytest.param("qwen2_vl", "server", marks=pytest.mark.thorough),
    ],
)
def test_trainer_and_vllm_agree_on_the_masked_distribution(family, mode, tmp_path):
    run_dir = tmp_path / "run"
    words = [*GRPO, f"model=tiny_{family}", f"hardware.rollout.mode={mode}", "stage.args.beta=0.04"]
    sgg_ok(*words, f"paths.run_dir={run_dir}", cwd=tmp_path)
    steps = [row for row in curves(run_dir) if DIFFERENCE in row]
    assert len(steps) == 3
    for row in steps:
        assert row[DIFFERENCE] < 1e-3
        assert row["sampling/importance_sampling_ratio/mean"] == pytest.approx(1, abs=1e-3)
        assert row["completion/failed"] == 0
        assert 0 < row["grammar/masked_mass"] < 1
    assert any(row["grad_norm"] > 0 for row in steps[:2])  # the weights did change
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-5)  # the reference carries the masks, too


WITHOUT = """
import sgg.train.grpo
sgg.train.grpo._masks = lambda *arguments: None
from sgg.main import main
main()
"""


@pytest.mark.thorough
def test_without_the_trainers_masks_the_two_disagree(tmp_path):
    run_dir = tmp_path / "run"
    words = [*GRPO, "model.init=random", "hardware.rollout.mode=colocate"]
    words += ["hardware.rollout.max_logp_difference=1000", f"paths.run_dir={run_dir}"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for row in islice(curves(run_dir), 3):
        assert row[DIFFERENCE] > 1
